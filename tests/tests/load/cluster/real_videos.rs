//! Real videos on hosts of which some are killed: the results are those of a host alone, byte for byte.

use crate::run_exclusively;
use anyhow::{Result, ensure};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::formats::Formats;
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{TAKEOVER, await_end, busiest, lines_with};
use bodyscript_tests::fixture::{Clip, MATRIX};
use bodyscript_tests::polling::{ids, wait_until};
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

const VIDEOS: usize = 30;

const KILLS: usize = 5;

/// One attempt of a job may use as many threads as another.
const FLAGS: [&str; 4] = ["--workers", "1", "--queue-max", "100"];

/// The recording of the demo, and rendered people in different sizes, lengths, codecs and containers.
fn videos(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut videos = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/walking.mp4")];
    for (n, (container, codec, extension)) in MATRIX.iter().cycle().take(VIDEOS - 1).enumerate() {
        let path = folder.join(format!("{n}.{extension}"));
        let size = [(320, 240), (240, 320), (480, 270)][n % 3];
        Clip::new()
            .size(size.0, size.1)
            .frames(30 + 3 * n as u32)
            .yaw(0.1 * n as f32)
            .container(*container)
            .codec(*codec)
            .encode(&path)?;
        videos.push(path);
    }
    Ok(videos)
}

/// The results of a job by their names, without the id of the job.
type Results = BTreeMap<&'static str, Vec<u8>>;

fn results(server: &TestServer, id: &str) -> Result<Results> {
    let fetch = |artefact: Artefact| {
        let name = artefact.file_name();
        let answer = server.get(&format!("/api/serve/{id}/{name}"))?.error_for_status()?;
        Ok((name, without(&answer.bytes()?, id.as_bytes())))
    };
    Formats::DEFAULT.iter().map(fetch).collect()
}

/// Bytes without these, wherever they occur.
fn without(bytes: &[u8], removed: &[u8]) -> Vec<u8> {
    let (mut kept, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some((first, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(removed) {
            rest = tail;
        } else {
            kept.push(*first);
            rest = tail;
        }
    }
    kept
}

fn results_of_a_host_alone(videos: &[PathBuf]) -> Result<Vec<Results>> {
    let server = TestServer::start(&FLAGS)?;
    let submit = |video: &PathBuf| server.submit(video);
    let jobs = videos.iter().map(submit).collect::<Result<Vec<_>>>()?;
    let all = jobs.iter().map(|id| {
        let status = server.await_end(id)?;
        ensure!(status["status"] == "completed", "{status}");
        results(&server, id)
    });
    let all = all.collect::<Result<_>>()?;
    server.stop()?;
    Ok(all)
}

/// Kills a host that runs a job, each time after some more have been completed.
fn kill_hosts(cluster: &mut Cluster) -> Result<()> {
    for kill in 0..KILLS {
        wait_until("more jobs are completed", || {
            let completed = ids(&cluster.host(0).jobs()?, |job| job["status"] == "completed");
            Ok(completed.len() >= kill * VIDEOS / KILLS)
        })?;
        let host = busiest(cluster);
        cluster.kill(host)?;
        cluster.start_again(host)?;
    }
    Ok(())
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn results_of_hosts_that_are_killed_are_those_of_a_host_alone() -> Result<()> {
    let _exclusive = run_exclusively();
    let folder = tempfile::tempdir()?;
    let (videos, begun) = (videos(folder.path())?, Instant::now());
    let Some(mut cluster) = Cluster::of(3, &FLAGS).with_real_workers().start()? else {
        return Ok(());
    };
    let expected = results_of_a_host_alone(&videos)?;
    let submit = |(n, video): (usize, &PathBuf)| cluster.host(n % 3).submit(video);
    let jobs = videos.iter().enumerate().map(submit).collect::<Result<Vec<_>>>()?;
    kill_hosts(&mut cluster)?;
    for ((id, expected), video) in jobs.iter().zip(&expected).zip(&videos) {
        let status = await_end(&cluster, id)?;
        ensure!(status["status"] == "completed", "{status}");
        for host in 0..cluster.size() {
            let served = results(cluster.host(host), id)?;
            let differ: Vec<_> =
                expected.iter().filter(|(name, bytes)| served.get(*name) != Some(bytes)).collect();
            let names: Vec<_> = differ.iter().map(|(name, _)| name).collect();
            ensure!(names.is_empty(), "{names:?} of {} differ on host {host}", video.display());
        }
    }
    let takeovers = lines_with(&cluster, TAKEOVER);
    cluster.stop()?;
    report::print_line(&format!(
        "{} videos on 3 hosts with {KILLS} kills, {takeovers} jobs taken over: {} results each, the bytes of a host \
         alone; {} s",
        videos.len(),
        expected[0].len(),
        begun.elapsed().as_secs()
    ));
    Ok(())
}
