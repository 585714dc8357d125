//! Positions in metres, by the height of a person: a rendered walk is as long as it was rendered, and so are its steps.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::mannequin::{Pose, Skeleton, distance_walked};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Frames of a walk across the picture.
const FRAMES: u32 = 84;
const NOSE: usize = 0;
const HIPS: [usize; 2] = [23, 24];
const ANKLES: [usize; 2] = [27, 28];
/// Most that a place on the way may be off, as a share of the way.
const WAY_TOLERANCE: f64 = 0.03;
/// Most that the mean step and the height of the head may be off, in metres.
const LENGTH_TOLERANCE_M: f64 = 0.05;
const SLOPE_TOLERANCE_DEGREES: f64 = 0.3;
/// Height of the landmarks of a standing foot above the floor that the shoe is on.
const SOLE_M: f64 = 0.03;
/// Steps are farther apart than so many frames.
const STEP_FRAMES: usize = 6;

fn across() -> Clip {
    Clip::new().size(640, 360).yaw(0.0).frames(FRAMES).footage(footage::walking_across)
}

fn height_m() -> String {
    format!("{:.3}", Skeleton::new(&Pose::still()).height())
}

fn run(clip: &Clip, folder: &Path, options: &[&str]) -> Result<(Run, PathBuf)> {
    let video = folder.join("walk.mp4");
    clip.encode(&video)?;
    let height = height_m();
    let options = [&["--height-m", &height][..], options].concat();
    Ok((Run::new(&options, std::slice::from_ref(&video), folder)?.check()?, video))
}

fn document(run: &Run, video: &Path, artefact: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(run.artefact(video, artefact))?)?)
}

/// The codes of the warnings.
fn warnings(metadata: &Value) -> Vec<&str> {
    let warnings = metadata["warnings"].as_array().into_iter().flatten();
    warnings.filter_map(|warning| warning["code"].as_str()).collect()
}

/// A coordinate of the middle of these landmarks in each frame, in metres.
fn series(table: &PoseTable, landmarks: &[usize], axis: usize) -> Result<Vec<f64>> {
    let place = |landmark: &usize, frame: u32| -> Result<f64> {
        let row = table.frames.get(&frame).and_then(|frame| frame.get(landmark));
        Ok(row.and_then(|row| row.metric).context("a position in metres")?[axis])
    };
    let middle = |frame: u32| -> Result<f64> {
        let places = landmarks.iter().map(|landmark| place(landmark, frame));
        Ok(places.sum::<Result<f64>>()? / landmarks.len() as f64)
    };
    (0..FRAMES).map(middle).collect()
}

/// The mean of the greatest distances between the feet.
fn mean_step(left: &[f64], right: &[f64]) -> f64 {
    let apart: Vec<f64> =
        left.iter().zip(right).map(|(left, right)| (left - right).abs()).collect();
    let is_step = |n: &usize| {
        let near = &apart[n - STEP_FRAMES..=n + STEP_FRAMES];
        near.iter().all(|other| *other <= apart[*n])
    };
    let steps: Vec<usize> = (STEP_FRAMES..apart.len() - STEP_FRAMES).filter(is_step).collect();
    steps.iter().map(|n| apart[*n]).sum::<f64>() / steps.len() as f64
}

