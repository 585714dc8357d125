//! Filters that know later frames: jitter is reduced, movement stays, short gaps are filled, and the values
//! before the filter are kept beside.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::{Clip, Codec, Container, decode, footage};
use bodyscript_tests::mannequin::Scene;
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::truth::Figures;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FRAMES: u32 = 60;

/// The default low pass, and the other one.
const LOW_PASSES: [&str; 2] = ["butterworth", "savitzky_golay"];

fn run(video: &Path, filter: &str, formats: &str) -> Result<Run> {
    run_with(video, [filter, LOW_PASSES[0]], formats)
}

fn run_with(video: &Path, [filter, low_pass]: [&str; 2], formats: &str) -> Result<Run> {
    let options = ["--filter", filter, "--low-pass", low_pass, "--formats", formats];
    let folder = video.with_file_name(format!("{filter}-{low_pass}-{formats}"));
    Run::new(&options, &[video.to_owned()], &folder)?.check()
}

fn encoded(clip: &Clip, folder: &Path) -> Result<PathBuf> {
    let video = folder.join("clip.mp4");
    clip.encode(&video)?;
    Ok(video)
}

/// The error may grow by this share, for each low pass: a filter that moves a turning point inwards adds to it.
const ERROR_GROWTHS_MAX: [f64; 2] = [0.02, 0.03];

#[test]
fn the_offline_filter_reduces_jitter_and_keeps_movement() -> Result<()> {
    let clip = |width, height, yaw| Clip::new().frames(FRAMES).size(width, height).yaw(yaw);
    let clips = [
        ("still, small", clip(320, 240, 0.2).footage(footage::standing)),
        ("still", clip(640, 480, -0.4).footage(footage::standing)),
        ("walking", clip(640, 480, -0.6)),
        ("walking fast", clip(640, 480, 0.1).footage(footage::walking_fast)),
    ];
    for (name, clip) in clips {
        let folder = tempfile::tempdir()?;
        let video = encoded(&clip, folder.path())?;
        let figures = |filters: [&str; 2]| -> Result<Figures> {
            let path = run_with(&video, filters, "csv")?.artefact(&video, "pose_data.csv");
            let figures = Figures::measure(&clip, &PoseTable::read(&path)?);
            println!("{name}, {filters:?}: {:.7} {:.7}", figures.mean, figures.jitter);
            Ok(figures)
        };
        let [none, live] = [figures(["none", LOW_PASSES[0]])?, figures(["live", LOW_PASSES[0]])?];
        assert_eq!(none.frames, live.frames, "{name}");
        let mut jitters = Vec::new();
        for (low_pass, growth_max) in LOW_PASSES.into_iter().zip(ERROR_GROWTHS_MAX) {
            let offline = figures(["offline", low_pass])?;
            assert_eq!(offline.frames, none.frames, "{name}");
            assert!(offline.jitter < none.jitter, "{name}: {offline:?}, before it {none:?}");
            let error_max = none.mean * (1.0 + growth_max);
            assert!(offline.mean <= error_max, "{name}: {offline:?}, before it {none:?}");
            jitters.push(offline.jitter);
        }
        assert_ne!(jitters[0], jitters[1], "{name}");
    }
    Ok(())
}

/// Each row by frame and landmark, each cell by its column.
type Rows = BTreeMap<(u32, u32), BTreeMap<String, String>>;

fn rows(path: &Path) -> Result<Rows> {
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines().map(|line| line.split(','));
    let header: Vec<&str> = lines.next().context("a header")?.collect();
    let mut rows = Rows::new();
    for line in lines {
        let cells = header.iter().zip(line);
        let row: BTreeMap<String, String> =
            cells.map(|(name, cell)| ((*name).to_owned(), cell.to_owned())).collect();
        rows.insert((row["frame_id"].parse()?, row["landmark_id"].parse()?), row);
    }
    Ok(rows)
}

/// A person who cannot be seen for 0.2 seconds.
fn blinking(time: Duration) -> Scene {
    let hidden = Duration::from_millis(1000)..Duration::from_millis(1200);
    if hidden.contains(&time) { Scene::empty() } else { footage::walking(time) }
}

