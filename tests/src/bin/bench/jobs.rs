//! Whole jobs by `bodyscript run`, by size and codec, beside loops in Python; and the modes.

use crate::clips::{CODECS, SIZES, coded, sized, subject};
use crate::figures::{CPU_MS_A_FRAME, FRAMES_PER_S, WALL_S};
use crate::names::{DRAWN, LOOP, OURS, OURS_ALL, OURS_CSV, PERSON, STRATEGY};
use crate::peers::{Cost, Peer};
use crate::rounds::{Bench, Contender, Values};
use crate::selection::Group;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::programs::Run;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::path::Path;
use std::time::Instant;

/// Rows of `pose_data.csv` for a frame.
const LANDMARKS: usize = 33;
/// Turns of what takes long, or no goal names.
const FEWER_ROUNDS: usize = 3;
pub(crate) const CSV: [&str; 2] = ["--formats", "csv"];

/// One whole job with everything it starts, from its start to its end.
pub(crate) fn job(options: &[&str], video: &Path) -> Result<Cost> {
    let folder = tempfile::tempdir()?;
    let (begun, used) = (Instant::now(), children_s()?);
    let run = Run::new(options, &[video.to_owned()], folder.path())?;
    let (wall_s, cpu_s) = (begun.elapsed().as_secs_f64(), children_s()? - used);
    let run = run.check()?;
    let table = std::fs::read_to_string(run.artefact(video, "pose_data.csv"))?;
    let frames = (table.lines().count() - 1) / LANDMARKS;
    ensure!(frames > 0, "{} has no frames", video.display());
    Ok(Cost { frames: frames as f64, wall_s, cpu_s, peak_bytes: 0.0 })
}

/// Processor time of children that have exited, with their descendants. Peers run until their last turn, so
/// they are not included.
pub(crate) fn children_s() -> Result<f64> {
    let usage: Usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(micros as f64 / 1e6)
}

fn values(cost: Cost) -> Values {
    vec![
        (CPU_MS_A_FRAME, cost.cpu_s * 1e3 / cost.frames),
        (FRAMES_PER_S, cost.frames / cost.wall_s),
        (WALL_S, cost.wall_s),
    ]
}

/// Whole jobs, at sizes and codecs.
pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    bench.note(format!("clips of several sizes show {}", subject()));
    let mut looping = bench.peer(LOOP, Peer::python("mediapipe_loop.py", &["loop"]));
    let mut drawn = bench.peer(DRAWN, Peer::python("mediapipe_loop.py", &["drawn"]));
    let mut cases = Vec::new();
    for size in SIZES {
        cases.push((format!("{} H.264", size.0), sized(size)?));
    }
    for codec in CODECS {
        cases.push((format!("figure, 720p {}", codec.0), coded(codec)?));
    }
    for (case, video) in &cases {
        let is_main = case == PERSON;
        let mut contenders = vec![
            Contender::new(OURS_CSV, || Ok(values(job(&CSV, video)?))),
            Contender::new(OURS_ALL, || Ok(values(job(&[], video)?))),
        ];
        let name = video.to_str().context("a plain path")?;
        contenders.extend(looping.as_mut().map(|peer| taking(LOOP, peer, name)));
        if is_main {
            contenders.extend(drawn.as_mut().map(|peer| taking(DRAWN, peer, name)));
        }
        let rounds = if is_main { bench.rounds } else { bench.rounds.min(FEWER_ROUNDS) };
        bench.alternate((Group::Jobs, case), rounds, contenders);
        // Wall time includes the effects of other load, so it is compared only with many rounds.
        let by = if is_main { &[CPU_MS_A_FRAME, FRAMES_PER_S][..] } else { &[CPU_MS_A_FRAME] };
        bench.compare(Group::Jobs, case, [OURS_CSV, LOOP], by);
        bench.compare(Group::Jobs, case, [OURS_ALL, LOOP], by);
        if is_main {
            bench.compare(Group::Jobs, case, [OURS_ALL, DRAWN], by);
        }
    }
    Ok(())
}

fn taking<'a>(who: &str, peer: &'a mut Peer, line: &'a str) -> Contender<'a> {
    Contender::new(who, move || Ok(values(peer.ask(line)?)))
}

/// The modes that try several pictures of a frame.
pub(crate) fn measure_modes(bench: &mut Bench) -> Result<()> {
    let video = sized(SIZES[1])?;
    let name = video.to_str().context("a plain path")?;
    for mode in ["ultra_fast", "smart", "fast"] {
        let mut python = bench.peer(STRATEGY, Peer::python("strategies.py", &[mode]));
        let options = [&["--mode", mode], &CSV[..]].concat();
        let mut contenders = vec![Contender::new(OURS, || Ok(values(job(&options, &video)?)))];
        contenders.extend(python.as_mut().map(|peer| taking(STRATEGY, peer, name)));
        bench.alternate((Group::Modes, mode), bench.rounds.min(FEWER_ROUNDS), contenders);
        let by = [CPU_MS_A_FRAME, FRAMES_PER_S];
        bench.compare(Group::Modes, mode, [OURS, STRATEGY], &by);
    }
    Ok(())
}
