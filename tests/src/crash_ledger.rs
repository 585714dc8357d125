//! A service that is killed repeatedly under load, and a ledger of the jobs it has accepted: each must exist
//! exactly once after every start, and nothing else.

use crate::leftovers::{cgroups_of, orphans};
use crate::polling::{ids, wait_until};
use crate::server::TestServer;
use crate::traces::{fault_worker, names};
use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Clients at once.
const CLIENTS: usize = 3;

/// Uploads of one client in one run of the service, at most.
const UPLOADS_MAX: usize = 6;

/// Jobs removed in one run, at most; enough that fewer jobs are left than the service keeps.
const REMOVALS_MAX: usize = 12;

/// Flags in addition to those of the fault worker.
const FLAGS: [&str; 8] = [
    "--workers",
    "3",
    "--standby",
    "1",
    "--queue-max",
    "100000",
    "--client-uploads-per-minute-max",
    "60000",
];

/// The accepted jobs, and what was observed of them.
#[derive(Debug)]
pub struct Ledger {
    folder: Arc<TempDir>,
    flags: Vec<String>,
    /// Each accepted job, with the inode of its results once they exist.
    accepted: BTreeMap<String, Option<u64>>,
    removed: BTreeSet<String>,
    /// How many were ever accepted.
    pub accepted_ever: usize,
    /// How many crashes there were.
    pub crashes: usize,
    /// The longest time from a start to readiness.
    pub slowest_start: Duration,
    /// The process of the last killed service.
    last_killed: Option<i32>,
}

impl Ledger {
    /// For a service that has not run yet.
    pub fn open() -> Result<Self> {
        let flags = fault_worker()?.into_iter().chain(FLAGS.map(String::from)).collect();
        Ok(Self {
            folder: Arc::new(tempfile::tempdir()?),
            flags,
            accepted: BTreeMap::new(),
            removed: BTreeSet::new(),
            accepted_ever: 0,
            crashes: 0,
            slowest_start: Duration::ZERO,
            last_killed: None,
        })
    }

    fn launch(&self, failpoint: Option<&str>) -> Result<TestServer> {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        TestServer::launch(Arc::clone(&self.folder), &flags, failpoint)
    }

    /// One run without load, killed at some moment of its start.
    pub fn crash_while_starting(&mut self, after: Duration) -> Result<()> {
        let server = self.launch(None)?;
        std::thread::sleep(after);
        self.kill(server)
    }

    /// One run under load: checked once it is ready, then ended by the failpoint, or killed after some
    /// time. Gives whether it was the failpoint.
    pub fn run(&mut self, failpoint: Option<&str>, after: Duration) -> Result<bool> {
        let begun = Instant::now();
        let mut server = self.launch(failpoint)?;
        if !server.ready_or_exited()? {
            ensure!(failpoint.is_some(), "the service exited by itself: {}", server.log());
            self.last_killed = Some(server.pid());
            self.crashes += 1;
            return Ok(true);
        }
        self.slowest_start = self.slowest_start.max(begun.elapsed());
        // A run with a failpoint may end during the check; the next run is checked instead.
        if failpoint.is_none() {
            self.check(&server)?;
        }
        self.load(&server)?;
        let begun = Instant::now();
        while failpoint.is_some() && begun.elapsed() < after && !server.is_over()? {
            std::thread::sleep(Duration::from_millis(5));
        }
        if failpoint.is_none() {
            std::thread::sleep(after);
        }
        let is_over = server.is_over()?;
        self.kill(server)?;
        Ok(is_over)
    }

    fn kill(&mut self, mut server: TestServer) -> Result<()> {
        self.last_killed = Some(server.pid());
        self.crashes += 1;
        if !server.is_over()? {
            server.kill()?;
        }
        Ok(())
    }

