//! A thousand kernel OOM kills under load, mixed with every other kind of exit: each is classified correctly,
//! other jobs are not affected, and nothing is left.
//!
//! One service runs all jobs: `fault_worker` those that fail, the real worker real videos, in the same cages
//! and queue.

use super::run_exclusively;
use anyhow::{Context, Result, ensure};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::formats::Formats;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::leftovers::{cgroups_of, descendants};
use bodyscript_tests::polling::ids;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, names};
use bodyscript_tests::{programs, report};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tempfile::TempDir;

/// Each is killed twice: in the first attempt, and in the retry with more memory.
const JOBS_OUT_OF_MEMORY: usize = 500;
/// Jobs before the supervisor's memory is measured for the first time.
const WARM_UP: usize = 40;
/// Most by which it may have grown at the end.
const GROWTH_BYTES_MAX: u64 = 4 << 20;
/// Enough for the real worker on a small video, and quickly exceeded by `touch`.
const CAP: &str = "128MiB";
const RETRY_CAP: &str = "144MiB";

/// Limits on time are long, so that on a busy machine only the one that is tested is exceeded: that on processor time.
const FLAGS: [&str; 20] = [
    "--workers",
    "6",
    "--queue-max",
    "2000",
    "--memory-budget-bytes",
    "900MiB",
    "--worker-memory-bytes-max",
    CAP,
    "--worker-memory-retry-bytes-max",
    RETRY_CAP,
    "--worker-grace-ms-max",
    "3000",
    "--worker-start-s-max",
    "120",
    "--worker-progress-s-max",
    "170",
    "--worker-cpu-s-max",
    "8",
    "--log",
    "bodyscript=warn,bodyscript::ops::listeners=info,exit=info",
];

/// As often a worker is killed before its job fails.
const KILLS: usize = 9;

/// How a job is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scenario {
    /// The kernel kills it at its cap, twice.
    OutOfMemory,
    /// It kills itself with SIGKILL, near its cap.
    OwnSigkill,
    /// The test sends it SIGKILL.
    ForeignSigkill,
    Segv,
    Deadline,
    Cancelled,
    /// A real video.
    Good,
}

impl Scenario {
    const fn script(self) -> &'static str {
        match self {
            Self::OutOfMemory => "touch:256 ok",
            Self::OwnSigkill => "touch:110 sigkill",
            Self::ForeignSigkill | Self::Cancelled => "touch:64 silent",
            Self::Segv => "touch:64 segv",
            Self::Deadline => "touch:64 progress:1 spin",
            Self::Good => "",
        }
    }

    /// Status, error code and the ends of the attempts.
    fn expected(self) -> (&'static str, Option<&'static str>, &'static [&'static str]) {
        match self {
            Self::OutOfMemory => ("failed", Some("out_of_memory"), &["oom", "oom"]),
            Self::OwnSigkill | Self::ForeignSigkill => {
                ("failed", Some("worker_killed"), &["killed"; KILLS])
            }
            Self::Segv => ("failed", Some("worker_crashed"), &["crash", "crash"]),
            Self::Deadline => ("failed", Some("deadline_exceeded"), &["deadline"]),
            Self::Cancelled => ("cancelled", None, &["cancelled"]),
            Self::Good => ("completed", None, &["done"]),
        }
    }
}

/// The jobs in the order of submission: mostly out of memory, with the others in between.
fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for n in 0..JOBS_OUT_OF_MEMORY {
        scenarios.push(Scenario::OutOfMemory);
        match n % 50 {
            5 | 30 => scenarios.push(Scenario::Segv),
            10 => scenarios.push(Scenario::Deadline),
            // Each takes nine attempts.
            15 if n % 100 < 50 => scenarios.push(Scenario::OwnSigkill),
            20 => scenarios.push(Scenario::Cancelled),
            25 if n % 100 < 50 => scenarios.push(Scenario::ForeignSigkill),
            35 => scenarios.push(Scenario::Good),
            _ => {}
        }
    }
    scenarios
}

struct Harness {
    server: TestServer,
    folder: TempDir,
}

impl Harness {
    fn submit(&self, scenario: Scenario) -> Result<String> {
        let video = self.folder.path().join("good.mp4");
        match scenario {
            Scenario::Good if video.exists() => {}
            Scenario::Good => Clip::new().size(160, 120).frames(30).encode(&video)?,
            _ => return self.server.submit(&fault_video(self.folder.path(), scenario.script())?),
        }
        self.server.submit(&video)
    }

    /// Waits for the end of a job, after the cancellation or kill that its scenario requires.
    fn end(&self, id: &str, scenario: Scenario) -> Result<Value> {
        match scenario {
            Scenario::Cancelled => {
                self.await_worker(id, 0)?;
                let url = self.server.url(&format!("/api/cancel/{id}"));
                self.server.client().post(url).send()?.error_for_status()?;
            }
            Scenario::ForeignSigkill => {
                for attempt in 0..KILLS {
                    let worker = self.await_worker(id, attempt)?;
                    kill(Pid::from_raw(worker), Signal::SIGKILL)?;
                }
            }
            _ => {}
        }
        self.server.await_end(id)
    }

    /// The process of the attempt with this number, once it has touched its memory.
    fn await_worker(&self, id: &str, attempt: usize) -> Result<i32> {
        let status = self.server.await_status(id, |status| {
            let attempts = status["attempts"].as_array().map_or(0, Vec::len);
            let is_filled = status["worker"]["rss_bytes"].as_u64() > Some(64 << 20);
            attempts == attempt && is_filled || !status["completed_at"].is_null()
        })?;
        Ok(status["worker"]["pid"].as_i64().with_context(|| status.to_string())? as i32)
    }

