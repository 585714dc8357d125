//! Many jobs, half of them hostile: the resources of the service do not grow with the number of jobs, and a
//! start with all of them in the journal loses none.
//!
//! `SOAK_JOBS=10000 cargo test --workspace --test load soak` is the long run (`make soak`).

use super::run_exclusively;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::leftovers::{cgroups_of, descendants};
use bodyscript_tests::polling::ids;
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_worker, names};
use procfs::process::Process;
use reqwest::StatusCode;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Jobs in `make test`.
const JOBS: usize = 200;

/// Jobs uploaded before the first is awaited.
const BATCH: usize = 100;

/// Largest growth of the supervisor's memory, in addition to what it keeps of each job.
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// Largest memory for each job it keeps.
const JOB_BYTES_MAX: u64 = 8 << 10;

/// Words of hostile videos. Half of the jobs are good.
const HOSTILE: [&str; 10] = [
    "bad-input",
    "segv",
    "garbage",
    "touch:100",
    "exit:3",
    "half-frame exit:0",
    "sigsys",
    "leak-child panic",
    "oversize",
    "exit:0",
];

const FLAGS: [&str; 12] = [
    "--workers",
    "4",
    "--queue-max",
    "1000",
    "--worker-memory-bytes-max",
    "64MiB",
    "--worker-memory-retry-bytes-max",
    "80MiB",
    "--worker-grace-ms-max",
    "3000",
    "--client-uploads-per-minute-max",
    "60000",
];

/// Resources of the service without running jobs.
#[derive(Debug)]
struct Resources {
    rss_bytes: u64,
    descriptors: usize,
    groups: usize,
    processes: usize,
    entries: usize,
}

impl Resources {
    fn of(server: &TestServer) -> Result<Self> {
        let process = Process::new(server.pid())?;
        let groups = cgroups_of(server.pid());
        let leaves = |group: &std::path::PathBuf| {
            let below = std::fs::read_dir(group).into_iter().flatten().flatten();
            below.filter(|entry| entry.path().is_dir()).count()
        };
        let state = server.state_dir();
        Ok(Self {
            rss_bytes: process.status()?.vmrss.context("a running process has memory")? * 1024,
            descriptors: process.fd_count()?,
            groups: groups.len() + groups.iter().map(leaves).sum::<usize>(),
            processes: descendants(server.pid()).len(),
            entries: entries(&state.join("jobs"))? + entries(&state.join("spool"))?,
        })
    }
}

fn entries(folder: &Path) -> Result<usize> {
    Ok(std::fs::read_dir(folder)?.count())
}

fn submit(server: &TestServer, n: usize) -> Result<String> {
    let script = if n.is_multiple_of(2) { "ok" } else { HOSTILE[n / 2 % HOSTILE.len()] };
    let request = server.client().put(server.url("/api/upload"));
    let request = request.header("content-type", "video/mp4");
    let answer = request.body(format!("FAULT {script}\n{n}\n")).send()?;
    ensure!(answer.status() == StatusCode::ACCEPTED, "{}", answer.text()?);
    Ok(answer.json::<Value>()?["job_id"].as_str().context("an id")?.to_owned())
}

/// Runs a batch of jobs and removes the failed ones.
fn run(server: &TestServer, jobs: std::ops::Range<usize>) -> Result<()> {
    let ids = jobs.clone().map(|n| submit(server, n)).collect::<Result<Vec<_>>>()?;
    for (n, id) in jobs.zip(&ids) {
        let status = server.await_end(id)?;
        let expected = if n.is_multiple_of(2) { "completed" } else { "failed" };
        ensure!(status["status"] == expected, "{status}; {}", server.log());
        if !n.is_multiple_of(2) {
            let url = server.url(&format!("/api/cleanup/{id}"));
            server.client().delete(url).send()?.error_for_status()?;
        }
    }
    Ok(())
}

#[test]
fn resources_do_not_grow_with_the_number_of_jobs() -> Result<()> {
    let _exclusive = run_exclusively();
    let begun = Instant::now();
    let jobs = std::env::var("SOAK_JOBS").ok().and_then(|text| text.parse().ok()).unwrap_or(JOBS);
    let program = fault_worker()?;
    let flags: Vec<&str> = program.iter().map(String::as_str).chain(FLAGS).collect();
    let server = TestServer::start(&flags)?;
    run(&server, 0..BATCH)?;
    let before = settled(&server)?;
    for first in (BATCH..jobs).step_by(BATCH) {
        run(&server, first..(first + BATCH).min(jobs))?;
    }
    let after = settled(&server)?;
    report::print_line(&format!(
        "{jobs} jobs, half of them hostile, in {} s; after {BATCH}: {before:?}; at the end: {after:?}",
        begun.elapsed().as_secs()
    ));
    let remembered = (jobs - BATCH) as u64 / 2;
    let grown = after.rss_bytes.saturating_sub(before.rss_bytes);
    assert!(grown <= GROWTH_BYTES_MAX + remembered * JOB_BYTES_MAX, "{grown} bytes");
    assert!(after.descriptors <= before.descriptors + 8, "{before:?} {after:?}");
    assert_eq!((after.groups, after.processes, after.entries), (before.groups, 0, 0));

    let completed = names(&server.state_dir(), "results")?;
    let folder = server.kill()?;
    let begun = Instant::now();
    let server = TestServer::start_in(folder, &flags)?;
    let took = begun.elapsed().as_millis();
    report::print_line(&format!(
        "ready after {took} ms with {} jobs in the journal",
        completed.len()
    ));
    assert_eq!(completed, ids(&server.jobs()?, |_| true));
    server.stop()?;
    Ok(())
}

/// The resources once all files and processes of the last batch are gone.
fn settled(server: &TestServer) -> Result<Resources> {
    let begun = Instant::now();
    loop {
        let resources = Resources::of(server)?;
        if resources.entries == 0 && resources.processes == 0 {
            return Ok(resources);
        }
        ensure!(begun.elapsed() < Duration::from_secs(60), "{resources:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
