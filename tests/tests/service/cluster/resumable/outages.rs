//! The database, the store or the disk of a host fails while an upload comes to several hosts.

use super::{
    CHUNK_BYTES, FLAGS, add, await_no_files, await_no_parts, begin, code, head, job_of, offset,
    sha256_of, video,
};
use anyhow::{Context, Result};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::await_completion;
use bodyscript_tests::polling::wait_until;
use nix::sys::signal::Signal;
use reqwest::StatusCode;

#[test]
fn an_outage_of_the_database_or_the_store_refuses_bytes_and_loses_none() -> Result<()> {
    let Some(mut cluster) = Cluster::start(2, &FLAGS)? else { return Ok(()) };
    let video = video(3 * CHUNK_BYTES);
    let id = begin(&cluster, 0, video.len())?;
    let chunk = |n: usize| (n * CHUNK_BYTES, &video[n * CHUNK_BYTES..(n + 1) * CHUNK_BYTES]);
    let accepted = |cluster: &Cluster, host, n| {
        let answer = add(cluster, host, &id, chunk(n))?;
        Ok::<_, anyhow::Error>(answer.status() == StatusCode::NO_CONTENT)
    };
    assert!(accepted(&cluster, 0, 0)?);
    cluster.database().stop()?;
    for host in [0, 1] {
        let refused = add(&cluster, host, &id, chunk(1))?;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(code(refused)?, "journal_unreachable", "host {host}");
        assert_eq!(head(&cluster, host, &id)?.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    cluster.database().start_again()?;
    wait_until("bytes are accepted again", || accepted(&cluster, 1, 1))?;

    cluster.store().suspend()?;
    let refused = add(&cluster, 0, &id, chunk(2))?;
    assert_eq!(code(refused)?, "store_unreachable");
    assert_eq!(offset(&cluster, &[0, 1], &id)?, 2 * CHUNK_BYTES);
    cluster.store().resume()?;
    wait_until("bytes are accepted again", || accepted(&cluster, 0, 2))?;
    assert_eq!(job_of(&head(&cluster, 1, &id)?)?, id);
    let status = await_completion(&cluster, &id)?;
    assert_eq!(status["sha256"], sha256_of(&video)?.as_str(), "{status}");
    cluster.stop()
}

#[test]
fn a_submission_that_the_database_did_not_answer_is_not_taken_back() -> Result<()> {
    let Some(mut cluster) = Cluster::start(2, &FLAGS)? else { return Ok(()) };
    let video = video(2 * CHUNK_BYTES);
    let id = begin(&cluster, 0, video.len())?;
    // The job is written, but later than anybody waits.
    cluster.database().query(
        "CREATE FUNCTION bodyscript.delay() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_sleep(8); RETURN NULL; END';
         CREATE TRIGGER delay AFTER INSERT ON bodyscript.jobs
             FOR EACH ROW EXECUTE FUNCTION bodyscript.delay()",
    )?;
    let refused = add(&cluster, 0, &id, (0, &video))?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(refused)?, "journal_unreachable");
    // Waits for it.
    cluster.database().query("DROP TRIGGER delay ON bodyscript.jobs")?;
    assert_eq!(job_of(&head(&cluster, 1, &id)?)?, id);
    let status = await_completion(&cluster, &id)?;
    assert_eq!(status["sha256"], sha256_of(&video)?.as_str(), "{status}");
    await_no_parts(&cluster)?;
    await_no_files(&cluster, &[0, 1])?;
    cluster.stop()
}

#[test]
fn a_host_without_disk_space_drops_bytes_that_are_in_the_store() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.toml");
    let configure = |disk_free_bytes_min: u64| {
        std::fs::write(&config, format!("disk_free_bytes_min = {disk_free_bytes_min}\n"))
    };
    configure(0)?;
    let flags = [&FLAGS[..], &["--config", config.to_str().context("a path")?]].concat();
    let Some(cluster) = Cluster::start(2, &flags)? else { return Ok(()) };
    let video = video(3 * CHUNK_BYTES);
    let id = begin(&cluster, 0, video.len())?;
    for n in 0..2 {
        let chunk = (n * CHUNK_BYTES, &video[n * CHUNK_BYTES..(n + 1) * CHUNK_BYTES]);
        assert_eq!(add(&cluster, n, &id, chunk)?.status(), StatusCode::NO_CONTENT);
    }
    configure(u64::MAX / 4)?;
    cluster.host(0).signal(Signal::SIGHUP)?;
    await_no_files(&cluster, &[0])?;
    assert_eq!(offset(&cluster, &[0, 1], &id)?, 2 * CHUNK_BYTES);
    configure(0)?;
    cluster.host(0).signal(Signal::SIGHUP)?;
    let ready = || Ok(cluster.host(0).get("/readyz")?.status().is_success());
    wait_until("the host accepts uploads", ready)?;
    let last = add(&cluster, 0, &id, (2 * CHUNK_BYTES, &video[2 * CHUNK_BYTES..]))?;
    assert_eq!(job_of(&last)?, id);
    let status = await_completion(&cluster, &id)?;
    assert_eq!(status["sha256"], sha256_of(&video)?.as_str(), "{status}");
    cluster.stop()
}

#[test]
fn an_upload_whose_parts_are_no_longer_listed_becomes_no_job() -> Result<()> {
    let Some(mut cluster) = Cluster::start(2, &FLAGS)? else { return Ok(()) };
    let video = video(2 * CHUNK_BYTES);
    let (first, last) = video.split_at(CHUNK_BYTES);
    let id = begin(&cluster, 0, video.len())?;
    assert_eq!(add(&cluster, 0, &id, (0, first))?.status(), StatusCode::NO_CONTENT);
    // As another host does once it has submitted the job.
    cluster.database().query("DELETE FROM bodyscript.upload_parts")?;
    for host in [1, 0] {
        let answer = add(&cluster, host, &id, (CHUNK_BYTES, last))?;
        assert_eq!(code(answer)?, "upload_not_found", "host {host}");
        assert_eq!(cluster.host(host).operator_json("/api/jobs")?["total"], 0);
        cluster
            .database()
            .query(&format!("UPDATE bodyscript.uploads SET committed = {CHUNK_BYTES}"))?;
        cluster.database().query("DELETE FROM bodyscript.upload_parts")?;
    }
    cluster.stop()
}
