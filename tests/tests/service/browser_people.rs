//! Who was found, on the result page in a real browser: pictures, the choice of one person, and that person's files.

use anyhow::{Context, Result};
use bodyscript_tests::browser::{Browser, ColourScheme};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::mannequin::Scene;
use bodyscript_tests::server::TestServer;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DESKTOP: u32 = 1280;
const PHONE: u32 = 390;
const FRAMES: u32 = 15;
const NO_FAULTS: Vec<String> = Vec::new();

const KNEE: &str = "return document.querySelector('#curves path.left').getAttribute('d')";
const HAS_PICTURES: &str = "[...document.querySelectorAll('#found-list img')] \
    .filter((image) => image.complete && image.naturalWidth > 0).length === 2";
/// From here on the page's files are kept as texts.
const KEEP_FILES: &str = "window.files = []; const make = URL.createObjectURL; \
    URL.createObjectURL = (blob) => { blob.text().then((text) => window.files.push(text)); return make.call(URL, blob); }";

fn clip(folder: &Path, frames: u32, footage: fn(Duration) -> Scene) -> Result<PathBuf> {
    let path = folder.join("clip.mp4");
    let clip = Clip::new().size(480, 270).fps(15, 1).frames(frames).yaw(0.0);
    clip.footage(footage).encode(&path)?;
    Ok(path)
}

#[test]
fn a_chosen_person_is_shown_alone_and_has_own_files() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let (server, folder) = (TestServer::start(&[])?, tempfile::tempdir()?);
    browser.choose(&server.url("/"), &clip(folder.path(), FRAMES, footage::pair)?)?;
    browser.run("document.querySelector('#people').value = '2'")?;
    browser.click("#start")?;
    browser.wait(HAS_PICTURES)?;
    let first = browser.run(KNEE)?;
    browser.screenshot("people-found", DESKTOP, ColourScheme::Light)?;
    browser.screenshot("people-found-phone", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);

    browser.click("#found-list li:nth-child(2) .only")?;
    let second = browser.run(KNEE)?;
    assert_ne!(second, first, "the curves are still those of the first person");
    let is_hidden = "return document.querySelector('#who-label').hidden";
    assert_eq!(browser.run(is_hidden)?, true, "nobody else can be selected");
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.run(KEEP_FILES)?;
    browser.click("#one-csv")?;
    browser.wait("window.files.length === 1")?;
    browser.click("#one-json")?;
    browser.wait("window.files.length === 2")?;
    check_files(&browser.run("return window.files")?)?;

    browser.click("#everybody")?;
    assert_eq!(browser.run(is_hidden)?, false);
    assert_eq!(browser.run(KNEE)?, first);
    Ok(())
}

/// Checks that the table and the document have the rows and frames of person 1 alone.
fn check_files(files: &serde_json::Value) -> Result<()> {
    let table = files[0].as_str().context("no table")?;
    let (head, rows) = table.split_once('\n').context("no rows")?;
    let column = head.split(',').position(|name| name == "person_id").context("no column")?;
    let is_chosen = |row: &str| row.split(',').nth(column) == Some("1");
    assert!(rows.lines().all(is_chosen), "{table}");
    assert_eq!(rows.lines().count() as u32, 33 * FRAMES);
    let document: serde_json::Value = serde_json::from_str(files[1].as_str().context("no text")?)?;
    let frames = document["frames"].as_array().context("no frames")?;
    assert_eq!(frames.len() as u32, FRAMES);
    for frame in frames {
        let people = frame["people"].as_array().context("no people")?;
        assert!(people.len() == 1 && people[0]["person_id"] == 1, "{frame}");
    }
    Ok(())
}

#[test]
fn a_person_found_for_a_while_is_followed_in_the_whole_video() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let (server, folder) = (TestServer::start(&[])?, tempfile::tempdir()?);
    let absent = |time: Duration| match time.as_millis() {
        1000..1800 => Scene::empty(),
        _ => footage::walking(time),
    };
    browser.choose(&server.url("/"), &clip(folder.path(), 40, absent)?)?;
    browser.click("#start")?;
    browser.wait(HAS_PICTURES)?;
    browser.click("#found-list li:nth-child(2) .follow")?;
    browser.wait("!document.querySelector('#choose').hidden")?;
    assert_eq!(browser.text("#chosen-list strong")?, "clip.mp4", "the video is still selected");
    let place = browser.run("return document.querySelector('#person').value")?;
    browser.click("#start")?;
    browser.wait("document.querySelectorAll('#found-list li').length === 1")?;
    let jobs = server.operator_json("/api/jobs")?;
    let people: Vec<_> = jobs["jobs"].as_array().context("no jobs")?.iter().collect();
    assert!(people.iter().any(|job| job["person"] == place), "{place}: {jobs}");
    Ok(())
}
