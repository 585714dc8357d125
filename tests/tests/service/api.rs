//! The HTTP interface: raw uploads, limits, origins.

use anyhow::{Context, Result};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::start_fault_service;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LOCATION, CONTENT_TYPE, LOCATION, ORIGIN, RANGE, RETRY_AFTER};
use serde_json::{Value, json};

/// Browsers name the files so.
#[test]
fn animations_and_other_containers_may_be_the_whole_body() -> Result<()> {
    let server = start_fault_service(&[])?;
    for (kind, expected) in [
        ("image/gif", StatusCode::ACCEPTED),
        ("image/png", StatusCode::ACCEPTED),
        ("application/mxf", StatusCode::ACCEPTED),
        ("image/jpeg", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let request = server.client().post(server.url("/api/upload")).header(CONTENT_TYPE, kind);
        assert_eq!(request.body("FAULT ok\n").send()?.status(), expected, "{kind}");
    }
    Ok(())
}

#[test]
fn a_video_may_be_the_whole_body() -> Result<()> {
    let server = start_fault_service(&[])?;
    let url = server.url("/api/upload?filename=..%2Fwalk%1b%5B2J.mp4&mode=static&interval=2");
    let answer = server.client().put(url).body("FAULT ok\n").send()?;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let accepted: Value = answer.json()?;
    let status = server.await_end(accepted["job_id"].as_str().context("an id")?)?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(status["filename"], "walk[2J.mp4");
    assert_eq!((&status["mode"], &status["interval"]), (&"static".into(), &2.into()));
    assert!(!server.log().contains("\u{1b}[2J"), "control characters are in the log");

    let request = server.client().post(server.url("/api/upload")).header(CONTENT_TYPE, "video/mp4");
    assert_eq!(request.body("FAULT ok\n").send()?.status(), StatusCode::ACCEPTED);
    let report = server.operator_json("/api/metrics")?;
    assert_eq!(report["averages"]["completed"].as_u64().map(|n| n >= 1), Some(true), "{report}");
    assert!(report["processing_ms"]["p95"].as_f64() > Some(0.0), "{report}");
    assert_eq!(server.operator_json("/health/memory")?["jobs_count"], 2);
    Ok(())
}

#[test]
fn the_memory_of_a_job_is_reported_while_it_runs() -> Result<()> {
    let server = start_fault_service(&[])?;
    server.client().put(server.url("/api/upload")).body("FAULT silent\n").send()?;
    wait_until("the report has the worker's peak", || {
        Ok(server.operator_json("/api/metrics")?["jobs"][0]["peak_bytes"].as_u64() > Some(0))
    })?;
    assert_eq!(server.operator_json("/api/jobs")?["jobs"][0]["status"], "processing");
    Ok(())
}

#[test]
fn the_limit_of_a_raw_body_is_exact_to_the_byte() -> Result<()> {
    let server = start_fault_service(&["--upload-bytes-max", "100000"])?;
    for (bytes, status) in [(100_000, 202), (100_001, 413)] {
        let request = server.client().put(server.url("/api/upload")).body(vec![b'x'; bytes]);
        assert_eq!(request.send()?.status(), status, "{bytes} bytes");
    }
    Ok(())
}

#[test]
fn one_client_cannot_use_every_upload_slot() -> Result<()> {
    let flags =
        ["--client-jobs-max", "2", "--client-uploads-per-minute-max", "4", "--workers", "1"];
    let server = start_fault_service(&flags)?;
    let upload = |client: &'static str| {
        let request = server.client().put(server.url("/api/upload"));
        request.header("x-forwarded-for", client).body("FAULT silent\n").send()
    };
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let answer = upload("203.0.113.9")?;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        assert_eq!(answer.headers()["ratelimit-policy"], "\"uploads\";q=4;w=60");
        let left = answer.headers()["ratelimit"].to_str()?;
        assert!(left.starts_with("\"uploads\";r=") && left.contains(";t="), "{left}");
        jobs.push(answer.json::<Value>()?["job_id"].as_str().context("an id")?.to_owned());
    }
    let refused = upload("203.0.113.9")?;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    assert!(refused.headers().contains_key("ratelimit"));
    assert_eq!(refused.json::<Value>()?["code"], "too_many_jobs");
    let own = server.client().put(server.url("/api/upload")).body("FAULT ok\n").send()?;
    assert!(!own.headers().contains_key("ratelimit"), "programs of the host have no such limit");
    assert_eq!(upload("203.0.113.10")?.status(), StatusCode::ACCEPTED, "another client");
    for job in jobs {
        let url = server.url(&format!("/api/cancel/{job}"));
        assert_eq!(server.client().post(url).send()?.status(), StatusCode::OK);
    }
    for status in [StatusCode::ACCEPTED, StatusCode::ACCEPTED] {
        assert_eq!(upload("203.0.113.9")?.status(), status, "the limit is free again");
    }
    Ok(())
}

#[test]
fn configured_origins_may_call_the_api() -> Result<()> {
    let server = start_fault_service(&["--cors-origins", "https://a.example"])?;
    let ask = |origin| server.client().get(server.url("/api")).header(ORIGIN, origin).send();
    let header = "access-control-allow-origin";
    assert_eq!(ask("https://a.example")?.headers()[header], "https://a.example");
    assert!(!ask("https://b.example")?.headers().contains_key(header));
    let preflight = server
        .client()
        .request(reqwest::Method::OPTIONS, server.url("/api/upload"))
        .header(ORIGIN, "https://a.example")
        .header("access-control-request-method", "PUT")
        .send()?;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert!(preflight.headers()["access-control-allow-methods"].to_str()?.contains("PUT"));
    let plain = start_fault_service(&[])?;
    let answer =
        plain.client().get(plain.url("/api")).header(ORIGIN, "https://a.example").send()?;
    assert!(!answer.headers().contains_key(header), "no origin is allowed");
    Ok(())
}

