//! The ways to a video on the upload page in a real browser: several files, the sample and the camera, and the list of
//! this browser's videos.

use anyhow::{Context, Result};
use bodyscript_tests::browser::{Browser, ColourScheme};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::server::TestServer;
use std::path::{Path, PathBuf};

const DESKTOP: u32 = 1280;
const PHONE: u32 = 390;
const NO_FAULTS: Vec<String> = Vec::new();
/// Larger than what the service takes after its restart.
const LARGE: usize = 1 << 20;

const USES_CHOSEN_CAMERA: &str = "document.querySelector('dialog video').srcObject.getVideoTracks()[0]?.label \
    === document.querySelector('dialog select').selectedOptions[0].text";

/// A file of noise with the name of a video, a video, another one, and a text.
fn files(folder: &Path) -> Result<[PathBuf; 4]> {
    let files = ["large.mp4", "walker.mp4", "third.mp4", "note.txt"].map(|name| folder.join(name));
    let [large, walker, third, note] = &files;
    std::fs::write(large, vec![b'n'; LARGE])?;
    Clip::new().frames(10).encode(walker)?;
    std::fs::copy(walker, third)?;
    std::fs::write(note, "not a video")?;
    Ok(files)
}

/// Whether the list of this browser's videos contains a text, as an expression.
fn listed(text: &str) -> String {
    format!("document.querySelector('#videos-list').textContent.includes('{text}')")
}

/// Selects a value of an option.
fn choose(browser: &Browser, field: &str, value: &str) -> Result<()> {
    let script = format!(
        "const field = document.getElementById('{field}'); field.value = '{value}'; \
         field.dispatchEvent(new Event('change'))"
    );
    browser.run(&script).map(drop)
}

