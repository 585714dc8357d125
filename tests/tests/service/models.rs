//! The option `model`: which landmark model a job uses, and what happens where it is not installed.

use anyhow::{Context, Result};
use bodyscript_tests::ctl::ctl_json;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::programs::Run;
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The folder of the models of the source tree.
fn own_models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").canonicalize().expect("it is there")
}

/// Whether the model is there; only the heavy one is not part of the source tree.
pub(crate) fn is_installed(model: &str) -> bool {
    let is_there = own_models().join(format!("pose_landmark_{model}.onnx")).exists();
    assert!(is_there || model == "heavy", "the model {model} is part of the source tree");
    if !is_there {
        report::skipped("heavy-model", "`make models` has not installed it");
    }
    is_there
}

/// A folder with all models but the heavy one.
fn models_without_heavy(folder: &Path) -> Result<String> {
    let models = folder.join("models");
    std::fs::create_dir(&models)?;
    for name in ["pose_detection", "pose_landmark_full", "pose_landmark_lite"] {
        let name = format!("{name}.onnx");
        symlink(own_models().join(&name), models.join(&name))?;
    }
    Ok(models.to_str().context("a plain path")?.to_owned())
}

#[test]
fn a_job_uses_the_model_of_its_option_beside_standby_workers_with_the_default_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("clip.mp4");
    Clip::new().frames(4).encode(&video)?;
    let server = TestServer::start(&["--workers", "2", "--standby", "1"])?;
    let offered = server.json("/api")?["models"].clone();
    let mut tables = Vec::new();
    for model in ["lite", "full", "heavy"] {
        if !is_installed(model) {
            assert_eq!(offered, serde_json::json!(["lite", "full"]));
            continue;
        }
        let answer: Value = server.upload(&video, &[("model", model)])?.json()?;
        let id = answer["job_id"].as_str().context("an id")?;
        let status = server.await_end(id)?;
        assert_eq!((&status["status"], &status["model"]), (&"completed".into(), &model.into()));
        let file = |name: &str| -> Result<String> {
            let path = status["urls"][name].as_str().context("a URL")?;
            Ok(server.get(path)?.text()?)
        };
        let metadata: Value = serde_json::from_str(&file("metadata")?)?;
        assert_eq!(metadata["model"], model);
        assert_eq!(metadata["models"][1], format!("pose_landmark_{model}.onnx"));
        let log = server.log();
        let started = log.lines().find(|line| line.contains("started") && line.contains(id));
        let started = started.context("a line of its start")?;
        assert!(model == "full" || started.contains("is_standby=false"), "{started}");
        tables.push(file("csv")?);
    }
    assert_ne!(tables[0], tables[1], "lite and full give the same poses");
    server.stop()?;
    Ok(())
}

#[test]
fn an_upload_for_a_model_that_is_not_installed_is_refused_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("clip.mp4");
    Clip::new().frames(2).encode(&video)?;
    let models = models_without_heavy(folder.path())?;
    let server = TestServer::start(&["--models-dir", &models])?;
    assert_eq!(server.json("/api")?["models"], serde_json::json!(["lite", "full"]));
    let form = server.upload(&video, &[("model", "heavy")])?;
    let query = server
        .client()
        .put(server.url("/api/upload?model=heavy"))
        .body(std::fs::read(&video)?)
        .send()?;
    let tus = server
        .client()
        .post(server.url("/api/tus"))
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", "1000")
        .header("Upload-Metadata", "model aGVhdnk=")
        .send()?;
    for answer in [form, query, tus] {
        let (status, problem) = (answer.status(), answer.json::<Value>()?);
        assert_eq!((status.as_u16(), &problem["code"]), (400, &"model_not_installed".into()));
        let detail = problem["detail"].as_str().context("a sentence")?;
        assert!(detail.contains("lite or full") && detail.contains("make models"), "{detail}");
    }
    assert!(server.jobs()?["jobs"].as_array().is_some_and(Vec::is_empty));
    server.stop()?;

    let run = Run::new(&["--models-dir", &models, "--model", "heavy"], &[video], folder.path())?;
    assert!(!run.output.status.success());
    assert!(run.stderr().contains("`heavy` is not installed"), "{}", run.stderr());
    Ok(())
}

#[test]
fn a_queued_job_fails_if_its_model_is_gone_after_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let models = models_without_heavy(folder.path())?;
    let heavy = Path::new(&models).join("pose_landmark_heavy.onnx");
    symlink(own_models().join("pose_landmark_full.onnx"), &heavy)?;
    let program = fault_worker()?;
    let mut flags: Vec<&str> = program.iter().map(String::as_str).collect();
    flags.extend(["--models-dir", &models, "--workers", "1"]);
    let server = TestServer::start(&flags)?;
    let running = server.submit(&fault_video(folder.path(), "sleep:600000")?)?;
    server.await_status(&running, |status| status["status"] == "processing")?;
    let video = fault_video(folder.path(), "done")?;
    let answer: Value = server.upload(&video, &[("model", "heavy")])?.json()?;
    let id = answer["job_id"].as_str().context("an id")?.to_owned();
    let server = server.restart_after(&flags, || Ok(std::fs::remove_file(&heavy)?))?;
    let status = server.await_end(&id)?;
    assert_eq!(status["error_code"], "model_not_installed", "{status}");
    ctl_json(&server.state_dir(), &["retry", &id])?;
    assert_eq!(server.await_end(&id)?["error_code"], "model_not_installed");
    Ok(())
}

#[test]
fn a_file_with_the_name_of_a_model_and_other_content_is_not_used() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("clip.mp4");
    Clip::new().frames(2).encode(&video)?;
    let models = models_without_heavy(folder.path())?;
    let full = own_models().join("pose_landmark_full.onnx");
    symlink(full, Path::new(&models).join("pose_landmark_heavy.onnx"))?;
    let run = Run::new(&["--models-dir", &models, "--model", "heavy"], &[video], folder.path())?;
    assert!(run.stderr().contains("model_unusable"), "{}", run.stderr());
    Ok(())
}
