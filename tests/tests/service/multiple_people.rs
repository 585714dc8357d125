//! Several people in one video: their ids stay the same when they cross or hide each other.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::mannequin::{Clothes, Figure, Pose, Scene};
use bodyscript_tests::programs::Run;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const FPS: u32 = 15;
/// Hips, whose middle is the position of a person.
const HIPS: [usize; 2] = [23, 24];
/// Largest distance between a detected person and the same figure, as a share of the width.
const NEAR: f64 = 0.06;

/// Position of each person by frame: the middle of the hips as a share of the width.
type Seen = BTreeMap<u32, BTreeMap<u32, f64>>;

/// The scene at each time.
type Footage = fn(Duration) -> Scene;

fn clip(frames: u32, footage: Footage) -> Clip {
    Clip::new().size(480, 270).fps(FPS, 1).frames(frames).yaw(0.0).footage(footage)
}

/// The table that a run over the clip writes.
fn table(clip: &Clip, options: &[&str], folder: &Path) -> Result<String> {
    let video = folder.join("clip.mp4");
    if !video.exists() {
        clip.encode(&video)?;
    }
    let options = [options, &["--formats", "csv"]].concat();
    let folder = folder.join(options.join(""));
    let run = Run::new(&options, std::slice::from_ref(&video), &folder)?.check()?;
    Ok(std::fs::read_to_string(run.artefact(&video, "pose_data.csv"))?)
}

fn seen(table: &str) -> Result<Seen> {
    let mut seen = Seen::new();
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[12] == "true" && HIPS.contains(&cells[1].parse()?) {
            let people = seen.entry(cells[0].parse()?).or_default();
            *people.entry(cells[13].parse()?).or_default() += cells[2].parse::<f64>()? / 2.0;
        }
    }
    Ok(seen)
}

/// In how many frames a person is at the position of a figure, by person and figure.
fn identities(clip: &Clip, seen: &Seen) -> BTreeMap<(u32, usize), u32> {
    let mut identities = BTreeMap::new();
    for (frame, people) in seen {
        let truth = clip.truth(*frame);
        let middle = |figure: usize| {
            HIPS.iter().map(|hip| f64::from(truth[figure][*hip].x)).sum::<f64>() / 2.0
        };
        let apart = (middle(0) - middle(1)).abs();
        // When one is in front of the other, positions do not identify them.
        if apart < 3.0 * NEAR {
            continue;
        }
        for (person, x) in people {
            for figure in 0..truth.len() {
                if (middle(figure) - x).abs() < NEAR {
                    *identities.entry((*person, figure)).or_default() += 1;
                }
            }
        }
    }
    identities
}

/// Checks that each of the two figures keeps one id, and that each is detected in at least this many of the
/// frames in which they are apart.
fn ids_are_kept(clip: &Clip, table: &str, frames_min: u32) -> Result<()> {
    let seen = seen(table)?;
    let ids: BTreeSet<u32> = seen.values().flat_map(|people| people.keys().copied()).collect();
    let identities = identities(clip, &seen);
    println!("{identities:?}");
    assert_eq!(ids, BTreeSet::from([0, 1]), "{identities:?}");
    let figures: BTreeSet<usize> = identities.keys().map(|(_, figure)| *figure).collect();
    assert_eq!((identities.len(), figures.len()), (2, 2), "an id changed: {identities:?}");
    assert!(identities.values().all(|frames| *frames >= frames_min), "{identities:?}");
    Ok(())
}

fn figure(time: Duration, ahead_s: f64, x: f32, z: f32, shirt: [u8; 3]) -> Figure {
    let clothes = Clothes { shirt, ..Clothes::default() };
    Figure { pose: Pose::walking(time.as_secs_f64() + ahead_s), x, z, clothes, ..Figure::default() }
}

const BLUE: [u8; 3] = [40, 90, 170];
const RED: [u8; 3] = [170, 50, 50];

/// One walks from side to side in three seconds, another in the opposite direction farther back.
fn crossing(time: Duration) -> Scene {
    let way = (time.as_secs_f32() / 3.0 - 0.5) * 2.4;
    Scene { figures: vec![figure(time, 0.0, way, 0.3, BLUE), figure(time, 0.4, -way, -0.9, RED)] }
}

/// One walks past in front of another who walks on the spot.
fn passing(time: Duration) -> Scene {
    let way = (time.as_secs_f32() / 3.0 - 0.5) * 2.4;
    Scene { figures: vec![figure(time, 0.0, way, 0.3, BLUE), figure(time, 0.4, 0.1, -0.9, RED)] }
}

