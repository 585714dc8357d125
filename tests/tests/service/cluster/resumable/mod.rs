//! Resumable uploads whose requests come to different hosts, some of which are killed.

mod outages;

use crate::resumable::sha256;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{await_completion, check_served_alike};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::raw_tus::RawTus;
use bodyscript_tests::traces::names;
use reqwest::blocking::Response;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

const FLAGS: [&str; 2] = ["--workers", "2"];

/// No divisor of the size of a part, which a host commits while it receives more.
const CHUNK_BYTES: usize = (1 << 20) + 77;

/// A part that a host commits before the end of a request.
const PART_BYTES: usize = 4 << 20;

/// A video for the fault worker of this size.
fn video(bytes: usize) -> Vec<u8> {
    let noise = (0..u32::MAX).map(|n| (n.wrapping_mul(n) >> 9) as u8 | 0x80);
    b"FAULT ok\n".iter().copied().chain(noise).take(bytes).collect()
}

fn sha256_of(video: &[u8]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("video");
    std::fs::write(&path, video)?;
    sha256(&path)
}

/// Begins an upload on a host; gives its id.
fn begin(cluster: &Cluster, host: usize, bytes: usize) -> Result<String> {
    let url = RawTus::of(cluster.host(host)).begin(bytes as u64)?;
    Ok(url.rsplit('/').next().context("an id")?.to_owned())
}

fn url(cluster: &Cluster, host: usize, id: &str) -> String {
    cluster.host(host).url(&format!("/api/tus/{id}"))
}

/// Sends bytes from this offset on to a host.
fn add(
    cluster: &Cluster,
    host: usize,
    id: &str,
    (offset, bytes): (usize, &[u8]),
) -> Result<Response> {
    let tus = RawTus::of(cluster.host(host));
    tus.add(&url(cluster, host, id), offset as u64, bytes.to_vec())
}

fn head(cluster: &Cluster, host: usize, id: &str) -> Result<Response> {
    let tus = RawTus::of(cluster.host(host));
    Ok(tus.ask(Method::HEAD, &url(cluster, host, id), &[]).send()?)
}

fn delete(cluster: &Cluster, host: usize, id: &str) -> Result<StatusCode> {
    let tus = RawTus::of(cluster.host(host));
    Ok(tus.ask(Method::DELETE, &url(cluster, host, id), &[]).send()?.status())
}

/// The offset that these hosts tell, which must be the same.
fn offset(cluster: &Cluster, hosts: &[usize], id: &str) -> Result<usize> {
    let offset = |host: &usize| RawTus::of(cluster.host(*host)).offset(&url(cluster, *host, id));
    let offsets = hosts.iter().map(offset).collect::<Result<BTreeSet<_>>>()?;
    ensure!(offsets.len() == 1, "the hosts tell {offsets:?}");
    Ok(*offsets.first().context("a host")? as usize)
}

fn code(answer: Response) -> Result<Value> {
    Ok(answer.json::<Value>()?["code"].take())
}

fn job_of(answer: &Response) -> Result<String> {
    let headers = answer.headers();
    let job = headers.get("job-id").with_context(|| format!("{headers:?} name no job"))?;
    Ok(job.to_str()?.to_owned())
}

/// Sends half of a body to a host, and waits until the host works on it.
fn half_patch(cluster: &mut Cluster, host: usize, id: &str, bytes: &[u8]) -> Result<TcpStream> {
    let used = format!("SELECT used_at FROM bodyscript.uploads WHERE id = '{id}'");
    let before = cluster.database().query(&used)?;
    let tus = RawTus::of(cluster.host(host));
    let half = &bytes[..bytes.len() / 2];
    let stream = tus.half_patch(&url(cluster, host, id), (0, bytes.len()), half)?;
    let database = cluster.database();
    wait_until("the host works on the request", || Ok(database.query(&used)? != before))?;
    Ok(stream)
}

