//! Uploads from the page, in a real browser, over connections that break and to services that are busy,
//! restarted or full.

use anyhow::{Context, Result};
use bodyscript_tests::browser::{Browser, ColourScheme};
use bodyscript_tests::faulty_link::{FaultyLink, LinkFault};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker, names};
use reqwest::Method;
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PHONE: u32 = 390;
const NO_FAULTS: Vec<String> = Vec::new();

/// Bytes of a video that is sent in several chunks.
const LARGE: usize = 4 << 20;
/// Where connections break: late enough that a restart of the upload would be measurable.
const BREAK_AT: u64 = 3 << 20;
/// What may be sent after a break: what is left, the largest chunk again, headers, and the smallest chunk each time
/// that a service which is not ready yet refuses one.
const SENT_AFTER_BREAK_MAX: u64 = LARGE as u64 - BREAK_AT + (1 << 20) + (512 << 10);
/// A service that two videos fill for as long as their workers are silent.
const FULL: [&str; 6] = ["--workers", "1", "--queue-max", "1", "--worker-progress-s-max", "3600"];
/// Longest wait for anything; far beyond what the slowest machine needs.
const WAIT_MAX: Duration = Duration::from_secs(180);

/// A short video in a large file.
fn large(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("Größe 3.mp4");
    Clip::new().frames(10).padded(LARGE).encode(&path)?;
    Ok(path)
}

/// A browser and a large video, with the folder of the video.
fn browser_and_video() -> Result<Option<(Browser, PathBuf, TempDir)>> {
    let Some(browser) = Browser::start()? else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let video = large(folder.path())?;
    Ok(Some((browser, video, folder)))
}

const IS_SENDING: &str = "document.querySelector('#progress-text').textContent.includes(' of ')";
const IS_WAITING: &str =
    "!document.querySelector('#lost-next').hidden && document.querySelector('#lost').offsetParent";
const IS_DONE: &str = "!document.querySelector('#result').hidden";

/// A page that uploads a video in the mode `static` over a link that hangs when most bytes are forwarded.
fn hanging_upload(browser: &Browser, video: &Path) -> Result<(TestServer, FaultyLink)> {
    let server = TestServer::start(&[])?;
    let link = FaultyLink::to(&server)?;
    browser.choose(&link.url("/"), video)?;
    browser.run("document.querySelector('#mode').value = 'static'")?;
    link.fail_after(BREAK_AT, LinkFault::Hang);
    browser.click("#start")?;
    link.await_failure()?;
    browser.wait(IS_SENDING)?;
    Ok((server, link))
}

/// Checks that there is one job and that it received exactly this file.
fn received_exactly(server: &TestServer, file: &Path) -> Result<()> {
    let list = server.operator_json("/api/jobs")?;
    let digest = Sha256::digest(std::fs::read(file)?);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(list["total"], 1, "{list}");
    let job = list["jobs"][0]["job_id"].as_str().context("a job")?;
    assert_eq!(server.await_end(job)?["sha256"], digest.as_str());
    Ok(())
}

/// Fails if more was sent than what was left of the video at the break and one chunk, given the bytes that had been sent
/// when the page reported the break. What a browser itself repeats over connections that are just ending is not counted.
fn at_most_one_chunk_was_resent(link: &FaultyLink, sent_before: u64) {
    let sent = link.forwarded() - sent_before;
    assert!(sent < SENT_AFTER_BREAK_MAX, "{sent} bytes were sent after the break");
}

