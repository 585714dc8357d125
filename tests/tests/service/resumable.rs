//! Uploads in chunks, over connections that break, from the reference client and as single requests.

use anyhow::{Context, Result};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::programs;
use bodyscript_tests::raw_tus::{BYTES, RawTus};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::start_fault_service;
use bodyscript_tests::tus_client::{FirstChunk, TusClient};
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A large video for the fault worker, whose word is in the first line.
fn large(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("Größe 3.mp4");
    let noise = (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 9) as u8 | 0x80);
    std::fs::write(&path, b"FAULT ok\n".iter().copied().chain(noise).collect::<Vec<_>>())?;
    Ok(path)
}

pub(crate) fn sha256(path: &Path) -> Result<String> {
    let output = Command::new("sha256sum").arg(path).output()?;
    Ok(String::from_utf8(output.stdout)?.split(' ').next().unwrap_or_default().replace('\\', ""))
}

#[test]
fn the_reference_tus_client_uploads_a_video() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = large(folder.path())?;
    let server = start_fault_service(&[])?;
    let metadata = json!({ "filename": "Größe 3.mp4", "mode": "fast", "interval": "2",
        "formats": "csv,trc", "filetype": "video/mp4" });
    for first in [FirstChunk::Separate, FirstChunk::WithCreation] {
        let endpoint = server.url("/api/tus");
        let client = TusClient::start(&endpoint, &video, (first, 1 << 20), &metadata)?;
        let Some(client) = client else { return Ok(()) };
        let status = server.await_end(&client.job()?)?;
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["sha256"], sha256(&video)?.as_str(), "{status}");
        assert_eq!(status["filename"], "Größe 3.mp4");
        assert_eq!((&status["mode"], &status["interval"]), (&"fast".into(), &2.into()));
        let urls = status["urls"].as_object().context("urls")?;
        assert_eq!(urls.keys().collect::<Vec<_>>(), ["csv", "trc"]);
    }
    Ok(())
}

#[test]
fn an_upload_resumes_after_the_service_was_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = large(folder.path())?;
    let program = programs::path("fault_worker")?;
    let flags = ["--worker-program", program.to_str().context("a path")?];
    let server = TestServer::start(&flags)?;
    let endpoint = server.url("/api/tus");
    let client = TusClient::start(&endpoint, &video, (FirstChunk::Separate, 64 << 10), &json!({}))?;
    let Some(mut client) = client else { return Ok(()) };
    let mut before = 0;
    while before < 1_000_000 {
        before = client.until("accepted")?.as_u64().context("bytes")?;
    }
    let server = server.restart(&flags)?;
    client.until("broken")?;
    let after = client.until("accepted")?.as_u64().context("bytes")?;
    assert!(after > before, "{after} bytes count, and {before} counted before");
    let status = server.await_end(&client.job()?)?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(status["sha256"], sha256(&video)?.as_str(), "{status}");
    assert_eq!(server.operator_json("/api/jobs")?["total"], 1);
    Ok(())
}

fn code(answer: Response) -> Result<Value> {
    Ok(answer.json::<Value>()?["code"].take())
}

