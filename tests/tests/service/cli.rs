//! `bodyscript run`, `config` and `doctor` as users and scripts run them.

use anyhow::Result;
use bodyscript_protocol::formats::Formats;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::{self, Run};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[test]
fn valid_videos_give_their_artefacts_although_others_fail() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (good, bad) = (folder.path().join("good.mp4"), folder.path().join("bad.mp4"));
    Clip::new().frames(6).encode(&good)?;
    std::fs::write(&bad, "no video")?;
    let run =
        Run::new(&["--interval", "2"], &[bad.clone(), good.clone()], &folder.path().join("out"))?;
    assert!(!run.output.status.success(), "one video failed");
    assert!(run.stderr().contains("bad.mp4"), "{}", run.stderr());
    for artefact in Formats::DEFAULT.iter() {
        let path = run.artefact(&good, artefact.file_name());
        assert!(path.metadata()?.len() > 0, "{}", path.display());
        assert!(!run.artefact(&bad, artefact.file_name()).exists());
    }
    let table = PoseTable::read(&run.artefact(&good, "pose_data.csv"))?;
    let frames: Vec<u32> = table.frames.keys().copied().collect();
    assert_eq!(frames, [0, 2, 4], "every second frame, by its number in the video");
    Ok(())
}

#[test]
fn a_configuration_fault_names_the_key() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bodyscript.toml");
    for (text, key) in [
        ("qeue_max = 3", "qeue_max"),
        ("workers = 0", "workers"),
        ("token_file = \"/nowhere\"", "token_file"),
        ("webhook_secret_file = \"/nowhere\"", "webhook_secret_file"),
    ] {
        std::fs::write(&file, text)?;
        let output = Command::new(programs::path("bodyscript")?)
            .args(["config", "check", "--config"])
            .arg(&file)
            .output()?;
        assert!(!output.status.success(), "{text}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(key), "{text}");
    }
    Ok(())
}

#[test]
fn the_shown_configuration_says_where_each_value_comes_from() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bodyscript.toml");
    std::fs::write(&file, "queue_max = 3\nworkers = 1\nstandby = 1\n")?;
    let show = |file: &Path| {
        let mut show = Command::new(programs::path("bodyscript")?);
        show.args(["config", "show", "--standby", "2", "--config"]).arg(file);
        anyhow::Ok(show.env("BODYSCRIPT_WORKERS", "4").output()?)
    };
    let output = show(&file)?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "standby = 2 # flag --standby",
        "workers = 4 # variable BODYSCRIPT_WORKERS",
        &format!("queue_max = 3 # file {}", file.display()),
        "duration_s_max = 10 # default",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no `{line}` in {shown}");
    }
    // It is a file itself.
    std::fs::write(&file, &shown)?;
    assert!(show(&file)?.status.success());
    Ok(())
}

#[test]
fn non_videos_are_refused_and_their_file_names_escaped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let pipe = folder.path().join("pipe\u{1b}[31m.mp4");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR)?;
    let run = Run::new(&[], &[pipe], &out)?;
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.stderr().contains("not a regular file"), "{}", run.stderr());
    assert!(!run.stderr().contains('\u{1b}') && run.stderr().contains("\\u{1b}[31m"));

    let text = folder.path().join("text\u{1b}[31m.mp4");
    std::fs::write(&text, "no video")?;
    let run = Run::new(&[], &[text], &out)?;
    assert_eq!(run.output.status.code(), Some(1));
    assert!(!run.stderr().contains("text\u{1b}"), "{}", run.stderr());
    Ok(())
}

#[test]
fn a_closed_output_is_accepted_and_a_full_one_reported() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("good.mp4");
    Clip::new().frames(3).encode(&video)?;
    let run = |stdout: Stdio| -> Result<Output> {
        let mut run = Command::new(programs::path("bodyscript")?);
        run.args(["run", "--force"]).arg(&video).arg("-o").arg(folder.path().join("out"));
        Ok(run.stdout(stdout).stderr(Stdio::piped()).output()?)
    };
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let unread = run(writer.into())?;
    assert!(unread.status.success(), "{}", String::from_utf8_lossy(&unread.stderr));
    let full = run(File::options().write(true).open("/dev/full")?.into())?;
    let text = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(1), "{text}");
    assert!(text.contains("No space left") && !text.contains("panicked"), "{text}");
    Ok(())
}

#[test]
fn doctor_reports_what_this_host_supports() -> Result<()> {
    let output = Command::new(programs::path("bodyscript")?).args(["doctor", "--json"]).output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let text = report.to_string();
    for word in ["cage", "seccomp", "landlock", "budget", "/monitor"] {
        assert!(text.contains(word), "no {word} in {text}");
    }
    Ok(())
}
