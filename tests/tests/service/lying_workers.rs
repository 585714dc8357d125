//! Workers that report or write what is not true: nothing of it is published, and no other job notices.

use anyhow::{Context, Result, ensure};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_tests::polling::ends;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, names, start_fault_service};
use std::path::Path;

/// All formats, so that every check is made.
const ALL: [(&str, &str); 1] = [("formats", "all")];

fn submit(server: &TestServer, folder: &Path, words: &str) -> Result<String> {
    let answer = server.upload(&fault_video(folder, words)?, &ALL)?.error_for_status()?;
    let job: serde_json::Value = answer.json()?;
    Ok(job["job_id"].as_str().context("an id")?.to_owned())
}

/// Submits one job with these words beside an honest one, and returns the service's log.
fn check_refused(flags: &[&str], cases: &[(&str, &str)]) -> Result<String> {
    let workers = ["--workers", "2", "--queue-max", "50"];
    let server = start_fault_service(&[&workers, flags].concat())?;
    let folder = tempfile::tempdir()?;
    for (words, code) in cases {
        let neighbour = submit(&server, folder.path(), "progress:1 sleep:300 ok")?;
        let id = submit(&server, folder.path(), words)?;
        let over = server.await_end(&id)?;
        ensure!(over["status"] == "failed" && over["error_code"] == *code, "{words}: {over}");
        ensure!(ends(&over).len() == 1, "{words}: it is not tried again: {over}");
        for artefact in Artefact::ALL {
            let name = artefact.file_name();
            let answer = server.get(&format!("/api/serve/{id}/{name}"))?;
            ensure!(!answer.status().is_success(), "{words}: {name} is served");
        }
        ensure!(!names(&server.state_dir(), "results")?.contains(&id), "{words}: published");
        let over = server.await_end(&neighbour)?;
        ensure!(over["status"] == "completed" && ends(&over) == ["done"], "{words}: {over}");
        for artefact in Artefact::ALL {
            let name = artefact.file_name();
            let answer = server.get(&format!("/api/serve/{neighbour}/{name}"))?;
            ensure!(answer.status().is_success(), "{words}: {name} of the neighbour");
        }
    }
    server.stop()
}

#[test]
fn results_that_are_not_what_was_reported_are_not_published() -> Result<()> {
    let cases = [
        ("empty", "output.mp4: it does not begin as an MP4"),
        ("html", "output.mp4: the size of a box is wrong"),
        ("no-moov", "output.mp4: it lacks a box"),
        ("rows", "pose_data.csv: frames: 2 instead of 3"),
        ("nan", "pose_data.csv: a cell is no number"),
        ("progress:1 huge:100 silent", "pose_data.csv: too large, with 104857600 bytes"),
    ];
    let log = check_refused(&[], &cases.map(|(words, _)| (words, "worker_protocol")))?;
    for (words, fault) in cases {
        ensure!(log.contains(fault), "{words}: {log}");
    }
    Ok(())
}

#[test]
fn impossible_reports_end_the_job_before_anything_is_shown_of_them() -> Result<()> {
    let cases = ["crowd", "absurd ok", "crowd-poses", "nan-poses", "old-poses"];
    let log = check_refused(&[], &cases.map(|words| (words, "worker_protocol")))?;
    for what in ["number of people", "position", "order of frames"] {
        ensure!(log.contains(&format!("Poses reports an impossible {what}")), "{what}: {log}");
    }
    ensure!(log.contains("Done reports impossible counts"), "{log}");
    ensure!(log.contains("Probed reports an impossible picture size"), "{log}");
    ensure!(!log.contains("onerror"), "what it said is shown: {log}");
    Ok(())
}

#[test]
fn results_beyond_the_limit_of_a_job_stop_its_worker() -> Result<()> {
    let words = "progress:1 write:6 silent";
    check_refused(&["--results-bytes-max", "5MiB"], &[(words, "results_too_large")])?;
    // Within the limit the same worker goes on.
    let server = start_fault_service(&["--results-bytes-max", "7MiB"])?;
    let folder = tempfile::tempdir()?;
    let id = submit(&server, folder.path(), "progress:1 write:6 sleep:200 ok")?;
    let over = server.await_end(&id)?;
    ensure!(over["status"] == "completed", "{over}");
    server.stop()?;
    Ok(())
}
