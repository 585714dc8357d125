//! Jobs that process a part of a video: `start` and `end`, `crop`, and `slow_motion`.

use crate::accuracy::{Distance, TRACKED};
use anyhow::{Context, Result};
use bodyscript_tests::fixture::{Clip, Rotation, Tracks, decode};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::recorded_footage;
use bodyscript_tests::server::TestServer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const START: f64 = 1.19;
const END: f64 = 2.15;
const PART: [&str; 4] = ["--start", "1.19", "--end", "2.15"];

/// The rendered clip of the demonstration, 5 s at 30 frames per second.
fn walking() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/walking.mp4")
}

fn table(options: &[&[&str]], video: &Path) -> Result<(String, PoseTable)> {
    let folder = tempfile::tempdir()?;
    let options = [&["--formats", "csv"][..], &options.concat()].concat();
    let run = Run::new(&options, &[video.to_owned()], folder.path())?.check()?;
    let path = run.artefact(video, "pose_data.csv");
    Ok((std::fs::read_to_string(&path)?, PoseTable::read(&path)?))
}

/// The place of a column.
fn column(header: &str, name: &str) -> Result<usize> {
    header.split(',').position(|column| column == name).with_context(|| format!("no column {name}"))
}

/// The header of a table and the rows of the part, without the numbers of tracks: a part begins with the first.
fn rows_of_part(text: &str) -> Result<Vec<String>> {
    let header = text.lines().next().context("a header")?;
    let (time, track) = (column(header, "time_s")?, column(header, "track_id")?);
    let mut kept = Vec::new();
    for line in text.lines() {
        let mut cells: Vec<&str> = line.split(',').collect();
        if line == header || (START..END).contains(&cells[time].parse::<f64>()?) {
            cells.remove(track);
            kept.push(cells.join(","));
        }
    }
    Ok(kept)
}

#[test]
fn rows_of_a_part_are_those_of_the_whole_video_where_each_frame_is_processed_alone() -> Result<()> {
    let mut cases = vec![
        (walking(), vec![]),
        (walking(), vec!["--interval", "4"]),
        (walking(), vec!["--fps", "7"]),
    ];
    if let Some(video) = recorded_footage::find("media/person_720p.mp4") {
        cases.push((video, vec!["--duration-s-max", "3"]));
    }
    for (video, options) in cases {
        let (whole, _) = table(&[&["--mode", "static"], &options], &video)?;
        let (part, poses) = table(&[&["--mode", "static"], &options, &PART], &video)?;
        let found = rows_of_part(&part)?;
        assert_eq!(found, rows_of_part(&whole)?, "{options:?} of {}", video.display());
        assert_eq!(found.len(), part.lines().count(), "{options:?}: rows beside the part");
        assert!(!poses.times.is_empty() && part.len() < whole.len(), "{options:?}");
    }
    Ok(())
}

#[test]
fn a_tracked_part_has_the_poses_of_the_whole_video_after_a_second_of_warming_up() -> Result<()> {
    let video = walking();
    let (_, whole) = table(&[], &video)?;
    let (_, part) = table(&[&PART], &video)?;
    let times: Vec<f64> = part.times.values().copied().collect();
    let expected = whole.times.values().copied().filter(|time| (START..END).contains(time));
    assert_eq!(times, expected.collect::<Vec<_>>());
    assert_eq!(part.frames.len(), times.len(), "a person in every frame");
    let found = Distance::between(&part, &whole, (640.0, 480.0));
    println!("{found:?}");
    TRACKED.check(&found);
    Ok(())
}