/// Sends the other half; gives the response.
fn finish(mut stream: TcpStream, bytes: &[u8]) -> Result<String> {
    // The host may have answered already, and closed the connection.
    let _ = stream.write_all(&bytes[bytes.len() / 2..]);
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn await_no_parts(cluster: &Cluster) -> Result<()> {
    wait_until("no part is left in the store", || {
        Ok(!cluster.store().names()?.iter().any(|name| name.starts_with("a/resumable/")))
    })
}

/// Waits until hosts have no file of an upload.
fn await_no_files(cluster: &Cluster, hosts: &[usize]) -> Result<()> {
    wait_until("no host has a file of an upload", || {
        let names = |host: &usize| names(&cluster.host(*host).state_dir(), "resumable");
        let left = hosts.iter().map(names).collect::<Result<Vec<_>>>()?;
        Ok(left.iter().all(BTreeSet::is_empty))
    })
}

#[test]
fn requests_of_an_upload_may_come_to_any_host_and_each_may_be_killed() -> Result<()> {
    let Some(mut cluster) = Cluster::start(3, &FLAGS)? else { return Ok(()) };
    let video = video(20 * CHUNK_BYTES + 5);
    let id = begin(&cluster, 0, video.len())?;
    let mut all = vec![0, 1, 2];
    for round in 0..15 {
        let sent = offset(&cluster, &all, &id)?;
        match round {
            // Killed between two requests, with bytes that only it has received.
            4 => {
                cluster.kill(0)?;
                cluster.start_again(0)?;
            }
            // Killed while it receives a body, of which one part counts.
            7 => {
                let announced = PART_BYTES + 2 * CHUNK_BYTES;
                let bytes = &video[sent..sent + PART_BYTES + CHUNK_BYTES];
                let (tus, url) = (RawTus::of(cluster.host(1)), url(&cluster, 1, &id));
                let _stream = tus.half_patch(&url, (sent as u64, announced), bytes)?;
                wait_until("a part counts", || Ok(offset(&cluster, &[0], &id)? > sent))?;
                cluster.kill(1)?;
                all = vec![0, 2];
                let committed = offset(&cluster, &all, &id)?;
                ensure!(committed >= sent + PART_BYTES, "{committed} bytes count after {sent}");
                continue;
            }
            11 => {
                cluster.start_again(1)?;
                all = vec![0, 1, 2];
            }
            _ => {}
        }
        let end = video.len().min(sent + CHUNK_BYTES);
        let host = all[round % all.len()];
        let answer = add(&cluster, host, &id, (sent, &video[sent..end]))?;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "round {round}: {}", answer.text()?);
    }
    let sent = offset(&cluster, &all, &id)?;
    let last = add(&cluster, 1, &id, (sent, &video[sent..]))?;
    assert_eq!(job_of(&last)?, id, "an upload and its job share their id");
    let status = await_completion(&cluster, &id)?;
    assert_eq!(status["sha256"], sha256_of(&video)?.as_str(), "{status}");
    check_served_alike(&cluster, &id)?;
    for host in all.clone() {
        assert_eq!(offset(&cluster, &[host], &id)?, video.len());
        assert_eq!(job_of(&head(&cluster, host, &id)?)?, id);
        assert_eq!(job_of(&add(&cluster, host, &id, (video.len(), &[]))?)?, id);
        let beyond = add(&cluster, host, &id, (video.len(), b"x"))?;
        assert_eq!(code(beyond)?, "upload_beyond_length");
        assert_eq!(cluster.host(host).operator_json("/api/jobs")?["total"], 1);
    }
    await_no_parts(&cluster)?;
    await_no_files(&cluster, &all)?;
    cluster.stop()
}

