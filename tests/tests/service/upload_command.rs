//! `bodyscript upload` against a running service, over connections that break and across restarts of the command. The
//! worker is `fault_worker`, which does what the video says.

use crate::resumable::sha256;
use anyhow::{Context, Result};
use bodyscript_tests::faulty_link::{FaultyLink, LinkFault};
use bodyscript_tests::programs;
use bodyscript_tests::traces::start_fault_service;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Bytes of the large video, and of all that goes with it to the service: headers, and a chunk that is sent again.
const LARGE_BYTES: u64 = 3_000_000;
const RESENT_BYTES_MAX: u64 = 700_000;

/// An upload from this folder, whose records are in it too.
fn command(folder: &TempDir, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(programs::path("bodyscript")?);
    command.arg("upload").args(arguments).current_dir(folder.path());
    command.env("XDG_STATE_HOME", folder.path().join("state")).stdin(Stdio::null());
    Ok(command)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines of JSON, by video.
fn lines(output: &Output) -> Result<BTreeMap<String, Value>> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line)?;
        Ok((line["video"].as_str().context("a video")?.to_owned(), line))
    };
    text.lines().map(line).collect()
}

fn large(folder: &TempDir) -> Result<PathBuf> {
    let path = folder.path().join("large.mp4");
    let noise = (0..LARGE_BYTES as u32).map(|n| (n.wrapping_mul(n) >> 9) as u8 | 0x80);
    fs::write(&path, b"FAULT ok\n".iter().copied().chain(noise).collect::<Vec<_>>())?;
    Ok(path)
}

/// How many uploads are remembered.
fn records(folder: &TempDir) -> Result<usize> {
    Ok(fs::read_dir(folder.path().join("state/bodyscript/uploads"))?.count())
}

fn has_results(folder: &Path) -> bool {
    ["pose_data.csv", "pose_data.json"].iter().all(|name| folder.join(name).exists())
}

#[test]
fn videos_are_uploaded_processed_and_their_results_saved() -> Result<()> {
    let server = start_fault_service(&[])?;
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("day1"))?;
    for (name, words) in [("day1/good.mp4", "ok"), ("bad.mp4", "bad-input"), ("more.mp4", "ok")] {
        fs::write(folder.path().join(name), format!("FAULT {words}\n{name}\n"))?;
    }
    let url = server.url("");
    let options = ["--mode", "fast", "--formats", "csv,json", "--json"];
    let arguments =
        [&options[..], &[url.as_str(), "day1", "bad.mp4", "gone.mp4", "-o", "out"]].concat();
    let output = command(&folder, &arguments)?.output()?;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let ended = lines(&output)?;
    let good = &ended["day1/good.mp4"];
    assert_eq!((&good["status"], &good["results"]), (&"completed".into(), &"out/good".into()));
    assert!(has_results(&folder.path().join("out/good")), "{good}");
    let status = server.status(good["job_id"].as_str().context("an id")?)?;
    assert_eq!((&status["mode"], &status["filename"]), (&"fast".into(), &"good.mp4".into()));
    assert_eq!(ended["bad.mp4"]["status"], "failed", "{ended:?}");
    assert_eq!(ended["gone.mp4"]["status"], "unreadable", "{ended:?}");
    let left: Vec<_> = fs::read_dir(folder.path().join("out"))?.collect::<Result<_, _>>()?;
    assert_eq!(left.len(), 1, "only results: {left:?}");
    assert_eq!(records(&folder)?, 0);

    // The same rules for existing results as `run`.
    let again = command(&folder, &arguments)?.output()?;
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
    let output = command(&folder, &[url.as_str(), "more.mp4"])?.output()?;
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("more.mp4: uploaded; see http://"), "{printed}");
    let refused = command(&folder, &["more.mp4", "day1"])?.output()?;
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("http://127.0.0.1:8000"), "{}", stderr(&refused));
    Ok(())
}

#[test]
fn an_upload_goes_on_after_a_broken_connection_and_after_the_command_was_killed() -> Result<()> {
    let server = start_fault_service(&[])?;
    let folder = tempfile::tempdir()?;
    let video = large(&folder)?;
    let link = FaultyLink::to(&server)?;
    let url = link.url("");
    let arguments = [url.as_str(), "--wait", "--json", "large.mp4"];
    link.fail_after(LARGE_BYTES / 3, LinkFault::Cut);
    let mut killed = command(&folder, &arguments)?.stdout(Stdio::null()).spawn()?;
    link.await_failure()?;
    killed.kill()?;
    killed.wait()?;
    assert_eq!(records(&folder)?, 1);
    link.repair();

    link.fail_after(LARGE_BYTES / 3, LinkFault::Cut);
    let command =
        command(&folder, &arguments)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    link.await_failure()?;
    link.repair();
    let output = command.wait_with_output()?;
    assert!(output.status.success(), "{}", stderr(&output));
    let ended = &lines(&output)?["large.mp4"];
    assert_eq!(ended["status"], "completed", "{ended}");
    let status = server.status(ended["job_id"].as_str().context("an id")?)?;
    assert_eq!(status["sha256"], sha256(&video)?.as_str(), "{status}");
    assert_eq!(server.operator_json("/api/jobs")?["total"], 1);
    let sent = link.forwarded();
    assert!(sent < LARGE_BYTES + 2 * RESENT_BYTES_MAX, "{sent} bytes for {LARGE_BYTES}");
    assert_eq!(records(&folder)?, 0);
    Ok(())
}