#[test]
fn the_gallery_has_the_examples_of_the_operator_and_their_media() -> Result<()> {
    let gallery = tempfile::tempdir()?;
    let example = gallery.path().join("dance/a waltz");
    std::fs::create_dir_all(&example)?;
    std::fs::create_dir_all(gallery.path().join("dance/unfinished"))?;
    for file in ["thumbnail.jpg", "preview.mp4", "output.mp4", "pose_data.csv"] {
        std::fs::write(example.join(file), format!("the bytes of {file}"))?;
    }
    let folder = gallery.path().to_str().context("a plain path")?;
    let server =
        start_fault_service(&["--gallery-dir", folder, "--cors-origins", "https://a.example"])?;
    let list = server.json("/api/gallery")?;
    let base = "/api/gallery/dance/a%20waltz";
    let expected = json!({"videos": [{
        "id": "dance/a waltz", "title": "a waltz", "category": "dance",
        "thumbnail": format!("{base}/thumbnail.jpg"), "preview": format!("{base}/preview.mp4"),
        "full": format!("{base}/output.mp4"), "accuracy": null, "duration": null,
    }]});
    assert_eq!(list, expected);
    let full = server.client().get(server.url(&format!("{base}/output.mp4")));
    let part = full.header(RANGE, "bytes=4-8").send()?;
    assert_eq!((part.status(), part.text()?), (StatusCode::PARTIAL_CONTENT, "bytes".to_owned()));
    for nothing in [
        format!("{base}/pose_data.csv"),
        "/api/gallery/dance/unfinished/output.mp4".to_owned(),
        "/api/gallery/dance/..%2Fdance%2Fa%20waltz/output.mp4".to_owned(),
        "/api/gallery/%2E%2E/dance/output.mp4".to_owned(),
    ] {
        assert_eq!(server.get(&nothing)?.status(), StatusCode::NOT_FOUND, "{nothing}");
    }

    // Media elements of another origin's page do not say which one it is.
    let job = submit_raw(&server)?;
    let policy = |server: &TestServer, path: &str| {
        let answer = server.get(path)?;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        Ok::<_, anyhow::Error>(answer.headers()["cross-origin-resource-policy"].clone())
    };
    let file = |job: &str, name: &str| format!("/api/serve/{job}/{name}");
    assert_eq!(policy(&server, &format!("{base}/preview.mp4"))?, "cross-origin");
    assert_eq!(policy(&server, &file(&job, "thumbnail.jpg"))?, "cross-origin");
    assert_eq!(policy(&server, &file(&job, "pose_data.csv"))?, "same-origin");

    let without = start_fault_service(&[])?;
    assert_eq!(without.json("/api/gallery")?, json!({"videos": []}));
    let job = submit_raw(&without)?;
    assert_eq!(policy(&without, &file(&job, "thumbnail.jpg"))?, "same-origin");
    Ok(())
}

#[test]
fn a_client_that_prefers_to_wait_gets_the_end_or_is_answered_in_time() -> Result<()> {
    let server = start_fault_service(&["--worker-progress-s-max", "600"])?;
    let upload = |words: &str, prefer: &'static str| {
        let request = server.client().put(server.url("/api/upload")).header("prefer", prefer);
        request.body(format!("FAULT {words}\n")).send()
    };
    // On a slow host a job may take longer than the longest wait.
    wait_until("an upload is answered with the end of its job", || {
        let answer = upload("ok", "respond-async, wait=9999")?;
        assert_eq!(answer.headers()["preference-applied"], "wait=50");
        let address = answer.headers()[LOCATION].clone();
        if answer.status() == StatusCode::ACCEPTED {
            return Ok(false);
        }
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[CONTENT_LOCATION], address);
        let status: Value = answer.json()?;
        assert_eq!(status["status"], "completed", "{status}");
        assert!(address.to_str()?.ends_with(status["job_id"].as_str().context("an id")?));
        Ok(true)
    })?;
    let over = upload("silent", "wait=1")?;
    assert_eq!(over.status(), StatusCode::ACCEPTED);
    assert_eq!(over.headers()["preference-applied"], "wait=1");
    let address = server.url(over.headers()[LOCATION].to_str()?);
    let ask = |prefer: &'static str| server.client().get(&address).header("prefer", prefer).send();
    let waited = ask("wait=1")?;
    assert_eq!(waited.headers()["preference-applied"], "wait=1");
    assert!(waited.json::<Value>()?["completed_at"].is_null(), "it has not ended");
    assert!(!ask("wait=soon")?.headers().contains_key("preference-applied"));

    let id = address.rsplit('/').next().context("an id")?.to_owned();
    let ended = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask("wait=50"));
        server.client().post(server.url(&format!("/api/cancel/{id}"))).send()?;
        waiting.join().expect("no panic").context("an answer")
    })?;
    assert_eq!(ended.json::<Value>()?["status"], "cancelled");
    Ok(())
}

/// Uploads a video and waits until it is completed; gives the job's id.
fn submit_raw(server: &TestServer) -> Result<String> {
    let request = server.client().put(server.url("/api/upload")).body("FAULT ok\n");
    let accepted: Value = request.send()?.json()?;
    let job = accepted["job_id"].as_str().context("an id")?.to_owned();
    assert_eq!(server.await_end(&job)?["status"], "completed");
    Ok(job)
}