fn await_no_upload(server: &TestServer) -> Result<()> {
    let deadline = Instant::now() + WAIT_MAX;
    while !names(&server.state_dir(), "resumable")?.is_empty() {
        anyhow::ensure!(Instant::now() < deadline, "an upload is left; log: {}", server.log());
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn a_broken_connection_costs_at_most_the_current_chunk() -> Result<()> {
    let Some((browser, video, _folder)) = browser_and_video()? else { return Ok(()) };
    let server = TestServer::start(&[])?;
    let link = FaultyLink::to(&server)?;
    browser.choose(&link.url("/"), &video)?;
    link.fail_after(BREAK_AT, LinkFault::Cut);
    browser.click("#start")?;
    browser.wait(IS_WAITING)?;
    let sent = link.forwarded();
    let reported = browser.text("#lost-text")?;
    assert!(
        reported.starts_with("Connection lost. ") && reported.ends_with(" of 4.0 MB uploaded."),
        "{reported}"
    );
    assert!(
        browser.text("#live")?.contains("Retrying automatically"),
        "screen readers announce it"
    );
    browser.screenshot("upload-broken", PHONE, ColourScheme::Light)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    link.repair();
    browser.wait(IS_DONE)?;
    received_exactly(&server, &video)?;
    at_most_one_chunk_was_resent(&link, sent);
    Ok(())
}

#[test]
fn an_upload_survives_a_service_restart() -> Result<()> {
    let Some((browser, video, _folder)) = browser_and_video()? else { return Ok(()) };
    let (server, link) = hanging_upload(&browser, &video)?;
    let mut sent = 0;
    let server = server.restart_after(&[], || {
        browser.wait(IS_WAITING)?;
        sent = link.forwarded();
        Ok(())
    })?;
    browser.wait(IS_DONE)?;
    received_exactly(&server, &video)?;
    at_most_one_chunk_was_resent(&link, sent);
    Ok(())
}

#[test]
fn an_upload_resumes_after_a_page_reload() -> Result<()> {
    let Some((browser, video, _folder)) = browser_and_video()? else { return Ok(()) };
    let (server, link) = hanging_upload(&browser, &video)?;
    browser.run("location.reload()")?;
    browser.wait("document.querySelector('#unfinished')?.offsetParent")?;
    let sent = link.forwarded();
    let reported = browser.text("#unfinished-text")?;
    assert!(reported.contains("Größe 3.mp4") && reported.contains(" % uploaded"), "{reported}");
    browser.wait("document.querySelector('#mode').value === 'static'")?;
    browser.screenshot("upload-reloaded", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.type_into("#file", &video.display().to_string())?;
    browser.click("#start")?;
    browser.wait(IS_DONE)?;
    received_exactly(&server, &video)?;
    at_most_one_chunk_was_resent(&link, sent);
    assert_eq!(browser.run("return sessionStorage.length")?, 0, "no record of the upload is left");
    Ok(())
}

#[test]
fn another_video_replaces_an_unfinished_upload() -> Result<()> {
    let Some((browser, video, _folder)) = browser_and_video()? else { return Ok(()) };
    let (server, _link) = hanging_upload(&browser, &video)?;
    browser.run("location.reload()")?;
    browser.wait("document.querySelector('#unfinished')?.offsetParent")?;
    // The same size and the same content except the last byte.
    let other = video.with_file_name("other.mp4");
    let mut bytes = std::fs::read(&video)?;
    *bytes.last_mut().context("bytes")? ^= 1;
    std::fs::write(&other, bytes)?;
    browser.type_into("#file", &other.display().to_string())?;
    browser.click("#start")?;
    browser.wait(IS_DONE)?;
    received_exactly(&server, &other)?;
    // Only the record of the finished upload is left.
    let left = names(&server.state_dir(), "resumable")?;
    assert!(left.iter().all(|name| name.ends_with(".json")) && left.len() == 1, "{left:?}");
    Ok(())
}

#[test]
fn cancelling_an_upload_removes_it_and_keeps_the_chosen_file() -> Result<()> {
    let Some((browser, video, folder)) = browser_and_video()? else { return Ok(()) };
    let (server, _link) = hanging_upload(&browser, &video)?;
    assert_eq!(
        names(&server.state_dir(), "resumable")?.len(),
        2,
        "the upload has a file and a record"
    );
    // Meanwhile another video is selected, which waits, and is removed.
    browser.click("#again")?;
    browser.wait("!document.querySelector('#choose').hidden")?;
    let other = folder.path().join("other.mp4");
    Clip::new().frames(10).encode(&other)?;
    browser.type_into("#file", &other.display().to_string())?;
    browser.run("document.querySelector('#mode').value = 'track'")?;
    browser.click("#start")?;
    browser
        .wait("document.querySelector('#videos-list').textContent.includes('Waiting to upload')")?;
    assert_eq!(browser.text("#work-title")?, "Waiting to upload");
    browser.screenshot("start-waiting", PHONE, ColourScheme::Light)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.click("#videos-list [aria-label='Remove other.mp4']")?;
    browser.wait("!document.querySelector('#choose').hidden")?;
    assert_eq!(browser.text("#chosen-list strong")?, "other.mp4");

    // The first one goes on, and is reached from the list.
    browser.click("#videos-list button.link")?;
    browser.wait("document.querySelector('#work-file').textContent === 'Größe 3.mp4'")?;
    browser.click("#cancel")?;
    browser.wait("!document.querySelector('#choose').hidden")?;
    assert_eq!(browser.text("#chosen-list strong")?, "Größe 3.mp4");
    assert_eq!(browser.run("return document.querySelector('#mode').value")?, "static");
    assert_eq!(browser.run("return document.querySelector('#start').disabled")?, false);
    await_no_upload(&server)?;
    assert_eq!(server.operator_json("/api/jobs")?["total"], 0);
    browser.run("location.reload()")?;
    browser.wait("document.querySelector('#limits').textContent.includes('Up to')")?;
    assert_eq!(browser.run("return document.querySelector('#unfinished').hidden")?, true);
    Ok(())
}

/// An upload with so many bytes that it does not give way to another when it is idle; gives its path.
fn kept_upload(server: &TestServer) -> Result<String> {
    const BYTES: usize = 2 << 20;
    let request = |method, path: &str| {
        server.client().request(method, server.url(path)).header("tus-resumable", "1.0.0")
    };
    let begun = request(Method::POST, "/api/tus").header("upload-length", BYTES + 1).send()?;
    let path = begun.headers()["location"].to_str()?.to_owned();
    let chunk = request(Method::PATCH, &path)
        .header("upload-offset", "0")
        .header("content-type", "application/offset+octet-stream");
    assert_eq!(chunk.body(vec![0; BYTES]).send()?.status(), 204);
    Ok(path)
}

#[test]
fn the_page_waits_for_a_full_service_and_shows_its_message() -> Result<()> {
    let Some((browser, video, folder)) = browser_and_video()? else { return Ok(()) };
    let [flag, program] = fault_worker()?;
    let flags = [&FULL[..], &["--resumable-uploads-max", "1", &flag, &program]].concat();
    let server = TestServer::start(&flags)?;
    let place = kept_upload(&server)?;
    let silent = fault_video(folder.path(), "silent")?;
    let running = server.submit(&silent)?;
    server.await_status(&running, |status| status["status"] == "processing")?;
    let waiting = server.submit(&silent)?;
    let link = FaultyLink::to(&server)?;
    browser.choose(&link.url("/"), &video)?;
    let before = link.forwarded();
    browser.click("#start")?;
    browser.wait(IS_WAITING)?;
    let reported = browser.text("#lost-text")?;
    assert!(reported.starts_with("The queue is full. Try again in"), "{reported}");
    assert!(browser.text("#countdown")?.starts_with("Retrying"));
    assert!(link.forwarded() < before + (64 << 10), "no video is sent to a full service");
    browser.screenshot("upload-waits", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);

    // The next obstacle: the limit of unfinished uploads is reached.
    for job in [&waiting, &running] {
        server.client().post(server.url(&format!("/api/cancel/{job}"))).send()?;
    }
    browser.click("#now")?;
    browser.wait(
        "document.querySelector('#lost-text').textContent.startsWith('The limit of 1 unfinished')",
    )?;
    let end = server.client().delete(server.url(&place)).header("tus-resumable", "1.0.0").send()?;
    assert_eq!(end.status(), 204);
    // The page continues by itself. The video has no words for the fault worker, so the job has no result.
    browser.wait("location.hash.startsWith('#job=')")?;
    Ok(())
}

#[test]
fn a_retry_at_a_full_service_sends_only_a_small_chunk() -> Result<()> {
    const RETRIES: u64 = 6;
    const RETRY_BYTES_MAX: u64 = (64 << 10) + (16 << 10);
    let Some((browser, video, folder)) = browser_and_video()? else { return Ok(()) };
    let [flag, program] = fault_worker()?;
    let server = TestServer::start(&[&FULL[..], &[&flag, &program]].concat())?;
    let line = FaultyLink::to(&server)?;
    browser.choose(&line.url("/"), &video)?;
    line.fail_after(BREAK_AT, LinkFault::Cut);
    browser.click("#start")?;
    browser.wait(IS_WAITING)?;
    let silent = fault_video(folder.path(), "silent")?;
    // The broken upload keeps its place until the service notices.
    let running = Cell::new(None);
    wait_until("a place is free", || {
        let job = server.submit(&silent).ok();
        let is_accepted = job.is_some();
        running.set(job);
        Ok(is_accepted)
    })?;
    let running = running.take().context("a job")?;
    server.await_status(&running, |status| status["status"] == "processing")?;
    wait_until("the last place is taken", || Ok(server.submit(&silent).is_ok()))?;
    line.repair();
    let before = line.forwarded();
    for _ in 0..RETRIES {
        let sent = line.forwarded();
        browser.click("#now")?;
        let deadline = Instant::now() + WAIT_MAX;
        while line.forwarded() < sent + (8 << 10) {
            anyhow::ensure!(Instant::now() < deadline, "no chunk is sent; log: {}", server.log());
            std::thread::yield_now();
        }
        browser.wait(IS_WAITING)?;
    }
    let sent = line.forwarded() - before;
    assert!(sent < RETRIES * RETRY_BYTES_MAX, "{RETRIES} retries sent {sent} bytes");
    Ok(())
}

#[test]
fn a_refused_upload_is_shown_with_what_to_do() -> Result<()> {
    let Some((browser, video, _folder)) = browser_and_video()? else { return Ok(()) };
    let server = TestServer::start(&[])?;
    browser.choose(&server.url("/"), &video)?;
    // Meanwhile the operator lowers the limit.
    let server = server.restart(&["--upload-bytes-max", "1000000"])?;
    browser.click("#start")?;
    browser.wait("!document.querySelector('#problem').hidden")?;
    let reported = browser.text("#problem-detail")?;
    assert!(reported.contains("Trim or compress it"), "{reported}");
    assert_eq!(browser.text("#problem-code")?, "Code: upload_too_large");
    assert_eq!(
        browser.run("return document.querySelector('#retry').hidden")?,
        true,
        "a retry would be refused too"
    );
    browser.screenshot("upload-refused", PHONE, ColourScheme::Light)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    assert!(names(&server.state_dir(), "resumable")?.is_empty());
    Ok(())
}
