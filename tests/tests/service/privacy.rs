//! `blur=faces`: heads are covered in every picture of the results, and the poses are those of other runs.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::{Clip, decode, footage};
use bodyscript_tests::mannequin::{Figure, Pose, RgbImage, Scene};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

const SIZE: (u32, u32) = (480, 360);
const FPS: u32 = 12;
const FRAMES: u32 = 36;
/// The frames in which the light is out.
const DARK: Range<u32> = 12..24;
/// How much of the light is left in them.
const DARK_LIGHT: f32 = 0.02;
/// What heads are covered with.
const GREY: u8 = 128;
/// By how much coding may change it.
const GREY_TOLERANCE: u8 = 24;
/// From between the ears to where the head ends, hair and chin included, in metres.
const HEAD_M: f32 = 0.13;
/// Least share of a head that is grey where nothing is drawn on it, and where the skeleton is.
const COVERED_MIN: f64 = 0.98;
const COVERED_UNDER_SKELETON_MIN: f64 = 0.6;
/// Largest share of a head that is grey if it is shown.
const SHOWN_MAX: f64 = 0.3;

/// Somebody who walks through the picture.
fn passing(time: Duration) -> Scene {
    let x = 0.4 * (time.as_secs_f32() - 1.5);
    let pose = Pose::walking(time.as_secs_f64());
    Scene { figures: vec![Figure { x, ..pose.into() }] }
}

fn clip() -> Clip {
    Clip::new().size(SIZE.0, SIZE.1).fps(FPS, 1).frames(FRAMES).yaw(0.0).footage(passing)
}

/// Writes a clip as Y4M, dark in the frames of [`DARK`].
fn write_with_darkness(clip: &Clip, path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "YUV4MPEG2 W{} H{} F{FPS}:1 Ip A1:1 C444", SIZE.0, SIZE.1)?;
    for n in 0..FRAMES {
        let light = if DARK.contains(&n) { DARK_LIGHT } else { 1.0 };
        let picture = clip.picture(n);
        let lit: Vec<f32> = picture.data.iter().map(|level| f32::from(*level) * light).collect();
        file.write_all(b"FRAME\n")?;
        // ITU-R BT.601.
        for (offset, [red, green, blue]) in [
            (16.0, [0.257, 0.504, 0.098]),
            (128.0, [-0.148, -0.291, 0.439]),
            (128.0, [0.439, -0.368, -0.071]),
        ] {
            let level = |rgb: &[f32]| offset + red * rgb[0] + green * rgb[1] + blue * rgb[2];
            let plane: Vec<u8> =
                lit.chunks_exact(3).map(|pixel| level(pixel).round() as u8).collect();
            file.write_all(&plane)?;
        }
    }
    Ok(file.flush()?)
}

/// The least share of a head that is grey, of all heads in frame `n` of a clip, in a picture of any size.
fn covered(clip: &Clip, n: u32, picture: &RgbImage) -> f64 {
    let camera = clip.camera();
    let (width, height) = (picture.width as f32, picture.height as f32);
    let radius = HEAD_M * camera.focal / camera.distance * height;
    let shares = clip.truth(n).into_iter().map(|landmarks| {
        let [left, right] = [landmarks[7], landmarks[8]];
        let (x, y) = ((left.x + right.x) / 2.0 * width, (left.y + right.y) / 2.0 * height);
        let rows = (y - radius).max(0.0) as u32..(y + radius).min(height) as u32;
        let columns = (x - radius).max(0.0) as u32..(x + radius).min(width) as u32;
        let pixels = rows.flat_map(|row| columns.clone().map(move |column| (column, row)));
        let is_in_head = |(column, row): &(u32, u32)| {
            (*column as f32 + 0.5 - x).hypot(*row as f32 + 0.5 - y) < radius
        };
        let pixels: Vec<_> = pixels.filter(is_in_head).collect();
        let is_grey = |(column, row): &&(u32, u32)| {
            let pixel = picture.pixel(*column, *row);
            pixel.iter().all(|level| level.abs_diff(GREY) <= GREY_TOLERANCE)
        };
        pixels.iter().filter(is_grey).count() as f64 / pixels.len() as f64
    });
    shares.fold(1.0, f64::min)
}

/// The share of the heads that is covered in each frame of a video of the results.
fn covered_in(clip: &Clip, video: &Path) -> Result<Vec<f64>> {
    let frames = decode(video)?.frames;
    Ok((0..).zip(&frames).map(|(n, (_, picture))| covered(clip, n, picture)).collect())
}

