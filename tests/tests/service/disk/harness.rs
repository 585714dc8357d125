//! A service whose state is on a disk of its own, and checks that nothing half-written is left.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::disks::{Disk, Unavailable};
use bodyscript_tests::polling::{ids, wait_until};
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker, names};
use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A service whose state is on a disk of its own, and a folder for videos.
pub(crate) struct Harness {
    pub(crate) server: TestServer,
    pub(crate) folder: TempDir,
    // Dropped after the service that uses it.
    pub(crate) disk: Disk,
}

impl Harness {
    /// None where this host cannot provide the disk, which is counted as a skip.
    pub(crate) fn on(
        disk: fn(&Path) -> Result<Disk, Unavailable>,
        what: &str,
        flags: &[&str],
    ) -> Result<Option<Self>> {
        let root = Arc::new(tempfile::tempdir()?);
        let disk = match disk(&root.path().join("state")) {
            Ok(disk) => disk,
            Err(reason) => {
                report::skipped("disks", &format!("{what}: {reason}"));
                return Ok(None);
            }
        };
        let server = TestServer::start_in(root, &with_program(&fault_worker()?, flags))?;
        Ok(Some(Self { server, folder: tempfile::tempdir()?, disk }))
    }

    pub(crate) fn upload(&self) -> Result<(StatusCode, Value)> {
        let answer = self.server.upload(&fault_video(self.folder.path(), "ok")?, &[])?;
        Ok((answer.status(), answer.json()?))
    }

    pub(crate) fn submit(&self, words: &str) -> Result<String> {
        self.server.submit(&fault_video(self.folder.path(), words)?)
    }

    /// Uploads are accepted again, and their jobs complete.
    pub(crate) fn check_it_works(&self) -> Result<()> {
        let server = &self.server;
        wait_until("uploads are accepted again", || {
            Ok(server.get("/readyz")?.status().is_success())
        })?;
        check_nothing_partial(server)?;
        ensure!(server.await_end(&self.submit_once_accepted()?)?["status"] == "completed");
        Ok(())
    }

    /// Journal entries from the time when the disk was full may still be refused by the disk for a moment
    /// after the service reports that it is ready.
    fn submit_once_accepted(&self) -> Result<String> {
        let accepted = RefCell::new(None);
        wait_until("an upload is accepted", || {
            let (status, body) = self.upload()?;
            let is_refused =
                status == StatusCode::INSUFFICIENT_STORAGE && body["code"] == "disk_full";
            ensure!(is_refused || status == StatusCode::ACCEPTED, "{status} {body}");
            *accepted.borrow_mut() = body["job_id"].as_str().map(str::to_owned);
            Ok(!is_refused)
        })?;
        accepted.take().context("a job")
    }
}

/// Without the minimum of free space below which uploads are refused, so that writes fail instead.
pub(crate) const NO_FREE_MINIMUM: [&str; 4] =
    ["--disk-free-bytes-min", "0", "--upload-bytes-max", "64KiB"];

pub(crate) fn with_program<'a>(program: &'a [String; 2], flags: &[&'a str]) -> Vec<&'a str> {
    program.iter().map(String::as_str).chain(flags.iter().copied()).collect()
}

/// All files in the state folder belong to jobs that are listed, and results only to completed ones.
pub(crate) fn check_nothing_partial(server: &TestServer) -> Result<()> {
    let state = server.state_dir();
    wait_until("all files belong to jobs", || {
        let list = server.operator_json("/api/jobs")?;
        let completed = ids(&list, |job| job["status"] == "completed");
        let failed = ids(&list, |job| job["status"] == "failed");
        Ok(names(&state, "spool")?.is_subset(&failed)
            && names(&state, "jobs")?.is_empty()
            && names(&state, "results")? == completed)
    })
}

/// A large video for the fault worker, whose word is in the first line.
pub(crate) fn large(bytes: usize) -> Vec<u8> {
    let noise = (0..bytes as u32).map(|n| (n.wrapping_mul(n) >> 9) as u8 | 0x80);
    b"FAULT ok\n".iter().copied().chain(noise).take(bytes).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
