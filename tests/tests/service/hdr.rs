//! Films of high dynamic range through the whole program: they have the poses and the brightness of
//! the same film in standard range.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::{self, Clip, Codec, Rotation};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::recorded_footage;
use std::path::{Path, PathBuf};

const SIZE: (u32, u32) = (480, 360);
const FRAMES: u32 = 8;
/// Median distance of the landmarks, as a fraction of the diagonal. Not the mean: each film is encoded
/// apart, and in a few frames where the person is hard to see another pose is found.
const APART_MAX: f64 = 0.005;
/// Difference between mean levels, as a fraction.
const BRIGHTNESS_MAX: f64 = 0.1;

/// Mean level of the pictures of a video.
fn brightness(video: &Path) -> Result<f64> {
    let frames = fixture::decode(video)?.frames;
    let sum: f64 =
        frames.iter().flat_map(|(_, picture)| &picture.data).map(|n| f64::from(*n)).sum();
    let levels: usize = frames.iter().map(|(_, picture)| picture.data.len()).sum();
    Ok(sum / levels as f64)
}

/// Median distance of two tables' landmarks, and the number of frames that both have.
fn median_distance(a: &PoseTable, b: &PoseTable, (width, height): (f64, f64)) -> (f64, usize) {
    let distances = a.pairs(b).map(|(a, b)| ((a.x - b.x) * width).hypot((a.y - b.y) * height));
    let mut distances: Vec<f64> = distances.collect();
    distances.sort_by(f64::total_cmp);
    let median = distances.get(distances.len() / 2).copied().unwrap_or(f64::INFINITY);
    (median / width.hypot(height), distances.len() / 33)
}

/// Asserts that the other videos have the poses and the brightness of the first one.
fn assert_equal(videos: &[PathBuf], folder: &Path, (width, height): (u32, u32)) -> Result<()> {
    let run = Run::new(&["--mode", "static"], videos, &folder.join("out"))?.check()?;
    let table = |video: &PathBuf| PoseTable::read(&run.artefact(video, "pose_data.csv"));
    let original = &videos[0];
    let plain = table(original)?;
    for video in &videos[1..] {
        let name = video.display();
        let found = table(video)?;
        let (apart, frames) = median_distance(&found, &plain, (width.into(), height.into()));
        println!("{name}: {apart:.5} of the diagonal");
        assert!(frames * 100 >= plain.frames.len() * 95, "{name}: {frames} with a person");
        assert!(apart <= APART_MAX, "{name}: {apart}");
        for artefact in ["output.mp4", "preview.mp4"] {
            let of = |video| brightness(&run.artefact(video, artefact)).context(artefact);
            let (ours, theirs) = (of(video)?, of(original)?);
            println!("{name}: {artefact} {ours:.1}, {theirs:.1}");
            let off = (ours / theirs - 1.0).abs();
            assert!(off <= BRIGHTNESS_MAX, "{artefact} of {name}: {ours}, not {theirs}");
        }
    }
    Ok(())
}

#[test]
fn hdr_copies_of_a_video_have_its_poses_and_its_brightness() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plain = Clip::new().size(SIZE.0, SIZE.1).frames(FRAMES);
    let mut videos = Vec::new();
    for (name, clip) in [
        ("plain.mp4", plain.clone()),
        ("pq.mp4", plain.clone().codec(Codec::H265Pq)),
        ("hlg.mp4", plain.clone().codec(Codec::H265Hlg)),
        ("turned.mp4", plain.codec(Codec::H265Hlg).rotation(Rotation::Clockwise90)),
    ] {
        let video = folder.path().join(name);
        clip.encode(&video).context(name)?;
        videos.push(video);
    }
    assert_equal(&videos, folder.path(), SIZE)
}

#[test]
fn recorded_hdr_has_the_poses_and_the_brightness_of_its_original() -> Result<()> {
    let (Some(original), Some(hdr)) = (
        recorded_footage::find("media/cases/p_ref.mp4"),
        recorded_footage::find("media/cases/hevc10_pq_hdr10.mp4"),
    ) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    assert_equal(&[original, hdr], folder.path(), (480, 640))
}
