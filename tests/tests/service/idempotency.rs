//! A repeated request with the same key refers to the same job; with the same key and different content it
//! is refused.

use anyhow::{Context, Result};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker, names, start_fault_service};
use reqwest::StatusCode;
use serde_json::Value;
use std::path::Path;

fn put(server: &TestServer, key: &str, video: &Path, query: &str) -> Result<(StatusCode, Value)> {
    let url = server.url(&format!("/api/upload{query}"));
    let request = server.client().put(url).header("Idempotency-Key", key);
    let answer = request.body(std::fs::read(video)?).send()?;
    Ok((answer.status(), answer.json()?))
}

fn accepted(server: &TestServer, key: &str, video: &Path) -> Result<String> {
    let (status, body) = put(server, key, video, "")?;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    Ok(body["job_id"].as_str().context("an id")?.to_owned())
}

fn total(server: &TestServer) -> Result<Value> {
    Ok(server.operator_json("/api/jobs")?["total"].clone())
}

#[test]
fn a_repeated_key_returns_the_same_job_and_refuses_other_content() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (video, other) =
        (fault_video(folder.path(), "ok")?, fault_video(folder.path(), "sleep:1 ok")?);
    let server = start_fault_service(&[])?;
    let id = accepted(&server, "one", &video)?;
    assert_eq!(accepted(&server, "one", &video)?, id, "while it runs");
    server.await_end(&id)?;
    assert_eq!(accepted(&server, "one", &video)?, id, "after its end");
    assert_ne!(accepted(&server, "two", &video)?, id, "another key is another request");
    for (video, query) in [(&other, ""), (&video, "?mode=fast")] {
        let (status, problem) = put(&server, "one", video, query)?;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(problem["code"], "idempotency_key_reused");
    }
    let (status, problem) = put(&server, "two words", &video, "")?;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &"invalid_field".into()));
    assert_eq!(total(&server)?, 2);

    let program = fault_worker()?;
    let server = TestServer::start_in(server.kill()?, &[&program[0], &program[1]])?;
    assert_eq!(accepted(&server, "one", &video)?, id, "after a restart");
    assert_eq!(put(&server, "one", &other, "")?.0, StatusCode::UNPROCESSABLE_ENTITY);
    let url = server.url(&format!("/api/cleanup/{id}"));
    server.client().delete(url).send()?.error_for_status()?;
    let second = accepted(&server, "one", &other)?;
    assert_ne!(second, id, "the key is deleted with its job");
    server.await_end(&second)?;
    assert_eq!(total(&server)?, 2);
    server.stop()?;
    Ok(())
}

#[test]
fn concurrent_requests_with_one_key_create_one_job() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = fault_video(folder.path(), "ok")?;
    let server = start_fault_service(&[])?;
    let answers = std::thread::scope(|scope| {
        let send = || scope.spawn(|| put(&server, "same", &video, ""));
        let threads: Vec<_> = (0..8).map(|_| send()).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect::<Result<Vec<_>>>()
    })?;
    let mut ids: Vec<_> = Vec::new();
    for (status, body) in answers {
        match status {
            StatusCode::ACCEPTED => ids.push(body["job_id"].as_str().context("an id")?.to_owned()),
            _ => assert_eq!(body["code"], "idempotency_key_busy", "{body}"),
        }
    }
    let id = ids.first().context("one is accepted")?.clone();
    assert!(ids.iter().all(|other| *other == id), "{ids:?}");
    server.await_end(&id)?;
    assert_eq!(total(&server)?, 1);
    assert_eq!(names(&server.state_dir(), "results")?, [id].into());
    server.stop()?;
    Ok(())
}
