//! A disk that is full, over its quota, read-only or broken, and a process that may open no more
//! files: uploads are refused with the reason, nothing partial is visible, and the service recovers by itself.

mod harness;

use anyhow::{Context, Result, ensure};
use bodyscript_tests::disks::{Disk, ReadOnlyMount};
use bodyscript_tests::polling::{ids, wait_until};
use bodyscript_tests::raw_tus::RawTus;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker, names};
use bodyscript_tests::{programs, report};
use harness::{Harness, NO_FREE_MINIMUM, check_nothing_partial, large, sha256, with_program};
use reqwest::StatusCode;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

const KIB: u64 = 1024;

/// Uploads once for each number of free bytes, and again when there is space.
/// Gives how many uploads were accepted and refused.
fn upload_at_each_free_size(
    harness: &Harness,
    free: impl Iterator<Item = u64>,
    (restrict, relax): (impl Fn(&Disk, u64) -> Result<()>, impl Fn(&Disk) -> Result<()>),
) -> Result<(u32, u32)> {
    let (mut accepted, mut refused) = (0, 0);
    for free in free {
        restrict(&harness.disk, free)?;
        let (status, body) = harness.upload()?;
        let id = body["job_id"].as_str();
        match status {
            StatusCode::ACCEPTED => accepted += 1,
            StatusCode::INSUFFICIENT_STORAGE => {
                refused += 1;
                ensure!(body["code"] == "disk_full", "{body}");
            }
            _ => anyhow::bail!("with {free} bytes free: {status} {body}; {}", harness.server.log()),
        }
        if let Some(id) = id {
            // It stays pending as long as the disk is full.
            harness.server.await_status(id, |status| status["status"] != "processing")?;
        }
        relax(&harness.disk)?;
        let log = || format!("with {free} bytes free; the log: {}", harness.server.log());
        harness.check_it_works().with_context(log)?;
        if let Some(id) = id {
            let over = harness.server.await_end(id)?;
            let code = over["error_code"].as_str();
            ensure!(matches!(code, None | Some("output_failed" | "worker_crashed")), "{over}");
        }
    }
    Ok((accepted, refused))
}

#[test]
fn a_full_disk_at_any_write_is_reported_and_recovered_from() -> Result<()> {
    let Some(harness) = Harness::on(Disk::small, "a full disk", &NO_FREE_MINIMUM)? else {
        return Ok(());
    };
    let free = (0..=16).map(|pages| pages * 4 * KIB).chain([96 * KIB, 128 * KIB, 192 * KIB]);
    let (accepted, refused) =
        upload_at_each_free_size(&harness, free, (Disk::fill_except, Disk::free))?;
    report::print_line(&format!(
        "a full disk: {accepted} uploads accepted, {refused} refused with 507"
    ));
    ensure!(refused > 0, "the disk was never full");
    harness.server.stop()?;
    Ok(())
}

#[test]
fn an_exhausted_quota_at_any_write_is_reported_and_recovered_from() -> Result<()> {
    let Some(harness) = Harness::on(Disk::with_quota, "a quota", &NO_FREE_MINIMUM)? else {
        return Ok(());
    };
    let free = (0..=16).map(|pages| pages * 8 * KIB);
    let (accepted, refused) =
        upload_at_each_free_size(&harness, free, (Disk::allow, Disk::allow_all))?;
    report::print_line(&format!(
        "a full quota: {accepted} uploads accepted, {refused} refused with 507"
    ));
    ensure!(refused > 0, "the quota was never used up");
    harness.server.stop()?;
    Ok(())
}

