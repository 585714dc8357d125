//! What can be chosen for a video, through the whole path from the command line: the modes, which
//! frames are processed, smoothing.

use anyhow::Result;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const FRAMES: u32 = 4;

fn clip(folder: &Path, frames: u32) -> Result<PathBuf> {
    let path = folder.join("clip.mp4");
    Clip::new().frames(frames).encode(&path)?;
    Ok(path)
}

fn run(options: &[&str], video: &Path, folder: &Path) -> Result<(PoseTable, String)> {
    let folder = folder.join(options.join(""));
    let run = Run::new(options, &[video.to_owned()], &folder)?.check()?;
    let path = run.artefact(video, "pose_data.csv");
    Ok((PoseTable::read(&path)?, std::fs::read_to_string(path)?))
}

/// The strategies named in a table.
fn strategies(text: &str) -> BTreeSet<&str> {
    text.lines().skip(1).filter_map(|line| line.split(',').nth(6)).collect()
}

#[test]
fn every_mode_sees_the_person_where_it_stands_and_names_what_found_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = clip(folder.path(), FRAMES)?;
    for (mode, names) in [
        ("static", &["original"][..]),
        ("ultra_fast", &["original", "clahe", "mirrored"]),
        ("fast", &["original", "clahe", "mirrored", "bright", "gaussian", "lower_enhanced"]),
        (
            "smart",
            &[
                "original",
                "clahe",
                "mirrored",
                "bright",
                "very_bright",
                "lower_enhanced",
                "bilateral",
            ],
        ),
        (
            "quality",
            &[
                "original",
                "clahe",
                "mirrored",
                "bright",
                "gaussian",
                "lower_enhanced",
                "very_bright",
                "sharpened",
                "hist_eq",
                "bilateral",
            ],
        ),
        ("track", &["detect", "track"]),
    ] {
        let (table, text) = run(&["--mode", mode], &video, folder.path())?;
        assert_eq!(table.frames.len() as u32, FRAMES, "{mode}");
        let found = strategies(&text);
        assert!(found.iter().all(|name| names.contains(name)), "{mode}: {found:?}");
        println!("{mode}: {found:?}");
        let truth = Clip::new().frames(FRAMES).truth(0);
        // Shoulders and hips: were left and right exchanged, they would be a trunk's width off.
        for landmark in [11, 12, 23, 24] {
            let (row, truth) = (&table.frames[&0][&landmark], &truth[0][landmark]);
            let off = (row.x - f64::from(truth.x)).hypot(row.y - f64::from(truth.y));
            assert!(off < 0.04, "{mode}: landmark {landmark} is {off} off");
        }
    }
    Ok(())
}

#[test]
fn frames_are_chosen_by_number_or_by_time_but_not_by_both() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = clip(folder.path(), 10)?;
    let chosen = |options: &[&str]| -> Result<Vec<u32>> {
        Ok(run(options, &video, folder.path())?.0.times.into_keys().collect())
    };
    assert_eq!(chosen(&["--interval", "4"])?, [0, 4, 8]);
    assert_eq!(chosen(&["--fps", "10"])?, [0, 3, 6, 9]);
    assert_eq!(chosen(&["--fps", "240"])?.len(), 10);
    let both = ["--fps", "10", "--interval", "2"];
    let refused = Run::new(&both, std::slice::from_ref(&video), folder.path())?;
    assert!(!refused.output.status.success());
    assert!(refused.stderr().contains("--interval"), "{}", refused.stderr());
    Ok(())
}