#[test]
fn an_upload_that_a_killed_host_has_completed_is_a_job() -> Result<()> {
    let Some(mut cluster) = Cluster::start(3, &FLAGS)? else { return Ok(()) };
    let video = video(2 * PART_BYTES);
    // Killed before it submits the job, before it notes that it has, and after its response.
    for failpoint in [Some("resumable_committed:3"), Some("resumable_submitted"), None] {
        cluster.kill(0)?;
        match failpoint {
            Some(failpoint) => cluster.start_again_until(0, failpoint)?,
            None => cluster.start_again(0)?,
        }
        let id = begin(&cluster, 0, video.len())?;
        let first = add(&cluster, 0, &id, (0, &video[..CHUNK_BYTES]))?;
        assert_eq!(first.status(), StatusCode::NO_CONTENT, "{}", first.text()?);
        let last = add(&cluster, 0, &id, (CHUNK_BYTES, &video[CHUNK_BYTES..]));
        assert_eq!(last.is_err(), failpoint.is_some(), "{failpoint:?}: {last:?}");
        cluster.kill(0)?;
        // Both others complete it, at the same time.
        let heads = std::thread::scope(|scope| {
            let threads = [1, 2].map(|host| {
                scope.spawn({
                    let (cluster, id) = (&cluster, &id);
                    move || head(cluster, host, id)
                })
            });
            threads.map(|thread| thread.join().expect("no panic"))
        });
        for head in heads {
            assert_eq!(job_of(&head?)?, id, "{failpoint:?}");
        }
        cluster.start_again(0)?;
        let status = await_completion(&cluster, &id)?;
        assert_eq!(status["sha256"], sha256_of(&video)?.as_str(), "{failpoint:?}: {status}");
        assert_eq!(job_of(&head(&cluster, 0, &id)?)?, id, "{failpoint:?}");
        let unnoted = "SELECT count(*) FROM bodyscript.uploads WHERE NOT submitted";
        let database = cluster.database();
        wait_until("it is noted", || Ok(database.query(unnoted)? == "0"))?;
        await_no_parts(&cluster)?;
    }
    await_no_files(&cluster, &[0, 1, 2])?;
    cluster.stop()
}

#[test]
fn of_two_hosts_that_append_at_once_one_is_refused() -> Result<()> {
    let Some(mut cluster) = Cluster::start(2, &FLAGS)? else { return Ok(()) };
    let video = video(CHUNK_BYTES);
    let other = vec![b'x'; video.len() - 9];
    let id = begin(&cluster, 0, video.len())?;
    let stream = half_patch(&mut cluster, 0, &id, &other)?;
    cluster.suspend(0)?;
    let faster = add(&cluster, 1, &id, (0, &video[..999]))?;
    assert_eq!(faster.status(), StatusCode::NO_CONTENT, "{}", faster.text()?);
    cluster.resume(0)?;
    let answer = finish(stream, &other)?;
    let is_refused = ["HTTP/1.1 409", "HTTP/1.1 423"].iter().any(|code| answer.starts_with(code));
    assert!(is_refused, "{answer}");
    assert_eq!(offset(&cluster, &[0, 1], &id)?, 999);
    assert_eq!(cluster.store().names()?.len(), 1, "the refused part is removed");
    // The refused bytes are on the disk of the host that completes the upload.
    let last = add(&cluster, 0, &id, (999, &video[999..]))?;
    assert_eq!(job_of(&last)?, id);
    let status = await_completion(&cluster, &id)?;
    assert_eq!(status["sha256"], sha256_of(&video)?.as_str(), "{status}");
    cluster.stop()
}