/// Checks what a service does while its disk refuses writes, and that all jobs end well afterwards.
fn check_while_unwritable(
    harness: &Harness,
    restrict: impl FnOnce(&Harness) -> Result<()>,
    relax: impl FnOnce(&Harness) -> Result<()>,
) -> Result<()> {
    let server = &harness.server;
    let (tus, video) = (RawTus::of(server), large(1 << 20));
    let resumable = tus.begin(video.len() as u64)?;
    ensure!(tus.add(&resumable, 0, video[..100_000].to_vec())?.status().is_success());
    let done = harness.submit("ok")?;
    server.await_end(&done)?;
    let running = harness.submit("progress:1 sleep:1500 ok")?;
    server.await_status(&running, |status| status["current_frame"] == 1)?;
    let waiting = [harness.submit("ok")?, harness.submit("ok")?];

    restrict(harness)?;
    let (status, body) = harness.upload()?;
    ensure!(status == StatusCode::INSUFFICIENT_STORAGE && body["code"] == "disk_full", "{body}");
    let ready = server.get("/readyz")?;
    ensure!(ready.status() == StatusCode::SERVICE_UNAVAILABLE);
    ensure!(ready.json::<Value>()?["reason"] == "the disk is not writable");
    ensure!(server.get("/livez")?.status().is_success());
    let refused = tus.add(&resumable, 100_000, video[100_000..].to_vec())?;
    ensure!(refused.status() == StatusCode::INSUFFICIENT_STORAGE, "{}", refused.text()?);
    ensure!(tus.offset(&resumable)? == 100_000, "only stored bytes count");
    let csv = server.get(&format!("/api/serve/{done}/pose_data.csv"))?;
    ensure!(csv.text()?.starts_with("frame_id,"), "finished results are served");
    // The running attempt may succeed or fail; a partial result is never served.
    let over = server.await_status(&running, |status| status["status"] != "processing")?;
    if over["status"] != "completed" {
        let csv = server.get(&format!("/api/serve/{running}/pose_data.csv"))?;
        ensure!(!csv.status().is_success(), "a partial result is served: {over}");
    }
    for id in &waiting {
        let status = server.status(id)?;
        ensure!(status["status"] == "pending", "it waits until the disk is writable: {status}");
    }

    relax(harness)?;
    harness.check_it_works()?;
    for id in &waiting {
        let over = server.await_end(id)?;
        ensure!(over["status"] == "completed", "{over}");
    }
    let over = server.await_end(&running)?;
    let code = over["error_code"].as_str();
    ensure!(matches!(code, None | Some("output_failed" | "worker_crashed")), "{over}");
    let last = tus.add(&resumable, 100_000, video[100_000..].to_vec())?;
    let job = last.headers()["job-id"].to_str()?;
    ensure!(server.await_end(job)?["sha256"] == sha256(&video));
    check_nothing_partial(server)
}

const ONE_WORKER: [&str; 4] = ["--disk-free-bytes-min", "0", "--workers", "1"];

#[test]
fn jobs_survive_an_exhausted_quota() -> Result<()> {
    let harness = Harness::on(Disk::with_quota, "jobs and a quota", &ONE_WORKER)?;
    let Some(harness) = harness else { return Ok(()) };
    check_while_unwritable(
        &harness,
        |harness| harness.disk.allow(0),
        |harness| harness.disk.allow_all(),
    )?;
    harness.server.stop()?;
    Ok(())
}

#[test]
fn jobs_survive_a_temporarily_read_only_file_system() -> Result<()> {
    let harness = Harness::on(Disk::small, "jobs and a read-only disk", &ONE_WORKER)?;
    let Some(harness) = harness else { return Ok(()) };
    let mounted = RefCell::new(None);
    let restrict = |harness: &Harness| {
        *mounted.borrow_mut() = Some(ReadOnlyMount::over(&harness.server.state_dir())?);
        Ok(())
    };
    let relax = |_: &Harness| {
        drop(mounted.take());
        Ok(())
    };
    check_while_unwritable(&harness, restrict, relax)?;
    harness.server.stop()?;
    Ok(())
}

#[test]
fn no_job_is_lost_when_the_file_system_fails() -> Result<()> {
    let harness = Harness::on(Disk::fragile, "jobs and a broken disk", &ONE_WORKER)?;
    let Some(Harness { server, folder, disk }) = harness else { return Ok(()) };
    // Bindings are dropped in reverse order; the disk has to be dropped after the service.
    let server = server;
    let video = |words: &str| fault_video(folder.path(), words);
    let done = server.submit(&video("ok")?)?;
    server.await_end(&done)?;
    let running = server.submit(&video("progress:1 sleep:1500 ok")?)?;
    server.await_status(&running, |status| status["current_frame"] == 1)?;
    let waiting = server.submit(&video("ok")?)?;
    disk.fail()?;
    let refused = server.upload(&video("ok")?, &[])?;
    ensure!(refused.status() == StatusCode::INSUFFICIENT_STORAGE, "{}", refused.text()?);
    let is_over = |status: &Value| status["status"] != "processing";
    let over = server.await_status(&running, is_over).with_context(|| server.log())?;
    ensure!(over["status"] != "completed", "nothing can be published: {over}");
    ensure!(server.get("/livez")?.status().is_success());
    ensure!(server.status(&waiting)?["status"] == "pending");

    server.signal(nix::sys::signal::Signal::SIGTERM)?;
    let root = server.ended()?;
    disk.repair()?;
    let server = TestServer::start_in(root, &with_program(&fault_worker()?, &ONE_WORKER))?;
    for id in [&done, &running, &waiting] {
        let over = server.await_end(id).with_context(|| server.log())?;
        ensure!(over["status"] == "completed", "{over}");
    }
    check_nothing_partial(&server)?;
    server.stop()?;
    Ok(())
}

