//! Hosts that are killed, suspended and cut off, and a database that crashes, while clients upload: every accepted
//! job is completed and published once.
//!
//! `CLUSTER_JOBS=1000 cargo test --workspace --test load cluster::disturbances` is the long run (`make soak`).

use crate::run_exclusively;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::checks::{
    REFUSED, TAKEOVER, await_completion, busiest, check_served_alike, claims, lines_with,
};
use bodyscript_tests::cluster::{Cluster, MANY_JOBS};
use bodyscript_tests::polling::{ids, wait_until};
use bodyscript_tests::report;
use fastrand::Rng;
use reqwest::StatusCode;
use reqwest::blocking::Client;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

const HOSTS: usize = 3;

/// Jobs in `make test`.
const JOBS: usize = 64;

/// Jobs that are uploaded around each disturbance.
const JOBS_PER_ROUND: usize = 8;

/// The order and the moments of the disturbances follow from it.
const SEED: u64 = 1;

/// The longest time from the first upload to the disturbance. A job takes about as long.
const DELAY_MS_MAX: u64 = 2000;

/// Longest wait for the answer of a host, which may be suspended, and then for that of another.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const ACCEPTANCE_MAX: Duration = Duration::from_secs(120);

/// The results of the first job are to be there when the last has ended.
const FLAGS: [&str; 4] = ["--result-ttl-s", "86400", "--pressure-ttl-s", "86400"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Disturbance {
    /// A host is killed and starts again.
    Kill,
    /// A host is suspended until others have its jobs.
    Suspend,
    /// A host reaches neither database nor store until others have its jobs.
    CutOff,
    /// The database crashes and starts again.
    Crash,
}

impl Disturbance {
    const ALL: [Self; 4] = [Self::Kill, Self::Suspend, Self::CutOff, Self::Crash];

    fn happen(self, cluster: &mut Cluster, host: usize) -> Result<()> {
        match self {
            Self::Kill => {
                cluster.kill(host)?;
                cluster.start_again(host)
            }
            Self::Suspend => {
                cluster.suspend(host)?;
                cluster.await_loss(host)?;
                cluster.resume(host)
            }
            Self::CutOff => {
                cluster.cut_off(host)?;
                cluster.await_loss(host)?;
                cluster.rejoin(host)
            }
            Self::Crash => cluster.crash_database(),
        }
    }
}

/// A client that sends each video under a key until some host accepts it. A host may have accepted it without an answer,
/// so that only the key makes it one job.
struct Uploader {
    /// A client and the address for uploads of each host. It reaches a host that is cut off.
    hosts: Vec<(Client, String)>,
    random: Rng,
}

impl Uploader {
    fn new(cluster: &Cluster, random: Rng) -> Result<Self> {
        // Connections of a killed host are not used again.
        let client =
            || Ok(Client::builder().timeout(ANSWER_MAX).pool_max_idle_per_host(0).build()?);
        let to_host = |host| {
            Ok((cluster.in_network_of(host, client)?, cluster.host(host).url("/api/upload")))
        };
        let hosts = (0..cluster.size()).map(to_host).collect::<Result<_>>()?;
        Ok(Self { hosts, random })
    }

    /// Uploads some videos, with pauses; gives the jobs.
    fn upload(&mut self, videos: std::ops::Range<usize>) -> Result<Vec<String>> {
        let upload = |video| {
            sleep(Duration::from_millis(self.random.u64(..=DELAY_MS_MAX / JOBS_PER_ROUND as u64)));
            self.upload_one(video)
        };
        videos.map(upload).collect()
    }

    fn upload_one(&mut self, video: usize) -> Result<String> {
        let sleep_ms = self.random.u64(500..=DELAY_MS_MAX);
        let body = format!("FAULT progress:1 sleep:{sleep_ms} ok\n{video}\n");
        let begun = Instant::now();
        loop {
            let (client, url) = &self.hosts[self.random.usize(..self.hosts.len())];
            let request = client.put(url).header("content-type", "video/mp4");
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

/// Disturbs the hosts while videos are uploaded, a disturbance for each round; gives the accepted jobs.
fn disturb(cluster: &mut Cluster, plan: &[Disturbance]) -> Result<Vec<String>> {
    let mut random = Rng::with_seed(SEED);
    let mut uploader = Uploader::new(cluster, random.fork())?;
    let mut jobs = Vec::new();
    for (round, disturbance) in plan.iter().enumerate() {
        let delay = Duration::from_millis(random.u64(..=DELAY_MS_MAX));
        let (uploaded, host) = std::thread::scope(|scope| {
            let videos = round * JOBS_PER_ROUND..(round + 1) * JOBS_PER_ROUND;
            let uploads = scope.spawn(|| uploader.upload(videos));
            sleep(delay);
            // What it does late is to be refused.
            let host = busiest(cluster);
            let happened = disturbance.happen(cluster, host);
            let uploaded = uploads.join().expect("no panic");
            (happened.and(uploaded), host)
        });
        let context = || format!("round {round}: {disturbance:?} of host {host}");
        jobs.extend(uploaded.with_context(context)?);
    }
    Ok(jobs)
}

/// As many disturbances of each kind as it takes for so many jobs, in a random order.
fn plan(jobs: usize) -> Vec<Disturbance> {
    let rounds = jobs.div_ceil(JOBS_PER_ROUND);
    let mut plan: Vec<_> = Disturbance::ALL.into_iter().cycle().take(rounds).collect();
    Rng::with_seed(SEED).shuffle(&mut plan);
    plan
}

/// Waits until the store has the results of one claim of each job, and nothing else. A host may have been killed
/// before the job of a video that it had shared, or before it removed that of an ended one: the sweep does, which
/// here waits for nothing.
fn await_tidy_store(cluster: &mut Cluster, jobs: &[String]) -> Result<()> {
    cluster.end(0)?;
    cluster.start_again_with(0, &[("SKIP_AT_FAILPOINT", "store_sweep_wait")])?;
    let ids: BTreeSet<_> = jobs.iter().map(String::as_str).collect();
    let is_result = |name: &String| {
        let result = name.strip_prefix("a/results/").and_then(|rest| rest.split('/').next());
        result.is_some_and(|id| ids.contains(id))
    };
    let is_tidy = |names: &[String]| {
        names.iter().all(is_result) && jobs.iter().all(|id| claims(names, id).len() == 1)
    };
    wait_until("the store has the results of one claim of each job", || {
        Ok(is_tidy(&cluster.store().names()?))
    })
    .with_context(|| format!("{:#?}", cluster.store().names()))
}

#[test]
fn disturbances_lose_no_job_and_publish_none_twice() -> Result<()> {
    let _exclusive = run_exclusively();
    let jobs = std::env::var("CLUSTER_JOBS").ok().and_then(|text| text.parse().ok());
    let (plan, begun) = (plan(jobs.unwrap_or(JOBS)), Instant::now());
    let flags = [&MANY_JOBS[..], &FLAGS].concat();
    let Some(mut cluster) = Cluster::of(HOSTS, &flags).with_partitions().start()? else {
        return Ok(());
    };
    cluster.note_publications()?;
    let jobs = disturb(&mut cluster, &plan)?;
    let different: BTreeSet<_> = jobs.iter().cloned().collect();
    assert_eq!(different.len(), plan.len() * JOBS_PER_ROUND, "two videos became one job");
    for id in &jobs {
        await_completion(&cluster, id)?;
        check_served_alike(&cluster, id)?;
    }
    for host in 0..cluster.size() {
        let listed = ids(&cluster.host(host).jobs()?, |_| true);
        assert_eq!(listed, different, "host {host} lists others than were accepted");
    }
    let once: BTreeMap<_, _> = jobs.iter().map(|id| (id.clone(), 1)).collect();
    assert_eq!(cluster.publications()?, once, "each job is published once");
    let refused = lines_with(&cluster, REFUSED);
    ensure!(refused > 0, "nobody was late in {plan:?}");
    await_tidy_store(&mut cluster, &jobs)?;
    let (takeovers, network) = (lines_with(&cluster, TAKEOVER), cluster.network());
    // Checks that no process, no cgroup and no file of an ended attempt is left.
    cluster.stop()?;
    let kinds = Disturbance::ALL.map(|kind| {
        format!("{} {kind:?}", plan.iter().filter(|planned| **planned == kind).count())
    });
    report::print_line(&format!(
        "{HOSTS} hosts {network}, {} jobs accepted, {}: 0 lost, 0 published twice, {takeovers} taken over, {refused} \
         late ends refused; {} s",
        jobs.len(),
        kinds.join(", "),
        begun.elapsed().as_secs()
    ));
    Ok(())
}
