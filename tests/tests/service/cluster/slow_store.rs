//! A store that answers late: nothing is lost, and nothing stays that was fetched for nobody.

use anyhow::{Context, Result};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{
    REFUSED, await_completion, await_end_on, await_runner, check_outage_survived, hosts_that_log,
};
use bodyscript_tests::ctl::ctl_json;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::traces::{fault_video, names};
use reqwest::StatusCode;
use serde_json::Value;
use std::time::Duration;

const FLAGS: [&str; 2] = ["--workers", "1"];

/// Longer than a host waits for an answer.
const LATE: Duration = Duration::from_secs(10);

#[test]
fn while_the_store_answers_late_uploads_are_refused_and_results_kept() -> Result<()> {
    let Some(cluster) = Cluster::of(2, &FLAGS).with_links().start()? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let video = fault_video(videos.path(), "progress:1 sleep:1000 ok")?;
    let id = cluster.host(0).submit(&video)?;
    let runner = await_runner(&cluster, &id)?;
    for host in 0..cluster.size() {
        cluster.store_link(host)?.delay(LATE);
    }
    cluster.host(runner).await_log("the results are kept until they can be shared")?;
    let refused = cluster.host(runner).upload(&fault_video(videos.path(), "ok")?, &[])?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>()?["code"], "store_unreachable");
    assert_eq!(cluster.host(runner).status(&id)?["status"], "processing");

    for host in 0..cluster.size() {
        cluster.store_link(host)?.delay(Duration::ZERO);
    }
    check_outage_survived(&cluster, runner, &id)?;
    cluster.stop()
}

/// Waits until a host processes a job, as the database has it.
fn await_start(cluster: &Cluster, id: &str) -> Result<()> {
    let state = format!("SELECT state FROM bodyscript.jobs WHERE id = '{id}'");
    wait_until("the job is started", || Ok(cluster.query(&state)? == "processing"))
}

#[test]
fn a_video_that_arrives_after_the_end_of_its_job_is_removed() -> Result<()> {
    let Some(cluster) = Cluster::of(2, &FLAGS).with_links().start()? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let [late, other] = [cluster.host(0), cluster.host(1)];
    ctl_json(&late.state_dir(), &["pause"])?;
    let busy = other.submit(&fault_video(videos.path(), "progress:1 silent")?)?;
    await_start(&cluster, &busy)?;
    let id = other.submit(&fault_video(videos.path(), "ok")?)?;
    let link = cluster.store_link(0)?;
    link.hold();
    let asked = link.forwarded();
    ctl_json(&late.state_dir(), &["resume"])?;
    await_start(&cluster, &id)?;
    wait_until("the video is asked for", || Ok(link.forwarded() > asked))?;

    // It waits for the video while the other host takes the job over and completes it.
    cluster.suspend(0)?;
    other.client().post(other.url(&format!("/api/cancel/{busy}"))).send()?.error_for_status()?;
    await_end_on(&cluster, 1, &id)?;
    cluster.resume(0)?;
    await_end_on(&cluster, 0, &id)?;
    link.release();
    wait_until("the late attempt is over", || {
        Ok(hosts_that_log(&cluster, REFUSED, &id).contains(&0))
    })?;
    wait_until("no video is left", || Ok(names(&late.state_dir(), "spool")?.is_empty()))
        .with_context(|| cluster.log(0))?;
    await_completion(&cluster, &id)?;
    cluster.stop()
}
