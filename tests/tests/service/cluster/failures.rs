//! A host or the database fails while a job runs: the job is completed once, by a host that may.

use anyhow::{Result, ensure};
use bodyscript_tests::cluster::checks::{
    REFUSED, TAKEOVER, await_completion, await_end_on, await_exit, await_ready, await_runner,
    check_outage_survived, check_served_alike, claims, hosts_that_log, runs,
};
use bodyscript_tests::cluster::{Cluster, LEASE};
use bodyscript_tests::ctl::ctl_json;
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::traces::fault_video;
use reqwest::StatusCode;
use serde_json::Value;

const FLAGS: [&str; 2] = ["--workers", "2"];

#[test]
fn a_killed_host_loses_no_job() -> Result<()> {
    let Some(mut cluster) = Cluster::start(2, &FLAGS)? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let video = fault_video(videos.path(), "progress:1 sleep:5000 ok")?;
    let id = cluster.host(0).submit(&video)?;
    let runner = await_runner(&cluster, &id)?;
    cluster.kill(runner)?;
    let other = 1 - runner;
    let status = await_end_on(&cluster, other, &id)?;
    ensure!(status["status"] == "completed", "{status}; {}", cluster.log(other));
    assert_eq!(ends(&status), ["done"], "an attempt that its host ended is not counted");
    assert_eq!(hosts_that_log(&cluster, TAKEOVER, &id), [other], "{}", cluster.log(other));

    cluster.start_again(runner)?;
    assert_eq!(await_completion(&cluster, &id)?, status);
    check_served_alike(&cluster, &id)?;
    assert_eq!((runs(&cluster, runner, &id), runs(&cluster, other, &id)), (0, 1));
    cluster.stop()
}

#[test]
fn a_suspended_host_publishes_nothing_late() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &FLAGS)? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let video = fault_video(videos.path(), "progress:1 sleep:3000 ok")?;
    let id = cluster.host(0).submit(&video)?;
    let runner = await_runner(&cluster, &id)?;
    // Its worker ends meanwhile, and has its results ready when the host continues.
    cluster.suspend(runner)?;
    let status = await_end_on(&cluster, 1 - runner, &id)?;
    cluster.resume(runner)?;
    ensure!(status["status"] == "completed", "{status}");
    wait_until("the late publication is refused", || {
        Ok(hosts_that_log(&cluster, REFUSED, &id) == [runner])
    })?;
    assert_eq!(await_completion(&cluster, &id)?, status);
    check_served_alike(&cluster, &id)?;
    wait_until("the store has the results of one claim", || {
        Ok(claims(&cluster.store().names()?, &id).len() == 1)
    })?;
    cluster.stop()
}

#[test]
fn a_start_that_was_never_confirmed_takes_no_results_of_another_host() -> Result<()> {
    let hosts = Cluster::of(2, &["--workers", "1"]).with_links();
    let Some(cluster) = hosts.start()? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let [cut, other] = [cluster.host(0), cluster.host(1)];
    ctl_json(&other.state_dir(), &["pause"])?;
    let first = cut.submit(&fault_video(videos.path(), "progress:1 sleep:500 ok")?)?;
    ensure!(await_runner(&cluster, &first)? == 0);
    let id = cut.submit(&fault_video(videos.path(), "ok")?)?;
    cluster.database_link(0)?.hold();
    // Both start it as the first claim; the journal has the start of one of them.
    ctl_json(&other.state_dir(), &["resume"])?;
    wait_until("both hosts start the job", || {
        Ok(hosts_that_log(&cluster, " started ", &id) == [0, 1])
    })?;
    await_end_on(&cluster, 1, &id)?;
    cluster.database_link(0)?.release();
    wait_until("the late start is refused", || {
        Ok(hosts_that_log(&cluster, "is refused", &id).contains(&0))
    })?;
    await_completion(&cluster, &first)?;
    await_completion(&cluster, &id)?;
    check_served_alike(&cluster, &id)?;
    cluster.stop()
}

#[test]
fn a_database_that_takes_connections_and_answers_nothing_holds_no_request() -> Result<()> {
    let Some(mut cluster) = Cluster::start(1, &FLAGS)? else { return Ok(()) };
    cluster.database().suspend()?;
    wait_until("the host is not ready", || {
        Ok(cluster.host(0).get("/readyz")?.status() == StatusCode::SERVICE_UNAVAILABLE)
    })?;
    // The journal is asked for it, and cannot be until the end of the suspension.
    let unknown = cluster.host(0).get(&format!("/api/status/{}", "0".repeat(32)))?;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    cluster.database().resume()?;
    await_ready(cluster.host(0))?;
    cluster.stop()
}

#[test]
fn an_outage_of_the_database_kills_no_attempt() -> Result<()> {
    let Some(mut cluster) = Cluster::start(2, &FLAGS)? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    // It ends during the outage, which lasts longer than a lease.
    let words = format!("progress:1 sleep:{} ok", 2 * LEASE.as_millis());
    let ended = cluster.host(0).submit(&fault_video(videos.path(), "ok")?)?;
    await_completion(&cluster, &ended)?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), &words)?)?;
    let runner = await_runner(&cluster, &id)?;
    cluster.database().stop()?;
    let server = cluster.host(0);
    let cleanup = server.url(&format!("/api/cleanup/{ended}"));
    let refused = server.client().delete(cleanup).send()?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.json::<Value>()?["code"], "journal_unreachable");
    for host in 0..cluster.size() {
        let refused = cluster.host(host).upload(&fault_video(videos.path(), "ok")?, &[])?;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(refused.json::<Value>()?["code"], "journal_unreachable");
        wait_until("the host is not ready", || {
            let ready = cluster.host(host).get("/readyz")?;
            Ok(ready.status() == StatusCode::SERVICE_UNAVAILABLE)
        })?;
    }
    await_exit(&cluster, runner, &id, "done")?;

    cluster.database().start_again()?;
    check_outage_survived(&cluster, runner, &id)?;
    cluster.stop()
}
