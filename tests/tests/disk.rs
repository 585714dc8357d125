//! A disk that is full, and a process that may open no more files: refusals that say
//! so, nothing half-done in sight, and recovery without a hand.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::told::{await_that, ids};
use bodyscript_tests::traces::{fault_video, fault_worker, names};
use nix::mount::{MsFlags, mount, umount};
use nix::unistd::geteuid;
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KIB: u64 = 1024;

/// A small file system of its own, gone with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)?;
        mount(Some("none"), path, Some("tmpfs"), MsFlags::empty(), Some("size=8m"))?;
        Ok(Self(path.to_owned()))
    }

    /// Fills it but for so many bytes.
    fn fill_but(&self, free: u64) -> Result<()> {
        let ballast = self.0.join("ballast");
        let mut file = File::create(&ballast)?;
        while file.write_all(&[0; 4096]).is_ok() {}
        let size = file.metadata()?.len();
        file.set_len(size.saturating_sub(free))?;
        Ok(())
    }

    fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("ballast"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let begun = Instant::now();
        // The last descriptors close with the service's last thread.
        while umount(&self.0).is_err() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
    }
}

/// A service whose state is on a small disk; nothing, said and counted, where it takes root.
fn on_a_small_disk(what: &str) -> Result<Option<(SmallDisk, TestServer, TempDir)>> {
    if !geteuid().is_root() {
        report::skipped(&format!("{what}: it takes root to mount a small disk"));
        return Ok(None);
    }
    let folder = Arc::new(tempfile::tempdir()?);
    let disk = SmallDisk::at(&folder.path().join("state"))?;
    let program = fault_worker()?;
    // The floor of admission is off: what is tested lies below it.
    let flags =
        [&program[0], &program[1], "--disk-free-bytes-min", "0", "--upload-bytes-max", "64KiB"];
    Ok(Some((disk, TestServer::start_in(folder, &flags)?, tempfile::tempdir()?)))
}

/// What is in the state folder belongs to jobs that are told of; what is served is whole.
fn check_nothing_partial(server: &TestServer) -> Result<()> {
    let state = server.state_dir();
    await_that("nothing is left but what jobs have", || {
        let list = server.json("/api/jobs")?;
        let completed = ids(&list, |job| job["status"] == "completed");
        let failed = ids(&list, |job| job["status"] == "failed");
        Ok(names(&state, "spool")?.is_subset(&failed)
            && names(&state, "jobs")?.is_empty()
            && names(&state, "results")? == completed)
    })
}

#[test]
fn a_full_disk_at_any_write_is_told_and_passes() -> Result<()> {
    let Some((disk, server, folder)) = on_a_small_disk("a full disk")? else { return Ok(()) };
    let (mut accepted, mut refused) = (0, 0);
    for free in (0..=16).map(|pages| pages * 4 * KIB).chain([96 * KIB, 128 * KIB, 192 * KIB]) {
        disk.fill_but(free)?;
        let answer = server.upload(&fault_video(folder.path(), "ok")?, &[])?;
        let (status, body) = (answer.status(), answer.json::<Value>()?);
        match status {
            StatusCode::ACCEPTED => {
                accepted += 1;
                let id = body["job_id"].as_str().context("an id")?;
                let over = server.await_end(id)?;
                let code = over["error_code"].as_str();
                ensure!(matches!(code, None | Some("output_failed" | "worker_crashed")), "{over}");
            }
            StatusCode::INSUFFICIENT_STORAGE => {
                refused += 1;
                ensure!(body["code"] == "disk_full", "{body}");
            }
            _ => anyhow::bail!("with {free} bytes free: {status} {body}; {}", server.log()),
        }
        disk.free()?;
        await_that("it takes uploads again", || Ok(server.get("/readyz")?.status().is_success()))?;
        check_nothing_partial(&server).with_context(|| format!("with {free} bytes free"))?;
        let id = server.submit(&fault_video(folder.path(), "ok")?)?;
        ensure!(server.await_end(&id)?["status"] == "completed", "after {free} bytes free");
    }
    report::say(&format!("a full disk: {accepted} uploads taken, {refused} refused with 507"));
    ensure!(refused > 0, "the disk was never full");
    server.stop()?;
    Ok(())
}

#[test]
fn too_little_free_room_is_refused_before_the_body() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = fault_worker()?;
    let config = folder.path().join("floor.toml");
    fs::write(&config, "")?;
    let config_text = config.to_str().context("a plain path")?;
    let server = TestServer::start(&[&program[0], &program[1], "--config", config_text])?;
    fs::write(&config, "disk_free_bytes_min = \"1000000 GiB\"")?;
    server.signal(nix::sys::signal::Signal::SIGHUP)?;
    server.await_log("the configuration is read again")?;
    let answer = server.upload(&fault_video(folder.path(), "ok")?, &[])?;
    ensure!(answer.status() == StatusCode::INSUFFICIENT_STORAGE, "{}", answer.text()?);
    ensure!(names(&server.state_dir(), "spool")?.is_empty());
    server.stop()?;
    Ok(())
}

#[test]
fn without_descriptors_it_refuses_and_recovers() -> Result<()> {
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
        // Without a descriptor for its connection a client waits; that is no answer.
        if let Ok(answer) = request.send() {
            let status = answer.status();
            ensure!([202, 503, 507].contains(&status.as_u16()), "{status}: {}", answer.text()?);
            seen.insert(status.as_u16());
        }
        drop(idle);
    }
    await_that("it takes uploads again", || {
        Ok(server.upload(&video, &[]).is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED))
    })?;
    await_that("every job is over", || {
        Ok(ids(&server.json("/api/jobs")?, |job| job["completed_at"].is_null()).is_empty())
    })?;
    report::say(&format!("64 descriptors: answers were {seen:?}"));
    check_nothing_partial(&server)?;
    server.stop()?;
    Ok(())
}
