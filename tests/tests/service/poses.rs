//! The poses of a job while they are found: complete, in order, once each, and void after a new start.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, start_fault_service};
use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;

pub(crate) fn follow(server: &TestServer, job: &str, after: Option<&str>) -> Result<Response> {
    let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
    let answer = server.get(&format!("/api/poses/{job}{query}"))?;
    ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
    ensure!(answer.headers()[CONTENT_TYPE] == "application/x-ndjson");
    Ok(answer)
}

/// The next message; none at the end of the stream.
pub(crate) fn next(lines: &mut impl BufRead) -> Result<Option<Value>> {
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        if !line.trim().is_empty() {
            return Ok(Some(serde_json::from_str(&line)?));
        }
        line.clear();
    }
    Ok(None)
}

pub(crate) fn all(answer: Response) -> Result<Vec<Value>> {
    let mut lines = BufReader::new(answer);
    std::iter::from_fn(|| next(&mut lines).transpose()).collect()
}

pub(crate) fn ids(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["id"].as_str()).collect()
}

fn submit(server: &TestServer, folder: &Path, words: &str) -> Result<String> {
    server.submit(&fault_video(folder, words)?)
}

pub(crate) fn cancel(server: &TestServer, job: &str) -> Result<()> {
    server.client().post(server.url(&format!("/api/cancel/{job}"))).send()?.error_for_status()?;
    Ok(())
}

/// The frames of the messages as they are in the results.
fn frames(messages: &[Value]) -> Vec<Value> {
    let without_id = |message: &Value| {
        let mut frame = message.clone();
        frame.as_object_mut().map(|fields| fields.remove("id"));
        frame
    };
    messages.iter().filter(|it| !it["frame_id"].is_null()).map(without_id).collect()
}

/// The frames of the results, without what is known at the end only.
fn as_found(mut frames: Value) -> Value {
    for frame in frames.as_array_mut().into_iter().flatten() {
        for person in frame["people"].as_array_mut().into_iter().flatten() {
            person.as_object_mut().map(|fields| fields.remove("filled"));
        }
    }
    frames
}

#[test]
fn the_poses_told_of_a_job_are_those_of_its_results_during_the_work_and_after_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walk.mp4");
    Clip::new().frames(45).encode(&video)?;
    let server = TestServer::start(&[])?;
    let answer = server.upload(&video, &[("interval", "2"), ("max_people", "2")])?;
    let job: Value = answer.error_for_status()?.json()?;
    let job = job["job_id"].as_str().context("an id")?;
    let told = all(follow(&server, job, None)?)?;
    let over = server.await_end(job)?;
    ensure!(over["status"] == "completed", "{over}");
    let results = server.json(&format!("/api/serve/{job}/pose_data.json"))?;
    assert_eq!(Value::from(frames(&told)), as_found(results["frames"].clone()));
    assert!(told.iter().any(|message| message["detected"] == true), "nobody was found");
    let count = told.len() - 1;
    assert_eq!(count, 23, "every second frame");
    let end =
        json!({"id": format!("1-{count}-end"), "end": {"status": "completed", "frames": count}});
    assert_eq!(told.last(), Some(&end));

    let again = all(follow(&server, job, None)?)?;
    assert_eq!(ids(&again), ids(&told), "after the end");
    assert_eq!(as_found(frames(&again).into()), Value::from(frames(&told)));
    let after = format!("1-{}", count - 3);
    assert_eq!(all(follow(&server, job, Some(&after))?)?, again[count - 3..]);
    let last = server.get(&format!("/api/poses/{job}?after=1-{count}-end"))?;
    assert_eq!(last.status(), StatusCode::NO_CONTENT);
    Ok(())
}

#[test]
fn poses_are_told_before_the_job_ends_and_a_client_that_reconnects_gets_each_once() -> Result<()> {
    let (server, folder) = (start_fault_service(&[])?, tempfile::tempdir()?);
    let job = submit(&server, folder.path(), "progress:6 silent")?;
    let mut lines = BufReader::new(follow(&server, &job, None)?);
    let first = (0..3).map(|_| next(&mut lines)?.context("a pose")).collect::<Result<Vec<_>>>()?;
    assert_eq!(ids(&first), ["1-1", "1-2", "1-3"]);
    assert_eq!(server.status(&job)?["status"], "processing");
    drop(lines);

    let mut lines = BufReader::new(follow(&server, &job, Some("1-3"))?);
    let rest = (0..3).map(|_| next(&mut lines)?.context("a pose")).collect::<Result<Vec<_>>>()?;
    assert_eq!(ids(&rest), ["1-4", "1-5", "1-6"]);
    let of_frame = |message: &Value| message["frame_id"].as_u64();
    assert_eq!(rest.iter().map(of_frame).collect::<Vec<_>>(), [Some(3), Some(4), Some(5)]);

    let events = server.client().get(server.url(&format!("/api/poses/{job}")));
    let events = events.header(ACCEPT, "text/event-stream").header("last-event-id", "1-5");
    let events = events.send()?;
    assert_eq!(events.headers()[CONTENT_TYPE], "text/event-stream");
    cancel(&server, &job)?;
    let text = events.text()?;
    let names: Vec<_> = text.lines().filter(|line| !line.starts_with("data: ")).collect();
    let expected = ["id: 1-6", "event: poses", "", "id: 1-6-end", "event: end", ""];
    assert_eq!(names, expected, "{text}");
    let end = next(&mut lines)?.context("the end")?;
    assert_eq!(end, json!({"id": "1-6-end", "end": {"status": "cancelled", "frames": 6}}));
    assert_eq!(next(&mut lines)?, None);
    Ok(())
}

