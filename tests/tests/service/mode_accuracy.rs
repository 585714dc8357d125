//! What the modes find in ordinary, dark and blurred footage of a figure whose joints are known: enhanced copies of a
//! frame find people whom the frame itself does not show, near their true joints, and invent none.

use anyhow::Result;
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use bodyscript_tests::truth::{Condition, Figures};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const FRAMES: u32 = 16;
/// Frames of the clips without a person.
const EMPTY_FRAMES: u32 = 4;
const MODES: [&str; 6] = ["track", "static", "ultra_fast", "fast", "smart", "quality"];
/// Modes of which each tries all images of the one before, and more.
const GROWING: [&str; 4] = ["static", "ultra_fast", "fast", "quality"];
/// Mean distance from the true joints as a share of the diagonal, in ordinary footage.
const ERROR_MAX: f64 = 0.01;
/// The same in dark and in blurred footage.
const HARD_ERROR_MAX: f64 = 0.02;

/// The clip of each condition as a file.
fn encoded(folder: &Path, clip: impl Fn(Condition) -> Clip) -> Result<[PathBuf; 3]> {
    let paths = Condition::ALL.map(|condition| folder.join(format!("{}.mp4", condition.name())));
    for (condition, path) in Condition::ALL.into_iter().zip(&paths) {
        clip(condition).encode(path)?;
    }
    Ok(paths)
}

/// The table of each video.
fn tables(mode: &str, videos: &[PathBuf; 3], folder: &Path) -> Result<Vec<PoseTable>> {
    let run = Run::new(&["--mode", mode, "--formats", "csv"], videos, &folder.join(mode))?;
    let run = run.check()?;
    videos.iter().map(|video| PoseTable::read(&run.artefact(video, "pose_data.csv"))).collect()
}

#[test]
fn modes_that_try_enhanced_images_find_who_cannot_be_seen_in_the_frame_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let videos = encoded(folder.path(), |condition| condition.clip(FRAMES))?;
    let mut found: BTreeMap<(&str, &str), BTreeSet<u32>> = BTreeMap::new();
    for mode in MODES {
        let tables = tables(mode, &videos, folder.path())?;
        for (condition, table) in Condition::ALL.into_iter().zip(&tables) {
            let figures = Figures::measure(&condition.clip(FRAMES), table);
            println!("{}, {mode}: {figures:?}", condition.name());
            let is_ordinary = condition == Condition::Ordinary;
            if is_ordinary || mode == "quality" {
                assert_eq!(figures.frames as u32, FRAMES, "{mode}, {condition:?}");
                let most = if is_ordinary { ERROR_MAX } else { HARD_ERROR_MAX };
                assert!(figures.mean <= most, "{mode}, {condition:?}: {figures:?}");
            }
            found.insert((condition.name(), mode), table.frames.keys().copied().collect());
        }
    }
    for condition in Condition::ALL {
        let of = |mode: &'static str| &found[&(condition.name(), mode)];
        for pair in GROWING.windows(2) {
            let (fewer, more) = (pair[0], pair[1]);
            assert!(of(fewer).is_subset(of(more)), "{condition:?}: {fewer} finds more than {more}");
        }
        if condition != Condition::Ordinary {
            let [alone, three] = ["static", "ultra_fast"].map(|mode| of(mode).len());
            assert!(alone <= FRAMES as usize / 4, "{condition:?} is too easy: {alone}");
            assert!(three > alone, "{condition:?}: three images find no more than one: {three}");
        }
    }
    Ok(())
}

#[test]
fn no_mode_invents_a_person_in_an_empty_room() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let videos =
        encoded(folder.path(), |condition| condition.clip(EMPTY_FRAMES).footage(footage::empty))?;
    for mode in MODES {
        for (condition, table) in Condition::ALL.iter().zip(tables(mode, &videos, folder.path())?) {
            assert_eq!(table.times.len() as u32, EMPTY_FRAMES, "{mode}, {condition:?}");
            assert!(table.frames.is_empty(), "{mode}, {condition:?}: {:?}", table.frames.keys());
        }
    }
    Ok(())
}
