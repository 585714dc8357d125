//! Invalid videos and refused requests: each has its own error, and the service and other jobs are not
//! affected.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::{Clip, Moov, Tracks};
use bodyscript_tests::server::TestServer;
use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The beginning of a program stream of MPEG with sound whose description is damaged: its demuxer waits for more.
const STALLING: [u8; 45] = [
    0x00, 0x00, 0x01, 0xba, 0x21, 0x00, 0x01, 0x00, 0x01, 0x80, 0x02, 0x2b, 0x00, 0x00, 0x01, 0xbb,
    0x00, 0x09, 0x80, 0x02, 0x2b, 0x04, 0x20, 0xff, 0xbd, 0xc0, 0x20, 0x00, 0x00, 0x01, 0xbd, 0x07,
    0xdf, 0x21, 0x00, 0x03, 0x5f, 0x91, 0x80, 0x05, 0x00, 0x01, 0x0b, 0x77, 0x1e,
];

/// Faulty files, each with the expected error code.
fn faulty(folder: &Path) -> Result<Vec<(PathBuf, &'static str)>> {
    let file = |name: &str| folder.join(name);
    std::fs::write(file("empty.mp4"), "")?;
    std::fs::write(file("text.mp4"), "This is no video, whatever its name says.\n".repeat(100))?;
    std::fs::write(
        file("noise.mp4"),
        (0..50_000_u32).map(|n| ((n * n) >> 7) as u8).collect::<Vec<_>>(),
    )?;
    Clip::new().tracks(Tracks::Audio).encode(&file("audio.mp4"))?;
    Clip::new().frames(0).encode(&file("no_frames.mp4"))?;
    // The index comes last, so half of the file has none.
    Clip::new().moov(Moov::End).truncated(0.5).encode(&file("truncated.mp4"))?;
    std::fs::write(file("stalling.mpg"), [&STALLING[..], &[0x55; 2000]].concat())?;
    Clip::new().size(320, 240).frames(5).encode(&file("large.mp4"))?;
    Clip::new().size(64, 24).frames(5).encode(&file("small.mp4"))?;
    Ok(vec![
        (file("small.mp4"), "picture_too_small"),
        (file("empty.mp4"), "empty_file"),
        (file("text.mp4"), "not_a_video"),
        (file("noise.mp4"), "not_a_video"),
        (file("audio.mp4"), "no_video_track"),
        (file("no_frames.mp4"), "no_frames"),
        (file("truncated.mp4"), "damaged_video"),
        (file("stalling.mpg"), "damaged_video"),
        (file("large.mp4"), "picture_too_large"),
    ])
}

#[test]
fn every_kind_of_bad_video_has_its_own_error_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = folder.path().join("good.mp4");
    Clip::new().size(160, 120).frames(10).encode(&good)?;
    let server = TestServer::start(&["--side-px-max", "300"])?;
    let pid = server.pid();
    for (video, code) in faulty(folder.path())? {
        let other = server.submit(&good)?;
        let status = server.await_end(&server.submit(&video)?)?;
        let name = video.display();
        assert_eq!(status["status"], "failed", "{name}: {status}");
        assert_eq!(status["error_code"], code, "{name}: {status}");
        assert_eq!(status["attempts"].as_array().context("attempts")?.len(), 1, "{name}: retried");
        assert_eq!(status["attempts"][0]["end"], "bad_input", "{name}");
        let sentence = status["error"].as_str().context("a sentence")?;
        assert!(sentence.ends_with('.') && sentence.len() > 30, "{name}: {sentence}");
        let status = server.await_end(&other)?;
        assert_eq!(status["status"], "completed", "the job beside {name}: {status}");
    }
    assert_eq!(server.pid(), pid);
    server.stop()?;
    Ok(())
}

#[test]
fn a_video_that_is_cut_off_gives_partial_results() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("broken.mp4");
    Clip::new().moov(Moov::Front).truncated(0.7).encode(&video)?;
    let server = TestServer::start(&[])?;
    let status = server.await_end(&server.submit(&video)?)?;
    assert_eq!(status["status"], "completed", "{status}");
    let frames = status["statistics"]["frames_processed"].as_u64().context("frames")?;
    assert!((1..30).contains(&frames), "{frames} of 30 frames from 70 % of the file");
    assert_eq!(status["warnings"][0]["code"], "video_truncated", "{status}");
    Ok(())
}

#[test]
fn damage_that_the_decoder_conceals_is_reported() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("flipped.mp4");
    Clip::new().moov(Moov::Front).encode(&video)?;
    let mut bytes = std::fs::read(&video)?;
    let middle = bytes.len() / 3..bytes.len() * 2 / 3;
    bytes[middle].iter_mut().step_by(501).for_each(|byte| *byte ^= 0x55);
    std::fs::write(&video, bytes)?;
    let server = TestServer::start(&[])?;
    let status = server.await_end(&server.submit(&video)?)?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(status["statistics"]["frames_processed"], 30, "{status}");
    let codes: Vec<_> = status["warnings"].as_array().context("warnings")?.iter().collect();
    assert_eq!(codes.len(), 1, "{status}");
    assert_eq!(codes[0]["code"], "video_damaged", "{status}");
    Ok(())
}

/// Checks that an answer is a problem document (RFC 9457) with this status and code.
fn is_problem(answer: Response, status: StatusCode, code: &str) -> Result<Value> {
    assert_eq!(answer.status(), status, "{code}");
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json", "{code}");
    let problem: Value = answer.json()?;
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status.as_u16(), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
    Ok(problem)
}

#[test]
fn a_full_queue_refuses_with_retry_after() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("long.mp4");
    Clip::new().frames(300).encode(&video)?;
    let server = TestServer::start(&["--workers", "1", "--queue-max", "1"])?;
    let running = server.submit(&video)?;
    server.await_status(&running, |status| status["status"] == "processing")?;
    server.submit(&video)?;
    let refused = server.upload(&video, &[])?;
    let wait = refused.headers()[RETRY_AFTER].to_str()?.to_owned();
    assert!(wait.parse::<u64>()? >= 1, "{wait}");
    is_problem(refused, StatusCode::SERVICE_UNAVAILABLE, "queue_full")?;
    assert_eq!(server.get("/readyz")?.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.get("/livez")?.status(), StatusCode::OK);
    Ok(())
}

#[test]
fn the_upload_limit_is_exact_to_the_byte() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = TestServer::start(&["--upload-bytes-max", "100000"])?;
    for (bytes, status) in
        [(100_000, StatusCode::ACCEPTED), (100_001, StatusCode::PAYLOAD_TOO_LARGE)]
    {
        let file = folder.path().join("file.mp4");
        std::fs::write(&file, vec![b'x'; bytes])?;
        assert_eq!(server.upload(&file, &[])?.status(), status, "{bytes} bytes");
    }
    Ok(())
}
