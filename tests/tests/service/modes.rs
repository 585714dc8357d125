//! Options of a job on the command line: modes, sampling of frames, parallel inference.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::{self, Run};
use bodyscript_tests::{recorded_footage, report};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
fn every_mode_locates_the_person_and_names_its_strategy() -> Result<()> {
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
        // Shoulders and hips: if left and right were swapped, they would be off by the width of the trunk.
        for landmark in [11, 12, 23, 24] {
            let (row, truth) = (&table.frames[&0][&landmark], &truth[0][landmark]);
            let off = (row.x - f64::from(truth.x)).hypot(row.y - f64::from(truth.y));
            assert!(off < 0.04, "{mode}: landmark {landmark} is {off} off");
        }
    }
    Ok(())
}

#[test]
fn frames_are_sampled_by_number_or_by_time_but_not_by_both() -> Result<()> {
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

/// Starts `bodyscript run` with these options on the given processors.
fn start(
    options: &[&str],
    video: &Path,
    folder: &Path,
    processors: &CpuSet,
) -> Result<RefCell<Child>> {
    let program = programs::path("bodyscript")?;
    let mut command = Command::new(program);
    command.arg("run").args(options).arg(video);
    command.arg("-o").arg(folder).stdout(Stdio::null());
    let processors = *processors;
    // A child inherits the processors of the thread that starts it.
    let spawn = move || -> Result<Child> {
        sched_setaffinity(Pid::from_raw(0), &processors)?;
        command.spawn().context("bodyscript cannot be run")
    };
    let child = std::thread::spawn(spawn).join().expect("no panic")?;
    Ok(RefCell::new(child))
}

/// Whether a worker of this process has a thread for inference besides its main thread.
fn has_pose_thread(supervisor: u32) -> Result<bool> {
    let processes = procfs::process::all_processes()?.flatten();
    let is_child = |process: &procfs::process::Process| {
        process.stat().is_ok_and(|stat| i64::from(stat.ppid) == i64::from(supervisor))
    };
    let mut threads =
        processes.filter(is_child).filter_map(|process| process.tasks().ok()).flatten();
    let is_pose = |stat: procfs::process::Stat| stat.comm == "pose";
    Ok(threads.any(|thread| thread.is_ok_and(|thread| thread.stat().is_ok_and(is_pose))))
}

/// Waits for the end of a run; gives its table and whether it ran inference in parallel.
fn finish(run: RefCell<Child>, video: &Path, folder: &Path) -> Result<(String, bool)> {
    let seen = Cell::new(false);
    wait_until("the run has ended", || {
        let mut run = run.borrow_mut();
        seen.set(seen.get() || has_pose_thread(run.id())?);
        Ok(run.try_wait()?.is_some())
    })?;
    ensure!(run.into_inner().wait()?.success(), "the run failed");
    let table = folder.join(video.file_stem().unwrap_or_default()).join("pose_data.csv");
    Ok((std::fs::read_to_string(table)?, seen.get()))
}

#[test]
fn parallel_inference_gives_the_same_poses_as_sequential() -> Result<()> {
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let available = |processor: &usize| all.is_set(*processor).unwrap_or(false);
    let available: Vec<usize> = (0..CpuSet::count()).filter(available).collect();
    if available.len() < 2 {
        report::skipped("processors", "parallel inference needs two, and there is one");
        return Ok(());
    }
    let mut one = CpuSet::new();
    one.set(available[0])?;
    let folder = tempfile::tempdir()?;
    let two = folder.path().join("two.mp4");
    Clip::new().frames(12).footage(footage::pair).encode(&two)?;
    let people = ["--mode", "ultra_fast", "--max-people", "2", "--formats", "csv"];
    let mut cases = vec![(people.to_vec(), two)];
    if let Some(video) = recorded_footage::find("media/person_720p.mp4") {
        // With the table only, and with the overlay, which also contains frames that are not processed.
        let sparse = |mode| {
            vec!["--mode", mode, "--interval", "15", "--duration-s-max", "3", "--formats", "csv"]
        };
        let modes = ["static", "ultra_fast", "fast", "smart", "quality"].map(sparse);
        cases.extend(modes.map(|options| (options, video.clone())));
        cases.push((vec!["--mode", "smart", "--interval", "5", "--duration-s-max", "3"], video));
    }
    for (at, (options, video)) in cases.iter().enumerate() {
        let [sequential, parallel] =
            ["sequential", "parallel"].map(|name| folder.path().join(format!("{name}-{at}")));
        let (expected, has_threads) =
            finish(start(options, video, &sequential, &one)?, video, &sequential)?;
        assert!(!has_threads, "{options:?}: threads for inference on one processor");
        let (poses, has_threads) =
            finish(start(options, video, &parallel, &all)?, video, &parallel)?;
        assert!(has_threads, "{options:?}: no thread for inference on several processors");
        assert_eq!(poses, expected, "{options:?}");
        println!("{options:?}: {:?}", strategies(&poses));
    }
    Ok(())
}