#[test]
fn two_people_side_by_side_are_both_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(15, footage::pair);
    for mode in ["track", "static"] {
        let table = table(&clip, &["--mode", mode, "--max-people", "2"], folder.path())?;
        ids_are_kept(&clip, &table, 14).with_context(|| mode.to_owned())?;
    }
    Ok(())
}

#[test]
fn two_people_who_cross_keep_their_ids() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(3 * FPS, crossing);
    ids_are_kept(&clip, &table(&clip, &["--max-people", "5"], folder.path())?, 20)
}

#[test]
fn a_briefly_hidden_person_keeps_the_same_id() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(3 * FPS, passing);
    let table = table(&clip, &["--max-people", "2"], folder.path())?;
    ids_are_kept(&clip, &table, 16)?;
    let seen = seen(&table)?;
    let both = |frame: u32| seen.get(&frame).is_some_and(|people| people.len() == 2);
    assert!((0..3 * FPS).any(|frame| !both(frame)), "no person was ever hidden");
    Ok(())
}

/// Two people side by side, of whom one is absent from the first second until this time.
fn absent_until(back: Duration, time: Duration) -> Scene {
    let mut scene = footage::pair(time);
    if time >= Duration::from_secs(1) && time < back {
        scene.figures.pop();
    }
    scene
}

#[test]
fn an_id_is_reserved_for_two_seconds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let returns: [(Footage, u32, &[u32]); 2] = [
        (|time| absent_until(Duration::from_millis(2600), time), 50, &[0, 1]),
        (|time| absent_until(Duration::from_millis(3400), time), 62, &[0, 1, 2]),
    ];
    for (footage, frames, expected) in returns {
        let folder = folder.path().join(frames.to_string());
        std::fs::create_dir(&folder)?;
        let table = table(&clip(frames, footage), &["--max-people", "2"], &folder)?;
        let seen = seen(&table)?;
        let ids: BTreeSet<u32> = seen.values().flat_map(|people| people.keys().copied()).collect();
        assert!(ids.iter().eq(expected), "{frames} frames: {ids:?}");
        let last = seen.last_key_value().context("no person")?.1;
        let newest = expected.last().context("a number")?;
        assert!(last.contains_key(newest) && last.len() == 2, "{frames} frames: {last:?}");
    }
    Ok(())
}

#[test]
fn a_higher_people_limit_does_not_change_the_first_person() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(2 * FPS, crossing);
    for options in [&["--mode", "track"][..], &["--mode", "ultra_fast", "--interval", "6"]] {
        let alone = table(&clip, options, folder.path())?;
        let several = table(&clip, &[options, &["--max-people", "4"]].concat(), folder.path())?;
        let first: Vec<&str> =
            several.lines().filter(|row| row.split(',').nth(13) != Some("1")).collect();
        assert!(first.iter().eq(&alone.lines().collect::<Vec<_>>()), "{options:?}");
        assert!(first.len() < several.lines().count(), "{options:?}: no other person was detected");
    }
    Ok(())
}

#[test]
fn every_multi_person_format_contains_both_people() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(3, footage::pair);
    let video = folder.path().join("clip.mp4");
    clip.encode(&video)?;
    let options = ["--max-people", "2", "--formats", "all"];
    let run = Run::new(&options, std::slice::from_ref(&video), folder.path())?.check()?;
    let text = |name: &str| std::fs::read_to_string(run.artefact(&video, name));
    let json: serde_json::Value = serde_json::from_str(&text("pose_data.json")?)?;
    let ids = |people: &serde_json::Value| -> Vec<u64> {
        let people = people.as_array().into_iter().flatten();
        people.filter_map(|person| person["person_id"].as_u64()).collect()
    };
    assert_eq!(ids(&json["frames"][2]["people"]), [0, 1]);
    assert_eq!(json["statistics"]["people"], 2);
    let mut archive =
        zip::ZipArchive::new(std::fs::File::open(run.artefact(&video, "openpose.zip"))?)?;
    let entry = archive.by_name("pose_000000000002_keypoints.json")?;
    let openpose: serde_json::Value = serde_json::from_reader(entry)?;
    assert_eq!(openpose["people"].as_array().map(Vec::len), Some(2));
    let angles = text("joint_angles.csv")?;
    let of = |id: &str| angles.lines().filter(|row| row.split(',').nth(1) == Some(id)).count();
    assert_eq!((of("0"), of("1")), (3, 3));
    // Five lines of header and an empty one, then a row for each frame: it contains one person only.
    assert_eq!(text("pose.trc")?.trim_end().lines().count(), 6 + 3);
    Ok(())
}
