//! What a service tells of its jobs, as tests look at it.

use anyhow::{Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How each attempt of a job ended, from its status.
pub fn ends(status: &Value) -> Vec<&str> {
    let attempts = status["attempts"].as_array().into_iter().flatten();
    attempts.filter_map(|attempt| attempt["end"].as_str()).collect()
}

/// The ids of the jobs that are as wanted, from the list of all.
pub fn ids(list: &Value, wanted: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let jobs = list["jobs"].as_array().into_iter().flatten().filter(|job| wanted(job));
    jobs.filter_map(|job| Some(job["job_id"].as_str()?.to_owned())).collect()
}

/// Waits until something is so.
pub fn wait_until(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !is_so()? {
        ensure!(begun.elapsed() < Duration::from_secs(120), "still not so: {what}");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}
