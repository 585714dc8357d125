//! Jobs of one frame: the cost of a start.

use crate::clips::small;
use crate::figures::{CPU_MS, WALL_MS};
use crate::jobs::{children_s, job};
use crate::names::{LOOP, NEW, ONE_FRAME, RUN, STANDBY};
use crate::paths::{bench_folder, root};
use crate::requests::finish;
use crate::rounds::{Bench, Contender, Values};
use crate::selection::Group;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::ctl::ctl_json;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::server::TestServer;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// More turns than for others, because a start is short.
const TURNS: usize = 7;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let video = small(1)?;
    let [waiting, cold] = ["1", "0"].map(|standby| TestServer::start(&["--standby", standby]));
    let (waiting, cold) = (waiting?, cold?);
    let contenders = vec![
        Contender::new(RUN, || {
            let cost = job(&[], &video)?;
            Ok(vec![(WALL_MS, cost.wall_s * 1e3), (CPU_MS, cost.cpu_s * 1e3)])
        }),
        Contender::new(NEW, || served(&cold, &video)),
        Contender::new(STANDBY, || {
            wait_until("a pooled worker is ready", || {
                let status = ctl_json(&waiting.state_dir(), &["status"])?;
                Ok(status["health"]["standby"][0]["is_ready"] == true)
            })?;
            served(&waiting, &video)
        }),
        Contender::new(LOOP, || python(&video)),
    ];
    bench.alternate((Group::Start, ONE_FRAME), bench.rounds * TURNS, contenders);
    bench.compare(Group::Start, ONE_FRAME, [RUN, LOOP], &[CPU_MS]);
    waiting.stop()?;
    cold.stop()?;
    Ok(())
}

fn served(server: &TestServer, video: &Path) -> Result<Values> {
    let status = finish(server, video, &[])?;
    let wall = status["attempts"][0]["wall_ms"].as_f64().context("a time")?;
    Ok(vec![(WALL_MS, wall)])
}

/// A run of Python, including imports.
fn python(video: &Path) -> Result<Values> {
    let (begun, used) = (Instant::now(), children_s()?);
    let python = Command::new(bench_folder().join("venv/bin/python"))
        .arg(root().join("tests/bench/mediapipe_loop.py"))
        .args(["once".as_ref(), video.as_os_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(python.success(), "it ended with {python}");
    let (wall_s, cpu_s) = (begun.elapsed().as_secs_f64(), children_s()? - used);
    Ok(vec![(WALL_MS, wall_s * 1e3), (CPU_MS, cpu_s * 1e3)])
}