#[test]
fn an_upload_is_removed_on_any_host_for_all() -> Result<()> {
    let Some(mut cluster) = Cluster::start(2, &FLAGS)? else { return Ok(()) };
    let bytes = video(CHUNK_BYTES);
    let id = begin(&cluster, 0, 3 * bytes.len())?;
    for (round, host) in [0, 1, 0].into_iter().enumerate() {
        let part = (round * bytes.len(), &bytes[..bytes.len() - usize::from(round == 2)]);
        assert_eq!(add(&cluster, host, &id, part)?.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(cluster.store().names()?.len(), 3);
    assert_eq!(delete(&cluster, 1, &id)?, StatusCode::NO_CONTENT);
    for host in [0, 1] {
        assert_eq!(head(&cluster, host, &id)?.status(), StatusCode::NOT_FOUND);
        assert_eq!(delete(&cluster, host, &id)?, StatusCode::NOT_FOUND);
    }
    assert_eq!(cluster.store().names()?, Vec::<String>::new());

    let id = begin(&cluster, 1, 2 * bytes.len())?;
    let stream = half_patch(&mut cluster, 0, &id, &bytes)?;
    assert_eq!(delete(&cluster, 1, &id)?, StatusCode::NO_CONTENT);
    let answer = finish(stream, &bytes)?;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(cluster.store().names()?, Vec::<String>::new());
    await_no_files(&cluster, &[0, 1])?;

    // Also the job that it has become.
    let id = begin(&cluster, 0, bytes.len())?;
    assert_eq!(job_of(&add(&cluster, 0, &id, (0, &bytes))?)?, id);
    await_completion(&cluster, &id)?;
    assert_eq!(delete(&cluster, 1, &id)?, StatusCode::NO_CONTENT);
    for host in [0, 1] {
        assert_eq!(head(&cluster, host, &id)?.status(), StatusCode::NOT_FOUND);
        wait_until("the job is gone", || {
            let status = cluster.host(host).get(&format!("/api/status/{id}"))?;
            Ok(status.status() == StatusCode::NOT_FOUND)
        })?;
    }
    wait_until("nothing is left in the store", || Ok(cluster.store().names()?.is_empty()))?;
    cluster.stop()
}

#[test]
fn uploads_are_counted_over_all_hosts() -> Result<()> {
    let flags = [&FLAGS[..], &["--resumable-uploads-max", "2"]].concat();
    let Some(mut cluster) = Cluster::start(2, &flags)? else { return Ok(()) };
    let kept_bytes = video((1 << 20) + 1);
    let kept = begin(&cluster, 0, kept_bytes.len() + 1)?;
    let answer = add(&cluster, 0, &kept, (0, &kept_bytes))?;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{}", answer.text()?);
    let empty = begin(&cluster, 1, 9)?;
    let create = |cluster: &Cluster, host| {
        RawTus::of(cluster.host(host)).try_begin(&[("upload-length", "9")])
    };
    for host in [0, 1] {
        assert_eq!(code(create(&cluster, host)?)?, "too_many_resumable", "host {host}");
    }
    assert_eq!(delete(&cluster, 0, &empty)?, StatusCode::NO_CONTENT);
    let empty = begin(&cluster, 1, 9)?;
    wait_until("an upload without bytes gives way", || {
        Ok(create(&cluster, 0)?.status() == StatusCode::CREATED)
    })?;
    for host in [0, 1] {
        assert_eq!(head(&cluster, host, &empty)?.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(offset(&cluster, &[0, 1], &kept)?, kept_bytes.len());

    // One that has expired is removed by any host, and one that is a job counts no more.
    let expired = "UPDATE bodyscript.uploads SET created_at = '2000-01-01', used_at = '2000-01-01'";
    cluster.database().query(&format!("{expired} WHERE id = '{kept}'"))?;
    assert_eq!(head(&cluster, 1, &kept)?.status(), StatusCode::NOT_FOUND);
    let (database, id) = (cluster.database(), &kept);
    let rows = format!("SELECT count(*) FROM bodyscript.uploads WHERE id = '{id}'");
    wait_until("it is removed", || Ok(database.query(&rows)? == "0"))?;
    wait_until("nothing is left in the store", || Ok(cluster.store().names()?.is_empty()))?;
    let bytes = video(99);
    let id = begin(&cluster, 1, bytes.len())?;
    assert_eq!(job_of(&add(&cluster, 0, &id, (0, &bytes))?)?, id);
    begin(&cluster, 1, 9)?;
    await_completion(&cluster, &id)?;
    cluster.stop()
}