#[test]
fn several_files_become_jobs_that_the_browser_remembers() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let (server, folder) = (TestServer::start(&[])?, tempfile::tempdir()?);
    let names = files(folder.path())?.map(|path| path.display().to_string());
    browser.visit(&server.url("/"))?;
    browser.wait("document.querySelector('#limits').textContent.includes('Up to')")?;
    assert_eq!(browser.run("return document.querySelector('#videos').hidden")?, true);
    browser.type_into("#file", &names.join("\n"))?;
    browser.wait("document.querySelectorAll('#chosen-list li').length === 3")?;
    let refused = browser.text("#file-error")?;
    assert!(refused.starts_with("note.txt is not a video."), "{refused}");
    browser.wait("document.querySelector('#chosen-list').textContent.includes('320 × 240')")?;
    browser.screenshot("start-several", DESKTOP, ColourScheme::Light)?;
    browser.screenshot("start-several-phone", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    // Once all are measured, no row is replaced any more.
    browser.wait(
        "document.querySelectorAll('#chosen-list li')[2].textContent.includes('320 × 240')",
    )?;
    browser.click("#chosen-list [aria-label='Remove third.mp4']")?;
    assert_eq!(browser.text("#start")?, "Analyse 2 videos");

    // The service refuses the first one, after the operator has lowered the limit.
    let server = server.restart(&["--upload-bytes-max", "1000000"])?;
    browser.click("#start")?;
    browser.wait("document.querySelector('#problem-code').textContent.includes('too_large')")?;
    browser.wait(&listed("Done, available until"))?;
    browser.wait(&listed("Not uploaded: "))?;
    let jobs = server.operator_json("/api/jobs")?;
    assert_eq!((&jobs["total"], &jobs["jobs"][0]["filename"]), (&1.into(), &"walker.mp4".into()));
    browser.screenshot("start-list", DESKTOP, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    the_list_outlives_the_page(&browser, &server, &jobs["jobs"][0]["job_id"])
}

/// Opens the job from the list after a reload, and removes it from there once it has expired.
fn the_list_outlives_the_page(
    browser: &Browser,
    server: &TestServer,
    job: &serde_json::Value,
) -> Result<()> {
    let job = job.as_str().context("a job")?;
    browser.click("#videos-list a")?;
    browser.wait("!document.querySelector('#result').hidden")?;
    browser.visit(&server.url("/"))?;
    browser.wait("document.querySelector('#to-videos').textContent === 'Your videos (1)'")?;
    server
        .client()
        .delete(server.url(&format!("/api/cleanup/{job}")))
        .send()?
        .error_for_status()?;
    browser.click("#videos-list a")?;
    browser.wait("!document.querySelector('#problem').hidden")?;
    assert_eq!(browser.text("#problem-title")?, "Result not found");
    browser.wait(&listed("Expired"))?;
    browser.click("#to-videos")?;
    browser.click("#videos-list [aria-label='Remove walker.mp4']")?;
    browser.wait("document.querySelector('#videos').hidden")?;
    browser.click(".brand")?;
    browser.wait("!document.querySelector('#choose').hidden && !location.hash")
}

#[test]
fn the_sample_and_the_camera_go_through_the_same_upload() -> Result<()> {
    let Some(browser) = Browser::start_with_cameras()? else { return Ok(()) };
    let server = TestServer::start(&["--duration-s-max", "4"])?;
    browser.visit(&server.url("/"))?;
    browser.wait("document.querySelector('#limits').textContent.includes('Up to')")?;
    // The slowest mode, so that the job is not over before it is cancelled.
    choose(&browser, "mode", "quality")?;
    browser.click("#try-sample")?;
    browser.wait("document.querySelector('#progress-text').textContent.startsWith('Frame')")?;
    browser.click("#cancel")?;
    browser.wait("!document.querySelector('#choose').hidden")?;
    assert_eq!(browser.text("#chosen-list strong")?, "sample.mp4");
    browser.wait("document.querySelector('#videos-list').textContent.includes('Cancelled')")?;

    assert_eq!(browser.run("return document.querySelector('#low-pass-field').hidden")?, true);
    assert_eq!(browser.run("return document.querySelector('#mode').value")?, "quality");
    for (field, value) in [
        ("mode", "track"),
        ("filter", "offline"),
        ("low-pass", "savitzky_golay"),
        ("interval", "10"),
    ] {
        choose(&browser, field, value)?;
    }
    assert_eq!(browser.run("return document.querySelector('#low-pass-field').hidden")?, false);
    browser.click("#record")?;
    browser.wait("document.querySelector('dialog video')?.videoWidth > 0")?;
    browser.wait("document.querySelectorAll('dialog option').length === 2")?;
    browser.run(
        "const list = document.querySelector('dialog select'); list.selectedIndex = 1; \
         list.dispatchEvent(new Event('change'))",
    )?;
    browser.wait(USES_CHOSEN_CAMERA)?;
    browser.wait("!document.querySelector('dialog [data-part=start]').disabled")?;
    let sounds = "return document.querySelector('dialog video').srcObject.getAudioTracks().length";
    assert_eq!(browser.run(sounds)?, 0, "sound is recorded only if asked for");
    browser.screenshot("start-camera", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.click("dialog [data-part=start]")?;
    // The recording ends by itself at the limit.
    browser.wait(
        "document.querySelector('#chosen-list strong')?.textContent.startsWith('recording-')",
    )?;
    assert_eq!(browser.run("return document.querySelector('dialog')")?, serde_json::Value::Null);
    browser.click("#start")?;
    browser.wait("!document.querySelector('#result').hidden")?;
    let jobs = server.operator_json("/api/jobs")?;
    let jobs = jobs["jobs"].as_array().context("jobs")?;
    let recorded = jobs.iter().find(|job| job["status"] == "completed").context("a result")?;
    assert_eq!(recorded["low_pass"], "savitzky_golay", "{recorded}");
    assert!(recorded["filename"].as_str().unwrap_or_default().ends_with(".webm"), "{recorded}");
    Ok(())
}

#[test]
fn a_camera_that_is_refused_is_reported_with_what_to_do() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let server = TestServer::start(&[])?;
    let answer = server.get("/")?;
    let policy = answer.headers()["permissions-policy"].to_str()?.to_owned();
    assert_eq!(policy, "camera=(self), microphone=(self)");
    browser.visit(&server.url("/"))?;
    browser.wait("document.querySelector('#limits').textContent.includes('Up to')")?;
    for (name, part) in [("NotAllowedError", "was not allowed"), ("NotFoundError", "No camera")] {
        browser.run(&format!(
            "navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{name}'); }}"
        ))?;
        browser.click("#record")?;
        browser.wait(&format!(
            "document.querySelector('#file-error').textContent.includes('{part}')"
        ))?;
        browser.wait("!document.querySelector('#record').disabled")?;
    }
    assert_eq!(browser.run("return document.querySelector('dialog')")?, serde_json::Value::Null);
    Ok(())
}
