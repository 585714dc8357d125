//! `bodyscript run` as people and scripts use it: what it finds, where results go, what it prints and when it refuses.
//! The worker is `fault_worker`, which does what the video says.

use anyhow::{Context, Result};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::programs;
use bodyscript_tests::terminal::{Screen, run_in_terminal};
use bodyscript_tests::traces::fault_worker;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const OK: &str = "FAULT ok\n";
const BAD: &str = "FAULT bad-input\n";
const ENDLESS: &str = "FAULT silent\n";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(path, content)?;
    }
    Ok(folder)
}

/// A run in this folder, with results in `out`.
fn command(folder: &TempDir, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(programs::path("bodyscript")?);
    command.arg("run").args(fault_worker()?).args(["--formats", "csv,json", "-o", "out"]);
    command.args(arguments).current_dir(folder.path()).stdin(Stdio::null());
    Ok(command)
}

fn run(folder: &TempDir, arguments: &[&str]) -> Result<Output> {
    Ok(command(folder, arguments)?.output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The folder of results of each video that succeeded, and the status of each other, from lines of JSON.
fn ends(output: &Output) -> Result<BTreeMap<String, String>> {
    let lines = text(&output.stdout);
    let mut ends = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let status = line["status"].as_str().context("a status")?;
        let end = if status == "completed" { line["results"].as_str() } else { Some(status) };
        let video = line["video"].as_str().context("a video")?;
        ends.insert(video.to_owned(), end.context("a folder")?.to_owned());
    }
    Ok(ends)
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

/// The names below a folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    let mut names: Vec<String> = fs::read_dir(folder)?.map(name).collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

#[test]
fn folders_patterns_and_standard_input_give_a_folder_of_results_for_each_video() -> Result<()> {
    let folder = folder(&[
        ("videos/day1/walk.mp4", OK),
        ("videos/day2/walk.mp4", OK),
        ("videos/notes.txt", OK),
        ("more/jump.mov", OK),
        ("more/jump.mp4", OK),
        ("piped", OK),
    ])?;
    let output = command(&folder, &["--json", "videos", "more/j*", "-", "--stdin-name", "live"])?
        .stdin(File::open(folder.path().join("piped"))?)
        .output()?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let expected = map(&[
        ("videos/day1/walk.mp4", "out/day1/walk"),
        ("videos/day2/walk.mp4", "out/day2/walk"),
        ("more/jump.mov", "out/more/jump.mov"),
        ("more/jump.mp4", "out/more/jump.mp4"),
        ("-", "out/live"),
    ]);
    assert_eq!(ends(&output)?, expected);
    for results in expected.values() {
        let results = folder.path().join(results);
        assert_eq!(names(&results)?, ["pose_data.csv", "pose_data.json"], "{}", results.display());
    }
    // Its own results are no videos to process, in whatever folder they are.
    let again = run(&folder, &["--json", "--skip-existing", "."])?;
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert!(!ends(&again)?.keys().any(|video| video.contains("out/")), "{}", text(&again.stdout));
    Ok(())
}

#[test]
fn existing_results_are_kept_skipped_or_replaced_as_a_whole() -> Result<()> {
    let folder = folder(&[("walk.mp4", OK), ("new.mp4", OK), ("out/walk/output.mp4", "old")])?;
    let kept = folder.path().join("out/walk");
    let refused = run(&folder, &["walk.mp4", "new.mp4"])?;
    assert_eq!(refused.status.code(), Some(2));
    let told = text(&refused.stderr);
    assert!(told.contains("out/walk has results already") && told.contains("--force"), "{told}");
    assert_eq!(names(&folder.path().join("out"))?, ["walk"], "nothing was begun");
    assert_eq!(names(&kept)?, ["output.mp4"]);

    // Skipped are only videos that have all results which are asked for.
    assert_eq!(run(&folder, &["--skip-existing", "walk.mp4"])?.status.code(), Some(2));
    let replaced = run(&folder, &["--force", "walk.mp4"])?;
    assert!(replaced.status.success(), "{}", text(&replaced.stderr));
    assert_eq!(names(&kept)?, ["pose_data.csv", "pose_data.json"], "no old result is left");
    let skipped = run(&folder, &["--json", "--skip-existing", "walk.mp4", "new.mp4"])?;
    assert!(skipped.status.success(), "{}", text(&skipped.stderr));
    assert_eq!(ends(&skipped)?, map(&[("walk.mp4", "skipped"), ("new.mp4", "out/new")]));
    assert_eq!(names(&folder.path().join("out"))?, ["new", "walk"]);

    // What is not a result is never removed.
    fs::write(kept.join("notes.txt"), "mine")?;
    let refused = run(&folder, &["--force", "walk.mp4"])?;
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("notes.txt"), "{}", text(&refused.stderr));
    assert_eq!(fs::read_to_string(kept.join("notes.txt"))?, "mine");
    Ok(())
}

#[test]
fn one_bad_name_does_not_stop_the_rest_and_the_summary_counts_it() -> Result<()> {
    let folder = folder(&[("good.mp4", OK), ("bad.mp4", BAD)])?;
    let output = run(&folder, &["missing.mp4", "bad.mp4", "good.mp4"])?;
    assert_eq!(output.status.code(), Some(1));
    let (printed, told) = (text(&output.stdout), text(&output.stderr));
    assert!(printed.contains("good.mp4: ") && printed.contains("results in out/good"), "{printed}");
    assert!(printed.contains("1 of 3 videos processed, 2 failed."), "{printed}");
    assert!(told.contains("missing.mp4: cannot be read") && told.contains("bad.mp4: "), "{told}");
    assert!(
        !printed.contains('\u{1b}') && !told.contains('\u{1b}'),
        "no terminal, no control codes"
    );
    assert_eq!(names(&folder.path().join("out"))?, ["good"]);

    let quiet = run(&folder, &["--quiet", "--force", "bad.mp4", "good.mp4"])?;
    assert_eq!((quiet.status.code(), text(&quiet.stdout)), (Some(1), String::new()));
    assert!(text(&quiet.stderr).contains("bad.mp4: "), "{}", text(&quiet.stderr));
    let none = run(&folder, &["missing.mp4", "*.avi"])?;
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));
    Ok(())
}

