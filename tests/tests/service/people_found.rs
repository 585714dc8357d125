//! people.json: who was found, each with a picture of that person and a place by which the same person is found again.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bodyscript_tests::fixture::{Clip, decode, footage};
use bodyscript_tests::mannequin::{Clothes, Figure, Pose, RgbImage, Scene};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::recorded_footage;
use bodyscript_tests::truth::figure_of;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const FPS: u32 = 15;
const BLUE: [u8; 3] = [40, 90, 170];
const RED: [u8; 3] = [170, 50, 50];

fn clip(frames: u32, footage: fn(Duration) -> Scene) -> Clip {
    Clip::new().size(480, 270).fps(FPS, 1).frames(frames).yaw(0.0).footage(footage)
}

/// Two people side by side, in a blue and in a red shirt.
fn dressed(time: Duration) -> Scene {
    let figure = |ahead_s, x, shirt| Figure {
        pose: Pose::walking(time.as_secs_f64() + ahead_s),
        x,
        clothes: Clothes { shirt, ..Clothes::default() },
        ..Figure::default()
    };
    Scene { figures: vec![figure(0.0, -0.5, BLUE), figure(0.4, 0.5, RED)] }
}

/// A run with these options and formats, and the people that it found.
fn run(video: &Path, options: &[&str], formats: &str) -> Result<(Run, Vec<Value>)> {
    let folder = video.with_file_name(options.join("") + formats);
    let options = [options, &["--formats", formats]].concat();
    let run = Run::new(&options, &[video.to_owned()], &folder)?.check()?;
    let text = std::fs::read_to_string(run.artefact(video, "people.json"))?;
    let document: Value = serde_json::from_str(&text)?;
    let people = document["people"].as_array().context("no people")?.clone();
    Ok((run, people))
}

/// The picture of a person.
fn picture(person: &Value, folder: &Path) -> Result<RgbImage> {
    let text = person["picture"].as_str().context("no picture")?;
    let text = text.strip_prefix("data:image/jpeg;base64,").context("no JPEG")?;
    let path = folder.join("picture.jpg");
    std::fs::write(&path, BASE64_STANDARD.decode(text)?)?;
    Ok(decode(&path)?.frames.pop().context("nothing in it")?.1)
}

/// How many pixels of a picture have about this colour, in any light.
fn pixels_of(colour: [u8; 3], picture: &RgbImage) -> usize {
    let share = |rgb: &[u8]| {
        let sum = rgb.iter().map(|level| f64::from(*level)).sum::<f64>().max(1.0);
        [0, 1, 2].map(|channel| f64::from(rgb[channel]) / sum)
    };
    let expected = share(&colour);
    let is_near = |rgb: &&[u8]| share(rgb).iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.06);
    picture.data.chunks_exact(3).filter(is_near).count()
}

#[test]
fn each_person_has_an_own_picture_and_is_found_again_by_the_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(FPS, dressed);
    let video = folder.path().join("clip.mp4");
    clip.encode(&video)?;
    let (_, people) = run(&video, &["--max-people", "2"], "people")?;
    assert_eq!(people.len(), 2, "{people:?}");
    let mut figures = BTreeSet::new();
    for person in &people {
        assert_eq!((&person["track_id"], &person["first_s"]), (&Value::Null, &0.0.into()));
        let picture = picture(person, folder.path())?;
        let [width, height] = [picture.width, picture.height];
        assert!(width <= 96 && height <= 128 && height > width, "{width} x {height}");
        let [blue, red] = [BLUE, RED].map(|colour| pixels_of(colour, &picture));
        let place = person["person"].as_str().context("no place")?;
        let (again, _) = run(&video, &["--person", place], "csv,people")?;
        let table = PoseTable::read(&again.artefact(&video, "pose_data.csv"))?;
        let found: BTreeSet<_> = table
            .frames
            .iter()
            .filter_map(|(frame, pose)| figure_of(&clip, *frame, pose))
            .collect();
        assert_eq!(found.len(), 1, "{place}: {found:?}");
        let is_blue = found.contains(&0);
        assert_eq!(blue > 4 * red, is_blue, "{place}: {blue} blue, {red} red");
        assert_eq!(red > 4 * blue, !is_blue, "{place}: {blue} blue, {red} red");
        figures.extend(found);
    }
    assert_eq!(figures.len(), 2, "both places are of one person");
    Ok(())
}

