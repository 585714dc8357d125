//! Copies of one video that are rotated, mirrored, cut, or have ten bits, another clock or another frame
//! rate. Their poses and times must equal those of the original.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::fixture::{self, Clip, Codec, Container, Rotation};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SIZE: (u32, u32) = (480, 360);
const FRAMES: u32 = 24;
/// Frames that the edit list of one copy hides.
const HIDDEN: u32 = 5;
/// Mean distance of the landmarks, in pixels.
const APART_MAX: f64 = 1.0;
/// Difference between times, in seconds.
const LATE_MAX: f64 = 0.001;
/// Mean difference between pictures that were encoded separately, in levels of 255.
const LEVELS_MAX: f64 = 4.0;

/// A copy, and the corresponding frames of the original.
struct Copy {
    name: &'static str,
    clip: Clip,
    extension: &'static str,
    /// For each frame, its number in the original and its time.
    frames: Vec<(u32, f64)>,
    rotation_degrees: u32,
    mirrored: bool,
}

fn original_clip() -> Clip {
    Clip::new().size(SIZE.0, SIZE.1).frames(FRAMES)
}

fn copy(name: &'static str, clip: Clip) -> Copy {
    let frames = (0..FRAMES).map(|n| (n, f64::from(n) / 30.0)).collect();
    Copy { name, clip, extension: "mp4", frames, rotation_degrees: 0, mirrored: false }
}

fn rotated(name: &'static str, rotation: Rotation, degrees: u32) -> Copy {
    Copy { rotation_degrees: degrees, ..copy(name, original_clip().rotation(rotation)) }
}

fn copies() -> Vec<Copy> {
    let kept: Vec<u32> = (0..FRAMES).filter(|n| n % 3 != 1 && n % 7 != 5).collect();
    let seconds = |n: u32| f64::from(n) / 30.0;
    let times = kept.iter().map(|n| Duration::from_secs_f64(seconds(*n))).collect();
    vec![
        rotated("a quarter clockwise", Rotation::Clockwise90, 90),
        rotated("upside down", Rotation::Half, 180),
        rotated("a quarter anticlockwise", Rotation::Anticlockwise90, 270),
        Copy { mirrored: true, ..copy("mirrored", original_clip().rotation(Rotation::Mirrored)) },
        copy("ten bits", original_clip().codec(Codec::H264TenBit)),
        Copy {
            frames: kept.iter().map(|n| (*n, seconds(*n))).collect(),
            ..copy("a varying rate", original_clip().times(times))
        },
        Copy {
            frames: (0..FRAMES).map(|n| (n, f64::from(n) * 1001.0 / 30_000.0)).collect(),
            ..copy("29.97 frames a second", original_clip().fps(30_000, 1001))
        },
        Copy {
            frames: (HIDDEN..FRAMES).map(|n| (n, seconds(n - HIDDEN))).collect(),
            ..copy("negative times hidden by an edit list", original_clip().hidden(HIDDEN))
        },
        Copy {
            extension: "ts",
            ..copy("a sender's clock", original_clip().container(Container::MpegTs))
        },
    ]
}

#[test]
fn transformed_copies_of_a_video_have_its_poses_and_times() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str, extension: &str| {
        folder.path().join(format!("{}.{extension}", name.replace([' ', '\''], "_")))
    };
    let original = path("plain", "mp4");
    original_clip().encode(&original)?;
    let copies = copies();
    let mut videos = vec![original.clone()];
    for copy in &copies {
        let video = path(copy.name, copy.extension);
        copy.clip.encode(&video).context(copy.name)?;
        videos.push(video);
    }
    // Each frame separately, so that a missing frame affects no other.
    let run = Run::new(&["--mode", "static"], &videos, &folder.path().join("out"))?.check()?;
    let table = |video: &PathBuf| PoseTable::read(&run.artefact(video, "pose_data.csv"));
    let plain = table(&original)?;
    assert_eq!(plain.frames.len() as u32, FRAMES, "a person in every frame");
    for (copy, video) in copies.iter().zip(&videos[1..]) {
        let table = table(video)?;
        let (mean, late) = compare(copy, &table, &plain);
        println!("{}: {mean:.3} px, {:.3} ms", copy.name, late * 1000.0);
        assert!(mean <= APART_MAX, "{}: {mean} px", copy.name);
        assert!(late <= LATE_MAX, "{}: {late} s", copy.name);
        same_times(&run.artefact(video, "pose_data.json"), &table).context(copy.name)?;
        let metadata = std::fs::read(run.artefact(video, "metadata.json"))?;
        let metadata: Value = serde_json::from_slice(&metadata)?;
        let stated = &metadata["video"];
        assert_eq!(stated["rotation_degrees"], copy.rotation_degrees, "{}", copy.name);
        assert_eq!(stated["mirrored"], copy.mirrored, "{}", copy.name);
        for artefact in ["output.mp4", "preview.mp4"] {
            let (ours, theirs) = (run.artefact(video, artefact), run.artefact(&original, artefact));
            same_picture(&ours, &theirs, copy.frames[0].0)
                .with_context(|| format!("{artefact} of {}", copy.name))?;
        }
    }
    Ok(())
}

/// Mean distance in pixels, and the largest difference between times in seconds.
fn compare(copy: &Copy, table: &PoseTable, plain: &PoseTable) -> (f64, f64) {
    let ids: Vec<u32> = table.times.keys().copied().collect();
    assert_eq!(ids, (0..copy.frames.len() as u32).collect::<Vec<_>>(), "{}", copy.name);
    let (mut apart, mut late) = (Vec::new(), 0.0_f64);
    for (id, (number, time)) in copy.frames.iter().enumerate() {
        late = late.max((table.times[&(id as u32)] - time).abs());
        let ours = table.frames.get(&(id as u32));
        let ours = ours.unwrap_or_else(|| panic!("{}: no person in frame {id}", copy.name));
        apart.extend(plain.frames[number].iter().map(|(landmark, there)| {
            let here = &ours[landmark];
            let (x, y) = (here.x - there.x, here.y - there.y);
            (x * f64::from(SIZE.0)).hypot(y * f64::from(SIZE.1))
        }));
    }
    (apart.iter().sum::<f64>() / apart.len() as f64, late)
}

/// Checks that the document states the times of the table, with six decimals at most.
fn same_times(document: &Path, table: &PoseTable) -> Result<()> {
    let document: Value = serde_json::from_slice(&std::fs::read(document)?)?;
    let frames = document["frames"].as_array().context("frames")?;
    ensure!(frames.len() == table.times.len(), "{} frames", frames.len());
    for (frame, stated) in frames.iter().zip(table.times.values()) {
        let time = &frame["time_s"];
        ensure!(time.as_f64() == Some(*stated), "{time} instead of {stated}");
        let text = time.to_string();
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        ensure!(decimals <= 6, "{text} has {decimals} decimals");
    }
    Ok(())
}

/// Checks that the first picture of one video equals a picture of another.
fn same_picture(video: &Path, plain: &Path, number: u32) -> Result<()> {
    let (ours, theirs) = (fixture::decode(video)?, fixture::decode(plain)?);
    let ((_, ours), (_, theirs)) = (&ours.frames[0], &theirs.frames[number as usize]);
    ensure!((ours.width, ours.height) == (theirs.width, theirs.height), "another size");
    let apart = ours.data.iter().zip(&theirs.data).map(|(a, b)| f64::from(a.abs_diff(*b)));
    let mean = apart.sum::<f64>() / ours.data.len() as f64;
    ensure!(mean < LEVELS_MAX, "{mean} levels apart");
    Ok(())
}