#[test]
fn an_interrupted_run_says_cancelled_and_leaves_only_what_was_complete() -> Result<()> {
    let folder = folder(&[("a.mp4", OK), ("b.mp4", ENDLESS), ("c.mp4", ENDLESS)])?;
    let arguments = ["--json", "--jobs", "1", "a.mp4", "b.mp4", "c.mp4"];
    let mut command = command(&folder, &arguments)?;
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let complete = folder.path().join("out/a/pose_data.csv");
    wait_until("the first video has its results", || Ok(complete.exists()))?;
    kill(Pid::from_raw(child.id().try_into()?), Signal::SIGINT)?;
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("Cancelled."), "{}", text(&output.stderr));
    let expected = [("a.mp4", "out/a"), ("b.mp4", "cancelled"), ("c.mp4", "cancelled")];
    assert_eq!(ends(&output)?, map(&expected));
    assert_eq!(names(&folder.path().join("out"))?, ["a"]);
    Ok(())
}

#[test]
fn results_have_the_permissions_of_new_files() -> Result<()> {
    let folder = folder(&[("walk.mp4", OK)])?;
    let run = command(&folder, &["walk.mp4"])?;
    let status = Command::new("sh")
        .args(["-c", "umask 027; exec \"$@\"", "sh"])
        .arg(run.get_program())
        .args(run.get_args())
        .current_dir(folder.path())
        .status()?;
    assert!(status.success());
    for (path, mode) in [("out/walk", 0o750), ("out/walk/pose_data.csv", 0o640)] {
        let permissions = fs::metadata(folder.path().join(path))?.permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{path}");
    }
    Ok(())
}

#[test]
fn progress_fits_forty_columns_and_is_gone_at_the_end() -> Result<()> {
    let long = "a long name of a video which no terminal has room for.mp4";
    let folder = folder(&[("a.mp4", OK), (long, "FAULT progress:3 ok\n")])?;
    let run = command(&folder, &["a.mp4", long])?;
    // Standard output is a file, so that only progress is on the terminal.
    let redirected = ["-c", "exec \"$@\" >printed", "sh"].map(OsStr::new);
    let words: Vec<_> =
        redirected.into_iter().chain([run.get_program()]).chain(run.get_args()).collect();
    let in_terminal = |more: &[&OsStr]| {
        run_in_terminal(40, folder.path(), Path::new("sh"), &[&words, more].concat())
    };
    let output = in_terminal(&[])?;
    let screen = Screen::after(&output.stdout, 40);
    assert!(output.status.success() && screen.has_erased, "{screen:?}");
    assert!((1..=3).contains(&screen.height), "a line for each video and one for all: {screen:?}");
    assert_eq!(screen.lines(), [""; 0], "the progress is gone");
    let printed = fs::read_to_string(folder.path().join("printed"))?;
    assert!(printed.ends_with("2 of 2 videos processed.\n"), "{printed}");

    let quiet = in_terminal(&["--force", "--quiet"].map(OsStr::new))?;
    assert_eq!((quiet.status.success(), text(&quiet.stdout)), (true, String::new()));
    Ok(())
}

#[test]
fn the_short_help_is_about_the_command_and_the_long_one_about_all_settings() -> Result<()> {
    let help = |flag: &str| -> Result<String> {
        let output = Command::new(programs::path("bodyscript")?).args(["run", flag]).output()?;
        assert!(output.status.success());
        Ok(text(&output.stdout))
    };
    let (short, long) = (help("-h")?, help("--help")?);
    for common in ["--skip-existing", "--mode", "Exit status:", "Processing:"] {
        assert!(short.contains(common) && long.contains(common), "{common}");
    }
    assert!(!short.contains("--queue-max") && long.contains("--queue-max"));
    assert!(long.contains("Configuration:"));
    Ok(())
}
