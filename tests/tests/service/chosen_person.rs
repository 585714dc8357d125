//! The option `person`: who is written as person 0, also when somebody walks in front.

use anyhow::Result;
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::mannequin::{Clothes, Figure, Pose, Scene};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::truth::figure_of;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const FPS: u32 = 15;
const FRAMES: u32 = 3 * FPS;

fn clip(footage: fn(Duration) -> Scene) -> Clip {
    Clip::new().size(480, 270).fps(FPS, 1).frames(FRAMES).yaw(0.0).footage(footage)
}

/// The table of a run with these options.
fn table(video: &Path, options: &[&str]) -> Result<PoseTable> {
    let folder = video.with_file_name(options.join(""));
    let options = [options, &["--formats", "csv"]].concat();
    let run = Run::new(&options, &[video.to_owned()], &folder)?.check()?;
    PoseTable::read(&run.artefact(video, "pose_data.csv"))
}

/// In how many frames person 0 is each of the figures.
fn figures(clip: &Clip, table: &PoseTable) -> BTreeMap<usize, u32> {
    let mut figures = BTreeMap::new();
    for (frame, pose) in &table.frames {
        if let Some(figure) = figure_of(clip, *frame, pose) {
            *figures.entry(figure).or_default() += 1;
        }
    }
    figures
}

fn figure(time: Duration, ahead_s: f64, x: f32, z: f32, shirt: [u8; 3]) -> Figure {
    let clothes = Clothes { shirt, ..Clothes::default() };
    Figure { pose: Pose::walking(time.as_secs_f64() + ahead_s), x, z, clothes, ..Figure::default() }
}

/// The first walks past in front of the second, who walks on the spot near the middle.
fn passing(time: Duration) -> Scene {
    let way = (time.as_secs_f32() / 3.0 - 0.5) * 2.4;
    let near = figure(time, 0.0, way, 0.3, [40, 90, 170]);
    Scene { figures: vec![near, figure(time, 0.4, 0.1, -0.9, [170, 50, 50])] }
}

/// Two people side by side, of whom the second is there for the first second only.
fn leaving(time: Duration) -> Scene {
    let mut scene = footage::pair(time);
    if time > Duration::from_secs(1) {
        scene.figures.pop();
    }
    scene
}

#[test]
fn the_chosen_person_stays_person_0_when_somebody_walks_in_front() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(passing);
    let video = folder.path().join("clip.mp4");
    clip.encode(&video)?;
    let truth = clip.truth(0);
    let at = |figure: usize| {
        let hip = &truth[figure][23];
        format!("{:.3},{:.3},0", hip.x, hip.y)
    };
    for (person, expected) in [("largest", 0), ("central", 1), (&*at(0), 0), (&*at(1), 1)] {
        let table = table(&video, &["--person", person])?;
        let figures = figures(&clip, &table);
        println!("{person}: {figures:?}");
        assert!(figures.len() == 1 && figures.contains_key(&expected), "{person}: {figures:?}");
        assert!(figures[&expected] >= 16, "{person}: {figures:?}");
    }
    Ok(())
}

#[test]
fn who_is_in_view_longest_is_chosen_and_the_others_follow() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(leaving);
    let video = folder.path().join("clip.mp4");
    clip.encode(&video)?;
    let alone = table(&video, &["--person", "longest"])?;
    assert!(alone.frames.len() as u32 > FRAMES * 9 / 10, "{}", alone.frames.len());
    assert_eq!(alone.rows as u32, 33 * FRAMES, "nobody else has rows");
    let both = table(&video, &["--person", "longest", "--max-people", "2"])?;
    assert_eq!(both.frames, alone.frames, "the others change nothing");
    assert!(both.rows > alone.rows, "the other has rows as well");
    Ok(())
}

#[test]
fn a_person_who_is_not_in_the_video_is_never_detected() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("clip.mp4");
    clip(footage::walking).encode(&video)?;
    let nobody = table(&video, &["--person", "99"])?;
    assert_eq!((nobody.frames.len(), nobody.rows as u32), (0, 33 * FRAMES));
    Ok(())
}
