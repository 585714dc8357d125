//! Compares the landmarks with the true joints of rendered figures, at several sizes, yaws and speeds. The
//! errors and the jitter must not exceed those of MediaPipe on the same files.
//!
//! MediaPipe's figures are in `tests/mediapipe/truth.csv`; `tests/mediapipe/truth.py` writes them
//! from the clips and joints that this test writes to the folder `TRUTH_CLIPS`.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::truth::{self, Figures};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const MEDIAPIPE: &str = include_str!("../../mediapipe/truth.csv");
/// Random difference allowed between equally good results, for one clip and for all, as a share.
const TOLERANCE: f64 = 0.01;
const TOLERANCE_OVERALL: f64 = 0.001;

/// The name of the file and the clip.
fn clips() -> Vec<(&'static str, Clip)> {
    [truth::walking(), truth::walking_fast(), truth::standing()].concat()
}

fn mediapipe() -> Result<BTreeMap<&'static str, Figures>> {
    let figures = |line: &'static str| {
        let cells: Vec<&str> = line.split(',').collect();
        let [name, frames, mean, jitter] = cells[..] else { anyhow::bail!("{line}") };
        let (frames, mean, jitter) = (frames.parse()?, mean.parse()?, jitter.parse()?);
        Ok((name, Figures { frames, mean, jitter }))
    };
    MEDIAPIPE.lines().skip(1).map(figures).collect()
}

/// Writes the true joints of every clip for the script.
fn write_joints(folder: &Path) -> Result<()> {
    let mut text = String::from("clip,frame_id,landmark_id,x,y\n");
    for (name, clip) in clips() {
        for frame in 0..truth::FRAMES {
            for at in &clip.truth(frame)[0] {
                writeln!(text, "{name},{frame},{},{:.6},{:.6}", at.index, at.x, at.y)?;
            }
        }
    }
    std::fs::write(folder.join("joints.csv"), text).context("joints.csv")
}

#[test]
fn landmarks_are_as_accurate_and_as_stable_as_those_of_mediapipe() -> Result<()> {
    let own = tempfile::tempdir()?;
    let kept = std::env::var_os("TRUTH_CLIPS");
    let folder = kept.as_deref().map_or(own.path(), Path::new);
    write_joints(folder)?;
    let mediapipe = mediapipe()?;
    let (mut ours_sum, mut theirs_sum) = (0.0, 0.0);
    let mut faults = Vec::new();
    for (name, clip) in clips() {
        let video = folder.join(format!("{name}.mp4"));
        clip.encode(&video)?;
        let run = Run::new(&["--formats", "csv"], std::slice::from_ref(&video), own.path())?;
        let path = run.check()?.artefact(&video, "pose_data.csv");
        let ours = Figures::measure(&clip, &PoseTable::read(&path)?);
        println!("{name},{},{:.7},{:.7}", ours.frames, ours.mean, ours.jitter);
        let Some(theirs) = mediapipe.get(name) else {
            faults.push(format!("{name}: MediaPipe's figures are missing"));
            continue;
        };
        ours_sum += ours.mean;
        theirs_sum += theirs.mean;
        let is_steady = ours.jitter <= theirs.jitter * (1.0 + TOLERANCE);
        let is_near = ours.mean <= theirs.mean * (1.0 + TOLERANCE);
        if ours.frames < theirs.frames || !is_near || !is_steady {
            faults.push(format!("{name}: {ours:?}, MediaPipe's {theirs:?}"));
        }
    }
    println!("mean over all: {ours_sum:.6}, MediaPipe's {theirs_sum:.6}");
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(ours_sum <= theirs_sum * (1.0 + TOLERANCE_OVERALL), "{ours_sum} {theirs_sum}");
    Ok(())
}
