//! What a client that follows the poses of a job and a clean copy of the video cost, and when the first pose comes.

use crate::clips::{SIZES, sized};
use crate::figures::{CPU_MS, WALL_MS};
use crate::names::{
    CLEAN, FIRST_POSE, FOLLOWED, NEW, NOT_FOLLOWED, POSES, WITH_CLEAN, WITHOUT_CLEAN,
};
use crate::requests::{finish, start};
use crate::rounds::{Bench, Contender, Values};
use crate::selection::Group;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::server::TestServer;
use procfs::process::Process;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

const GROUP: Group = Group::Costs;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let video = sized(SIZES[1])?;
    let server = TestServer::start(&["--workers", "1", "--standby", "0"])?;
    let contenders = vec![
        Contender::new(NOT_FOLLOWED, || work(&server, &video, &[])),
        Contender::new(FOLLOWED, || followed(&server, &video)),
    ];
    bench.alternate((GROUP, POSES), bench.rounds, contenders);
    bench.compare(GROUP, POSES, [FOLLOWED, NOT_FOLLOWED], &[CPU_MS, WALL_MS]);
    let contenders = vec![
        Contender::new(WITHOUT_CLEAN, || work(&server, &video, &[])),
        Contender::new(WITH_CLEAN, || work(&server, &video, &[("formats", "default,clean")])),
    ];
    bench.alternate((GROUP, CLEAN), bench.rounds, contenders);
    bench.compare(GROUP, CLEAN, [WITH_CLEAN, WITHOUT_CLEAN], &[CPU_MS, WALL_MS]);
    let contenders = vec![Contender::new(NEW, || first_pose(&server, &video))];
    bench.alternate((GROUP, FIRST_POSE), bench.rounds, contenders);
    server.stop().map(drop)
}

/// The cost of a job with these options.
fn work(server: &TestServer, video: &Path, options: &[(&str, &str)]) -> Result<Values> {
    let used = cpu_ms(server)?;
    values(server, used, &finish(server, video, options)?)
}

/// The cost of a job whose poses a client reads to the end.
fn followed(server: &TestServer, video: &Path) -> Result<Values> {
    let used = cpu_ms(server)?;
    let id = start(server, video, &[])?;
    let messages = poses(server, &id)?.collect::<Result<Vec<_>>>()?;
    let status = server.await_end(&id)?;
    ensure!(status["status"] == "completed" && messages.len() > 1, "{status}");
    values(server, used, &status)
}

fn values(server: &TestServer, used: f64, status: &Value) -> Result<Values> {
    let wall = status["attempts"][0]["wall_ms"].as_f64().context("a time")?;
    Ok(vec![(WALL_MS, wall), (CPU_MS, cpu_ms(server)? - used)])
}

/// Time of processors that the service and its workers that have exited took.
fn cpu_ms(server: &TestServer) -> Result<f64> {
    let stat = Process::new(server.pid())?.stat()?;
    let exited = u64::try_from(stat.cutime + stat.cstime)?;
    let ticks = stat.utime + stat.stime + exited;
    Ok(ticks as f64 * 1e3 / procfs::ticks_per_second() as f64)
}

/// The messages of the stream of poses.
fn poses(server: &TestServer, job: &str) -> Result<impl Iterator<Item = Result<Value>>> {
    let answer = server.get(&format!("/api/poses/{job}"))?.error_for_status()?;
    let lines = BufReader::new(answer).lines();
    let lines = lines.filter(|line| line.as_ref().map_or(true, |line| !line.trim().is_empty()));
    Ok(lines.map(|line| Ok(serde_json::from_str(&line?)?)))
}

/// From the beginning of the upload to the first frame that is told of.
fn first_pose(server: &TestServer, video: &Path) -> Result<Values> {
    let begun = Instant::now();
    let id = start(server, video, &[])?;
    let mut messages = poses(server, &id)?;
    let first = messages.next().context("the stream is empty")??;
    let wall_ms = begun.elapsed().as_secs_f64() * 1e3;
    ensure!(first["frame_id"] == 0, "the first message is {first}");
    drop(messages);
    server.await_end(&id)?;
    Ok(vec![(WALL_MS, wall_ms)])
}
