//! Hosts that share a journal and a store: what one has accepted or run is known to all, and each job runs on one.

mod clocks;
mod failures;
mod full_disk;
mod load_balancer;
mod notices;
mod operators;
mod resumable;
mod retries;
mod slow_store;
mod start;

use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{
    await_completion, await_end, await_exit, await_runner, check_served_alike, exits, runs,
};
use bodyscript_tests::polling::{ends, ids, wait_until};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::fault_video;
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Uploads a video under a key; gives the response's status and body.
fn put(server: &TestServer, key: &str, video: &Path) -> Result<(StatusCode, Value)> {
    let request = server.client().put(server.url("/api/upload")).header("Idempotency-Key", key);
    let answer = request.body(std::fs::read(video)?).send()?;
    Ok((answer.status(), answer.json()?))
}

#[test]
fn any_host_tells_and_serves_a_job_that_another_has_run() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "2"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), "ok")?)?;
    await_completion(&cluster, &id)?;
    check_served_alike(&cluster, &id)?;
    for host in 0..cluster.size() {
        assert_eq!(ids(&cluster.host(host).jobs()?, |_| true), [id.clone()].into(), "{host}");
    }
    let cleanup = cluster.host(1).url(&format!("/api/cleanup/{id}"));
    cluster.host(1).client().delete(cleanup).send()?.error_for_status()?;
    for path in [format!("/api/status/{id}"), format!("/api/serve/{id}/pose_data.csv")] {
        for host in 0..cluster.size() {
            wait_until("the job is gone on all hosts", || {
                Ok(cluster.host(host).get(&path)?.status() == StatusCode::NOT_FOUND)
            })?;
        }
    }
    wait_until("nothing is left in the store", || Ok(cluster.store().names()?.is_empty()))?;
    cluster.stop()
}

#[test]
fn jobs_are_shared_between_hosts() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "1"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let submit =
        || cluster.host(0).submit(&fault_video(videos.path(), "progress:1 sleep:1000 ok")?);
    let jobs = (0..6).map(|_| submit()).collect::<Result<Vec<_>>>()?;
    let mut shares = [0; 2];
    for id in &jobs {
        await_completion(&cluster, id)?;
        let runs = [0, 1].map(|host| runs(&cluster, host, id));
        ensure!(runs.iter().sum::<usize>() == 1, "the hosts ran {id} {runs:?} times");
        shares = [shares[0] + runs[0], shares[1] + runs[1]];
    }
    ensure!(!shares.contains(&0), "the hosts ran {shares:?} jobs");
    cluster.stop()
}

#[test]
fn a_cancelled_job_stops_on_the_host_that_runs_it() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "2"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), "progress:1 silent")?)?;
    let runner = await_runner(&cluster, &id)?;
    let other = cluster.host(1 - runner);
    let answer = other.client().post(other.url(&format!("/api/cancel/{id}"))).send()?;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text()?);
    await_exit(&cluster, runner, &id, "cancelled")?;
    assert_eq!(await_end(&cluster, &id)?["status"], "cancelled");
    wait_until("nothing is left in the store", || Ok(cluster.store().names()?.is_empty()))?;
    cluster.stop()
}

#[test]
fn expired_jobs_are_removed_everywhere() -> Result<()> {
    let flags = ["--workers", "2", "--result-ttl-s", "4", "--pressure-ttl-s", "4"];
    let Some(cluster) = Cluster::start(2, &flags)? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), "ok")?)?;
    await_completion(&cluster, &id)?;
    check_served_alike(&cluster, &id)?;
    for host in 0..cluster.size() {
        let results = cluster.host(host).state_dir().join("results").join(&id);
        wait_until("the job expires on all hosts", || {
            let status = cluster.host(host).get(&format!("/api/status/{id}"))?.status();
            Ok(status == StatusCode::NOT_FOUND && !results.exists())
        })?;
    }
    wait_until("nothing is left in the store", || Ok(cluster.store().names()?.is_empty()))?;
    let states = cluster.query("SELECT state FROM bodyscript.jobs")?;
    assert_eq!(states.trim(), "removed", "kept for hosts that do not know of it yet");
    cluster.stop()
}

#[test]
fn the_same_idempotency_key_gives_the_same_job_on_every_host() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "2"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let video = fault_video(videos.path(), "ok")?;
    let answers = std::thread::scope(|scope| {
        let (cluster, video) = (&cluster, &video);
        let send = |n: usize| scope.spawn(move || put(cluster.host(n % 2), "same", video));
        let threads: Vec<_> = (0..8).map(send).collect();
        let answers = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        answers.collect::<Result<Vec<_>>>()
    })?;
    let mut accepted = BTreeSet::new();
    for (status, body) in answers {
        if status == StatusCode::ACCEPTED {
            accepted.insert(body["job_id"].as_str().context("an id")?.to_owned());
        } else {
            assert_eq!(body["code"], "idempotency_key_busy", "{body}");
        }
    }
    let id = accepted.pop_first().context("one is accepted")?;
    assert_eq!(accepted, BTreeSet::new(), "besides {id}");
    await_completion(&cluster, &id)?;
    let other = fault_video(videos.path(), "sleep:1 ok")?;
    for host in 0..cluster.size() {
        let (status, body) = put(cluster.host(host), "same", &video)?;
        assert_eq!(
            (status, &body["job_id"]),
            (StatusCode::ACCEPTED, &id.as_str().into()),
            "{body}"
        );
        let (status, problem) = put(cluster.host(host), "same", &other)?;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(problem["code"], "idempotency_key_reused");
        assert_eq!(cluster.host(host).operator_json("/api/jobs")?["total"], 1);
    }
    cluster.stop()
}

#[test]
fn content_that_crashes_workers_is_known_on_every_host() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "2"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let bad = fault_video(videos.path(), "segv")?;
    let crashed = await_end(&cluster, &cluster.host(0).submit(&bad)?)?;
    assert_eq!(crashed["error_code"], "worker_crashed", "{crashed}");
    assert_eq!(ends(&crashed), ["crash", "crash"]);
    for host in [1, 0] {
        let id = cluster.host(host).submit(&bad)?;
        let blocked = await_end(&cluster, &id)?;
        assert_eq!(
            (&blocked["status"], &blocked["error_code"]),
            (&"failed".into(), &"known_to_fail".into())
        );
        assert_eq!(ends(&blocked), Vec::<&str>::new());
        assert_eq!(
            [0, 1].map(|host| exits(&cluster, host, &id)),
            [const { Vec::<String>::new() }; 2]
        );
    }
    cluster.stop()
}
