//! How soon the end of a worker counts: killed by the kernel for its memory, or cancelled.

use crate::clips::{SIZES, sized};
use crate::names::{CANCEL, CANCEL_DEAF, KILL_TO_CHANGE, KILL_TO_NEXT};
use crate::requests::told;
use crate::rounds::Bench;
use crate::service::{add, spread};
use anyhow::{Context, Result, ensure};
use bodyscript_tests::server::TestServer;
use jiff::Timestamp;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const OOM_KILLS: usize = 300;
const CANCELS: usize = 30;
/// Cap of the workers the kernel is to kill, in MiB.
const HOG_CAP: &str = "64MiB";

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = TestServer::start(&["--workers", "1"])?;
    cancel(&server, &sized(SIZES[1])?, bench, CANCEL)?;
    server.stop()?;
    let caps = ["--worker-memory-bytes-max", HOG_CAP, "--worker-memory-retry-bytes-max", HOG_CAP];
    let server = told(&[&["--workers", "1", "--queue-max", "1000"], &caps[..]].concat())?;
    if server.json("/api")?["cage"].as_str().is_some_and(|cage| cage.starts_with("cgroup")) {
        oom_kills(&server, &folder, bench)?;
    } else {
        bench.note("kernel OOM kills: this host gives no cgroup to this user".to_owned());
    }
    let deaf = folder.path().join("deaf.mp4");
    std::fs::write(&deaf, "FAULT deaf touch:48 progress:1 silent\n")?;
    cancel(&server, &deaf, bench, CANCEL_DEAF)?;
    server.stop()?;
    Ok(())
}

/// One worker fills its memory after the other. Each logs the time before each MiB it touches, so
/// that its last time is that of its death and its first that of its slot's new use.
fn oom_kills(server: &TestServer, folder: &TempDir, bench: &mut Bench) -> Result<()> {
    let hog = folder.path().join("hog.mp4");
    let submit = |n| {
        // Each of a content of its own: the same is not executed again and again.
        std::fs::write(&hog, format!("FAULT hog\n{n}\n"))?;
        server.submit(&hog)
    };
    let jobs: Vec<_> = (0..OOM_KILLS).map(submit).collect::<Result<_>>()?;
    let mut told = Vec::new();
    for job in &jobs {
        let status = server.await_end(job)?;
        ensure!(status["attempts"][0]["end"] == "oom", "{status}");
        let at: Timestamp = status["completed_at"].as_str().context("a time")?.parse()?;
        told.push(at.as_nanosecond());
    }
    let lives = lives(&server.log());
    let life = |job: &String| lives.get(job).copied().context("a hog that logged nothing");
    let mut changes = Vec::new();
    let mut reuses = Vec::new();
    for (n, job) in jobs.iter().enumerate() {
        let (_, died) = life(job)?;
        changes.push(nanoseconds(told[n] - died));
        if let Some(next) = jobs.get(n + 1) {
            reuses.push(nanoseconds(life(next)?.0 - died));
        }
    }
    add(bench, KILL_TO_CHANGE, &spread(&changes));
    add(bench, KILL_TO_NEXT, &spread(&reuses));
    Ok(())
}

/// First and last time each job's worker logged, in nanoseconds since 1970.
fn lives(log: &str) -> HashMap<String, (i128, i128)> {
    let mut lives: HashMap<String, (i128, i128)> = HashMap::new();
    for line in log.lines() {
        let word = |before: &str| {
            let rest = line.split_once(before)?.1;
            rest.split([' ', '"']).next()
        };
        let time = word(" at ").and_then(|time| time.parse().ok());
        if let (true, Some(time), Some(job)) = (line.contains("touched"), time, word("job=\"")) {
            let life = lives.entry(job.to_owned()).or_insert((time, time));
            *life = (life.0.min(time), life.1.max(time));
        }
    }
    lives
}

/// From the wish to the answer, which comes once the worker is gone and its memory is free.
fn cancel(server: &TestServer, video: &Path, bench: &mut Bench, case: &str) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..CANCELS {
        let id = server.submit(video)?;
        server.await_status(&id, |status| status["current_frame"].as_u64() > Some(0))?;
        let url = server.url(&format!("/api/cancel/{id}"));
        let begun = Instant::now();
        server.client().post(url).send()?.error_for_status()?;
        times.push(begun.elapsed());
        let reserved = &server.operator_json("/health/memory")?["reserved_bytes"];
        ensure!(*reserved == 0, "{reserved} bytes are still reserved");
    }
    add(bench, case, &spread(&times));
    Ok(())
}

/// The clocks of a log line and of a state have their own roundings.
fn nanoseconds(time: i128) -> Duration {
    Duration::from_nanos(time.max(0) as u64)
}
