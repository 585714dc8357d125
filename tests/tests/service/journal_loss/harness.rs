//! A service that has everything which a lost journal could cost its users, and what is left of it
//! on the disk.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::leftovers::orphans;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::raw_tus::RawTus;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker, names};
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Does something to the journal in a state folder.
pub(crate) type Lose = fn(&Path) -> Result<()>;

/// Files by their paths in a folder.
pub(crate) type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// What the service keeps for its users.
pub(crate) const PLACES: [&str; 5] = ["results", "spool", "resumable", "webhooks", "jobs"];

/// Bytes of the resumable upload, and how many of them came.
pub(crate) const RESUMABLE: (u64, u64) = (3000, 1000);

/// A service with one worker, whose journal is to be lost.
pub(crate) struct Harness {
    pub(crate) server: TestServer,
    pub(crate) flags: Vec<String>,
    pub(crate) videos: TempDir,
}

/// What it had at its death.
pub(crate) struct Dead {
    pub(crate) root: Arc<TempDir>,
    pub(crate) flags: Vec<String>,
    pub(crate) videos: TempDir,
    pub(crate) completed: [String; 2],
    pub(crate) waiting: String,
    /// The path of the resumable upload's address.
    pub(crate) resumable: String,
}

impl Harness {
    pub(crate) fn start() -> Result<Self> {
        let videos = tempfile::tempdir()?;
        let secret = videos.path().join("secret");
        fs::write(&secret, "a secret of 24 bytes and more")?;
        let secret = secret.to_string_lossy().into_owned();
        let own = ["--workers", "1", "--webhook-secret-file", &secret];
        let flags: Vec<_> = fault_worker()?.into_iter().chain(own.map(String::from)).collect();
        let server = TestServer::start(&strs(&flags))?;
        Ok(Self { server, flags, videos })
    }

    pub(crate) fn submit(&self, words: &str) -> Result<String> {
        self.server.submit(&fault_video(self.videos.path(), words)?)
    }

    pub(crate) fn complete(&self) -> Result<String> {
        let id = self.submit("ok")?;
        let over = self.server.await_end(&id)?;
        ensure!(over["status"] == "completed", "{over}");
        Ok(id)
    }

    /// Two results, an attempt, a job that waits and is to be told of, and a resumable upload; then
    /// `kill -9`, and nobody writes any more.
    pub(crate) fn kill_with_all_files(self) -> Result<Dead> {
        let completed = [self.complete()?, self.complete()?];
        let running = self.submit("progress:1 silent")?;
        self.server.await_status(&running, |status| status["current_frame"] == 1)?;
        let video = fault_video(self.videos.path(), "ok")?;
        let answer = self.server.upload(&video, &[("webhook_url", "https://example.com/end")])?;
        let waiting = answer.json::<Value>()?["job_id"].as_str().context("an id")?.to_owned();
        let hand = RawTus::of(&self.server);
        let url = hand.begin(RESUMABLE.0)?;
        ensure!(hand.add(&url, 0, vec![b'x'; RESUMABLE.1 as usize])?.status().is_success());
        let resumable = url.replace(&self.server.url(""), "");
        let Self { server, flags, videos } = self;
        let root = server.kill()?;
        wait_until("its worker is gone", || Ok(orphans().is_empty()))?;
        Ok(Dead { root, flags, videos, completed, waiting, resumable })
    }

    /// It takes jobs and does them.
    pub(crate) fn check_it_works(&self) -> Result<()> {
        self.complete().map(drop)
    }

    pub(crate) fn is_refused(&self, words: &str) -> Result<()> {
        let answer = self.server.upload(&fault_video(self.videos.path(), words)?, &[])?;
        let has_time = answer.headers().contains_key("retry-after");
        let (status, body) = (answer.status(), answer.json::<Value>()?);
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE && has_time, "{status}: {body}");
        ensure!(body["code"] == "journal_lost", "{body}");
        Ok(())
    }
}

impl Dead {
    pub(crate) fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    pub(crate) fn start(self) -> Result<Harness> {
        let server = TestServer::start_in(Arc::clone(&self.root), &strs(&self.flags))?;
        Ok(Harness { server, flags: self.flags, videos: self.videos })
    }
}

pub(crate) fn strs(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

/// Every file below these, but for an empty log, which SQLite makes as soon as it looks.
pub(crate) fn tree(folder: &Path, below: &[&str]) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut paths: Vec<_> = below.iter().map(|name| folder.join(name)).collect();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                paths.push(entry?.path());
            }
        } else if path.exists() {
            let bytes = fs::read(&path)?;
            let name = path.strip_prefix(folder)?.to_owned();
            if !(bytes.is_empty() && name == Path::new("journal.db-wal")) {
                tree.insert(name, bytes);
            }
        }
    }
    Ok(tree)
}

/// Everything of users, and the journal.
pub(crate) fn everything(folder: &Path) -> Result<Tree> {
    tree(folder, &[&PLACES[..], &["journal.db", "journal.db-wal"]].concat())
}

/// What was set aside, of all starts.
pub(crate) fn aside(state: &Path) -> Result<Tree> {
    let mut all = Tree::new();
    for start in names(state, "set-aside")? {
        for (name, bytes) in tree(&state.join("set-aside").join(start), &[""])? {
            ensure!(all.insert(name.clone(), bytes).is_none(), "{name:?} is there twice");
        }
    }
    Ok(all)
}

/// The files of users alone.
pub(crate) fn of_users(tree: &Tree) -> Tree {
    let is_theirs = |name: &Path| PLACES.iter().any(|place| name.starts_with(place));
    tree.iter().filter(|(name, _)| is_theirs(name)).map(|(n, b)| (n.clone(), b.clone())).collect()
}

pub(crate) fn remove(state: &Path) -> Result<()> {
    for name in names(state, "")?.iter().filter(|name| name.starts_with("journal.db")) {
        fs::remove_file(state.join(name))?;
    }
    Ok(())
}
