//! Hosts whose clocks differ by hours: jobs are run, dated and expired as with one clock.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{
    LOSS, TAKEOVER, await_completion, check_served_alike, lines_with,
};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::report;
use bodyscript_tests::traces::fault_video;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use std::env::consts::ARCH;
use std::path::{Path, PathBuf};

/// Shorter than the clocks differ, and longer than it takes to look at a job.
const FLAGS: [&str; 6] = ["--workers", "2", "--result-ttl-s", "20", "--pressure-ttl-s", "20"];

/// The library that gives a program another time.
fn library() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clocks");
    if !tools.join(".unpacked").exists() {
        report::skipped("clocks", "libfaketime is not unpacked; run `make clock-tools`");
        return None;
    }
    Some(tools.join(format!("usr/lib/{ARCH}-linux-gnu/faketime/libfaketimeMT.so.1")))
}

/// When a host logged its first line, by its own clock.
fn first_logged(cluster: &Cluster, host: usize) -> Result<Timestamp> {
    let log = cluster.log(host);
    let time = log.split_whitespace().next().context("a line")?;
    time.parse().with_context(|| log.clone())
}

#[test]
fn clocks_that_differ_by_hours_lose_no_job_and_expire_none_early_or_late() -> Result<()> {
    let Some(library) = library() else { return Ok(()) };
    let library = library.to_str().context("a path in UTF-8")?;
    let clock = |offset| {
        [("LD_PRELOAD", library), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]
    };
    let hosts = Cluster::of(3, &FLAGS);
    let hosts = hosts.with_variables(0, &clock("+1h")).with_variables(1, &clock("-1h"));
    let Some(cluster) = hosts.start()? else { return Ok(()) };
    let apart = first_logged(&cluster, 0)?.duration_since(first_logged(&cluster, 1)?);
    ensure!(
        (apart - SignedDuration::from_hours(2)).abs() < SignedDuration::from_mins(10),
        "{apart}"
    );

    let videos = tempfile::tempdir()?;
    let mut jobs = Vec::new();
    for host in 0..cluster.size() {
        for _ in 0..3 {
            let video = fault_video(videos.path(), "progress:1 sleep:500 ok")?;
            jobs.push(cluster.host(host).submit(&video)?);
        }
    }
    for id in &jobs {
        await_completion(&cluster, id)?;
        check_served_alike(&cluster, id)?;
    }
    for host in 0..cluster.size() {
        wait_until("the jobs expire", || {
            let status = |id| Ok(cluster.host(host).get(&format!("/api/status/{id}"))?.status());
            let all = jobs.iter().map(status).collect::<Result<Vec<_>>>()?;
            Ok(all.iter().all(|status| *status == StatusCode::NOT_FOUND))
        })?;
    }
    assert_eq!([LOSS, TAKEOVER].map(|words| lines_with(&cluster, words)), [0, 0]);
    cluster.stop()
}
