//! Failed jobs are retried on any host while the store has their video, and no host removes one that another has queued
//! again.

use super::await_end;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::{Cluster, STOP_DELAY};
use bodyscript_tests::ctl::{ctl, ctl_json};
use bodyscript_tests::database::Database;
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use std::path::Path;

/// Waits until each of these hosts tells that a job has failed after this many attempts.
fn await_failures(servers: &[&TestServer], id: &str, attempts: usize) -> Result<()> {
    wait_until("all hosts know of the last attempt", || {
        for server in servers {
            let status = server.status(id)?;
            if status["status"] != "failed" || ends(&status) != vec!["bad_input"; attempts] {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

fn retry(server: &TestServer, id: &str) -> Result<()> {
    let retried = ctl_json(&server.state_dir(), &["retry", id])?;
    ensure!(retried["status"] == "pending", "{retried}");
    Ok(())
}

/// How many videos are in the store.
fn videos_kept(cluster: &Cluster) -> Result<usize> {
    let names = cluster.store().names()?;
    Ok(names.iter().filter(|name| name.starts_with("a/uploads/")).count())
}

#[test]
fn a_failed_job_is_retried_by_any_host() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "1"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), "bad-input")?)?;
    let hosts = [cluster.host(0), cluster.host(1)];
    await_failures(&hosts, &id, 1)?;
    for (host, attempts) in [(1, 2), (0, 3)] {
        retry(hosts[host], &id)?;
        await_failures(&hosts, &id, attempts)?;
        assert_eq!(videos_kept(&cluster)?, 1);
    }
    cluster.stop()
}

#[test]
fn of_more_failed_jobs_than_may_wait_the_first_loses_its_video_on_all_hosts() -> Result<()> {
    let flags = ["--workers", "1", "--queue-max", "1"];
    let Some(cluster) = Cluster::start(2, &flags)? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let submit = || {
        let id = cluster.host(0).submit(&fault_video(videos.path(), "bad-input")?)?;
        await_end(&cluster, &id)?;
        Ok::<_, anyhow::Error>(id)
    };
    let (first, second) = (submit()?, submit()?);
    wait_until("one video is left", || Ok(videos_kept(&cluster)? == 1))?;
    for host in 0..cluster.size() {
        wait_until("the video is known to be gone", || {
            let output = ctl(&cluster.host(host).state_dir(), &["retry", &first]).output()?;
            Ok(String::from_utf8(output.stderr)?.contains("no longer exists"))
        })?;
    }
    retry(cluster.host(1), &second)?;
    await_failures(&[cluster.host(0), cluster.host(1)], &second, 2)?;
    await_failures(&[cluster.host(0), cluster.host(1)], &first, 1)?;
    cluster.stop()
}

/// A host that reads what others have changed this often, whose jobs expire soon.
fn start(database: &Database, store: &Path, poll_ms: &str) -> Result<TestServer> {
    let store = format!("file://{}", store.display());
    let own = ["--workers", "1", "--artefacts-url", &store, STOP_DELAY, "0", "--lease-s", "40"];
    let expiry = ["--result-ttl-s", "6", "--pressure-ttl-s", "6", "--journal-poll-ms", poll_ms];
    let flags = [database.flags(), fault_worker()?.to_vec()].concat();
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(own).chain(expiry).collect();
    TestServer::start(&flags)
}

#[test]
fn a_host_removes_no_job_that_another_has_queued_again() -> Result<()> {
    let Some(database) = Database::start()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let host = start(&database, folder.path(), "100")?;
    let id = host.submit(&fault_video(folder.path(), "bad-input")?)?;
    await_failures(&[&host], &id, 1)?;
    // It learns of the job because it is asked for it, and of nothing else before the job expires.
    let late = start(&database, folder.path(), "10000")?;
    await_failures(&[&late], &id, 1)?;
    // The only worker of the other host is busy, so the job waits there.
    let busy = host.submit(&fault_video(folder.path(), "progress:1 sleep:600000 ok")?)?;
    host.await_status(&busy, |status| status["current_frame"] == 1)?;
    retry(&host, &id)?;
    await_failures(&[&host], &id, 2).context("it was removed")?;
    let cancel = host.url(&format!("/api/cancel/{busy}"));
    host.client().post(cancel).send()?.error_for_status()?;
    host.stop()?;
    late.stop().map(drop)
}
