//! What modes, landmark models and filters buy: in how many frames a rendered figure is found, how near the landmarks
//! are to its joints, their jitter, and at what cost.

use crate::figures::{
    CPU_MS_A_FRAME, ERROR_PERCENT, FOUND_PERCENT, FRAMES_PER_S, JITTER_PERCENT, PEAK_MIB, Place,
};
use crate::jobs::{CSV, job};
use crate::memory::peaks_of_job;
use crate::names::{FILTERS, HD_FIGURE, MODELS, MODES, Motion, mode_case, motion_case};
use crate::paths::root;
use crate::rounds::{Bench, Contender, Values};
use crate::selection::Group;
use anyhow::Result;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::truth::{self, Condition};
use std::path::{Path, PathBuf};

const GROUP: Group = Group::Accuracy;
/// Frames of a walk in each condition.
const WALK_FRAMES: u32 = 48;
/// Frames of the clip for the time and the memory of models.
const HD_FRAMES: u32 = 120;
/// Turns of what takes long.
const ROUNDS_MOST: usize = 3;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for condition in Condition::ALL {
        modes(bench, condition, folder.path())?;
    }
    let is_there =
        |model: &&str| root().join(format!("models/pose_landmark_{model}.onnx")).exists();
    let (models, missing): (Vec<&str>, Vec<&str>) = MODELS.into_iter().partition(is_there);
    for model in missing {
        bench.note(format!("model {model}: `make models` has not installed it"));
    }
    for motion in Motion::ALL {
        let clips = encoded(motion, folder.path())?;
        near_joints(bench, ("model", &models), (motion, &clips))?;
        near_joints(bench, ("filter", &FILTERS), (motion, &clips))?;
    }
    costs_of_models(bench, &models, folder.path())
}

/// A clip as a file, and its first frame as another.
struct Footage {
    whole: PathBuf,
    first: PathBuf,
    frames: u32,
}

impl Footage {
    fn new(clip: &Clip, frames: u32, (folder, name): (&Path, &str)) -> Result<Self> {
        let whole = folder.join(format!("{name}.mp4"));
        let first = folder.join(format!("{name}-first.mp4"));
        clip.clone().frames(frames).encode(&whole)?;
        clip.clone().frames(1).encode(&first)?;
        Ok(Self { whole, first, frames })
    }

    /// What a frame costs after the first; the cost of a start is that of a job of one frame.
    fn costs(&self, options: &[&str]) -> Result<Values> {
        let options = [options, &CSV].concat();
        let (start, whole) = (job(&options, &self.first)?, job(&options, &self.whole)?);
        let frames = f64::from(self.frames - 1);
        Ok(vec![
            (CPU_MS_A_FRAME, (whole.cpu_s - start.cpu_s) * 1e3 / frames),
            (FRAMES_PER_S, frames / (whole.wall_s - start.wall_s)),
        ])
    }
}

/// How near the landmarks of a job are to the joints.
fn figures(options: &[&str], clip: &Clip, video: &Path) -> Result<truth::Figures> {
    let folder = tempfile::tempdir()?;
    let options = [options, &CSV].concat();
    let run = Run::new(&options, &[video.to_owned()], folder.path())?.check()?;
    let table = PoseTable::read(&run.artefact(video, "pose_data.csv"))?;
    Ok(truth::Figures::measure(clip, &table))
}

fn modes(bench: &mut Bench, condition: Condition, folder: &Path) -> Result<()> {
    let case = mode_case(condition);
    let clip = condition.clip(WALK_FRAMES);
    let footage = Footage::new(&clip, WALK_FRAMES, (folder, condition.name()))?;
    for mode in MODES {
        let figures = figures(&["--mode", mode], &clip, &footage.whole)?;
        let found = figures.frames as f64 / f64::from(WALK_FRAMES);
        let mut values = vec![(FOUND_PERCENT, 100.0 * found)];
        if figures.frames > 0 {
            values.push((ERROR_PERCENT, 100.0 * figures.mean));
        }
        bench.add(Place { group: GROUP, case: &case, who: mode }, &values);
    }
    let footage = &footage;
    let contender = |mode| Contender::new(mode, move || footage.costs(&["--mode", mode]));
    let rounds = bench.rounds.min(ROUNDS_MOST);
    bench.alternate((GROUP, &case), rounds, MODES.map(contender).into());
    Ok(())
}

/// The clips of a motion and their files.
fn encoded(motion: Motion, folder: &Path) -> Result<Vec<(Clip, PathBuf)>> {
    let clips = match motion {
        Motion::Standing => truth::standing(),
        Motion::Walking => truth::walking(),
        Motion::WalkingFast => truth::walking_fast(),
    };
    let encode = |(name, clip): (&str, Clip)| {
        let path = folder.join(format!("{name}.mp4"));
        clip.encode(&path)?;
        Ok((clip, path))
    };
    clips.into_iter().map(encode).collect()
}

/// The means over the clips of a motion for each value of an option. Jitter is that of a still figure only: that of
/// others is their movement.
fn near_joints(
    bench: &mut Bench,
    (option, choices): (&str, &[&str]),
    (motion, clips): (Motion, &[(Clip, PathBuf)]),
) -> Result<()> {
    let case = motion_case(option, motion);
    for choice in choices {
        let (mut error, mut jitter, mut frames) = (0.0, 0.0, 0);
        for (clip, video) in clips {
            let figures = figures(&[&format!("--{option}"), choice], clip, video)?;
            error += 100.0 * figures.mean / clips.len() as f64;
            jitter += 100.0 * figures.jitter / clips.len() as f64;
            frames += figures.frames;
        }
        let all = f64::from(truth::FRAMES) * clips.len() as f64;
        let mut values = vec![(FOUND_PERCENT, 100.0 * frames as f64 / all), (ERROR_PERCENT, error)];
        if motion == Motion::Standing {
            values.push((JITTER_PERCENT, jitter));
        }
        bench.add(Place { group: GROUP, case: &case, who: choice }, &values);
    }
    Ok(())
}

fn costs_of_models(bench: &mut Bench, models: &[&'static str], folder: &Path) -> Result<()> {
    let clip = Clip::new().size(1280, 720);
    let footage = &Footage::new(&clip, HD_FRAMES, (folder, "720p"))?;
    let contender =
        |model: &'static str| Contender::new(model, move || footage.costs(&["--model", model]));
    let rounds = bench.rounds.min(ROUNDS_MOST);
    let contenders = models.iter().copied().map(contender).collect();
    bench.alternate((GROUP, HD_FIGURE), rounds, contenders);
    let server = TestServer::start(&["--workers", "1", "--standby", "0"])?;
    for model in models {
        for _ in 0..rounds {
            let peak = peaks_of_job(&server, &footage.whole, &[("model", model)])?.worker;
            let place = Place { group: GROUP, case: HD_FIGURE, who: model };
            bench.add(place, &[(PEAK_MIB, peak / f64::from(1 << 20))]);
        }
    }
    server.stop().map(drop)
}
