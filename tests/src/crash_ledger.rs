//! A service that is killed again and again under load, and the ledger kept on it: what it said
//! it took must be there, once, and nothing else.

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

/// Uploads of one client in one life of the service, at most.
const UPLOADS_MAX: usize = 6;

/// Jobs removed in one life, at most: so many that fewer are left than are remembered.
const REMOVALS_MAX: usize = 12;

/// Jobs at once, and workers that wait; the rest of the flags is the fault worker.
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

/// What was accepted, and what has been seen of it.
#[derive(Debug)]
pub struct Ledger {
    folder: Arc<TempDir>,
    flags: Vec<String>,
    /// Each accepted job, with the inode of its results once they were seen.
    accepted: BTreeMap<String, Option<u64>>,
    removed: BTreeSet<String>,
    /// How many were ever accepted.
    pub accepted_ever: usize,
    /// How many crashes there were.
    pub crashes: usize,
    /// The longest time from a start to readiness.
    pub slowest_start: Duration,
    died: Option<i32>,
}

impl Ledger {
    /// Of a service that has not lived yet.
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
            died: None,
        })
    }

    fn launch(&self, failpoint: Option<&str>) -> Result<TestServer> {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        TestServer::launch(Arc::clone(&self.folder), &flags, failpoint)
    }

    /// One life without load, ended at some moment of its start.
    pub fn crash_while_starting(&mut self, after: Duration) -> Result<()> {
        let server = self.launch(None)?;
        std::thread::sleep(after);
        self.kill(server)
    }

    /// One life under load: checked once it is ready, then ended by the failpoint, or after some
    /// time. Tells whether it was the failpoint.
    pub fn live(&mut self, failpoint: Option<&str>, after: Duration) -> Result<bool> {
        let begun = Instant::now();
        let mut server = self.launch(failpoint)?;
        if !server.ready_or_exited()? {
            ensure!(failpoint.is_some(), "the service ended by itself: {}", server.log());
            self.died = Some(server.pid());
            self.crashes += 1;
            return Ok(true);
        }
        self.slowest_start = self.slowest_start.max(begun.elapsed());
        // One that is to die may do so while it is looked at; the next life shows what it left.
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
        self.died = Some(server.pid());
        self.crashes += 1;
        if !server.is_over()? {
            server.kill()?;
        }
        Ok(())
    }

    /// Uploads from several clients, and removals of what is over, until it is enough or the
    /// service is gone.
    fn load(&mut self, server: &TestServer) -> Result<()> {
        let over: Vec<_> = self.accepted.iter().filter(|(_, results)| results.is_some()).collect();
        let over: Vec<String> =
            over.into_iter().map(|(id, _)| id.clone()).take(REMOVALS_MAX).collect();
        let (accepted, removed) = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| upload(server))).collect();
            let removed = scope.spawn(|| remove(server, over));
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

    /// Holds a service that has just started against the ledger.
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
                ensure!(names(&state, &format!("results/{id}"))?.len() == 7, "{id} is not whole");
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
        wait_until("nothing lies where its job has no use for it", || is_tidy(server))
    }

    /// No process and no group of the service that died.
    fn check_orphans(&self, state: &Path) -> Result<()> {
        let begun = Instant::now();
        while !orphans().is_empty() {
            ensure!(begun.elapsed() < WAIT_MAX, "processes are left: {:?}", orphans());
            std::thread::sleep(Duration::from_millis(5));
        }
        let groups = self.died.map(cgroups_of).unwrap_or_default();
        ensure!(groups.is_empty(), "{groups:?} are left");
        ensure!(!state.join("set-aside").exists(), "a death is no loss of the journal");
        let sockets = names(state, "")?.into_iter().filter(|name| name.ends_with(".sock")).count();
        ensure!(sockets <= 1, "{sockets} sockets");
        Ok(())
    }

    /// The last life: every job that was accepted comes to its end, with results.
    pub fn close(mut self) -> Result<Self> {
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

/// The jobs that were answered 202.
fn upload(server: &TestServer) -> Vec<String> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let mut accepted = Vec::new();
    for _ in 0..UPLOADS_MAX {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let request = server.client().put(server.url("/api/upload"));
        let request = request.header("content-type", "video/mp4");
        let Ok(answer) = request.body(format!("FAULT ok\n{serial}\n")).send() else { break };
        let is_accepted = answer.status() == StatusCode::ACCEPTED;
        // An answer that broke off was not heard: nothing is promised.
        let Ok(body) = answer.json::<Value>() else { break };
        if let (true, Some(id)) = (is_accepted, body["job_id"].as_str()) {
            accepted.push(id.to_owned());
        }
    }
    accepted
}

/// The jobs that may be gone, and whether it was answered that they are.
fn remove(server: &TestServer, ids: Vec<String>) -> Vec<(String, bool)> {
    let remove = |id: String| {
        let url = server.url(&format!("/api/cleanup/{id}"));
        let answer = server.client().delete(url).send();
        (id, answer.is_ok_and(|answer| answer.status() == StatusCode::OK))
    };
    ids.into_iter().map(remove).collect()
}

/// Whether uploads and attempts lie only where a job is not over, and results only of jobs that have
/// not failed.
fn is_tidy(server: &TestServer) -> Result<bool> {
    let list = server.jobs()?;
    let under_way = ids(&list, |job| job["completed_at"].is_null());
    let not_failed = ids(&list, |job| job["status"] != "failed");
    let lie_in = |place, jobs: &BTreeSet<String>| {
        Ok::<_, anyhow::Error>(
            names(&server.state_dir(), place)?.iter().all(|id| jobs.contains(id)),
        )
    };
    Ok(lie_in("spool", &under_way)?
        && lie_in("jobs", &under_way)?
        && lie_in("results", &not_failed)?)
}
