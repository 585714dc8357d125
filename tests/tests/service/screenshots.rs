//! Every state of the pages, as pictures to be looked at: none is wider than its window or has barriers, in light and
//! dark, on a phone and at 200 %.

use anyhow::Result;
use bodyscript_tests::browser::Browser;
use bodyscript_tests::faulty_link::{FaultyLink, LinkFault};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::screenshot_review::Review;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, start_fault_service};
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of a video that is sent in several chunks, and where its connection hangs.
const LARGE: usize = 2 << 20;
const HANG_AT: u64 = 1 << 20;

/// Whether a section of the upload page is shown, as an expression.
fn shows(section: &str) -> String {
    format!("document.querySelector('#{section}')?.hidden === false")
}

/// Opens an address, also one that differs in its fragment only.
fn open(browser: &Browser, url: &str) -> Result<()> {
    browser.visit("about:blank")?;
    browser.visit(url)
}

/// Opens the page of a job and waits for a section of it.
fn open_job(browser: &Browser, server: &TestServer, job: &str, section: &str) -> Result<()> {
    open(browser, &server.url(&format!("/#job={job}")))?;
    browser.wait(&shows(section))
}

fn cancel(server: &TestServer, job: &str) -> Result<()> {
    let url = server.url(&format!("/api/cancel/{job}"));
    server.client().post(url).send()?.error_for_status()?;
    Ok(())
}

/// A file with the name of a video.
fn large(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("large.mp4");
    fs::write(&path, vec![b' '; LARGE])?;
    Ok(path)
}

#[test]
fn every_state_of_the_pages_fits_every_window_and_has_no_barriers() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let server = start_fault_service(&["--workers", "1"])?;
    let mut review = Review::of(&browser);
    before_a_job(&browser, &server, folder.path(), &mut review)?;
    job_in_progress(&browser, &server, folder.path(), &mut review)?;
    after_a_job(&browser, &server, folder.path(), &mut review)?;
    for (state, address) in [("docs", "/docs"), ("not-found", "/nothing")] {
        browser.visit(&server.url(address))?;
        review.capture(state)?;
    }
    review.finish()
}

fn before_a_job(
    browser: &Browser,
    server: &TestServer,
    folder: &Path,
    review: &mut Review<'_>,
) -> Result<()> {
    browser.visit(&server.url("/"))?;
    browser.wait("document.querySelector('#limits').textContent.includes('Up to')")?;
    review.capture("empty")?;

    let note = folder.join("note.txt");
    fs::write(&note, "not a video")?;
    browser.choose(&server.url("/"), &note)?;
    browser.wait("document.querySelector('#file-error').textContent")?;
    review.capture("refused")?;

    let link = FaultyLink::to(server)?;
    browser.choose(&link.url("/"), &large(folder)?)?;
    browser.wait(&shows("chosen"))?;
    review.capture("chosen")?;

    link.fail_after(HANG_AT, LinkFault::Hang);
    browser.click("#start")?;
    link.await_failure()?;
    browser.wait("document.querySelector('#progress-text').textContent.includes(' of ')")?;
    review.capture("uploading")?;

    // Ends its connections and accepts no more.
    drop(link);
    browser.wait(&shows("lost"))?;
    review.capture("connection-lost")
}

fn job_in_progress(
    browser: &Browser,
    server: &TestServer,
    folder: &Path,
    review: &mut Review<'_>,
) -> Result<()> {
    let first = server.submit(&fault_video(folder, "silent")?)?;
    let job = server.submit(&fault_video(folder, "touch:60 progress:10 silent")?)?;
    open_job(browser, server, &job, "work")?;
    review.capture("waiting")?;

    cancel(server, &first)?;
    browser.wait("document.querySelector('#progress-text').textContent.startsWith('Frame')")?;
    review.capture("processing")?;

    browser.visit(&server.operator_url("/monitor")?)?;
    browser.wait("document.querySelector('#workers .facts')?.textContent.includes(' of ')")?;
    review.capture("monitor")?;

    open_job(browser, server, &job, "work")?;
    cancel(server, &job)?;
    browser.wait(&format!("!({})", shows("work")))?;
    review.capture("cancelled")
}

fn after_a_job(
    browser: &Browser,
    server: &TestServer,
    folder: &Path,
    review: &mut Review<'_>,
) -> Result<()> {
    let failed = server.submit(&fault_video(folder, "bad-input")?)?;
    server.await_end(&failed)?;
    open_job(browser, server, &failed, "problem")?;
    review.capture("failed")?;

    let video = folder.join("walker.mp4");
    Clip::new().frames(15).encode(&video)?;
    let done = server.submit(&video)?;
    server.await_end(&done)?;
    open_job(browser, server, &done, "result")?;
    browser.wait("document.querySelector('#video').readyState >= 2")?;
    review.capture("result")?;

    open_job(browser, server, &"0".repeat(32), "problem")?;
    review.capture("expired")
}
