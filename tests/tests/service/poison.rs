//! Content that crashes its workers is executed at most twice, over all uploads and restarts.

use anyhow::{Context, Result};
use bodyscript_tests::polling::ends;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use serde_json::Value;

const CAPS: [&str; 4] =
    ["--worker-memory-bytes-max", "64MiB", "--worker-memory-retry-bytes-max", "128MiB"];

fn flags(program: &[String]) -> Vec<&str> {
    program.iter().map(String::as_str).chain(CAPS).chain(["--workers", "4"]).collect()
}

fn is_blocked(status: &Value) -> bool {
    status["status"] == "failed" && status["error_code"] == "known_to_fail"
}

#[test]
fn content_that_killed_twice_is_not_executed_again() -> Result<()> {
    let program = fault_worker()?;
    let folder = tempfile::tempdir()?;
    let server = TestServer::start(&flags(&program))?;
    let bad = fault_video(folder.path(), "segv")?;
    let first = server.await_end(&server.submit(&bad)?)?;
    assert_eq!(first["error_code"], "worker_crashed", "{first}");
    assert_eq!(ends(&first), ["crash", "crash"]);
    let second = server.await_end(&server.submit(&bad)?)?;
    assert!(is_blocked(&second), "{second}");
    assert_eq!(ends(&second), Vec::<&str>::new());
    let sentence = second["error"].as_str().context("a sentence")?;
    assert!(sentence.contains("Re-encode"), "no remedy: {sentence}");
    let problem = server.json("/api/problems/known_to_fail")?;
    assert!(problem["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{problem}");

    let server = TestServer::start_in(server.kill()?, &flags(&program))?;
    let third = server.await_end(&server.submit(&bad)?)?;
    assert!(is_blocked(&third), "after a restart: {third}");
    // The same words in another file are other content.
    let other = fault_video(folder.path(), "segv")?;
    assert_eq!(server.await_end(&server.submit(&other)?)?["error_code"], "worker_crashed");
    server.stop()?;
    Ok(())
}

#[test]
fn crashes_of_one_content_add_up_over_jobs_and_restarts() -> Result<()> {
    let program = fault_worker()?;
    let folder = tempfile::tempdir()?;
    let bad = fault_video(folder.path(), "sigsys")?;
    let mut server = TestServer::start(&flags(&program))?;
    for _ in 0..2 {
        let status = server.await_end(&server.submit(&bad)?)?;
        assert_eq!(ends(&status), ["sigsys"], "{status}");
        server = TestServer::start_in(server.kill()?, &flags(&program))?;
    }
    let status = server.await_end(&server.submit(&bad)?)?;
    assert!(is_blocked(&status), "{status}");
    server.stop()?;
    Ok(())
}

#[test]
fn identical_concurrent_videos_crash_twice_in_total() -> Result<()> {
    let program = fault_worker()?;
    let folder = tempfile::tempdir()?;
    let server = TestServer::start(&flags(&program))?;
    let bad = fault_video(folder.path(), "sleep:200 segv")?;
    let ids = (0..6).map(|_| server.submit(&bad)).collect::<Result<Vec<_>>>()?;
    let mut crashes = 0;
    for id in &ids {
        let status = server.await_end(id)?;
        assert_eq!(status["status"], "failed", "{status}");
        assert!(ends(&status).iter().all(|end| *end == "crash"), "{status}");
        crashes += ends(&status).len();
    }
    assert_eq!(crashes, 2);
    server.stop()?;
    Ok(())
}

#[test]
fn success_bad_input_and_cancellation_do_not_count() -> Result<()> {
    let program = fault_worker()?;
    let folder = tempfile::tempdir()?;
    let server = TestServer::start(&flags(&program))?;
    let large = fault_video(folder.path(), "touch:90 ok")?;
    let wrong = fault_video(folder.path(), "bad-input")?;
    let slow = fault_video(folder.path(), "progress:1 silent")?;
    for round in 0..3 {
        let status = server.await_end(&server.submit(&large)?)?;
        assert_eq!(status["status"], "completed", "round {round}: {status}");
        assert_eq!(ends(&status), ["oom", "done"]);
        let status = server.await_end(&server.submit(&wrong)?)?;
        assert_eq!(status["error_code"], "not_a_video", "round {round}: {status}");
        let id = server.submit(&slow)?;
        server.await_status(&id, |status| status["current_frame"] == 1)?;
        let cancel = server.url(&format!("/api/cancel/{id}"));
        let status: Value = server.client().post(cancel).send()?.error_for_status()?.json()?;
        assert_eq!(ends(&status), ["cancelled"], "round {round}: {status}");
    }
    server.stop()?;
    Ok(())
}

#[test]
fn other_options_are_tried_until_the_content_has_crashed_six_workers() -> Result<()> {
    let program = fault_worker()?;
    let folder = tempfile::tempdir()?;
    let server = TestServer::start(&flags(&program))?;
    let bad = fault_video(folder.path(), "segv")?;
    let end = |interval: &str| {
        let accepted: Value = server.upload(&bad, &[("interval", interval)])?.json()?;
        server.await_end(accepted["job_id"].as_str().context("an id")?)
    };
    for interval in ["1", "2", "3"] {
        let status = end(interval)?;
        assert_eq!(
            (ends(&status), &status["error_code"]),
            (vec!["crash"; 2], &"worker_crashed".into())
        );
        assert!(is_blocked(&end(interval)?), "with the same options");
    }
    let status = end("4")?;
    assert!(is_blocked(&status), "with any options: {status}");
    server.stop()?;
    Ok(())
}
