//! The memory that a video needs: caps that are raised before it is decoded, jobs that wait for memory,
//! and videos that need too much.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::leftovers::descendants;
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::programs::{self, Run};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::fault_video;
use serde_json::Value;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;

fn clip(folder: &Path, (width, height): (u32, u32)) -> Result<PathBuf> {
    let path = folder.join("walker.mp4");
    Clip::new().size(width, height).frames(3).encode(&path)?;
    Ok(path)
}

/// Cap and peak of the only attempt of a job.
fn only_attempt(status: &Value) -> Result<[u64; 2]> {
    let attempts = status["attempts"].as_array().context("attempts")?;
    anyhow::ensure!(attempts.len() == 1, "{status}");
    let number = |key: &str| attempts[0][key].as_u64().context("a number of bytes");
    Ok([number("cap_bytes")?, number("peak_bytes")?])
}

#[test]
fn a_4k_video_needs_no_second_attempt_under_a_first_cap_below_its_need() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = clip(folder.path(), (3840, 2160))?;
    let first = 128 * MIB;
    let server = TestServer::start(&["--worker-memory-bytes-max", "128MiB"])?;
    let status = server.await_end(&server.submit(&video)?)?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(ends(&status), ["done"], "{status}");
    let [cap, peak] = only_attempt(&status)?;
    assert!(first < peak && peak < cap && cap <= 384 * MIB, "{status}");
    let log = server.stop()?;
    assert!(log.contains("cap raised"), "{log}");
    Ok(())
}

#[test]
fn a_4k_video_on_the_command_line_is_processed_in_one_attempt_as_well() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = clip(folder.path(), (3840, 2160))?;
    let output = folder.path().join("results");
    let options = ["--worker-memory-bytes-max", "128MiB", "--log", "info"];
    let log = Run::new(&options, &[video], &output)?.check()?.stderr();
    assert!(log.contains("cap raised"), "{log}");
    assert_eq!(log.matches("oom_kills=0").count(), 1, "{log}");
    Ok(())
}

#[test]
fn an_8k_video_is_refused_before_anything_is_allocated_or_processed_where_memory_allows()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = clip(folder.path(), (7680, 4320))?;
    let server = TestServer::start(&["--memory-budget-bytes", "1GiB"])?;
    let status = server.await_end(&server.submit(&video)?)?;
    assert_eq!(
        (&status["status"], ends(&status)),
        (&"failed".into(), vec!["bad_input"]),
        "{status}"
    );
    assert_eq!(status["error_code"], "out_of_memory", "{status}");
    assert_eq!(
        status["error"],
        "The video needed more than 768 MiB of memory. It is 7680 × 4320 pixels. Send a smaller \
         copy."
    );
    let [cap, peak] = only_attempt(&status)?;
    let frame = 7680 * 4320 * 3 / 2;
    assert_eq!(cap, 384 * MIB, "{status}");
    assert!(peak < 2 * frame, "{status}");
    server.stop()?;
    let limits = ["--worker-memory-retry-bytes-max", "2GiB", "--memory-budget-bytes", "2GiB"];
    let server = TestServer::start(&limits)?;
    let status = server.await_end(&server.submit(&video)?)?;
    assert_eq!(ends(&status), ["done"], "{status}");
    let [cap, peak] = only_attempt(&status)?;
    assert!(384 * MIB < peak && peak < cap && cap > 768 * MIB, "{status}");
    server.stop()?;
    Ok(())
}

/// A service of fault workers with first caps of 64 MiB, which are raised to 128 MiB at most.
fn faults(flags: &[&str]) -> Result<TestServer> {
    let program = programs::path("fault_worker")?;
    let mut all = vec!["--worker-program", program.to_str().context("a plain path")?];
    all.extend(["--worker-memory-bytes-max", "64MiB"]);
    all.extend(["--worker-memory-retry-bytes-max", "128MiB"]);
    all.extend(flags);
    TestServer::start(&all)
}

#[test]
fn the_status_of_a_running_job_has_the_raised_cap() -> Result<()> {
    let (server, folder) = (faults(&[])?, tempfile::tempdir()?);
    let id = server.submit(&fault_video(folder.path(), "need:100 touch:90 progress:1 silent")?)?;
    let status = server.await_status(&id, |status| status["current_frame"] == 1)?;
    assert_eq!(status["worker"]["cap_bytes"], 100 * MIB, "{status}");
    assert_eq!(server.operator_json("/health/memory")?["reserved_bytes"], 100 * MIB);
    server.stop()?;
    Ok(())
}

#[test]
fn a_job_without_memory_now_gives_way_uncounted_and_keeps_its_place() -> Result<()> {
    // Two first caps fit into the budget, or one first cap beside nothing larger.
    let flags = ["--memory-budget-bytes", "150MiB", "--workers", "3"];
    let (server, folder) = (faults(&flags)?, tempfile::tempdir()?);
    let submit = |script: &str| server.submit(&fault_video(folder.path(), script)?);
    let occupant = submit("progress:1 silent")?;
    server.await_status(&occupant, |status| status["current_frame"] == 1)?;
    let large = submit("need:100 touch:90 ok")?;
    let waiting = server.await_status(&large, |status| {
        status["message"].as_str().is_some_and(|message| message.contains("100 MiB"))
    })?;
    assert_eq!(waiting["status"], "pending", "{waiting}");
    assert_eq!(waiting["attempts"], Value::Array(vec![]), "{waiting}");
    let small = submit("ok")?;
    let behind = server.status(&small)?;
    assert_eq!(behind["queue_position"], 2, "it would fit, but is behind: {behind}");
    wait_until("nothing is held for it", || {
        Ok(server.operator_json("/health/memory")?["reserved_bytes"] == 64 * MIB)
    })?;
    assert_eq!(descendants(server.pid()).len(), 1, "one worker is left");
    let url = server.url(&format!("/api/cancel/{occupant}"));
    server.client().post(url).send()?.error_for_status()?;
    let status = server.await_end(&large)?;
    assert_eq!(ends(&status), ["done"], "{status}");
    assert_eq!(only_attempt(&status)?[0], 100 * MIB, "{status}");
    assert_eq!(server.await_end(&small)?["status"], "completed");
    server.stop()?;
    Ok(())
}

#[test]
fn impossible_needs_and_messages_out_of_turn_end_the_job_alone() -> Result<()> {
    let (server, folder) = (faults(&[])?, tempfile::tempdir()?);
    for (script, code) in [("need-all ok", "out_of_memory"), ("probed-twice ok", "worker_protocol")]
    {
        let id = server.submit(&fault_video(folder.path(), script)?)?;
        let status = server.await_end(&id)?;
        assert_eq!(status["error_code"], code, "{script}: {status}");
        assert_eq!(ends(&status).len(), 1, "{script}: {status}");
    }
    let id = server.submit(&fault_video(folder.path(), "need:128 ok")?)?;
    let status = server.await_end(&id)?;
    assert_eq!(only_attempt(&status)?[0], 128 * MIB, "{status}");
    server.stop()?;
    Ok(())
}
