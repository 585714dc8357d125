//! Every container and codec the service promises, each through the whole path from the command
//! line: cage, sandbox, decoding, models, artefacts.

use anyhow::Result;
use bodyscript_tests::fixture::{Clip, Container, MATRIX};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::recorded_footage;
use serde_json::{Value, json};
use std::path::Path;

const FRAMES: u32 = 8;

fn metadata(run: &Run, video: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(run.artefact(video, "metadata.json"))?)?)
}

#[test]
fn every_container_and_codec_gives_every_frame() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut videos = Vec::new();
    for (container, codec, extension) in MATRIX {
        let path = folder.path().join(format!("{container:?}_{codec:?}_{extension}.{extension}"));
        Clip::new().frames(FRAMES).container(*container).codec(*codec).encode(&path)?;
        videos.push(path);
    }
    let run = Run::new(&[], &videos, &folder.path().join("out"))?.check()?;
    for video in &videos {
        let name = video.display();
        let table = PoseTable::read(&run.artefact(video, "pose_data.csv"))?;
        let metadata = metadata(&run, video)?;
        assert_eq!(metadata["warnings"], json!([]), "{name}");
        assert_eq!(table.rows as u32, FRAMES * 33, "{name}");
        assert_eq!(table.frames.len() as u32, FRAMES, "{name}: a person in every frame");
        let times: Vec<f64> = table.times.values().copied().collect();
        assert!(times[0].abs() < 1e-3, "{name}: {times:?}");
        for pair in times.windows(2) {
            assert!((pair[1] - pair[0] - 1.0 / 30.0).abs() < 2e-3, "{name}: {times:?}");
        }
    }
    println!("{} combinations of container and codec", videos.len());
    Ok(())
}

/// At a rate that hundredths of a second can state.
#[test]
fn animations_give_every_frame() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clips = [(Container::Gif, "walk.gif"), (Container::Apng, "stroll.png")];
    let videos = clips.map(|(_, name)| folder.path().join(name));
    for ((container, _), video) in clips.iter().zip(&videos) {
        Clip::new().fps(25, 1).frames(FRAMES).container(*container).encode(video)?;
    }
    let run = Run::new(&[], &videos, &folder.path().join("out"))?.check()?;
    for video in &videos {
        let name = video.display();
        let table = PoseTable::read(&run.artefact(video, "pose_data.csv"))?;
        assert_eq!(table.frames.len() as u32, FRAMES, "{name}: a person in every frame");
        for (frame, time) in &table.times {
            assert!((time - f64::from(*frame) / 25.0).abs() < 2e-3, "{name}: {frame} at {time}");
        }
    }
    Ok(())
}

/// Files of other programs: their frames, the time of the first, the time from one to the next, and the codes of
/// their warnings.
const RECORDED: &[(&str, u64, f64, f64, &[&str])] = &[
    ("anim.gif", 30, 0.0, 2.0 / 30.0, &[]),
    ("bitflips60.mp4", 90, 0.0, 1.0 / 30.0, &["video_damaged"]),
    ("durations_zero.mp4", 90, 0.0, 1.0 / 30.0, &[]),
    ("exo__sample.mp4", 30, 0.0, 1001.0 / 30_000.0, &[]),
    ("exo__sample_partially_fragmented.mp4", 30, 0.066_733, 1001.0 / 30_000.0, &[]),
    ("flv1_sorenson.flv", 90, 0.0, 1.0 / 30.0, &[]),
    ("h263.3gp", 90, 0.0, 1.0 / 30.0, &[]),
    ("hevc_in_avi.avi", 90, 0.0, 1.0 / 30.0, &[]),
    ("jpeg2000.mov", 20, 0.0, 1.0 / 30.0, &[]),
    ("mdhd_30x_short.mp4", 90, 0.0, 1.0 / 30.0, &[]),
    ("mediabunny__0.ts", 298, 0.0, 1.0 / 60.0, &[]),
    ("mediabunny__annex-b.mp4", 6, 0.0, 0.0, &["video_truncated", "video_damaged"]),
    ("mkv_poseroll_minus90.mkv", 90, 0.0, 1.0 / 30.0, &[]),
    ("msmpeg4v3.avi", 90, 0.0, 1.0 / 30.0, &[]),
    ("prores_hq.mov", 24, 0.0, 1.0 / 30.0, &[]),
    ("truncated_faststart.mp4", 32, 0.0, 1.0 / 30.0, &["video_truncated"]),
];

#[test]
fn files_of_other_programs_give_every_frame_at_its_time() -> Result<()> {
    let mut videos = Vec::new();
    for (name, ..) in RECORDED {
        let Some(video) = recorded_footage::find(&format!("media/cases/{name}")) else {
            return Ok(());
        };
        videos.push(video);
    }
    let folder = tempfile::tempdir()?;
    let options = ["--formats", "csv,metadata", "--interval", "10"];
    let run = Run::new(&options, &videos, folder.path())?.check()?;
    for (video, (name, frames, start, step, expected)) in videos.iter().zip(RECORDED) {
        let metadata = metadata(&run, video)?;
        let warnings: Vec<_> = metadata["warnings"].as_array().into_iter().flatten().collect();
        let codes: Vec<_> =
            warnings.iter().filter_map(|warning| warning["code"].as_str()).collect();
        assert_eq!(codes, *expected, "{name}");
        assert_eq!(metadata["statistics"]["frames_decoded"], *frames, "{name}");
        let table = PoseTable::read(&run.artefact(video, "pose_data.csv"))?;
        for (frame, time) in &table.times {
            let expected = start + f64::from(*frame) * step;
            // GIF counts hundredths of a second.
            let rounded = if name.ends_with(".gif") { 5e-3 } else { 2e-3 };
            assert!((time - expected).abs() < rounded, "{name}: frame {frame} at {time}");
        }
    }
    Ok(())
}
