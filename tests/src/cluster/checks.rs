//! What hosts that share a journal tell and log of jobs, and what has to be the same on all.

use super::Cluster;
use crate::leftovers::descendants;
use crate::polling::{ends, wait_until};
use crate::server::TestServer;
use crate::traces::fault_video;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeSet;

/// In the log of a host that continues the job of another.
pub const TAKEOVER: &str = "taken over from a lost host";

/// In the log of a host that takes another for lost.
pub const LOSS: &str = "a host is lost";

/// In the log of a host that wanted to publish results of a job that another has taken over.
pub const REFUSED: &str = "the end of an attempt is refused";

/// Hosts whose log has a line with these words and the job.
pub fn hosts_that_log(cluster: &Cluster, words: &str, id: &str) -> Vec<usize> {
    let is_logged = |host: &usize| {
        cluster.log(*host).lines().any(|line| line.contains(words) && line.contains(id))
    };
    (0..cluster.size()).filter(is_logged).collect()
}

/// How many lines with these words the hosts have logged.
pub fn lines_with(cluster: &Cluster, words: &str) -> usize {
    let count = |host| cluster.log(host).lines().filter(|line| line.contains(words)).count();
    (0..cluster.size()).map(count).sum()
}

/// The exit reports of a job's workers on a host.
pub fn exits(cluster: &Cluster, host: usize, id: &str) -> Vec<String> {
    let log = cluster.log(host);
    let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.filter(|line| line.contains(" exit: ") && line.contains(id)).map(str::to_owned).collect()
}

/// How many of them report that the worker has done the job.
pub fn runs(cluster: &Cluster, host: usize, id: &str) -> usize {
    exits(cluster, host, id).iter().filter(|exit| exit.contains(r#"end="done""#)).count()
}

/// Waits until a worker of a job on this host has exited with this end.
pub fn await_exit(cluster: &Cluster, host: usize, id: &str, end: &str) -> Result<()> {
    let end = format!("end=\"{end}\"");
    wait_until("the worker exits", || {
        Ok(exits(cluster, host, id).iter().any(|exit| exit.contains(&end)))
    })
    .with_context(|| format!("{id} on host {host}; log: {}", cluster.log(host)))
}

/// Waits until a worker has processed a frame of a job; gives the worker's host. (More than one may begin to start it.)
pub fn await_runner(cluster: &Cluster, id: &str) -> Result<usize> {
    let is_runner = |host: usize| {
        let server = cluster.host(host);
        let status = server.status(id)?;
        let pid = status["worker"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        let is_here = pid.is_some_and(|pid| descendants(server.pid()).contains(&pid));
        Ok::<_, anyhow::Error>(is_here && status["current_frame"].as_u64() >= Some(1))
    };
    let runner = Cell::new(None);
    wait_until("a host runs the job", || {
        for host in 0..cluster.size() {
            if is_runner(host)? {
                runner.set(Some(host));
            }
        }
        Ok(runner.get().is_some())
    })?;
    runner.get().context("a host that runs it")
}

/// The host with the most workers.
pub fn busiest(cluster: &Cluster) -> usize {
    let workers = |host: &usize| descendants(cluster.host(*host).pid()).len();
    (0..cluster.size()).max_by_key(workers).unwrap_or(0)
}

/// Waits until a job has ended, as one host reports it; gives its status without what is of other jobs.
pub fn await_end_on(cluster: &Cluster, host: usize, id: &str) -> Result<Value> {
    let mut status = cluster.host(host).await_end(id)?;
    status["queue_total"].take();
    Ok(status)
}

/// Waits until a job has ended on all hosts, which must report the same of it; gives its status.
pub fn await_end(cluster: &Cluster, id: &str) -> Result<Value> {
    let first = await_end_on(cluster, 0, id)?;
    for host in 1..cluster.size() {
        let status = await_end_on(cluster, host, id)?;
        ensure!(status == first, "host 0 reports {first}, host {host} {status}");
    }
    Ok(first)
}

/// Waits until a job is completed, on all hosts, by one attempt.
pub fn await_completion(cluster: &Cluster, id: &str) -> Result<Value> {
    let status = await_end(cluster, id)?;
    ensure!(status["status"] == "completed" && ends(&status) == ["done"], "{status}");
    Ok(status)
}

/// A result as a host serves it: its tag and its bytes.
fn served(server: &TestServer, id: &str) -> Result<(String, Vec<u8>)> {
    let answer = server.get(&format!("/api/serve/{id}/pose_data.csv"))?.error_for_status()?;
    let tag = answer.headers().get("etag").context("a tag")?.to_str()?.to_owned();
    Ok((tag, answer.bytes()?.to_vec()))
}

/// Checks that all hosts serve the same result of a job.
pub fn check_served_alike(cluster: &Cluster, id: &str) -> Result<()> {
    let first = served(cluster.host(0), id)?;
    for host in 1..cluster.size() {
        ensure!(served(cluster.host(host), id)? == first, "host {host} serves another {id}");
    }
    Ok(())
}

/// The claims whose results of a job are in the store.
pub fn claims(names: &[String], id: &str) -> BTreeSet<String> {
    let prefix = format!("a/results/{id}/");
    let claims = names.iter().filter_map(|name| name.strip_prefix(&prefix)?.split('/').next());
    claims.map(str::to_owned).collect()
}

/// Waits until a host is ready.
pub fn await_ready(server: &TestServer) -> Result<()> {
    wait_until("the host is ready", || Ok(server.get("/readyz")?.status().is_success()))
}

/// Waits until a job that this host ran during an outage is completed; checks that it was run once, that no job was taken
/// over, and that every host is ready and completes another job.
pub fn check_outage_survived(cluster: &Cluster, runner: usize, id: &str) -> Result<()> {
    await_completion(cluster, id)?;
    for host in 0..cluster.size() {
        ensure!(runs(cluster, host, id) == usize::from(host == runner), "host {host} ran {id}");
    }
    ensure!(lines_with(cluster, TAKEOVER) == 0, "a job was taken over");
    let videos = tempfile::tempdir()?;
    for host in 0..cluster.size() {
        let server = cluster.host(host);
        await_ready(server)?;
        await_completion(cluster, &server.submit(&fault_video(videos.path(), "ok")?)?)?;
    }
    Ok(())
}