#[test]
fn the_tracks_of_one_number_are_listed_with_their_times() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("clip.mp4");
    let absent = |time: Duration| match time.as_millis() {
        1000..1800 => Scene::empty(),
        _ => footage::walking(time),
    };
    clip(40, absent).encode(&video)?;
    let (run, people) = run(&video, &[], "csv,people")?;
    let table = PoseTable::read(&run.artefact(&video, "pose_data.csv"))?;
    let mut tracks: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for (frame, track) in &table.tracks {
        tracks.entry(*track).or_default().push(table.times[frame]);
    }
    assert_eq!((tracks.len(), people.len()), (2, 2), "{people:?}");
    for ((track, times), person) in tracks.iter().zip(&people) {
        assert_eq!((&person["track_id"], &person["person_id"]), (&(*track).into(), &0.into()));
        assert_eq!(person["frames"], times.len());
        let near = |name: &str, expected: f64| {
            let found = person[name].as_f64().unwrap_or(f64::NAN);
            assert!((found - expected).abs() < 1e-3, "{name}: {found} instead of {expected}");
        };
        let ends = [times.first(), times.last()].map(|time| *time.expect("a frame"));
        near("first_s", ends[0]);
        near("last_s", ends[1]);
        near("in_view_s", ends[1] - ends[0]);
    }
    Ok(())
}

/// A background without the video has nobody's likeness, and neither have the pictures.
#[test]
fn pictures_show_no_more_than_the_video_that_is_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("clip.mp4");
    clip(3, dressed).encode(&video)?;
    let options = ["--max-people", "2", "--background", "skeleton"];
    let (_, people) = run(&video, &options, "people")?;
    assert_eq!(people.len(), 2);
    for person in &people {
        let picture = picture(person, folder.path())?;
        let black =
            picture.data.chunks_exact(3).filter(|rgb| rgb.iter().all(|it| *it < 40)).count();
        let pixels = (picture.width * picture.height) as usize;
        assert!(black > pixels / 2 && black < pixels, "{black} of {pixels} pixels are black");
    }
    Ok(())
}

/// Only the head differs, which is in the upper half of a body.
#[test]
fn heads_are_covered_in_the_pictures() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("clip.mp4");
    clip(6, footage::walking).encode(&video)?;
    let pictures = [&[][..], &["--blur", "faces"]].map(|options| {
        let (_, people) = run(&video, options, "people")?;
        picture(people.first().context("nobody")?, folder.path())
    });
    let [shown, covered] = pictures;
    let (shown, covered) = (shown?, covered?);
    assert_eq!((shown.width, shown.height), (covered.width, covered.height));
    let pairs = shown.data.chunks_exact(3).zip(covered.data.chunks_exact(3));
    let is_changed = |(a, b): &(&[u8], &[u8])| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > 40);
    let changed: Vec<_> =
        pairs.enumerate().filter(|(_, pair)| is_changed(pair)).map(|(at, _)| at).collect();
    assert!(changed.len() * 200 > shown.data.len() / 3, "{} pixels are covered", changed.len());
    let upper_half = (shown.width * shown.height / 2) as usize;
    assert!(changed.iter().all(|at| *at < upper_half), "more than the head is covered");
    Ok(())
}

#[test]
fn on_recorded_footage_each_person_is_listed() -> Result<()> {
    let Some(video) = recorded_footage::find("media/person_720p.mp4") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let link = folder.path().join("clip.mp4");
    std::os::unix::fs::symlink(video, &link)?;
    let (_, in_turn) = run(&link, &[], "people")?;
    assert_eq!(in_turn.len(), 3, "the man on the roof, a woman, the man on the ground");
    let (_, at_once) = run(&link, &["--max-people", "5"], "people")?;
    assert!(at_once.len() >= 2, "{}", at_once.len());
    for person in in_turn.iter().chain(&at_once) {
        assert!(picture(person, folder.path())?.height > 32, "{}", person["person"]);
    }
    Ok(())
}
