//! The time from the exit of a worker, killed by the kernel or cancelled, to its effect.

use crate::clips::{SIZES, sized};
use crate::names::{CANCEL, CANCEL_DEAF, KILL_TO_CHANGE, KILL_TO_NEXT};
use crate::rounds::Bench;
use crate::service::{add, spread};
use anyhow::{Context, Result, ensure};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::start_fault_service;
use jiff::Timestamp;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const OOM_KILLS: usize = 300;
const CANCELS: usize = 30;
/// Memory cap of the workers that the kernel kills.
const HOG_CAP: &str = "64MiB";

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = TestServer::start(&["--workers", "1"])?;
    cancel(&server, &sized(SIZES[1])?, bench, CANCEL)?;
    server.stop()?;
    let caps = ["--worker-memory-bytes-max", HOG_CAP, "--worker-memory-retry-bytes-max", HOG_CAP];
    let server =
        start_fault_service(&[&["--workers", "1", "--queue-max", "1000"], &caps[..]].concat())?;
    if server.json("/api")?["cage"].as_str().is_some_and(|cage| cage.starts_with("cgroup")) {
        oom_kills(&server, &folder, bench)?;
    } else {
        bench.note("kernel OOM kills: this user gets no cgroup on this host".to_owned());
    }
    let deaf = folder.path().join("deaf.mp4");
    std::fs::write(&deaf, "FAULT deaf touch:48 progress:1 silent\n")?;
    cancel(&server, &deaf, bench, CANCEL_DEAF)?;
    server.stop()?;
    Ok(())
}

/// Workers fill their memory one after another. Each logs the time before each MiB it touches, so its last
/// time is that of the kill, and its first the time when its slot was used again.
fn oom_kills(server: &TestServer, folder: &TempDir, bench: &mut Bench) -> Result<()> {
    let hog = folder.path().join("hog.mp4");
    let submit = |n| {
        // Each has different content, because content that crashed workers is blocked.
        std::fs::write(&hog, format!("FAULT hog\n{n}\n"))?;
        server.submit(&hog)
    };
    let jobs: Vec<_> = (0..OOM_KILLS).map(submit).collect::<Result<_>>()?;
    let mut changed_at = Vec::new();
    for job in &jobs {
        let status = server.await_end(job)?;
        ensure!(status["attempts"][0]["end"] == "oom", "{status}");
        let at: Timestamp = status["completed_at"].as_str().context("a time")?.parse()?;
        changed_at.push(at.as_nanosecond());
    }
    let spans = log_spans(&server.log());
    let span = |job: &String| spans.get(job).copied().context("a worker without a log");
    let mut changes = Vec::new();
    let mut reuses = Vec::new();
    for (n, job) in jobs.iter().enumerate() {
        let (_, killed) = span(job)?;
        changes.push(nanoseconds(changed_at[n] - killed));
        if let Some(next) = jobs.get(n + 1) {
            reuses.push(nanoseconds(span(next)?.0 - killed));
        }
    }
    add(bench, KILL_TO_CHANGE, &spread(&changes));
    add(bench, KILL_TO_NEXT, &spread(&reuses));
    Ok(())
}

/// First and last time each job's worker logged, in nanoseconds since 1970.
fn log_spans(log: &str) -> HashMap<String, (i128, i128)> {
    let mut spans: HashMap<String, (i128, i128)> = HashMap::new();
    for line in log.lines() {
        let word = |before: &str| {
            let rest = line.split_once(before)?.1;
            rest.split([' ', '"']).next()
        };
        let time = word(" at ").and_then(|time| time.parse().ok());
        if let (true, Some(time), Some(job)) = (line.contains("touched"), time, word("job=\"")) {
            let span = spans.entry(job.to_owned()).or_insert((time, time));
            *span = (span.0.min(time), span.1.max(time));
        }
    }
    spans
}

/// The time from the request to the response, which is sent once the worker is gone and its memory is free.
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

/// Not negative: the times in the log and in the status are rounded differently.
fn nanoseconds(time: i128) -> Duration {
    Duration::from_nanos(time.max(0) as u64)
}
