//! The tracks of person 0: a new one begins where somebody else is followed or the person was lost, in every table.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::mannequin::{Clothes, Figure, Pose, Scene};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::recorded_footage;
use bodyscript_tests::truth::figure_of;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// The scene at each time.
type Footage = fn(Duration) -> Scene;

const FPS: u32 = 15;

fn run(clip: &Clip, options: &[&str], folder: &Path) -> Result<(Run, std::path::PathBuf)> {
    let video = folder.join("clip.mp4");
    clip.encode(&video)?;
    let run = Run::new(options, std::slice::from_ref(&video), &folder.join("out"))?.check()?;
    Ok((run, video))
}

fn table(clip: &Clip, folder: &Path) -> Result<PoseTable> {
    let (run, video) = run(clip, &["--formats", "csv"], folder)?;
    PoseTable::read(&run.artefact(&video, "pose_data.csv"))
}

/// The first frame of each track.
fn starts(table: &PoseTable) -> Vec<u32> {
    let mut starts = BTreeMap::new();
    for (frame, track) in &table.tracks {
        starts.entry(*track).or_insert(*frame);
    }
    starts.into_values().collect()
}

fn absent(from_ms: u64, to_ms: u64, time: Duration) -> Scene {
    let hidden = Duration::from_millis(from_ms)..Duration::from_millis(to_ms);
    if hidden.contains(&time) { Scene::empty() } else { footage::walking(time) }
}

#[test]
fn a_person_who_is_missing_for_a_moment_keeps_the_track_and_later_gets_another() -> Result<()> {
    let footage: [(Footage, usize); 3] = [
        (footage::walking, 1),
        (|time| absent(1000, 1300, time), 1),
        (|time| absent(1000, 1800, time), 2),
    ];
    for (footage, tracks) in footage {
        let folder = tempfile::tempdir()?;
        let clip = Clip::new().size(480, 270).fps(FPS, 1).frames(40).footage(footage);
        let table = table(&clip, folder.path())?;
        assert_eq!(starts(&table).len(), tracks, "{:?}", table.tracks);
        let is_absent = table.frames.len() < 40;
        assert_eq!(is_absent, footage(Duration::from_millis(1100)) == Scene::empty());
    }
    Ok(())
}

/// One walks past, close to the camera, in front of another who walks on the spot.
fn passing(time: Duration) -> Scene {
    let way = (time.as_secs_f32() / 3.0 - 0.5) * 2.8;
    let figure = |ahead_s: f64, x, z, shirt| Figure {
        pose: Pose::walking(time.as_secs_f64() + ahead_s),
        x,
        z,
        clothes: Clothes { shirt, ..Clothes::default() },
        ..Figure::default()
    };
    let (near, far) = (figure(0.0, way, 0.4, [40, 90, 170]), figure(0.4, 0.1, -0.9, [170, 50, 50]));
    Scene { figures: vec![near, far] }
}

#[test]
fn no_track_is_of_two_people() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = Clip::new().size(480, 270).fps(FPS, 1).frames(3 * FPS).yaw(0.0).footage(passing);
    let table = table(&clip, folder.path())?;
    let mut figures: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
    for (frame, pose) in &table.frames {
        if let Some(figure) = figure_of(&clip, *frame, pose) {
            figures.entry(table.tracks[frame]).or_default().insert(figure);
        }
    }
    println!("{figures:?}");
    assert!(figures.values().all(|figures| figures.len() == 1), "{figures:?}");
    Ok(())
}

#[test]
fn every_table_has_the_tracks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = Clip::new().size(480, 270).fps(FPS, 1).frames(40);
    let clip = clip.footage(|time| absent(1000, 1800, time));
    let formats = ["--formats", "csv,json,angles,parquet"];
    let (run, video) = run(&clip, &formats, folder.path())?;
    let table = PoseTable::read(&run.artefact(&video, "pose_data.csv"))?;
    assert_eq!(starts(&table).len(), 2);
    let text = std::fs::read_to_string(run.artefact(&video, "pose_data.json"))?;
    let json: serde_json::Value = serde_json::from_str(&text)?;
    let angles = std::fs::read_to_string(run.artefact(&video, "joint_angles.csv"))?;
    let mut angles = angles.lines();
    let header: Vec<&str> = angles.next().context("a header")?.split(',').collect();
    let column = header.iter().position(|name| *name == "track_id").context("a column")?;
    let frames = json["frames"].as_array().context("frames")?;
    for ((frame, report), angles) in (0..40).zip(frames).zip(angles) {
        let track = table.tracks.get(&frame);
        let found = report["people"][0]["track_id"].as_u64();
        assert_eq!(found, track.map(|track| u64::from(*track)), "frame {frame}");
        let cell = angles.split(',').nth(column).context("a cell")?;
        assert_eq!(cell, track.map(u32::to_string).unwrap_or_default(), "{angles}");
    }
    Ok(())
}

/// The clip shows a man on a roof, then a woman who walks by, then the man on the ground; the detector's choice
/// goes from one to the next.
#[test]
fn on_recorded_footage_each_person_has_a_track() -> Result<()> {
    let Some(video) = recorded_footage::find("media/person_720p.mp4") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let run = Run::new(&["--formats", "csv"], std::slice::from_ref(&video), folder.path())?;
    let table = PoseTable::read(&run.check()?.artefact(&video, "pose_data.csv"))?;
    let starts = starts(&table);
    assert_eq!(starts.len(), 3, "{starts:?}");
    let is_near = |start: u32, frame: u32| start.abs_diff(frame) <= 3;
    assert!(is_near(starts[1], 170) && is_near(starts[2], 202), "{starts:?}");
    Ok(())
}
