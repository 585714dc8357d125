//! `kill -9` between every pair of durable steps and at random instants under load: no accepted
//! job is lost, none is published twice, and nothing else is left after the next start.
//!
//! `CRASHES=1000 cargo test --workspace --test load crash` is the long run (`make soak`).

use super::run_exclusively;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::crash_ledger::Ledger;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Failpoints that only a start without its journal reaches; `journal_loss` tests them.
const AFTER_JOURNAL_LOSS: [&str; 1] = ["set_aside_moved"];

/// Reached where hosts share a journal only; tested there.
const IN_CLUSTERS: [&str; 3] = ["publication_due", "resumable_committed", "resumable_submitted"];

/// Steps that a control or a test of hosts that share a journal skips.
const SKIPPED: [&str; 2] = ["publication_compare", "store_sweep_wait"];

/// All other failpoints of the program.
const FAILPOINTS: [&str; 12] = [
    "upload_synced",
    "upload_renamed",
    "journal_uncommitted",
    "journal_committed",
    "attempt_done",
    "outcome_written",
    "attempt_synced",
    "attempt_published",
    "removal_committed",
    "removal_done",
    "recovery_settled",
    "recovery_swept",
];

/// The service is killed when it reaches a failpoint for the n-th time.
const VISITS: [u32; 3] = [1, 2, 5];

/// Random instants in `make test`.
const CRASHES: u32 = 200;

/// Longest time to wait for a failpoint.
const RUN_MAX: Duration = Duration::from_secs(10);

#[test]
fn the_tested_failpoints_match_the_source() -> Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../supervisor/src");
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path)?;
            for call in ["failpoint::reach(\"", "failpoint::is_skipped(\""] {
                let calls = text.split(call).skip(1);
                found.extend(calls.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    let mut listed: Vec<&str> =
        [&FAILPOINTS[..], &AFTER_JOURNAL_LOSS, &IN_CLUSTERS, &SKIPPED].concat();
    listed.sort_unstable();
    assert_eq!(found, listed);
    Ok(())
}

#[test]
fn a_crash_at_any_failpoint_loses_or_duplicates_no_job() -> Result<()> {
    let _exclusive = run_exclusively();
    let start = Instant::now();
    let mut ledger = Ledger::open()?;
    // Creates jobs to be removed and recovered.
    ledger.run(None, Duration::from_secs(1))?;
    for failpoint in FAILPOINTS {
        let mut reached = 0;
        for visit in VISITS {
            let name = format!("{failpoint}:{visit}");
            reached += u32::from(ledger.run(Some(&name), RUN_MAX).context(name)?);
            ledger.run(None, Duration::from_millis(50)).with_context(|| failpoint.to_owned())?;
            // These are reached once in each start.
            if failpoint.starts_with("recovery") {
                break;
            }
        }
        ensure!(reached > 0, "{failpoint} was never reached");
    }
    print_summary("failpoints", ledger.finish()?, start);
    Ok(())
}

#[test]
fn a_crash_at_any_instant_loses_or_duplicates_no_job() -> Result<()> {
    let _exclusive = run_exclusively();
    let start = Instant::now();
    let crashes = std::env::var("CRASHES").ok().and_then(|text| text.parse().ok());
    let mut ledger = Ledger::open()?;
    let mut random: u64 = 0x2545_f491_4f6c_dd1d;
    for crash in 0..crashes.unwrap_or(CRASHES) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let instant = Duration::from_millis((random >> 33) % 400);
        match crash % 4 {
            0 => ledger.crash_while_starting(instant),
            _ => ledger.run(None, instant / 2).map(drop),
        }
        .with_context(|| format!("crash {crash}, after {instant:?}"))?;
    }
    print_summary("random instants", ledger.finish()?, start);
    Ok(())
}

fn print_summary(what: &str, ledger: Ledger, start: Instant) {
    report::print_line(&format!(
        "{what}: {} crashes by kill -9, {} jobs accepted, 0 lost, 0 published twice, 0 orphans; \
         slowest start {} ms; {} s",
        ledger.crashes,
        ledger.accepted_ever,
        ledger.slowest_start.as_millis(),
        start.elapsed().as_secs()
    ));
}

/// Whether a job has reached a phase.
type Phase = fn(&Value) -> bool;

#[test]
fn a_real_worker_killed_in_any_phase_is_replaced_uncounted() -> Result<()> {
    let _exclusive = run_exclusively();
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walker.mp4");
    Clip::new().size(320, 240).frames(60).encode(&video)?;
    let server = TestServer::start(&["--workers", "1"])?;
    let phases: [Phase; 3] = [
        |status| !status["worker"]["pid"].is_null(),
        |status| !status["posture"].is_null(),
        |status| status["current_frame"].as_u64() > Some(1),
    ];
    for phase in phases {
        let id = server.submit(&video)?;
        let status = server.await_status(&id, phase)?;
        let worker = status["worker"]["pid"].as_i64().context("a process")?;
        kill(Pid::from_raw(worker as i32), Signal::SIGKILL)?;
        let status = server.await_end(&id)?;
        ensure!(status["status"] == "completed", "{status}");
        let ends: Vec<_> = status["attempts"].as_array().context("attempts")?.iter().collect();
        ensure!(ends.len() == 2 && ends[1]["end"] == "done", "{status}");
        ensure!(ends[0]["end"] == "killed", "{status}");
    }
    server.stop()?;
    Ok(())
}