#[test]
fn a_short_gap_is_filled_and_flagged_and_raw_values_are_kept() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = Clip::new().size(480, 270).frames(FRAMES).footage(blinking);
    let video = encoded(&clip, folder.path())?;
    let table = |filter: &str| -> Result<Rows> {
        rows(&run(&video, filter, "csv")?.artefact(&video, "pose_data.csv"))
    };
    let (none, offline) = (table("none")?, table("offline")?);
    assert_eq!(none.len(), offline.len());
    let (mut interpolated, mut changed) = (0, 0);
    for (at, row) in &offline {
        let raw = &none[at];
        assert_eq!(row["detected"], raw["detected"], "{at:?}");
        for axis in ["x", "y", "z"] {
            assert_eq!(row[&format!("{axis}_raw")], raw[axis], "{at:?}");
            assert_eq!(raw[&format!("{axis}_raw")], "", "{at:?}");
        }
        assert_eq!(raw["filled"], "false", "{at:?}");
        changed += u32::from(row["x"] != raw["x"]);
        if row["detected"] == "false" && row["filled"] == "true" {
            assert_eq!((&*row["strategy"], &*row["track_id"]), ("filled", "0"), "{at:?}");
            let x: f64 = row["x"].parse()?;
            assert!((0.2..0.8).contains(&x), "{at:?}: {x}");
            interpolated += 1;
        }
    }
    let missing = none.values().filter(|row| row["detected"] == "false").count();
    assert!(missing > 0 && interpolated == missing, "{interpolated} of {missing}");
    assert!(changed > none.len() as u32 / 2, "{changed} of {}", none.len());
    Ok(())
}

#[test]
fn every_format_is_written_in_two_passes_and_none_needs_the_pictures() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = Clip::new().size(480, 270).frames(FRAMES).footage(blinking);
    let video = encoded(&clip, folder.path())?;
    let all = run(&video, "offline", "all")?;
    let text = |name: &str| std::fs::read_to_string(all.artefact(&video, name));
    let json: serde_json::Value = serde_json::from_str(&text("pose_data.json")?)?;
    let frames = json["frames"].as_array().context("frames")?;
    let is = |frame: &&serde_json::Value, field: &str| {
        frame["people"][0][field].as_bool().unwrap_or_default()
    };
    let filled = frames.iter().filter(|frame| is(frame, "filled")).count();
    let detected = frames.iter().filter(|frame| frame["detected"] == true).count();
    assert!(filled > 0 && filled + detected == frames.len(), "{filled} and {detected}");
    assert_eq!(json["statistics"]["frames_detected"], detected);
    let metadata: serde_json::Value = serde_json::from_str(&text("metadata.json")?)?;
    assert_eq!((&metadata["filter"], &metadata["smoothing"]), (&"offline".into(), &().into()));
    let data = run(&video, "offline", "csv")?;
    let table = |run: &Run| std::fs::read(run.artefact(&video, "pose_data.csv"));
    assert_eq!(table(&data)?, table(&all)?, "the same without pictures");
    Ok(())
}

/// These are not read by a demuxer: each pass reads their frames from the beginning of the file.
#[test]
fn animations_and_plain_frames_have_their_pictures_in_the_second_pass() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (container, name) in
        [(Container::Gif, "gif.gif"), (Container::Apng, "apng.png"), (Container::Y4m, "y4m.y4m")]
    {
        let video = folder.path().join(name);
        let clip = Clip::new().size(320, 240).fps(25, 1).frames(12);
        clip.container(container).codec(Codec::Uncompressed).encode(&video)?;
        let run = run(&video, "offline", "video,csv")?;
        let pictures = decode(&run.artefact(&video, "output.mp4"))?.frames;
        let table = PoseTable::read(&run.artefact(&video, "pose_data.csv"))?;
        assert_eq!((pictures.len(), table.times.len()), (12, 12), "{name}");
    }
    Ok(())
}