#[test]
fn an_invalid_chunk_is_refused_and_not_stored() -> Result<()> {
    let server = start_fault_service(&["--upload-bytes-max", "100"])?;
    let tus = RawTus::of(&server);
    let offer = server.client().request(Method::OPTIONS, server.url("/api/tus")).send()?;
    assert_eq!(offer.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        (&offer.headers()["tus-version"], &offer.headers()["tus-max-size"]),
        (&"1.0.0".parse()?, &"100".parse()?)
    );

    let silent =
        server.client().post(server.url("/api/tus")).header("upload-length", "9").send()?;
    assert_eq!(silent.headers()["tus-version"], "1.0.0");
    assert_eq!(silent.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(tus.try_begin(&[("upload-length", "100")])?.status(), StatusCode::CREATED);
    for (headers, wrong) in [
        ([("upload-length", "101"), ("x-a", "b")], "upload_too_large"),
        ([("upload-defer-length", "1"), ("x-a", "b")], "invalid_header"),
        ([("upload-length", "9"), ("upload-metadata", "fps d2FycA==")], "invalid_field"),
        ([("upload-length", "9"), ("upload-metadata", "filename *")], "invalid_header"),
    ] {
        assert_eq!(code(tus.try_begin(&headers)?)?, wrong, "{headers:?}");
    }

    let url = tus.begin(18)?;
    assert_eq!(tus.add(&url, 0, "FAULT ok\n")?.headers()["upload-offset"], "9");
    assert_eq!(code(tus.add(&url, 8, "123456789")?)?, "offset_conflict");
    assert_eq!(code(tus.add(&url, 9, "1234567890")?)?, "upload_beyond_length");
    let with = |kind: &str, sum: &str| {
        let headers = [("upload-offset", "9"), ("content-type", kind), ("upload-checksum", sum)];
        tus.ask(Method::PATCH, &url, &headers).body("123456789").send()
    };
    // SHA-1 of 123456789, and of nothing.
    let (right, wrong) = ("sha1 98O8HYCOBHMq32eZZczDTKeuNEE=", "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    assert_eq!(with("text/plain", right)?.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(code(with(BYTES, "md5 AAAA")?)?, "invalid_header");
    assert_eq!(code(with(BYTES, wrong)?)?, "checksum_mismatch");
    assert_eq!(tus.offset(&url)?, 9, "none of the chunk counts");
    let last = with(BYTES, right)?;
    assert_eq!(last.status(), StatusCode::NO_CONTENT, "{}", last.text()?);
    let job = last.headers()["job-id"].to_str()?.to_owned();
    assert!(url.ends_with(&job), "an upload and its job share their id");
    assert_eq!(server.await_end(&job)?["status"], "completed");
    assert_eq!(tus.offset(&url)?, 18, "a client that missed the response can ask again");
    let again = tus.add(&url, 18, "")?;
    assert_eq!(
        (again.status(), &again.headers()["job-id"]),
        (StatusCode::NO_CONTENT, &job.parse()?)
    );
    assert_eq!(code(tus.add(&url, 18, "x")?)?, "upload_beyond_length");
    Ok(())
}

#[test]
fn bytes_received_before_a_disconnect_count() -> Result<()> {
    let server = start_fault_service(&[])?;
    let tus = RawTus::of(&server);
    let url = tus.begin(1000)?;
    // HEAD takes the upload's lock from the PATCH, possibly before its first byte is read.
    let mut stream = loop {
        let stream = tus.half_patch(&url, (0, 1000), &[b'x'; 300])?;
        if tus.offset(&url)? == 300 {
            break stream;
        }
    };
    let mut answer = String::new();
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 423") || answer.starts_with("HTTP/1.1 409"), "{answer}");
    assert_eq!(tus.offset(&url)?, 300);
    assert_eq!(tus.add(&url, 300, "y".repeat(700))?.headers()["upload-offset"], "1000");
    Ok(())
}

#[test]
fn an_aborted_or_expired_upload_is_removed() -> Result<()> {
    let server = start_fault_service(&["--resumable-uploads-max", "2"])?;
    let tus = RawTus::of(&server);
    let (url, _second) = (tus.begin(9)?, tus.begin(9)?);
    let third = tus.try_begin(&[("upload-length", "9")])?;
    assert!(third.headers().contains_key(RETRY_AFTER));
    assert_eq!(code(third)?, "too_many_resumable");
    let delete = || Ok::<_, anyhow::Error>(tus.ask(Method::DELETE, &url, &[]).send()?.status());
    assert_eq!(delete()?, StatusCode::NO_CONTENT);
    assert_eq!(delete()?, StatusCode::NOT_FOUND);
    tus.begin(9)?;

    let brief = start_fault_service(&["--resumable-ttl-s", "1"])?;
    let tus = RawTus::of(&brief);
    let url = tus.begin(9)?;
    while tus.ask(Method::HEAD, &url, &[]).send()?.status() != StatusCode::NOT_FOUND {
        std::thread::yield_now();
    }
    while std::fs::read_dir(brief.state_dir().join("resumable"))?.next().is_some() {
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn abandoned_uploads_without_bytes_give_way_to_new_ones() -> Result<()> {
    let server = start_fault_service(&["--resumable-uploads-max", "2"])?;
    let tus = RawTus::of(&server);
    let bytes = (1 << 20) + 1;
    let (kept, empty) = (tus.begin(bytes + 1)?, tus.begin(9)?);
    assert_eq!(tus.add(&kept, 0, vec![b'a'; bytes as usize])?.status(), StatusCode::NO_CONTENT);
    wait_until("a third upload begins", || {
        let third = tus.try_begin(&[("upload-length", "9")])?;
        Ok(third.status() == StatusCode::CREATED)
    })?;
    assert_eq!(tus.ask(Method::HEAD, &empty, &[]).send()?.status(), StatusCode::NOT_FOUND);
    assert_eq!(tus.offset(&kept)?, bytes);
    Ok(())
}

#[test]
fn each_chunk_passes_admission() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let busy = folder.path().join("busy");
    std::fs::write(&busy, "FAULT silent\n")?;
    let server = start_fault_service(&["--workers", "1", "--queue-max", "1"])?;
    let tus = RawTus::of(&server);
    let url = tus.begin(9)?;
    let running = server.submit(&busy)?;
    server.await_status(&running, |status| status["status"] == "processing")?;
    let waiting = server.submit(&busy)?;
    let refused = tus.add(&url, 0, "FAULT ok\n")?;
    assert!(refused.headers().contains_key(RETRY_AFTER));
    assert_eq!(code(refused)?, "queue_full");
    assert_eq!(code(tus.try_begin(&[("upload-length", "9")])?)?, "queue_full");
    for job in [&waiting, &running] {
        server.client().post(server.url(&format!("/api/cancel/{job}"))).send()?;
    }
    let taken = tus.add(&url, 0, "FAULT ok\n")?;
    assert_eq!(taken.status(), StatusCode::NO_CONTENT);
    assert!(!taken.headers().contains_key(CONTENT_TYPE));
    Ok(())
}
