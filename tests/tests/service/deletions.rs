//! Each deletion is recorded in the journal with its job, subject, reason and time.

use anyhow::{Context, Result};
use bodyscript::JOURNAL_FILE;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A service whose configuration is reloaded.
struct Harness {
    server: TestServer,
    config: PathBuf,
    folder: TempDir,
}

impl Harness {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("bodyscript.toml");
        fs::write(&config, "")?;
        let server = TestServer::start(&flags(&fault_worker()?, &config))?;
        Ok(Self { server, config, folder })
    }

    fn ended_job(&self, words: &str) -> Result<String> {
        let id = self.server.submit(&fault_video(self.folder.path(), words)?)?;
        self.server.await_end(&id)?;
        Ok(id)
    }

    fn reload(&self, config: &str) -> Result<()> {
        fs::write(&self.config, config)?;
        self.server.signal(Signal::SIGHUP)
    }

    fn await_gone(&self, id: &str) -> Result<()> {
        let path = format!("/api/status/{id}");
        wait_until(
            "a job is gone",
            || Ok(self.server.get(&path)?.status() == StatusCode::NOT_FOUND),
        )
    }
}

fn flags<'a>(program: &'a [String; 2], config: &'a Path) -> [&'a str; 4] {
    [&program[0], &program[1], "--config", config.to_str().expect("a plain path")]
}

/// The recorded deletions without their times, which are checked to be plausible.
fn lines(state: &Path) -> Result<BTreeSet<(String, String, String)>> {
    let journal = Connection::open(state.join(JOURNAL_FILE))?;
    let made: i64 = journal.query_row("SELECT min(created_ms) FROM jobs", [], |row| row.get(0))?;
    let now = bodyscript::wall_clock().as_millisecond();
    let mut lines = journal.prepare("SELECT job, what, why, at_ms FROM deletions")?;
    let lines = lines.query_map([], |row| {
        let at: i64 = row.get(3)?;
        assert!((made - 600_000..=now).contains(&at), "the time of a deletion is plausible");
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}

#[test]
fn every_deletion_is_logged_with_its_reason() -> Result<()> {
    let harness = Harness::start()?;
    let asked_for = harness.ended_job("ok")?;
    let cleanup = harness.server.url(&format!("/api/cleanup/{asked_for}"));
    harness.server.client().delete(cleanup).send()?.error_for_status()?;
    let [done, failed] = [harness.ended_job("ok")?, harness.ended_job("bad-input")?];
    harness.reload("result_ttl_s = 1\npressure_ttl_s = 1")?;
    harness.await_gone(&done)?;
    harness.await_gone(&failed)?;

    harness.reload("pressure_ttl_s = 1")?;
    harness.server.await_log("configuration reloaded applied=[\"result_ttl_s\"]")?;
    let [under_pressure, kept] = [harness.ended_job("ok")?, harness.ended_job("bad-input")?];
    harness.reload("pressure_ttl_s = 1\ndisk_free_bytes_min = \"1000000 GiB\"")?;
    harness.await_gone(&under_pressure)?;
    harness.await_gone(&kept)?;

    harness.reload("queue_max = 1")?;
    wait_until("uploads are accepted again", || {
        Ok(harness.server.get("/readyz")?.status().is_success())
    })?;
    let [older, _newer] = [harness.ended_job("bad-input")?, harness.ended_job("bad-input")?];
    let without_results = harness.ended_job("ok")?;
    let state = harness.server.state_dir();
    let root = harness.server.kill()?;
    fs::remove_dir_all(state.join("results").join(&without_results))?;
    let server = TestServer::start_in(root, &flags(&fault_worker()?, &harness.config))?;
    server.signal(Signal::SIGTERM)?;
    let _root = server.ended()?;

    let upload = |id: &str, why: &str| (id.to_owned(), "upload".to_owned(), why.to_owned());
    let job = |id: &str, why: &str| (id.to_owned(), "job".to_owned(), why.to_owned());
    let ended = "its job has ended";
    let expected = BTreeSet::from([
        upload(&asked_for, ended),
        job(&asked_for, "by request"),
        upload(&done, ended),
        job(&done, "expired"),
        job(&failed, "expired"),
        upload(&under_pressure, ended),
        job(&under_pressure, "low memory or disk space"),
        upload(&kept, "low disk space"),
        job(&kept, "low memory or disk space"),
        upload(&older, "limit of failed jobs reached"),
        upload(&without_results, ended),
        job(&without_results, "its results were gone at a start"),
    ]);
    let found = lines(&state).context("the journal")?;
    assert_eq!(found, expected);
    Ok(())
}