#[test]
fn a_start_on_a_read_only_folder_reports_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let _disk = match Disk::small(folder.path()) {
        Ok(disk) => disk,
        Err(reason) => {
            report::skipped("disks", &format!("a start on a read-only folder: {reason}"));
            return Ok(());
        }
    };
    let state = folder.path().join("state");
    let start = || {
        let mut serve = Command::new(programs::path("bodyscript")?);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--operator-listen", "off"]);
        serve.arg("--state-dir").arg(&state);
        Ok::<_, anyhow::Error>(serve.output()?)
    };
    for is_there in [false, true] {
        if is_there {
            fs::create_dir(&state)?;
        }
        let _mounted = ReadOnlyMount::over(folder.path())?;
        let output = start()?;
        ensure!(output.status.code() == Some(2), "{}", output.status);
        let reported = String::from_utf8(output.stderr)?;
        ensure!(
            reported.contains("mounted read-only") && reported.contains("state_dir"),
            "{reported}"
        );
    }
    Ok(())
}

/// After a failed write it is unknown which of the bytes before it are stored, so none of them counts.
/// The bytes are on a full disk and the record of the offset on another one, which is what happens
/// when space becomes free between the two writes.
#[test]
fn bytes_of_a_chunk_not_written_to_disk_do_not_count() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = match Disk::small(&folder.path().join("small")) {
        Ok(disk) => disk,
        Err(reason) => {
            report::skipped("disks", &format!("a chunk and a full disk: {reason}"));
            return Ok(());
        }
    };
    let server = TestServer::start(&with_program(&fault_worker()?, &[]))?;
    let (tus, video) = (RawTus::of(&server), large(3 << 20));
    for free in [0, 4, 64, 512, 1024, 2048] {
        let url = tus.begin(video.len() as u64)?;
        let bytes =
            server.state_dir().join("resumable").join(url.rsplit('/').next().context("an id")?);
        fs::remove_file(&bytes)?;
        let elsewhere = folder.path().join("small/bytes");
        fs::write(&elsewhere, "")?;
        symlink(&elsewhere, &bytes)?;
        disk.fill_except(free * KIB)?;
        let refused = tus.add(&url, 0, video.clone())?;
        ensure!(refused.status() == StatusCode::INSUFFICIENT_STORAGE, "{}", refused.text()?);
        disk.free()?;
        let (offset, stored) = (tus.offset(&url)? as usize, fs::read(&elsewhere)?);
        ensure!(
            stored.get(..offset) == Some(&video[..offset]),
            "{offset} of {} bytes",
            stored.len()
        );
        wait_until("bytes are accepted again", || {
            Ok(server.get("/readyz")?.status().is_success())
        })?;
        let last = tus.add(&url, offset as u64, video[offset..].to_vec())?;
        let over = server.await_end(last.headers()["job-id"].to_str()?)?;
        ensure!(over["status"] == "completed" && over["sha256"] == sha256(&video), "{over}");
    }
    server.stop()?;
    Ok(())
}

#[test]
fn too_little_disk_space_is_refused_before_the_body() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = fault_worker()?;
    let config = folder.path().join("floor.toml");
    fs::write(&config, "")?;
    let config_text = config.to_str().context("a plain path")?;
    let server = TestServer::start(&[&program[0], &program[1], "--config", config_text])?;
    fs::write(&config, "disk_free_bytes_min = \"1000000 GiB\"")?;
    server.signal(nix::sys::signal::Signal::SIGHUP)?;
    server.await_log("configuration reloaded")?;
    let answer = server.upload(&fault_video(folder.path(), "ok")?, &[])?;
    ensure!(answer.status() == StatusCode::INSUFFICIENT_STORAGE, "{}", answer.text()?);
    ensure!(names(&server.state_dir(), "spool")?.is_empty());
    server.stop()?;
    Ok(())
}

