//! What hosts tell without being asked: events of jobs, and webhooks.

use crate::events::{listen, next};
use crate::poses;
use crate::webhooks;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{await_completion, await_runner};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::traces::fault_video;
use std::collections::BTreeSet;
use std::io::BufReader;
use std::net::TcpListener;

/// Frames far enough apart that hosts tell each other of some.
const SLOW: &str =
    "progress:1 sleep:1500 progress:1 sleep:1500 progress:1 sleep:1500 progress:1 sleep:1500 ok";

#[test]
fn events_that_move_from_host_to_host_are_told_once_and_in_order() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "1"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), SLOW)?)?;
    let runner = await_runner(&cluster, &id)?;
    let (mut told, mut last, mut host) = (Vec::new(), None::<String>, runner);
    let mut elsewhere = BTreeSet::new();
    // One event from each host by turns, as from behind a load balancer.
    loop {
        let stream = listen(cluster.host(host), &id, last.as_deref())?;
        let Some(event) = next(&mut BufReader::new(stream))? else { break };
        if host != runner {
            elsewhere.insert(event.status["current_frame"].as_u64().context("a number")?);
        }
        last = Some(event.id.clone());
        told.push(event);
        host = 1 - host;
    }
    let ids: BTreeSet<_> = told.iter().map(|event| &event.id).collect();
    ensure!(ids.len() == told.len(), "an event was told twice");
    let frames = told.iter().map(|event| event.status["current_frame"].as_u64());
    ensure!(frames.is_sorted(), "an earlier state was told later");
    let end = told.last().context("events")?;
    assert_eq!(end.status["status"], "completed");
    ensure!(elsewhere.iter().any(|frame| (1..=4).contains(frame)), "only the end: {elsewhere:?}");
    await_completion(&cluster, &id)?;
    cluster.stop()
}

#[test]
fn poses_are_told_by_any_host_each_once_while_another_finds_them() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "1"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), "progress:3 silent")?)?;
    let runner = await_runner(&cluster, &id)?;
    let (here, elsewhere) = (cluster.host(runner), cluster.host(1 - runner));
    // One pose from each host by turns; the job ends only when it is cancelled.
    let mut last = None::<String>;
    for (host, expected) in [(elsewhere, "1-1"), (here, "1-2"), (elsewhere, "1-3")] {
        let mut lines = BufReader::new(poses::follow(host, &id, last.as_deref())?);
        let message = poses::next(&mut lines)?.context("a pose")?;
        assert_eq!(message["id"], expected);
        last = Some(expected.to_owned());
    }
    let rest = poses::follow(elsewhere, &id, last.as_deref())?;
    poses::cancel(elsewhere, &id)?;
    assert_eq!(poses::ids(&poses::all(rest)?), ["1-3-end"]);

    let id = here.submit(&fault_video(videos.path(), "progress:2 ok")?)?;
    for host in [here, elsewhere] {
        let told = poses::all(poses::follow(host, &id, None)?)?;
        assert_eq!(poses::ids(&told), ["1-1", "1-2", "1-3", "1-4", "1-5", "1-5-end"]);
    }
    await_completion(&cluster, &id)?;
    cluster.stop()
}

#[test]
fn the_webhook_of_a_killed_host_is_sent_by_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Without those of the fault worker, which a cluster has.
    let flags = webhooks::flags(&folder)?.split_off(2);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let Some(mut cluster) = Cluster::start(2, &flags)? else { return Ok(()) };
    let (listener, url): (TcpListener, String) = webhooks::listen()?;
    let words = "progress:1 sleep:2000 ok";
    let id = webhooks::submit(cluster.host(0), &folder, words, &url)?;
    cluster.kill(0)?;
    let webhook = webhooks::receive(&listener, "204 No Content")?;
    ensure!(webhook.is_signed()?, "not signed");
    let document = webhook.json()?;
    assert_eq!(document["data"]["job_id"], id.as_str());
    assert_eq!(document["type"], "job.completed");
    cluster.start_again(0)?;
    wait_until("no webhook is left", || {
        Ok(cluster.query("SELECT count(*) FROM bodyscript.webhooks")?.trim() == "0")
    })?;
    await_completion(&cluster, &id)?;
    cluster.stop()
}