    /// Uploads from several clients, and removals of ended jobs, until the limits or the end of the
    /// service.
    fn load(&mut self, server: &TestServer) -> Result<()> {
        let ended: Vec<_> = self.accepted.iter().filter(|(_, results)| results.is_some()).collect();
        let ended: Vec<String> =
            ended.into_iter().map(|(id, _)| id.clone()).take(REMOVALS_MAX).collect();
        let (accepted, removed) = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| upload(server))).collect();
            let removed = scope.spawn(|| remove(server, ended));
            let accepted: Vec<_> =
                clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect();
            (accepted, removed.join().expect("no panic"))
        });
        self.accepted_ever += accepted.len();
        self.accepted.extend(accepted.into_iter().map(|id| (id, None)));
        for (id, is_certain) in removed {
            self.accepted.remove(&id);
            if is_certain {
                self.removed.insert(id);
            }
        }
        Ok(())
    }

    /// Compares a service that has just started with the ledger.
    fn check(&mut self, server: &TestServer) -> Result<()> {
        let state = server.state_dir();
        self.check_orphans(&state)?;
        let list = server.jobs()?;
        let jobs: BTreeMap<&str, &Value> = list["jobs"]
            .as_array()
            .context("jobs")?
            .iter()
            .filter_map(|job| Some((job["job_id"].as_str()?, job)))
            .collect();
        for (id, results) in &mut self.accepted {
            let job = jobs.get(id.as_str());
            let job = job.with_context(|| format!("{id} is lost; log: {}", server.log()))?;
            let ends: Vec<_> = job["attempts"].as_array().into_iter().flatten().collect();
            ensure!(job["status"] != "failed", "{job}; log: {}", server.log());
            ensure!(ends.iter().filter(|a| a["end"] == "done").count() <= 1, "done twice: {job}");
            if job["status"] == "completed" {
                let inode = std::fs::metadata(state.join("results").join(id))?.ino();
                ensure!(*results.get_or_insert(inode) == inode, "{id} is published twice");
                ensure!(names(&state, &format!("results/{id}"))?.len() == 7, "{id} is incomplete");
            }
        }
        for id in &self.removed {
            ensure!(!jobs.contains_key(id.as_str()), "{id} was removed and is back");
        }
        for place in ["spool", "jobs", "results"] {
            for name in names(&state, place)? {
                ensure!(jobs.contains_key(name.as_str()), "{place}/{name} is an orphan");
            }
        }
        wait_until("only files of their jobs are left", || is_tidy(server))
    }

    /// No process and no cgroup of the killed service is left.
    fn check_orphans(&self, state: &Path) -> Result<()> {
        let begun = Instant::now();
        while !orphans().is_empty() {
            ensure!(begun.elapsed() < WAIT_MAX, "processes are left: {:?}", orphans());
            std::thread::sleep(Duration::from_millis(5));
        }
        let groups = self.last_killed.map(cgroups_of).unwrap_or_default();
        ensure!(groups.is_empty(), "cgroups are left: {groups:?}");
        ensure!(
            !state.join("set-aside").exists(),
            "files were set aside although the journal is complete"
        );
        let sockets = names(state, "")?.into_iter().filter(|name| name.ends_with(".sock")).count();
        ensure!(sockets <= 1, "{sockets} sockets");
        Ok(())
    }

    /// The last run: every accepted job completes, with results.
    pub fn finish(mut self) -> Result<Self> {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        let server = TestServer::start_in(Arc::clone(&self.folder), &flags)?;
        for id in self.accepted.keys() {
            let status = server.await_end(id)?;
            ensure!(status["status"] == "completed", "{status}; log: {}", server.log());
            let csv = server.get(&format!("/api/serve/{id}/pose_data.csv"))?;
            ensure!(csv.status() == StatusCode::OK, "{id}: {}", csv.status());
        }
        self.check(&server)?;
        server.stop()?;
        Ok(self)
    }
}

/// Uploads videos; gives the jobs whose response was 202.
fn upload(server: &TestServer) -> Vec<String> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let mut accepted = Vec::new();
    for _ in 0..UPLOADS_MAX {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let request = server.client().put(server.url("/api/upload"));
        let request = request.header("content-type", "video/mp4");
        let Ok(answer) = request.body(format!("FAULT ok\n{serial}\n")).send() else { break };
        let is_accepted = answer.status() == StatusCode::ACCEPTED;
        // After an incomplete response the client knows of no job.
        let Ok(body) = answer.json::<Value>() else { break };
        if let (true, Some(id)) = (is_accepted, body["job_id"].as_str()) {
            accepted.push(id.to_owned());
        }
    }
    accepted
}

/// Removes jobs; gives each with whether the response confirmed it.
fn remove(server: &TestServer, ids: Vec<String>) -> Vec<(String, bool)> {
    let remove = |id: String| {
        let url = server.url(&format!("/api/cleanup/{id}"));
        let answer = server.client().delete(url).send();
        (id, answer.is_ok_and(|answer| answer.status() == StatusCode::OK))
    };
    ids.into_iter().map(remove).collect()
}

/// Whether uploads and attempts exist only for unfinished jobs, and results only for jobs that have not
/// failed.
fn is_tidy(server: &TestServer) -> Result<bool> {
    let list = server.jobs()?;
    let unfinished = ids(&list, |job| job["completed_at"].is_null());
    let not_failed = ids(&list, |job| job["status"] != "failed");
    let are_of = |place, jobs: &BTreeSet<String>| {
        Ok::<_, anyhow::Error>(
            names(&server.state_dir(), place)?.iter().all(|id| jobs.contains(id)),
        )
    };
    Ok(are_of("spool", &unfinished)?
        && are_of("jobs", &unfinished)?
        && are_of("results", &not_failed)?)
}