#[test]
fn pictures_and_sound_of_a_part_are_as_long_as_the_part() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walker.mp4");
    Clip::new().frames(60).tracks(Tracks::VideoAndAudio).encode(&video)?;
    let options = ["--mode", "static", "--start", "0.49", "--end", "1.26"];
    let run = Run::new(&options, std::slice::from_ref(&video), folder.path())?.check()?;
    let frames = (15..60).filter(|n| f64::from(*n) / 30.0 < 1.26).count();
    for artefact in ["output.mp4", "preview.mp4"] {
        let pictures = decode(&run.artefact(&video, artefact))?;
        assert_eq!(pictures.frames.len(), frames, "{artefact}");
        let (first, last) = (pictures.frames[0].0, pictures.frames[frames - 1].0);
        assert!(first.as_secs_f64() < 0.02, "{artefact} begins at {first:?}");
        assert!(last.as_secs_f64() < 0.77, "{artefact} ends at {last:?}");
    }
    assert_eq!(decode(&run.artefact(&video, "output.mp4"))?.audio_tracks, 1);
    let document = read(&run, &video, "pose_data.json")?;
    assert_eq!(document["frames"].as_array().map(Vec::len), Some(frames));
    assert_eq!(document["frames"][0]["frame_id"], 15);
    assert_eq!(document["statistics"]["frames_decoded"], frames);
    assert_eq!(document["warnings"], json!([]));
    let metadata = read(&run, &video, "metadata.json")?;
    assert_eq!((&metadata["start"], &metadata["end"]), (&json!(0.49), &json!(1.26)));
    assert_eq!(metadata["sound"]["outcome"], "copied");
    assert_eq!(metadata["video"]["trimmed"], false);
    Ok(())
}

fn read(run: &Run, video: &Path, artefact: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(run.artefact(video, artefact))?)?)
}

#[test]
fn only_the_part_counts_against_the_limit_on_the_duration() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("slow.mp4");
    Clip::new().fps(5, 1).frames(90).encode(&video)?;
    let server = TestServer::start(&["--duration-s-max", "4", "--on-long", "reject"])?;
    let end = |fields: &[(&str, &str)]| -> Result<Value> {
        let accepted: Value = server.upload(&video, fields)?.error_for_status()?.json()?;
        server.await_end(accepted["job_id"].as_str().context("an id")?)
    };
    let status = end(&[("start", "14"), ("mode", "static")])?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(status["statistics"]["frames_processed"], 20);
    assert_eq!((&status["start"], &status["end"]), (&json!(14.0), &Value::Null));
    let status = end(&[("start", "10"), ("end", "14.5")])?;
    assert_eq!(status["error_code"], "video_too_long", "{status}");
    Ok(())
}

#[test]
fn a_part_without_frames_is_refused_with_the_option_to_change() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walker.mp4");
    Clip::new().frames(30).encode(&video)?;
    let server = TestServer::start(&[])?;
    let upload = |fields: &[(&str, &str)]| server.upload(&video, fields);
    let refused = upload(&[("end", "2"), ("start", "2")])?;
    assert_eq!(refused.status(), 400);
    let problem: Value = refused.json()?;
    let detail = problem["detail"].as_str().context("a sentence")?;
    assert!(detail.contains("`end`") && detail.contains("above `start`, which is 2"), "{detail}");
    for (fields, option) in [
        (vec![("start", "1.5")], "Choose an earlier `start`."),
        (vec![("start", "0.01"), ("end", "0.02")], "Choose a later `end`"),
        (vec![("start", "0.1"), ("end", "0.2"), ("interval", "20")], "or process more frames."),
    ] {
        let accepted: Value = upload(&fields)?.error_for_status()?.json()?;
        let status = server.await_end(accepted["job_id"].as_str().context("an id")?)?;
        assert_eq!(status["error_code"], "empty_part", "{fields:?}: {status}");
        let sentence = status["error"].as_str().context("a sentence")?;
        assert!(sentence.contains(option), "{sentence}");
    }
    Ok(())
}

/// The middle of the picture, which has the person of the demonstration in it.
const MIDDLE: &str = "0.25,0,0.5,1";

