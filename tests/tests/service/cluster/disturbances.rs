//! Hosts that are killed and suspended, and a database that crashes, while clients upload: every accepted job is
//! completed once.

use super::{await_completion, check_served_alike, claims};
use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::{Cluster, LEASE};
use bodyscript_tests::polling::{ids, wait_until};
use fastrand::Rng;
use reqwest::StatusCode;
use reqwest::blocking::Client;
use serde_json::Value;
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

const HOSTS: usize = 3;

/// Jobs that are uploaded around each disturbance.
const JOBS: usize = 6;

/// Disturbances, of all kinds.
const ROUNDS: usize = 10;

/// The order and the moments of the disturbances follow from it.
const SEED: u64 = 1;

/// The longest time from the first upload to the disturbance. A job takes about as long.
const DELAY_MS_MAX: u64 = 2000;

/// Longest wait for the answer of a host, which may be suspended, and then for that of another.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const ACCEPTANCE_MAX: Duration = Duration::from_secs(120);

const FLAGS: [&str; 6] =
    ["--workers", "2", "--queue-max", "1000", "--client-uploads-per-minute-max", "60000"];

#[derive(Debug, Clone, Copy)]
enum Disturbance {
    /// A host is killed and starts again.
    Kill,
    /// A host is suspended until others have its jobs.
    Suspend,
    /// The database crashes and starts again.
    Crash,
}

impl Disturbance {
    const ALL: [Self; 3] = [Self::Kill, Self::Suspend, Self::Crash];

    fn happen(self, cluster: &mut Cluster, host: usize) -> Result<()> {
        match self {
            Self::Kill => {
                cluster.kill(host)?;
                cluster.start_again(host)
            }
            Self::Suspend => {
                cluster.suspend(host)?;
                sleep(2 * LEASE);
                cluster.resume(host)
            }
            Self::Crash => {
                cluster.database().crash()?;
                cluster.database().start_again()
            }
        }
    }
}

/// A client that sends each video under a key until some host accepts it. A host may have accepted it without an answer,
/// so that only the key makes it one job.
struct Uploader {
    urls: Vec<String>,
    client: Client,
    random: Rng,
}

impl Uploader {
    fn new(cluster: &Cluster, random: Rng) -> Result<Self> {
        let urls = (0..cluster.size()).map(|host| cluster.host(host).url("/api/upload")).collect();
        // Connections of a killed host are not used again.
        let client = Client::builder().timeout(ANSWER_MAX).pool_max_idle_per_host(0).build()?;
        Ok(Self { urls, client, random })
    }

    /// Uploads some videos, with pauses; gives the jobs.
    fn upload(&mut self, videos: std::ops::Range<usize>) -> Result<Vec<String>> {
        let upload = |video| {
            sleep(Duration::from_millis(self.random.u64(..=DELAY_MS_MAX / JOBS as u64)));
            self.upload_one(video)
        };
        videos.map(upload).collect()
    }

    fn upload_one(&mut self, video: usize) -> Result<String> {
        let sleep_ms = self.random.u64(500..=DELAY_MS_MAX);
        let body = format!("FAULT progress:1 sleep:{sleep_ms} ok\n{video}\n");
        let begun = Instant::now();
        loop {
            let url = &self.urls[self.random.usize(..self.urls.len())];
            let request = self.client.put(url).header("content-type", "video/mp4");
            let request = request.header("Idempotency-Key", format!("video-{video}"));
            if let Some(id) = request.body(body.clone()).send().ok().and_then(accepted) {
                return Ok(id);
            }
            ensure!(begun.elapsed() < ACCEPTANCE_MAX, "no host accepts video {video}");
            sleep(Duration::from_millis(20));
        }
    }
}

/// The job of an upload that was accepted.
fn accepted(answer: reqwest::blocking::Response) -> Option<String> {
    let is_accepted = answer.status() == StatusCode::ACCEPTED;
    let body = answer.json::<Value>().ok()?;
    is_accepted.then(|| body["job_id"].as_str().map(str::to_owned))?
}

/// Disturbs the hosts while videos are uploaded; gives the accepted jobs.
fn disturb(cluster: &mut Cluster) -> Result<Vec<String>> {
    let mut random = Rng::with_seed(SEED);
    let mut uploader = Uploader::new(cluster, random.fork())?;
    let mut plan: Vec<_> = Disturbance::ALL.into_iter().cycle().take(ROUNDS).collect();
    random.shuffle(&mut plan);
    let mut jobs = Vec::new();
    for (round, disturbance) in plan.into_iter().enumerate() {
        let (host, delay) = (random.usize(..HOSTS), random.u64(..=DELAY_MS_MAX));
        let uploaded = std::thread::scope(|scope| {
            let uploads = scope.spawn(|| uploader.upload(round * JOBS..(round + 1) * JOBS));
            sleep(Duration::from_millis(delay));
            let happened = disturbance.happen(cluster, host);
            let uploaded = uploads.join().expect("no panic");
            happened.and(uploaded)
        });
        let context = || format!("round {round}: {disturbance:?} of host {host}");
        jobs.extend(uploaded.with_context(context)?);
    }
    Ok(jobs)
}

/// Waits until the store has the results of one claim of each job, and nothing else but videos that a host was killed
/// with: it may have shared one before its job, or not have removed it after its end. The sweep removes them later.
fn await_tidy_store(cluster: &Cluster, jobs: &[String]) -> Result<()> {
    let is_tidy = |names: &[String]| {
        let is_of_a_job = |name: &str| {
            let id = name.split('/').next();
            id.is_some_and(|id| jobs.iter().any(|job| job == id))
        };
        let results = names.iter().filter_map(|name| name.strip_prefix("a/results/"));
        let (results, videos): (Vec<_>, Vec<_>) = (
            results.collect(),
            names.iter().filter(|name| name.starts_with("a/uploads/")).collect(),
        );
        results.len() + videos.len() == names.len()
            && videos.len() <= ROUNDS
            && results.into_iter().all(is_of_a_job)
            && jobs.iter().all(|id| claims(names, id).len() == 1)
    };
    let tidy = || Ok(is_tidy(&cluster.store().names()?));
    wait_until("the store has the results of one claim of each job", tidy)
        .with_context(|| format!("{:#?}", cluster.store().names()))
}

#[test]
fn kills_and_suspensions_lose_no_job_and_publish_none_twice() -> Result<()> {
    let Some(mut cluster) = Cluster::start(HOSTS, &FLAGS)? else { return Ok(()) };
    let jobs = disturb(&mut cluster)?;
    let different: BTreeSet<_> = jobs.iter().cloned().collect();
    assert_eq!(different.len(), ROUNDS * JOBS, "two videos became one job");
    for id in &jobs {
        await_completion(&cluster, id)?;
        check_served_alike(&cluster, id)?;
    }
    for host in 0..cluster.size() {
        let listed = ids(&cluster.host(host).jobs()?, |_| true);
        assert_eq!(listed, different, "host {host} lists others than were accepted");
    }
    await_tidy_store(&cluster, &jobs)?;
    // Checks that no process, no cgroup and no file of an ended attempt is left.
    cluster.stop()
}
