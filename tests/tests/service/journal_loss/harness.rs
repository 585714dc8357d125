//! A service with every kind of file that depends on the journal, and the files that remain on the disk
//! after the journal is lost.

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

/// Damages or removes the journal in a state folder.
pub(crate) type Lose = fn(&Path) -> Result<()>;

/// Contents of files by their paths in a folder.
pub(crate) type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// Folders with files of users.
pub(crate) const USER_FOLDERS: [&str; 5] = ["results", "spool", "resumable", "webhooks", "jobs"];

/// Bytes of the resumable upload, and how many of them were received.
pub(crate) const RESUMABLE: (u64, u64) = (3000, 1000);

/// A service with one worker, whose journal is to be lost.
pub(crate) struct Harness {
    pub(crate) server: TestServer,
    pub(crate) flags: Vec<String>,
    pub(crate) videos: TempDir,
}

/// A killed service and its files.
pub(crate) struct KilledService {
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

    /// Creates two results, a running attempt, a pending job with a webhook, and a resumable upload; then
    /// kills the service and waits for the end of its worker.
    pub(crate) fn kill_with_all_files(self) -> Result<KilledService> {
        let completed = [self.complete()?, self.complete()?];
        let running = self.submit("progress:1 silent")?;
        self.server.await_status(&running, |status| status["current_frame"] == 1)?;
        let video = fault_video(self.videos.path(), "ok")?;
        let answer = self.server.upload(&video, &[("webhook_url", "https://example.com/end")])?;
        let waiting = answer.json::<Value>()?["job_id"].as_str().context("an id")?.to_owned();
        let tus = RawTus::of(&self.server);
        let url = tus.begin(RESUMABLE.0)?;
        ensure!(tus.add(&url, 0, vec![b'x'; RESUMABLE.1 as usize])?.status().is_success());
        let resumable = url.replace(&self.server.url(""), "");
        let Self { server, flags, videos } = self;
        let root = server.kill()?;
        wait_until("its worker is gone", || Ok(orphans().is_empty()))?;
        Ok(KilledService { root, flags, videos, completed, waiting, resumable })
    }

    /// Jobs are accepted and complete.
    pub(crate) fn check_it_works(&self) -> Result<()> {
        self.complete().map(drop)
    }

    pub(crate) fn is_refused(&self, words: &str) -> Result<()> {
        let answer = self.server.upload(&fault_video(self.videos.path(), words)?, &[])?;
        let has_retry_after = answer.headers().contains_key("retry-after");
        let (status, body) = (answer.status(), answer.json::<Value>()?);
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE && has_retry_after, "{status}: {body}");
        ensure!(body["code"] == "journal_lost", "{body}");
        Ok(())
    }
}

impl KilledService {
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

/// Every file in these folders except an empty log, which SQLite creates when it opens the journal.
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

/// The files of users and the journal.
pub(crate) fn all_files(folder: &Path) -> Result<Tree> {
    tree(folder, &[&USER_FOLDERS[..], &["journal.db", "journal.db-wal"]].concat())
}

/// The files set aside by all starts.
pub(crate) fn set_aside(state: &Path) -> Result<Tree> {
    let mut all = Tree::new();
    for start in names(state, "set-aside")? {
        for (name, bytes) in tree(&state.join("set-aside").join(start), &[""])? {
            ensure!(all.insert(name.clone(), bytes).is_none(), "{name:?} was set aside twice");
        }
    }
    Ok(all)
}

/// The files of users only.
pub(crate) fn of_users(tree: &Tree) -> Tree {
    let is_theirs = |name: &Path| USER_FOLDERS.iter().any(|folder| name.starts_with(folder));
    tree.iter().filter(|(name, _)| is_theirs(name)).map(|(n, b)| (n.clone(), b.clone())).collect()
}

pub(crate) fn remove(state: &Path) -> Result<()> {
    for name in names(state, "")?.iter().filter(|name| name.starts_with("journal.db")) {
        fs::remove_file(state.join(name))?;
    }
    Ok(())
}