/// Runs a job with these options on a video.
fn run(video: &Path, options: &[&str], name: &str) -> Result<Run> {
    let folder = video.parent().context("a folder")?.join(name);
    Run::new(options, &[video.to_owned()], &folder)?.check()
}

#[test]
fn a_head_is_covered_in_every_picture_also_while_nobody_is_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("passing.y4m");
    let clip = clip();
    write_with_darkness(&clip, &video)?;
    // With tracking, the landmark model goes on in the dark.
    let options = ["--mode", "static", "--formats", "video,clean,preview,thumbnail,csv"];
    let shown = run(&video, &options, "shown")?;
    let private = run(&video, &[&options[..], &["--blur", "faces"]].concat(), "private")?;
    let table = PoseTable::read(&private.artefact(&video, "pose_data.csv"))?;
    let found = DARK.filter(|n| table.frames.contains_key(n)).count();
    assert!(found * 2 < DARK.len(), "the detector sees the person in the dark: {found} times");
    for (name, least) in [
        ("clean.mp4", COVERED_MIN),
        ("output.mp4", COVERED_UNDER_SKELETON_MIN),
        ("preview.mp4", COVERED_UNDER_SKELETON_MIN),
    ] {
        let shares = covered_in(&clip, &private.artefact(&video, name))?;
        assert_eq!(shares.len(), FRAMES as usize, "{name}");
        for (n, share) in shares.iter().enumerate() {
            assert!(*share >= least, "{name}, frame {n}: {share:.3} of the head is covered");
        }
        let shares = covered_in(&clip, &shown.artefact(&video, name))?;
        assert!(shares.iter().all(|share| *share < SHOWN_MAX), "{name}: {shares:?}");
    }
    // Which frame it shows is not stated: the one in which the head is where it is covered.
    let thumbnail = |run: &Run| -> Result<f64> {
        let frames = decode(&run.artefact(&video, "thumbnail.jpg"))?.frames;
        let (_, picture) = frames.first().context("a picture")?;
        Ok((0..FRAMES).map(|n| covered(&clip, n, picture)).fold(0.0, f64::max))
    };
    assert!(thumbnail(&private)? >= COVERED_UNDER_SKELETON_MIN);
    assert!(thumbnail(&shown)? < SHOWN_MAX);
    let tables = [&shown, &private]
        .map(|run| std::fs::read_to_string(run.artefact(&video, "pose_data.csv")));
    let [shown, private] = tables;
    assert!(shown? == private?, "the poses depend on what is covered");
    Ok(())
}

#[test]
fn everybody_is_covered_whoever_is_analysed_and_between_the_frames_that_are() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("pair.mp4");
    let clip = Clip::new().size(SIZE.0, SIZE.1).yaw(0.0).footage(footage::pair);
    clip.encode(&video)?;
    for (name, options) in [
        // One frame in ten is processed, and the skeletons are on black in all but the clean video.
        ("sampled", &["--interval", "10", "--background", "skeleton"][..]),
        ("chosen", &["--person", "largest", "--mode", "static"][..]),
        ("filtered", &["--filter", "offline", "--crop", "0,0,1,0.9"][..]),
    ] {
        let options = [options, &["--blur", "faces", "--formats", "clean,csv"]].concat();
        let run = run(&video, &options, name)?;
        let pictures = decode(&run.artefact(&video, "clean.mp4"))?.frames;
        assert_eq!(pictures.len(), 30, "{name}");
        for (n, (_, picture)) in (0..).zip(pictures) {
            let share = covered(&clip, n, &with_lowest_rows(picture));
            assert!(share >= COVERED_MIN, "{name}, frame {n}: {share:.3} of a head is covered");
        }
        let table = std::fs::read_to_string(run.artefact(&video, "pose_data.csv"))?;
        let people = table.lines().filter_map(|row| row.split(',').nth(13));
        assert!(people.skip(1).all(|person| person == "0"), "{name}: rows of one person");
    }
    Ok(())
}

/// A picture of the full height, black where its lowest rows were left out.
fn with_lowest_rows(mut picture: RgbImage) -> RgbImage {
    picture.height = SIZE.1;
    picture.data.resize((SIZE.0 * SIZE.1 * 3) as usize, 0);
    picture
}
