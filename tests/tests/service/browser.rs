//! The pages as people use them, in a real browser against a real service.

use anyhow::Result;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_tests::browser::{Browser, ColourScheme};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const DESKTOP: u32 = 1280;
const PHONE: u32 = 390;
const NO_FAULTS: Vec<String> = Vec::new();

fn clip(folder: &Path, frames: u32) -> Result<PathBuf> {
    let path = folder.join("walker.mp4");
    Clip::new().frames(frames).encode(&path)?;
    Ok(path)
}

/// Whether anything is drawn on a canvas, as an expression.
fn has_drawing(canvas: &str) -> String {
    format!(
        "((c) => c.width > 0 && c.height > 0 && c.getContext('2d').getImageData(0, 0, c.width, c.height)\
         .data.some((v) => v > 0))(document.querySelector('{canvas}'))"
    )
}

/// A browser, a service with these flags, and a folder for videos; none where there is no browser.
fn browser_and_service(flags: &[&str]) -> Result<Option<(Browser, TestServer, TempDir)>> {
    let Some(browser) = Browser::start()? else { return Ok(None) };
    Ok(Some((browser, TestServer::start(flags)?, tempfile::tempdir()?)))
}

#[test]
fn an_uploaded_video_plays_back_with_its_pose() -> Result<()> {
    let Some((browser, server, folder)) = browser_and_service(&[])? else { return Ok(()) };
    browser.choose(&server.url("/"), &clip(folder.path(), 45)?)?;
    browser.screenshot("upload-light", DESKTOP, ColourScheme::Light)?;
    browser.screenshot("upload-phone-dark", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.click("#start")?;
    browser.wait("location.hash.startsWith('#job=')")?;
    browser.wait("document.querySelectorAll('#curves path.left').length === 5")?;
    assert_eq!(browser.text("#place")?, "frame 1 of 45");

    browser.run("const s = document.querySelector('#scrub'); s.value = 20; s.dispatchEvent(new Event('input'))")?;
    browser.wait("!document.querySelector('#video').seeking")?;
    browser.wait("document.querySelector('#place').textContent === 'frame 21 of 45'")?;
    let drawn = browser.run(&format!("return {}", has_drawing("#skeleton")))?;
    assert_eq!(drawn, true, "a skeleton lies over the video");
    let knee = browser.text(".curve .values .left")?;
    assert!(knee.ends_with('°'), "the angle at that frame is reported: {knee}");
    let is_silent = "return document.querySelector('#video').muted";
    assert_eq!(browser.run(is_silent)?, true, "the sound is off at first");
    browser.click("#sound")?;
    assert_eq!(browser.run(is_silent)?, false);
    browser.screenshot("result-light", DESKTOP, ColourScheme::Light)?;
    browser.screenshot("result-phone-dark", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);

    // The address contains the job: after a reload the page plays the rendered video.
    browser.run("location.reload()")?;
    browser.wait("document.querySelectorAll('#curves path.left').length === 5")?;
    browser.wait("document.querySelector('#video').currentSrc.endsWith('/output.mp4')")?;
    Ok(())
}

#[test]
fn a_part_of_the_video_is_chosen_on_the_page() -> Result<()> {
    let Some((browser, server, folder)) = browser_and_service(&[])? else { return Ok(()) };
    browser.choose(&server.url("/"), &clip(folder.path(), 60)?)?;
    let enter = "document.querySelector('#part').open = true; \
        const values = {from: '0.49', until: '0.99', slow: '2', height: '1.8', 'area-left': '10', 'area-width': '80'}; \
        for (const [id, value] of Object.entries(values)) { \
            const field = document.getElementById(id); \
            field.value = value; \
            field.dispatchEvent(new Event('input', {bubbles: true})); \
        }";
    browser.run(enter)?;
    browser.screenshot("upload-part", DESKTOP, ColourScheme::Light)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.click("#start")?;
    browser.wait("document.querySelectorAll('#curves path.left').length === 5")?;
    assert_eq!(browser.text("#place")?, "frame 1 of 15");
    assert_eq!(browser.text("#clock")?, "0.50 s");
    // The local file plays from there, the rendered video from its beginning.
    browser.wait("document.querySelector('#video').currentTime >= 0.5")?;
    browser.run("location.reload()")?;
    browser.wait("document.querySelector('#video').currentSrc.endsWith('/output.mp4')")?;
    browser.wait("document.querySelector('#place').textContent === 'frame 1 of 15'")?;
    browser.wait("document.querySelector('#video').currentTime < 0.5")?;
    let job = &server.operator_json("/api/jobs")?["jobs"][0];
    let chosen = [&job["start"], &job["end"], &job["slow_motion"], &job["crop"], &job["height_m"]];
    assert_eq!(json!(chosen), json!([0.49, 0.99, 2.0, "0.1,0,0.8,1", 1.8]), "{job}");
    Ok(())
}

#[test]
fn a_job_is_cancelled_from_the_page() -> Result<()> {
    let Some((browser, server, folder)) = browser_and_service(&[])? else { return Ok(()) };
    browser.choose(&server.url("/"), &clip(folder.path(), 240)?)?;
    browser.click("#start")?;
    browser.wait("document.querySelector('#progress-text').textContent.startsWith('Frame')")?;
    browser.wait(&has_drawing("#work-skeleton"))?;
    browser.screenshot("work-light", DESKTOP, ColourScheme::Light)?;
    browser.click("#cancel")?;
    browser.wait("!document.querySelector('#choose').hidden")?;
    let jobs = server.operator_json("/api/jobs")?;
    assert_eq!(jobs["jobs"][0]["status"], "cancelled", "{jobs}");
    Ok(())
}

#[test]
fn the_page_does_not_send_what_would_be_refused() -> Result<()> {
    let Some((browser, server, folder)) = browser_and_service(&["--upload-bytes-max", "1000"])?
    else {
        return Ok(());
    };
    browser.choose(&server.url("/"), &clip(folder.path(), 10)?)?;
    let error = browser.text("#file-error")?;
    assert!(error.contains("the limit is"), "{error}");
    let note = folder.path().join("note.txt");
    std::fs::write(&note, "not a video")?;
    browser.choose(&server.url("/"), &note)?;
    let error = browser.text("#file-error")?;
    assert!(error.contains("is not a video"), "{error}");
    assert_eq!(server.operator_json("/api/jobs")?["total"], 0);
    Ok(())
}

#[test]
fn the_page_shows_the_error_message_of_the_service() -> Result<()> {
    let Some((browser, server, folder)) = browser_and_service(&[])? else { return Ok(()) };
    let broken = folder.path().join("broken.mp4");
    std::fs::write(&broken, "this was never a video")?;
    browser.choose(&server.url("/"), &broken)?;
    browser.click("#start")?;
    browser.wait("!document.querySelector('#problem').hidden")?;
    let jobs = server.operator_json("/api/jobs")?;
    assert_eq!(Some(browser.text("#problem-detail")?.as_str()), jobs["jobs"][0]["error"].as_str());
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    Ok(())
}

#[test]
fn the_monitor_shows_a_worker_against_its_cap() -> Result<()> {
    let Some((browser, server, folder)) = browser_and_service(&["--workers", "1"])? else {
        return Ok(());
    };
    browser.visit(&server.operator_url("/monitor")?)?;
    browser.wait("document.querySelector('#link').textContent === 'Live'")?;
    let id = server.submit(&clip(folder.path(), 240)?)?;
    browser
        .wait("document.querySelector('#workers .facts')?.textContent.includes(' of 384 MB')")?;
    browser.wait("document.querySelector('#workers path.used')")?;
    browser.screenshot("monitor-light", DESKTOP, ColourScheme::Light)?;
    browser.screenshot("monitor-phone-dark", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    // A page opened later shows the past too.
    let points =
        "document.querySelector('#memory-plot path.used')?.getAttribute('d').match(/[ML]/g).length";
    let before = browser.run(&format!("return {points}"))?;
    browser.run("location.reload()")?;
    browser.wait(&format!("{points} >= {before}"))?;
    server.await_end(&id)?;
    browser.wait("document.querySelector('#ended .completed')")?;
    // A job leads to its result.
    browser.click("#ended a")?;
    browser.wait("document.querySelector('#result')?.hidden === false")?;
    assert_eq!(browser.run("return location.hash")?, format!("#job={id}"));
    Ok(())
}

#[test]
fn each_person_has_separate_curves() -> Result<()> {
    let Some((browser, server, folder)) = browser_and_service(&[])? else { return Ok(()) };
    let video = folder.path().join("pair.mp4");
    Clip::new()
        .size(480, 270)
        .fps(15, 1)
        .frames(15)
        .yaw(0.0)
        .footage(footage::pair)
        .encode(&video)?;
    browser.choose(&server.url("/"), &video)?;
    browser.run("document.querySelector('#people').value = '2'")?;
    browser.click("#formats")?;
    browser.click("#start")?;
    browser.wait("document.querySelectorAll('#who option').length === 2")?;
    let knee = "return document.querySelector('#curves path.left').getAttribute('d')";
    let first = browser.run(knee)?;
    browser.run("const w = document.querySelector('#who'); w.value = '1'; w.dispatchEvent(new Event('change'))")?;
    assert_ne!(browser.run(knee)?, first, "both people have the same curve");
    browser.screenshot("result-two-people", DESKTOP, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    let files = browser.run("return document.querySelectorAll('#downloads a').length")?;
    assert_eq!(files, Artefact::ALL.len(), "all formats, because all were requested");
    Ok(())
}

#[test]
fn a_video_without_people_is_shown_differently_from_a_failure() -> Result<()> {
    let Some((browser, server, folder)) = browser_and_service(&[])? else { return Ok(()) };
    let video = folder.path().join("empty.mp4");
    Clip::new().frames(10).footage(footage::empty).encode(&video)?;
    browser.choose(&server.url("/"), &video)?;
    browser.click("#start")?;
    browser.wait(
        "document.querySelector('#result-note').textContent.includes('No person was found')",
    )?;
    browser.wait("document.querySelector('#place').textContent === 'frame 1 of 10'")?;
    assert_eq!(browser.run("return document.querySelector('#angles').hidden")?, true);
    browser.screenshot("result-nobody", PHONE, ColourScheme::Light)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    Ok(())
}

#[test]
fn an_expired_result_is_shown_as_such() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let server = TestServer::start(&[])?;
    browser.visit(&server.url(&format!("/#job={}", "0".repeat(32))))?;
    browser.wait("!document.querySelector('#problem').hidden")?;
    assert_eq!(browser.text("#problem-title")?, "Result not found");
    assert_eq!(browser.text("#problem-code")?, "Code: job_not_found");
    browser.screenshot("result-gone", PHONE, ColourScheme::Dark)?;
    browser.click("#restart")?;
    browser.wait("!document.querySelector('#choose').hidden && !location.hash")?;

    // Addresses of files say the same to people; programs get a document.
    let file = format!("/api/serve/{}/output.mp4", "0".repeat(32));
    for (address, title) in [(file.as_str(), "Result not found"), ("/nothing", "Page not found")] {
        browser.visit(&server.url(address))?;
        assert_eq!(browser.text("h1")?, title);
        assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
        let document = server.get(address)?;
        assert_eq!(document.status(), 404);
        assert_eq!(document.headers()["content-type"], "application/problem+json");
        browser.click("main a.primary")?;
        browser.wait("document.querySelector('#choose')?.hidden === false")?;
    }
    Ok(())
}

#[test]
fn the_page_resumes_its_job_after_a_service_restart() -> Result<()> {
    let Some((browser, server, folder)) = browser_and_service(&[])? else { return Ok(()) };
    browser.choose(&server.url("/"), &clip(folder.path(), 240)?)?;
    browser.click("#start")?;
    browser.wait("document.querySelector('#progress-text').textContent.startsWith('Frame')")?;
    let server = server.restart_after(&[], || {
        browser.wait("!document.querySelector('#lost').hidden")?;
        browser.screenshot("connection-lost", PHONE, ColourScheme::Light)?;
        Ok(())
    })?;
    browser.wait("document.querySelector('#lost').hidden")?;
    browser.wait("document.querySelectorAll('#curves path.left').length === 5")?;
    let jobs = server.operator_json("/api/jobs")?;
    assert_eq!((&jobs["total"], &jobs["jobs"][0]["status"]), (&1.into(), &"completed".into()));
    Ok(())
}

#[test]
fn the_monitor_recovers_after_a_service_restart() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let [flag, program] = fault_worker()?;
    let flags = ["--workers", "1", &flag, &program];
    let server = TestServer::start(&flags)?;
    browser.visit(&server.operator_url("/monitor")?)?;
    let job = server.submit(&fault_video(folder.path(), "silent")?)?;
    let worker =
        "document.querySelector('#workers .facts')?.textContent.match(/process (\\d+)/)?.[1]";
    browser.wait(worker)?;
    let before = browser.run(&format!("return {worker}"))?;
    let server = server.restart_after(&flags, || {
        browser.wait("document.querySelector('#link').textContent.startsWith('Disconnected')")?;
        browser.wait("document.body.classList.contains('stale')")
    })?;
    browser.wait("document.querySelector('#link').textContent === 'Live'")?;
    browser.wait("document.querySelector('#about').textContent.includes('restarted while')")?;
    // The job was started again, by a worker of the new service.
    browser.wait(&format!("({worker} ?? {before}) !== {before}"))?;
    browser.screenshot("monitor-restarted", DESKTOP, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);

    // A job is cancelled only once this is confirmed.
    browser.click("#workers [data-action=cancel]")?;
    browser.screenshot("monitor-cancel", PHONE, ColourScheme::Light)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.click("#confirm [value=keep]")?;
    browser.wait("!document.querySelector('#confirm').open")?;
    browser.click("#workers [data-action=cancel]")?;
    assert_eq!(server.status(&job)?["status"], "processing");
    browser.click("#confirm [value=cancel]")?;
    browser.wait("document.querySelector('#ended .cancelled')")?;
    let told = "document.querySelector('#action-text').textContent";
    browser.wait(&format!("{told}.includes('was cancelled')"))?;

    // A failed one is queued again.
    let failed = server.submit(&fault_video(folder.path(), "bad-input")?)?;
    server.await_end(&failed)?;
    browser.wait("document.querySelector('#ended [data-action=retry]')")?;
    browser.click("#ended [data-action=retry]")?;
    browser.wait(&format!("{told}.includes('is queued again')"))?;
    let status = server.await_end(&failed)?;
    assert_eq!(status["attempts"].as_array().map(Vec::len), Some(2), "{status}");
    Ok(())
}
