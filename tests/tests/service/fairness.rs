//! Clients that send more than others, or next to nothing, leave places in the queue and turns to others.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::polling::{ids, wait_until};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::start_fault_service;
use reqwest::StatusCode;
use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;

/// Uploads a video whose worker does not end, as this client; gives the job, or the code of the refusal.
fn upload(server: &TestServer, client: &str) -> Result<Result<String, String>> {
    let request = server.client().put(server.url("/api/upload"));
    let response = request.header("x-forwarded-for", client).body("FAULT silent\n").send()?;
    let is_accepted = response.status() == StatusCode::ACCEPTED;
    let body: Value = response.json()?;
    let text = |key: &str| body[key].as_str().map(str::to_owned).context("a text");
    Ok(if is_accepted { Ok(text("job_id")?) } else { Err(text("code")?) })
}

/// Uploads as this client until it is refused.
fn fill(server: &TestServer, client: &str) -> Result<Vec<String>> {
    let mut jobs = Vec::new();
    loop {
        match upload(server, client)? {
            Ok(job) => jobs.push(job),
            Err(code) if code == "queue_full" => return Ok(jobs),
            Err(code) => anyhow::bail!("{code}"),
        }
    }
}

fn queue_position(server: &TestServer, job: &str) -> Result<Option<u64>> {
    Ok(server.json(&format!("/api/status/{job}"))?["queue_position"].as_u64())
}

fn metrics(server: &TestServer) -> Result<String> {
    Ok(server.operator_get("/metrics")?.text()?)
}

#[test]
fn two_clients_cannot_take_all_places_and_turns() -> Result<()> {
    let flags = ["--workers", "1", "--queue-max", "10", "--client-jobs-max", "20"];
    let server = start_fault_service(&flags)?;
    let running = upload(&server, "203.0.113.1")?.map_err(anyhow::Error::msg)?;
    let runs = |job: &str| Ok(queue_position(&server, job)?.is_none());
    wait_until("the first job runs", || runs(&running))?;
    let first = fill(&server, "203.0.113.1")?;
    let second = fill(&server, "203.0.113.2")?;
    ensure!(first.len() > second.len() && second.len() > 1, "{first:?}, {second:?}");
    let third = upload(&server, "203.0.113.3")?.map_err(anyhow::Error::msg)?;
    let mut turns =
        vec![&first[0], &second[0], &third, &first[1], &second[1], &first[2], &second[2]];
    turns.extend(&first[3..]);
    for (index, job) in turns.iter().enumerate() {
        assert_eq!(queue_position(&server, job)?, Some(index as u64 + 1), "{turns:?}");
    }
    let mut running = &running;
    for job in turns {
        let cancel = server.url(&format!("/api/cancel/{running}"));
        assert_eq!(server.client().post(cancel).send()?.status(), StatusCode::OK);
        wait_until("the next one runs", || runs(job))?;
        running = job;
    }
    Ok(())
}

#[test]
fn programs_on_the_host_may_fill_the_queue() -> Result<()> {
    let server = start_fault_service(&["--workers", "1", "--queue-max", "4"])?;
    let send = || server.client().put(server.url("/api/upload")).body("FAULT silent\n").send();
    for n in 0..5 {
        assert_eq!(send()?.status(), StatusCode::ACCEPTED, "upload {n}");
        wait_until("one job runs", || {
            let jobs = server.jobs()?;
            Ok(!ids(&jobs, |job| job["status"] == "processing").is_empty())
        })?;
    }
    assert_eq!(send()?.status(), StatusCode::SERVICE_UNAVAILABLE);
    Ok(())
}

#[test]
fn uploads_without_bytes_take_no_place() -> Result<()> {
    let patient = ["--stall-s-max", "600", "--client-uploads-per-minute-max", "60000"];
    let server = start_fault_service(&[&["--queue-max", "4"], &patient[..]].concat())?;
    let address = server.url("");
    let address = address.strip_prefix("http://").context("an address")?;
    let begin = |n: u8| {
        let mut stream = TcpStream::connect(address)?;
        let head = "PUT /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n";
        write!(stream, "{head}X-Forwarded-For: 203.0.113.{n}\r\n\r\nF")?;
        Ok::<_, anyhow::Error>(stream)
    };
    let streams = (0..4).map(begin).collect::<Result<Vec<_>>>()?;
    let uploads = || Ok(metrics(&server)?.contains("\nbodyscript_uploads 4\n"));
    wait_until("all places are reserved", uploads)?;
    wait_until("a place is free", || Ok(upload(&server, "203.0.113.100")?.is_ok()))?;
    ensure!(uploads()?, "they are still in progress: {}", metrics(&server)?);
    drop(streams);
    Ok(())
}
