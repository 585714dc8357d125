//! Hosts behind a load balancer that sends each request to another one, with the example in `docs/proxies`.

use super::{await_completion, await_end_on, runs};
use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::{Cluster, STOP_DELAY};
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::proxies::{Proxy, Setup};
use bodyscript_tests::traces::fault_video;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use reqwest::blocking::Client;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const HOSTS: usize = 3;

/// Room for all jobs of the test.
const FLAGS: [&str; 6] =
    ["--workers", "2", "--queue-max", "1000", "--client-uploads-per-minute-max", "60000"];

/// Uploads a video and follows its job to the end; every request has to succeed.
fn run_one(client: &Client, proxy: &Proxy, videos: &Path) -> Result<String> {
    let video = fault_video(videos, "progress:1 sleep:300 ok")?;
    let request = client.put(proxy.url("/api/upload")).body(std::fs::read(video)?);
    let answer = request.send()?;
    let (status, body) = (answer.status(), answer.text()?);
    ensure!(status == StatusCode::ACCEPTED, "upload: {status}: {body}");
    let body: Value = serde_json::from_str(&body)?;
    let id = body["job_id"].as_str().context("an id")?.to_owned();
    let end = loop {
        let answer = client.get(proxy.url(&format!("/api/status/{id}"))).send()?;
        ensure!(
            answer.status() == StatusCode::OK,
            "status: {}: {}",
            answer.status(),
            answer.text()?
        );
        let status: Value = answer.json()?;
        if !status["completed_at"].is_null() {
            break status;
        }
    };
    ensure!(end["status"] == "completed", "{end}");
    let answer = client.get(proxy.url(&format!("/api/serve/{id}/pose_data.csv"))).send()?;
    ensure!(answer.status() == StatusCode::OK, "result: {}: {}", answer.status(), answer.text()?);
    Ok(id)
}

/// Restarts all hosts behind a load balancer while users upload and follow jobs; no request may fail.
fn restart_all(setup: Setup, stop_delay_s: &str) -> Result<()> {
    let flags = [&FLAGS[..], &[STOP_DELAY, stop_delay_s]].concat();
    let Some(mut cluster) = Cluster::start(HOSTS, &flags)? else { return Ok(()) };
    let urls: Vec<_> = (0..HOSTS).map(|host| cluster.host(host).url("")).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let Some(proxy) = Proxy::start_before(setup, &urls)? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let is_over = AtomicBool::new(false);
    let jobs = std::thread::scope(|scope| {
        let user = || {
            // A connection for each request, so that each goes to the next host.
            let client = Client::builder().pool_max_idle_per_host(0);
            let client = client.timeout(Duration::from_secs(60)).build()?;
            let mut jobs = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                jobs.push(run_one(&client, &proxy, videos.path())?);
            }
            Ok::<_, anyhow::Error>(jobs)
        };
        let users = [scope.spawn(user), scope.spawn(user)];
        let restarted = (0..HOSTS).try_for_each(|host| {
            cluster.end(host)?;
            cluster.start_again(host)
        });
        is_over.store(true, Ordering::Relaxed);
        let jobs = users.map(|user| user.join().expect("no panic"));
        restarted.map(|()| jobs)
    })?;
    for id in jobs.into_iter().collect::<Result<Vec<_>>>()?.concat() {
        await_completion(&cluster, &id)?;
    }
    cluster.stop()
}

#[test]
fn hosts_are_restarted_one_after_the_other_without_a_failed_request() -> Result<()> {
    restart_all(Setup::HaproxyHosts, "0")
}

#[test]
fn hosts_that_answer_until_they_are_sent_nothing_need_no_second_try() -> Result<()> {
    restart_all(Setup::HaproxyHostsOnce, "3")
}

#[test]
fn a_host_that_stops_accepts_jobs_for_others_until_it_is_sent_none() -> Result<()> {
    let flags = ["--workers", "1", STOP_DELAY, "3600"];
    let Some(mut cluster) = Cluster::start(2, &flags)? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let server = cluster.host(0);
    server.signal(Signal::SIGTERM)?;
    wait_until("the host is not ready", || {
        let ready = server.get("/readyz")?;
        let is_refused = ready.status() == StatusCode::SERVICE_UNAVAILABLE;
        Ok(is_refused && ready.json::<Value>()?["reason"] == "the service is stopping")
    })?;
    let id = server.submit(&fault_video(videos.path(), "ok")?)?;
    let status = await_end_on(&cluster, 1, &id)?;
    ensure!(ends(&status) == ["done"], "{status}");
    assert_eq!((runs(&cluster, 0, &id), runs(&cluster, 1, &id)), (0, 1));
    assert_eq!(await_end_on(&cluster, 0, &id)?["status"], "completed");
    // The second request ends it at once; the other host gets two when it is dropped.
    cluster.end(0)
}