    /// The artefacts of a real video, without the job's id.
    fn artefacts(&self, id: &str) -> Result<BTreeMap<&'static str, Vec<u8>>> {
        let fetch = |artefact: Artefact| {
            let name = artefact.file_name();
            let answer = self.server.get(&format!("/api/serve/{id}/{name}"))?;
            let bytes = answer.error_for_status()?.bytes()?.to_vec();
            ensure!(!bytes.is_empty(), "{name} is empty");
            Ok((name, if name == "metadata.json" { without_id(&bytes, id)? } else { bytes }))
        };
        Formats::DEFAULT.iter().map(fetch).collect()
    }

    fn rss_bytes(&self) -> Result<u64> {
        let status = Process::new(self.server.pid())?.status()?;
        Ok(status.vmrss.context("a running process has memory")? * 1024)
    }
}

fn without_id(metadata: &[u8], id: &str) -> Result<Vec<u8>> {
    Ok(String::from_utf8(metadata.to_vec())?.replace(id, "").into_bytes())
}

/// The kernel's count of OOM kills on this host.
fn kernel_oom_kills() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/vmstat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    Ok(line.context("Linux 4.13 and later count OOM kills")?.parse()?)
}

fn has_cgroup(server: &TestServer) -> Result<bool> {
    let about = server.json("/api")?;
    Ok(about["cage"].as_str().context("a cage")?.starts_with("cgroup"))
}

#[test]
fn a_thousand_oom_kills_are_each_classified_correctly() -> Result<()> {
    let _exclusive = run_exclusively();
    let program = programs::path("fault_worker")?;
    let program = program.to_str().context("a plain path")?;
    let flags: Vec<&str> = FLAGS.into_iter().chain(["--worker-program", program]).collect();
    let harness = Harness { server: TestServer::start(&flags)?, folder: tempfile::tempdir()? };
    if !has_cgroup(&harness.server)? {
        report::skipped("cgroups", "kernel OOM kills: this user gets no cgroup on this host");
        return Ok(());
    }
    let begun = Instant::now();
    let first = harness.submit(Scenario::Good)?;
    let first_status = harness.server.await_end(&first)?;
    ensure!(first_status["status"] == "completed", "{first_status}");
    let undisturbed = harness.artefacts(&first)?;

    let kills_before = kernel_oom_kills()?;
    let mut jobs = Vec::new();
    for scenario in scenarios() {
        jobs.push((harness.submit(scenario)?, scenario));
    }
    let mut counts: BTreeMap<(Scenario, String), usize> = BTreeMap::new();
    let mut warm = 0;
    for (n, (id, scenario)) in jobs.iter().enumerate() {
        let status = harness.end(id, *scenario)?;
        let (state, code, expected) = scenario.expected();
        let ends: Vec<_> = status["attempts"].as_array().into_iter().flatten().collect();
        let ends: Vec<_> = ends.into_iter().filter_map(|a| a["end"].as_str()).collect();
        assert_eq!(
            status["status"],
            state,
            "{scenario:?}: {status}; log: {}",
            harness.server.log()
        );
        assert_eq!(status["error_code"].as_str(), code, "{scenario:?}: {status}");
        assert_eq!(ends, expected, "{scenario:?}: {status}");
        for end in ends {
            *counts.entry((*scenario, end.to_owned())).or_default() += 1;
        }
        if *scenario == Scenario::Good {
            for (name, bytes) in harness.artefacts(id)? {
                assert!(bytes == undisturbed[name], "{name} differs from that of the first job");
            }
        }
        if n == WARM_UP {
            warm = harness.rss_bytes()?;
        }
    }
    let kills = counts[&(Scenario::OutOfMemory, "oom".to_owned())];
    let grown = harness.rss_bytes()?.saturating_sub(warm);
    report::print_line(&format!("attempts by scenario and reported end: {counts:?}"));
    report::print_line(&format!(
        "{kills} OOM kills attributed, {} counted by the kernel; the supervisor grew by {} KiB; {} s",
        kernel_oom_kills()? - kills_before,
        grown / 1024,
        begun.elapsed().as_secs()
    ));
    assert_eq!(kills, 2 * JOBS_OUT_OF_MEMORY);
    assert!(kernel_oom_kills()? - kills_before >= kills as u64);
    assert!(grown <= GROWTH_BYTES_MAX, "{grown} bytes more than after {WARM_UP} jobs");
    check_nothing_is_left(&harness.server)?;
    harness.server.stop()?;
    Ok(())
}

/// Without running jobs, a service has no workers, no cages and no files of unfinished jobs.
fn check_nothing_is_left(server: &TestServer) -> Result<()> {
    assert_eq!(descendants(server.pid()), Vec::<i32>::new());
    for group in cgroups_of(server.pid()) {
        let below = std::fs::read_dir(&group)?.filter_map(|entry| entry.ok());
        let cages: Vec<_> = below.filter(|entry| entry.path().is_dir()).collect();
        assert!(cages.is_empty(), "{cages:?}");
    }
    let failed = ids(&server.jobs()?, |job| job["status"] == "failed");
    // The videos of failed jobs are kept for a retry.
    await_names(server, "spool", &failed)?;
    await_names(server, "jobs", &BTreeSet::new())
}

/// The files of a job are deleted right after its status has changed.
fn await_names(server: &TestServer, place: &str, expected: &BTreeSet<String>) -> Result<()> {
    let begun = Instant::now();
    while names(&server.state_dir(), place)? != *expected {
        ensure!(begun.elapsed().as_secs() < 60, "{place} holds more or less than it should");
        std::thread::yield_now();
    }
    Ok(())
}