#[test]
fn a_cropped_picture_keeps_the_coordinates_of_the_whole_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let turned = folder.path().join("turned.mp4");
    let clip = Clip::new().size(480, 360).frames(12).rotation(Rotation::Clockwise90);
    clip.encode(&turned)?;
    for (video, size) in [(walking(), (640_u32, 480_u32)), (turned, (480, 360))] {
        let options = ["--mode", "static", "--end", "0.39"];
        let run = |more: &[&str], name| {
            let options = [&options[..], more].concat();
            Run::new(&options, std::slice::from_ref(&video), &folder.path().join(name))?.check()
        };
        let (whole, area) = (run(&[], "whole")?, run(&["--crop", MIDDLE], "area")?);
        let table = |run: &Run| PoseTable::read(&run.artefact(&video, "pose_data.csv"));
        let (whole, found) = (table(&whole)?, table(&area)?);
        assert_eq!(found.frames.len(), 12, "a person in every frame");
        let (distance, frames) = found.distance(&whole, (size.0.into(), size.1.into()));
        println!("{}: {distance:.4} of the diagonal", video.display());
        assert!(frames == 12 && distance < CROPPED_DISTANCE_MAX, "{distance} in {frames} frames");
        let metadata = read(&area, &video, "metadata.json")?;
        assert_eq!(
            (&metadata["crop"], &metadata["video"]["width"]),
            (&json!(MIDDLE), &json!(size.0))
        );
        for artefact in ["output.mp4", "preview.mp4"] {
            let pictures = decode(&area.artefact(&video, artefact))?.frames;
            let (width, height) = (pictures[0].1.width, pictures[0].1.height);
            assert_eq!((pictures.len(), width * 2 * size.1), (12, height * size.0), "{artefact}");
        }
    }
    Ok(())
}

/// Mean distance of the landmarks with and without the rest of the picture, as a fraction of the diagonal: the
/// detector sees the person at another size, and the region of the person reaches beyond the area. Coordinates of
/// the area would be off by a tenth and more.
const CROPPED_DISTANCE_MAX: f64 = 0.02;

#[test]
fn a_crop_outside_the_picture_or_too_small_is_refused() -> Result<()> {
    let server = TestServer::start(&[])?;
    let refused = server.upload(&walking(), &[("crop", "0.5,0,0.501,1")])?;
    assert_eq!(refused.status(), 400);
    let problem: Value = refused.json()?;
    assert_eq!(problem["code"], "invalid_field");
    let accepted: Value = server.upload(&walking(), &[("crop", "0,0,0.048,1")])?.json()?;
    let status = server.await_end(accepted["job_id"].as_str().context("an id")?)?;
    assert_eq!(status["error_code"], "picture_too_small", "{status}");
    let sentence = status["error"].as_str().context("a sentence")?;
    assert!(sentence.contains("31 × 480") && sentence.contains("`crop`"), "{sentence}");
    Ok(())
}

#[test]
fn slow_motion_gives_the_times_of_life_beside_those_of_the_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("slow.mp4");
    Clip::new().frames(24).encode(&video)?;
    let options = ["--slow-motion", "8", "--start", "0.39", "--fps", "120", "--formats", "all"];
    let run = Run::new(&options, std::slice::from_ref(&video), folder.path())?.check()?;
    let document = read(&run, &video, "pose_data.json")?;
    let frames = document["frames"].as_array().context("frames")?;
    // Of 240 frames per second of life every second one.
    assert_eq!(frames.len(), 6);
    for (number, frame) in (12..).step_by(2).zip(frames) {
        assert_eq!(frame["frame_id"], number);
        let (life, file) = (frame["time_s"].as_f64(), frame["source_time_s"].as_f64());
        let (life, file) = life.zip(file).context("times")?;
        assert!((file - f64::from(number) / 30.0).abs() < 1e-4, "{frame}");
        assert!((life - file / 8.0).abs() < 1e-6, "{frame}");
    }
    let csv = std::fs::read_to_string(run.artefact(&video, "pose_data.csv"))?;
    let (header, first) = csv.lines().next().zip(csv.lines().nth(1)).context("a row")?;
    for (name, time) in [("time_s", "0.050000"), ("source_time_s", "0.400000")] {
        assert_eq!(first.split(',').nth(column(header, name)?), Some(time), "{first}");
    }
    let trc = std::fs::read_to_string(run.artefact(&video, "pose.trc"))?;
    let rates: Vec<_> = trc.lines().nth(2).context("rates")?.split('\t').map(str::trim).collect();
    assert!((rates[0].parse::<f64>()? - 120.0).abs() < 0.5, "{rates:?}");
    let overlay = decode(&run.artefact(&video, "output.mp4"))?.frames;
    let length = overlay[11].0 - overlay[0].0;
    assert!(
        overlay.len() == 12 && (length.as_secs_f64() - 11.0 / 30.0).abs() < 0.001,
        "{length:?}"
    );
    Ok(())
}
