//! Users of hosts behind a load balancer, which sends each of their requests to another host. They upload videos for the
//! fault worker, follow their jobs to the end and fetch a result; each request has to succeed.

use crate::proxies::Proxy;
use crate::traces::fault_video;
use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use reqwest::blocking::Client;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What the worker does with each video.
const WORDS: &str = "progress:1 sleep:300 ok";

/// Longest time for an answer; far beyond what the slowest machine needs.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// How many users there are, and how many jobs they have at least.
#[derive(Debug, Clone, Copy)]
pub struct Users {
    /// Users at the same time.
    pub count: usize,
    /// Jobs of all of them together.
    pub jobs_min: usize,
}

impl Users {
    /// Lets them work until the action is over and they have had enough jobs; gives the ids of these. The action may
    /// ask how many there are.
    pub fn work_during(
        self,
        proxy: &Proxy,
        action: impl FnOnce(&AtomicUsize) -> Result<()>,
    ) -> Result<Vec<String>> {
        let (is_over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        let work = || {
            // A connection for each request, so that each goes to the next host.
            let client = Client::builder().pool_max_idle_per_host(0).timeout(ANSWER_MAX).build()?;
            // Of each user's own: videos of the same words have the same name.
            let videos = tempfile::tempdir()?;
            let mut jobs = Vec::new();
            while !is_over.load(Ordering::Relaxed) || done.load(Ordering::Relaxed) < self.jobs_min {
                jobs.push(run_one(&client, proxy, videos.path())?);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, anyhow::Error>(jobs)
        };
        let jobs = thread::scope(|scope| {
            let users: Vec<_> = (0..self.count).map(|_| scope.spawn(work)).collect();
            let acted = action(&done);
            is_over.store(true, Ordering::Relaxed);
            let jobs = users.into_iter().map(|user| user.join().expect("no panic"));
            match (acted, jobs.collect::<Result<Vec<_>>>()) {
                (Err(action), Err(user)) => Err(action.context(format!("{user:#}"))),
                (acted, jobs) => acted.and(jobs),
            }
        })?;
        Ok(jobs.concat())
    }
}

fn run_one(client: &Client, proxy: &Proxy, videos: &Path) -> Result<String> {
    let video = fault_video(videos, WORDS)?;
    let request = client.put(proxy.url("/api/upload")).body(std::fs::read(video)?);
    let answer = request.send()?;
    let (status, body) = (answer.status(), answer.text()?);
    ensure!(status == StatusCode::ACCEPTED, "upload: {status}: {body}");
    let body: Value = serde_json::from_str(&body)?;
    let id = body["job_id"].as_str().context("an id")?.to_owned();
    let end = loop {
        let answer = client.get(proxy.url(&format!("/api/status/{id}"))).send()?;
        let (status, body) = (answer.status(), answer.text()?);
        ensure!(status == StatusCode::OK, "status: {status}: {body}");
        let status: Value = serde_json::from_str(&body)?;
        if !status["completed_at"].is_null() {
            break status;
        }
    };
    ensure!(end["status"] == "completed", "{end}");
    let answer = client.get(proxy.url(&format!("/api/serve/{id}/pose_data.csv"))).send()?;
    ensure!(answer.status() == StatusCode::OK, "result: {}: {}", answer.status(), answer.text()?);
    Ok(id)
}