#[test]
fn without_descriptors_uploads_are_refused_until_some_are_free() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = fault_worker()?;
    let server = TestServer::start(&[&program[0], &program[1]])?;
    let pid = server.pid().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, "--nofile=64:64"]).status()?;
    ensure!(limited.success(), "prlimit(1): {limited}");
    let address = server.url("").replace("http://", "");
    let video = fault_video(folder.path(), "ok")?;
    let mut seen = BTreeSet::new();
    for held in [0, 10, 20, 30, 40, 50, 60, 70] {
        // Idle connections, each of which holds a descriptor of the service.
        let idle = (0..held).map(|_| TcpStream::connect(&address));
        let idle: Vec<_> = idle.collect::<std::io::Result<_>>()?;
        let request =
            server.client().put(server.url("/api/upload")).header("content-type", "video/mp4");
        let request = request.timeout(Duration::from_secs(2)).body(fs::read(&video)?);
        // The client's connection may have been closed as idle a moment before.
        if let Ok(answer) = request.send() {
            let status = answer.status();
            ensure!([202, 503, 507].contains(&status.as_u16()), "{status}: {}", answer.text()?);
            seen.insert(status.as_u16());
        }
        drop(idle);
    }
    wait_until("uploads are accepted again", || {
        Ok(server.upload(&video, &[]).is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED))
    })?;
    wait_until("every job is over", || {
        Ok(ids(&server.operator_json("/api/jobs")?, |job| job["completed_at"].is_null()).is_empty())
    })?;
    report::print_line(&format!("64 descriptors: responses were {seen:?}"));
    check_nothing_partial(&server)?;
    server.stop()?;
    Ok(())
}

/// Two workers on a disk of 8 MiB, of which 4 MiB are to stay free.
const TWO_WORKERS: [&str; 6] =
    ["--disk-free-bytes-min", "4MiB", "--upload-bytes-max", "64KiB", "--workers", "2"];

/// Writes nearly as much as the disk has.
const FILLS: &str = "progress:1 write:7 sleep:2000 ok";

#[test]
fn a_job_that_would_fill_the_disk_is_stopped_and_its_neighbour_is_not() -> Result<()> {
    let harness = Harness::on(Disk::small, "a job that fills a disk", &TWO_WORKERS)?;
    let Some(harness) = harness else { return Ok(()) };
    let neighbour = harness.submit("progress:1 sleep:3000 ok")?;
    let filling = harness.submit(FILLS)?;
    let over = harness.server.await_end(&filling)?;
    ensure!(over["error_code"] == "output_failed", "again and again: {over}");
    ensure!(over["attempts"].as_array().is_some_and(Vec::is_empty), "none is counted: {over}");
    let over = harness.server.await_end(&neighbour)?;
    ensure!(over["status"] == "completed", "{over}");
    harness.check_it_works()?;
    let log = harness.server.stop()?;
    ensure!(log.contains("an attempt is stopped for lack of disk space"), "{log}");
    // Without the limit the same job fills the disk and is not stopped.
    let harness = Harness::on(Disk::small, "a job that fills a disk", &NO_FREE_MINIMUM)?;
    let harness = harness.context("a disk, as before")?;
    let over = harness.server.await_end(&harness.submit(FILLS)?)?;
    ensure!(over["status"] == "completed", "{over}");
    harness.server.stop()?;
    Ok(())
}

#[test]
fn a_job_on_a_disk_that_others_fill_waits_for_space() -> Result<()> {
    let harness = Harness::on(Disk::small, "a job on a disk that fills", &TWO_WORKERS)?;
    let Some(harness) = harness else { return Ok(()) };
    let id = harness.submit("progress:1 write:1 sleep:2000 ok")?;
    harness.server.await_status(&id, |status| status["current_frame"] == 1)?;
    harness.disk.fill_except(1024 * KIB)?;
    let waiting = harness.server.await_status(&id, |status| status["status"] == "pending")?;
    ensure!(waiting["message"].as_str().is_some_and(|it| it.contains("disk space")), "{waiting}");
    harness.disk.free()?;
    let over = harness.server.await_end(&id)?;
    ensure!(
        over["status"] == "completed"
            && over["attempts"].as_array().is_some_and(|it| it.len() == 1)
    );
    harness.server.stop()?;
    Ok(())
}
