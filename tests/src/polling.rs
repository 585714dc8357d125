//! Reads the jobs a service reports, and waits for conditions.

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

/// The ids of the jobs that match, from the list of all.
pub fn ids(list: &Value, wanted: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let jobs = list["jobs"].as_array().into_iter().flatten().filter(|job| wanted(job));
    jobs.filter_map(|job| Some(job["job_id"].as_str()?.to_owned())).collect()
}

/// Waits until a condition is true.
pub fn wait_until(what: &str, is_true: impl Fn() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !is_true()? {
        ensure!(start.elapsed() < Duration::from_secs(120), "timed out waiting: {what}");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}
