//! Hosts behind a load balancer that sends each request to another one, with the example in `docs/proxies`.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::balanced_users::Users;
use bodyscript_tests::cluster::checks::{await_completion, await_end_on, runs};
use bodyscript_tests::cluster::{Cluster, MANY_JOBS, STOP_DELAY};
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::proxies::{Proxy, Setup};
use bodyscript_tests::traces::fault_video;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::Value;

const HOSTS: usize = 3;

/// Restarts all hosts behind a load balancer while users upload and follow jobs; no request may fail.
fn restart_all(setup: Setup) -> Result<()> {
    let flags = [&MANY_JOBS[..], &[STOP_DELAY, "3"]].concat();
    let Some(mut cluster) = Cluster::start(HOSTS, &flags)? else { return Ok(()) };
    let urls: Vec<_> = (0..HOSTS).map(|host| cluster.host(host).url("")).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let Some(proxy) = Proxy::start_before(setup, &urls)? else { return Ok(()) };
    let jobs = Users { count: 2, jobs_min: 0 }.work_during(&proxy, |_| {
        (0..HOSTS).try_for_each(|host| {
            cluster.end(host)?;
            cluster.start_again(host)
        })
    });
    let jobs = jobs.with_context(|| cluster.logged_errors())?;
    for id in jobs {
        await_completion(&cluster, &id)?;
    }
    cluster.stop()
}

#[test]
fn hosts_are_restarted_one_after_the_other_without_a_failed_request() -> Result<()> {
    restart_all(Setup::HaproxyHosts)
}

#[test]
fn hosts_that_answer_until_they_are_sent_nothing_need_no_second_try() -> Result<()> {
    restart_all(Setup::HaproxyHostsOnce)
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
