//! The log: every line of a request has its id, each stage of a job its memory, and each worker one exit
//! report.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use reqwest::blocking::multipart::Form;
use serde_json::Value;
use std::path::Path;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The lines of a log in JSON.
fn lines(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Uploads a video in a request with an id and a trace; gives the job's id.
fn submit_with_id(server: &TestServer, video: &Path) -> Result<String> {
    let answer = server
        .client()
        .post(server.url("/api/upload"))
        .header("x-request-id", "request-7")
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .multipart(Form::new().file("file", video)?)
        .send()?;
    assert_eq!(answer.headers()["x-request-id"], "request-7");
    Ok(answer.json::<Value>()?["job_id"].as_str().context("an id")?.to_owned())
}

#[test]
fn a_request_id_is_logged_from_the_response_to_the_worker_exit() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("short.mp4");
    Clip::new().frames(30).encode(&video)?;
    let server = TestServer::start(&["--log-format", "json"])?;
    let job = submit_with_id(&server, &video)?;
    server.await_end(&job)?;
    let unnamed = server.get("/nothing")?;
    assert_eq!(unnamed.headers()["x-request-id"].len(), 32);

    let log = lines(&server.stop()?);
    let of_job: Vec<_> = log.iter().filter(|line| line["job"] == job.as_str()).collect();
    let mut points = of_job.iter();
    for (message, memory) in [
        ("accepted", "supervisor_rss_bytes"),
        ("started", "cap_bytes"),
        ("first frame", "rss_bytes"),
        ("encoded", "peak_bytes"),
        ("exit", "peak"),
    ] {
        let is_it = |line: &&&Value| line["message"] == message || line["target"] == message;
        let line = points.find(is_it).with_context(|| format!("{message}: {of_job:#?}"))?;
        assert_eq!(line["request_id"], "request-7", "{line}");
        assert_eq!(line["trace_id"], TRACE, "{line}");
        assert!(line[memory].as_u64() > Some(1 << 20), "{memory} of {line}");
    }
    Ok(())
}

#[test]
fn a_request_id_cannot_inject_log_fields() -> Result<()> {
    let [flag, program] = fault_worker()?;
    let server = TestServer::start(&[&flag, &program])?;
    let url = server.url("/api/upload?filename=x.mp4%20sha256=%220%22%20job=1");
    let request = server.client().put(url);
    assert!(request.body("FAULT ok\n").send()?.status().is_success());
    server.await_log(r#"filename="x.mp4 sha256=\"0\" job=1""#)
}

#[test]
fn a_job_keeps_its_request_id_over_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [flag, program] = fault_worker()?;
    let flags = ["--log-format", "json", &flag, &program];
    let server = TestServer::start(&flags)?;
    let job = submit_with_id(&server, &fault_video(folder.path(), "progress:1 sleep:2000 ok")?)?;
    server.await_status(&job, |status| status["current_frame"] == 1)?;
    let server = TestServer::start_in(server.kill()?, &flags)?;
    server.await_end(&job)?;
    let log = lines(&server.stop()?);
    let is_recovery = |line: &Value| line["message"] == "recovered" && line["job"] == job.as_str();
    let recovered = log.iter().position(is_recovery);
    let after = &log[recovered.context("a start that recovers")?..];
    for message in ["recovered", "started", "exit"] {
        let is_it = |line: &&Value| line["message"] == message || line["target"] == message;
        let line = after.iter().filter(|line| line["job"] == job.as_str()).find(is_it);
        let line = line.with_context(|| format!("{message}: {after:#?}"))?;
        assert_eq!((&line["request_id"], &line["trace_id"]), (&"request-7".into(), &TRACE.into()));
    }
    Ok(())
}

#[test]
fn each_worker_has_one_exit_report() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [flag, program] = fault_worker()?;
    let server = TestServer::start(&["--log-format", "json", &flag, &program])?;
    let mut workers = 0;
    for words in ["ok", "segv", "bad-input", "panic"] {
        let job = server.submit(&fault_video(folder.path(), words)?)?;
        let status = server.await_end(&job)?;
        workers += status["attempts"].as_array().context("attempts")?.len();
    }
    let cancelled = server.submit(&fault_video(folder.path(), "silent")?)?;
    server.await_status(&cancelled, |status| status["status"] == "processing")?;
    server.client().post(server.url(&format!("/api/cancel/{cancelled}"))).send()?;
    workers += 1;
    let log = lines(&server.stop()?);
    let reports: Vec<_> = log
        .iter()
        // The test worker at the start has one too.
        .filter(|line| line["target"] == "exit" && line["job"] != "trial")
        .map(|line| (line["job"].to_string(), line["attempt"].as_u64(), line["pid"].as_i64()))
        .collect();
    let mut different = reports.clone();
    different.sort();
    different.dedup();
    assert_eq!((reports.len(), different.len()), (workers, workers), "{reports:?}");
    Ok(())
}
