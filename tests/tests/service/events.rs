//! The status of a job as a stream of events: replay after a disconnect and a restart, and the estimate of
//! the remaining time.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::programs;
use bodyscript_tests::server::TestServer;
use reqwest::StatusCode;
use reqwest::blocking::Response;
use serde_json::Value;
use std::io::{BufRead, BufReader};

/// One event of a stream.
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) status: Value,
}

pub(crate) fn listen(server: &TestServer, job: &str, last: Option<&str>) -> Result<Response> {
    let request = server.client().get(server.url(&format!("/api/events/{job}")));
    let request = last.iter().fold(request, |request, last| request.header("last-event-id", *last));
    Ok(request.send()?)
}

/// The next event; none at the end of the stream.
pub(crate) fn next(lines: &mut impl BufRead) -> Result<Option<Event>> {
    let (mut id, mut status) = (String::new(), None);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        match (line.trim_end().split_once(": "), status.take()) {
            (Some(("id", value)), data) => (id, status) = (value.to_owned(), data),
            (Some(("data", value)), _) => status = Some(serde_json::from_str(value)?),
            (None, Some(status)) if line.trim().is_empty() => {
                return Ok(Some(Event { id, status }));
            }
            (_, data) => status = data,
        }
        line.clear();
    }
    Ok(None)
}

#[test]
fn a_client_that_reconnects_after_a_restart_gets_each_event_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("video");
    std::fs::write(&video, "FAULT silent\n")?;
    let program = programs::path("fault_worker")?;
    let flags = ["--worker-program", program.to_str().context("a path")?];
    let server = TestServer::start(&flags)?;
    let job = server.submit(&video)?;
    server.await_status(&job, |status| status["status"] == "processing")?;
    let first = next(&mut BufReader::new(listen(&server, &job, None)?))?.context("an event")?;
    let again = next(&mut BufReader::new(listen(&server, &job, Some("nonsense"))?))?;
    assert_eq!(again.context("an event")?.status["status"], "processing");

    // The job runs again and reaches the same revision number with another state.
    let server = server.restart(&flags)?;
    server.await_status(&job, |status| status["status"] == "processing")?;
    let mut stream = BufReader::new(listen(&server, &job, Some(&first.id))?);
    let now = next(&mut stream)?.context("an event at once")?;
    assert_ne!(now.id, first.id);

    server.client().post(server.url(&format!("/api/cancel/{job}"))).send()?.error_for_status()?;
    let mut last = now;
    while let Some(event) = next(&mut stream)? {
        last = event;
    }
    assert_eq!(last.status["status"], "cancelled", "the stream ends with the job");
    assert_eq!(listen(&server, &job, Some(&last.id))?.status(), StatusCode::NO_CONTENT);
    let server = server.restart(&flags)?;
    assert_eq!(listen(&server, &job, Some(&last.id))?.status(), StatusCode::NO_CONTENT);
    let reported = next(&mut BufReader::new(listen(&server, &job, Some(&first.id))?))?;
    assert_eq!(
        reported.context("an event")?.id,
        last.id,
        "the id of the final event does not change"
    );
    Ok(())
}

#[test]
fn the_remaining_time_is_estimated_from_measurements() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("long.mp4");
    Clip::new().frames(240).encode(&video)?;
    let server = TestServer::start(&["--workers", "1"])?;
    let (job, second) = (server.submit(&video)?, server.submit(&video)?);
    assert_eq!(server.status(&second)?["eta_s"], Value::Null, "nothing was measured yet");
    let mut stream = BufReader::new(listen(&server, &job, None)?);
    let mut reported = Vec::new();
    let mut last = Value::Null;
    while let Some(Event { status, .. }) = next(&mut stream)? {
        if status["status"] == "processing" && status["current_frame"] == 0 {
            assert_eq!(status["eta_s"], Value::Null, "{status}");
        }
        reported.extend(status["eta_s"].as_u64());
        last = status;
    }
    assert_eq!((&last["status"], &last["eta_s"]), (&"completed".into(), &Value::Null), "{last}");
    let (first, end) =
        (reported.first().context("an estimate")?, reported.last().context("an estimate")?);
    assert!(end < first || *first <= 1, "the estimate decreases: {reported:?}");
    let third = server.submit(&video)?;
    let eta = server.status(&third)?["eta_s"].as_u64().context("a job was measured")?;
    let wall = last["attempts"][0]["wall_ms"].as_u64().context("a time")?.div_ceil(1000);
    assert!((wall..=2 * wall + 1).contains(&eta), "{eta} s where one takes {wall} s");
    Ok(())
}