#[test]
fn a_walk_across_the_picture_is_as_long_as_it_was_rendered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = across();
    let (run, video) = run(&clip, folder.path(), &["--formats", "csv,metadata"])?;
    let table = PoseTable::read(&run.artefact(&video, "pose_data.csv"))?;
    let seconds = |frame: u32| clip.time(frame).as_secs_f64();
    let walked = |frame: u32| f64::from(distance_walked(seconds(frame)));
    let hips = series(&table, &HIPS, 0)?;
    let way = walked(FRAMES - 1);
    println!("way {:.3} m of {way:.3} m", hips[FRAMES as usize - 1] - hips[0]);
    for (frame, x) in (0..).zip(&hips) {
        let apart = (x - hips[0] - walked(frame)).abs();
        assert!(apart < WAY_TOLERANCE * way, "frame {frame}: {apart} m");
    }
    let joints = |frame| Skeleton::new(&Pose::walking(seconds(frame))).landmarks();
    let true_ankle = |ankle: usize| -> Vec<f64> {
        (0..FRAMES).map(|frame| f64::from(joints(frame)[ankle].z)).collect()
    };
    let [true_left, true_right] = ANKLES.map(true_ankle);
    let expected = mean_step(&true_left, &true_right);
    let found = mean_step(&series(&table, &ANKLES[..1], 0)?, &series(&table, &ANKLES[1..], 0)?);
    println!("mean step {found:.3} m of {expected:.3} m");
    assert!((found - expected).abs() < LENGTH_TOLERANCE_M);
    let noses = series(&table, &[NOSE], 1)?;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let true_noses: Vec<_> = (0..FRAMES).map(|n| f64::from(joints(n)[NOSE].y) - SOLE_M).collect();
    let (found, expected) = (mean(&noses), mean(&true_noses));
    assert!((found - expected).abs() < LENGTH_TOLERANCE_M, "{found} m of {expected} m");
    let metadata = document(&run, &video, "metadata.json")?;
    let slope = metadata["metres"]["floor_slope_degrees"].as_f64().context("a slope")?;
    println!("slope {slope:.2} degrees");
    assert!(slope.abs() < SLOPE_TOLERANCE_DEGREES);
    assert_eq!(warnings(&metadata), [""; 0]);
    assert_eq!(metadata["height_m"], json!(height_m().parse::<f64>()?));
    Ok(())
}

#[test]
fn every_format_with_metres_has_the_same_ones_and_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = across().frames(30);
    let (run, video) = run(&clip, folder.path(), &["--formats", "all"])?;
    let table = PoseTable::read(&run.artefact(&video, "pose_data.csv"))?;
    let frame = 20;
    let nose = table.frames.get(&frame).and_then(|frame| frame[&NOSE].metric).context("a nose")?;
    let json = document(&run, &video, "pose_data.json")?;
    let lines = std::fs::read_to_string(run.artefact(&video, "pose_data.ndjson"))?;
    let line: Value = serde_json::from_str(lines.lines().nth(frame as usize).context("a line")?)?;
    let trc = std::fs::read_to_string(run.artefact(&video, "pose.trc"))?;
    let cells = |n: usize| trc.lines().nth(n).map(|line| line.split('\t').collect::<Vec<_>>());
    let (numbers, row) =
        (cells(2).context("numbers")?, cells(6 + frame as usize).context("a row")?);
    assert_eq!(numbers[4], "m");
    let c3d = std::fs::read(run.artefact(&video, "pose.c3d"))?;
    // The distance to the next parameter, then one text of one character.
    let unit = b"UNITS\x07\x00\xff\x01\x01m";
    assert!(c3d.windows(unit.len()).any(|window| window == unit));
    for axis in 0..3 {
        for of in [&json["frames"][frame as usize], &line] {
            let found = of["people"][0]["landmarks"][NOSE]["metric"][axis].as_f64();
            assert!((found.context("a number")? - nose[axis]).abs() < 1e-5, "{of}");
        }
        assert!((row[2 + axis].parse::<f64>()? - nose[axis]).abs() < 1e-5, "{row:?}");
    }
    Ok(())
}

#[test]
fn who_walks_towards_the_camera_or_is_seen_for_a_moment_is_warned_of() -> Result<()> {
    for (footage, frames, code) in [
        (footage::walking_nearer as fn(_) -> _, 45, "depth_changes"),
        (footage::walking_across, 8, "metres_unknown"),
    ] {
        let folder = tempfile::tempdir()?;
        let clip = across().footage(footage).frames(frames);
        let (run, video) = run(&clip, folder.path(), &["--formats", "csv,metadata,trc"])?;
        let metadata = document(&run, &video, "metadata.json")?;
        assert_eq!(warnings(&metadata), [code]);
        let has_metres = code != "metres_unknown";
        assert_eq!(metadata["metres"].is_object(), has_metres);
        let table = PoseTable::read(&run.artefact(&video, "pose_data.csv"))?;
        let mut rows = table.frames.values().flat_map(|frame| frame.values());
        assert!(!table.frames.is_empty() && rows.all(|row| row.metric.is_some() == has_metres));
        let trc = std::fs::read_to_string(run.artefact(&video, "pose.trc"))?;
        let numbers = trc.lines().nth(2).context("numbers")?;
        assert_eq!(numbers.split('\t').nth(4), Some(if has_metres { "m" } else { "mm" }));
    }
    Ok(())
}