#[test]
fn a_new_start_of_a_job_says_that_what_came_before_is_void() -> Result<()> {
    let (server, folder) = (start_fault_service(&["--workers", "1"])?, tempfile::tempdir()?);
    // The client follows before the first start.
    let before = submit(&server, folder.path(), "silent")?;
    let job = submit(&server, folder.path(), "progress:2 sleep:1000 segv")?;
    let stream = follow(&server, &job, None)?;
    cancel(&server, &before)?;
    let told = all(stream)?;
    assert_eq!(ids(&told), ["1-1", "1-2", "2-0", "2-1", "2-2", "2-2-end"]);
    assert_eq!(told[2]["reset"], json!({"attempt": 2}));
    assert_eq!(told[5]["end"], json!({"status": "failed", "frames": 2}));

    let job = submit(&server, folder.path(), "progress:2 silent")?;
    let mut lines = BufReader::new(follow(&server, &job, None)?);
    let first = next(&mut lines)?.context("a pose")?;
    let program = bodyscript_tests::programs::path("fault_worker")?;
    let server = server.restart(&["--worker-program", program.to_str().context("a path")?])?;
    let after = first["id"].as_str();
    let mut lines = BufReader::new(follow(&server, &job, after)?);
    let again = (0..3).map(|_| next(&mut lines)?.context("more")).collect::<Result<Vec<_>>>()?;
    assert_eq!(ids(&again), ["2-0", "2-1", "2-2"], "the job runs again after a restart");
    Ok(())
}

#[test]
fn a_client_that_does_not_read_holds_up_no_worker() -> Result<()> {
    let (server, folder) = (start_fault_service(&[])?, tempfile::tempdir()?);
    let job = submit(&server, folder.path(), "progress:2000 silent")?;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(4096)?;
    let address: SocketAddr = server.url("").trim_start_matches("http://").parse()?;
    socket.connect(&address.into())?;
    let mut stream = std::net::TcpStream::from(socket);
    write!(stream, "GET /api/poses/{job} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    server.await_status(&job, |status| status["current_frame"] == 2000)?;
    cancel(&server, &job)?;
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 2 {
        line.clear();
    }
    let told: Vec<_> =
        std::iter::from_fn(|| next(&mut lines).transpose()).collect::<Result<_>>()?;
    let expected: Vec<_> =
        (1..=2000).map(|n| format!("1-{n}")).chain(["1-2000-end".to_owned()]).collect();
    assert_eq!(ids(&told), expected);
    Ok(())
}

#[test]
fn streams_of_poses_have_the_limits_of_other_streams_and_their_errors() -> Result<()> {
    let server = start_fault_service(&["--client-streams-max", "1"])?;
    let folder = tempfile::tempdir()?;
    let job = submit(&server, folder.path(), "progress:1 silent")?;
    let mut lines = BufReader::new(follow(&server, &job, None)?);
    next(&mut lines)?.context("a pose")?;
    let code = |path: &str| Ok::<_, anyhow::Error>(server.json(path)?["code"].clone());
    assert_eq!(code(&format!("/api/events/{job}"))?, "too_many_streams");
    assert_eq!(code(&format!("/api/poses/{job}"))?, "too_many_streams");
    assert_eq!(code(&format!("/api/poses/{job}?after=last"))?, "invalid_field");
    assert_eq!(code(&format!("/api/poses/{}", "0".repeat(32)))?, "job_not_found");
    cancel(&server, &job)?;
    drop(lines);

    let answer = server.upload(&fault_video(folder.path(), "ok")?, &[("formats", "csv")])?;
    let other: Value = answer.error_for_status()?.json()?;
    let other = other["job_id"].as_str().context("an id")?;
    server.await_end(other)?;
    assert_eq!(code(&format!("/api/poses/{other}"))?, "file_not_found", "it has no pose_data.json");
    Ok(())
}
