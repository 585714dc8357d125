//! The player of a result, in a real browser: keys and buttons, the picture with and without skeletons, and links.

use anyhow::{Context, Result};
use bodyscript_tests::browser::{Browser, ColourScheme};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::mannequin::Scene;
use bodyscript_tests::server::TestServer;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const DESKTOP: u32 = 1280;
const PHONE: u32 = 390;
const NO_FAULTS: Vec<String> = Vec::new();

const FRAMES: u32 = 40;
const FPS: u32 = 30;
/// Frames without a person before the others.
const EMPTY: usize = 10;

const LEFT_KEY: &str = "\u{E012}";
const RIGHT_KEY: &str = "\u{E014}";
const HOME_KEY: &str = "\u{E011}";
const END_KEY: &str = "\u{E010}";

const HAS_CURVES: &str = "document.querySelectorAll('#curves path.left').length === 5";
/// The video has the picture of the frame that is shown.
const HAS_PICTURE: &str =
    "((video) => video.readyState >= 2 && !video.seeking)(document.querySelector('#video'))";
const IS_PAUSED: &str = "document.querySelector('#video').paused";
const BLUR: &str = "document.activeElement.blur()";
const HAS_DRAWING: &str = "((c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0)) \
    (document.querySelector('#skeleton'))";
/// From here on the numbers of the frames that are shown are kept.
const KEEP_PLACES: &str = "window.places = []; const place = document.querySelector('#place'); \
    new MutationObserver(() => window.places.push(Number(place.textContent.match(/\\d+/)[0]))) \
        .observe(place, {childList: true, characterData: true, subtree: true})";
/// From here on the pictures that the page makes are kept, with their sizes.
const KEEP_PICTURES: &str = "window.pictures = []; const make = URL.createObjectURL; \
    URL.createObjectURL = (blob) => { \
        Promise.all([blob.arrayBuffer(), createImageBitmap(blob)]).then(([bytes, {width, height}]) => \
            window.pictures.push({bytes: new TextDecoder('latin1').decode(bytes), size: [width, height]})); \
        return make.call(URL, blob); \
    }";

fn walking_late(time: Duration) -> Scene {
    let begin = Duration::from_secs(1) * EMPTY as u32 / FPS;
    if time < begin { Scene::empty() } else { footage::walking(time) }
}

fn clip(folder: &TempDir, name: &str) -> Result<PathBuf> {
    let path = folder.path().join(name);
    Clip::new().frames(FRAMES).footage(walking_late).encode(&path)?;
    Ok(path)
}

/// The index of the first frame with a person, as the data have it.
fn first_seen(server: &TestServer, job: &str) -> Result<usize> {
    let document = server.json(&format!("/api/serve/{job}/pose_data.json"))?;
    let frames = document["frames"].as_array().context("no frames")?;
    let is_seen = |frame: &serde_json::Value| frame["people"][0].is_object();
    frames.iter().position(is_seen).context("nobody was found")
}

fn place(frame: usize) -> String {
    format!("frame {frame} of {FRAMES}")
}

/// Moves the player to a frame, counted from 1.
fn seek(browser: &Browser, frame: usize) -> Result<()> {
    let index = frame - 1;
    browser.run(&format!(
        "const scrub = document.querySelector('#scrub'); scrub.value = {index}; scrub.dispatchEvent(new Event('input'))"
    ))?;
    browser.wait(HAS_PICTURE)
}

#[test]
fn a_result_is_played_by_keys_and_buttons_and_named_by_links() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let (server, folder) = (TestServer::start(&[])?, tempfile::tempdir()?);
    let video = clip(&folder, "walker.mp4")?;
    browser.choose(&server.url("/"), &video)?;
    browser.click("#formats")?;
    browser.click("#start")?;
    browser.wait(HAS_CURVES)?;
    let job = browser.run("return location.hash.slice('#job='.length)")?;
    let job = job.as_str().context("no job")?;
    let first = first_seen(&server, job)?;
    assert!(first >= EMPTY, "a person in an empty picture: {first}");
    assert_eq!(browser.text("#place")?, place(first + 1), "it opens where somebody is");
    browser.wait(HAS_PICTURE)?;

    check_keys(&browser)?;
    check_marks(&browser)?;
    check_overlays(&browser)?;
    check_space(&browser)?;
    check_pictures(&browser)?;
    browser.click("#full")?;
    browser.wait("document.fullscreenElement?.id === 'player'")?;
    browser.click("#full")?;
    browser.wait("!document.fullscreenElement")?;

    check_link(&browser, &server, job)?;
    let other = server.submit(&video)?;
    server.await_end(&other)?;
    check_drawn(&browser, &server, &other, &video)?;
    check_partner(&browser, &server, [job, &other])
}

fn check_keys(browser: &Browser) -> Result<()> {
    browser.press(HOME_KEY)?;
    assert_eq!(browser.text("#place")?, place(1));
    browser.press(&RIGHT_KEY.repeat(2))?;
    assert_eq!(browser.text("#place")?, place(3));
    browser.press(LEFT_KEY)?;
    assert_eq!(browser.text("#place")?, place(2));
    browser.press(END_KEY)?;
    assert_eq!(browser.text("#place")?, place(FRAMES as usize));
    browser.run("document.querySelector('#speed').focus()")?;
    browser.press(&format!("{LEFT_KEY}{HOME_KEY}"))?;
    assert_eq!(browser.text("#place")?, place(FRAMES as usize), "the field has the focus");
    assert_eq!(browser.run(&format!("return {IS_PAUSED}"))?, true);
    let set_speed = "const speed = document.querySelector('#speed'); speed.value = '2'; \
        speed.dispatchEvent(new Event('change')); return document.querySelector('#video').playbackRate";
    assert_eq!(browser.run(set_speed)?, 2);
    browser.run(BLUR)?;
    // From the end it plays from the beginning.
    browser.run(KEEP_PLACES)?;
    browser.press(" ")?;
    browser.wait("window.places.includes(1)")?;
    browser.wait(&format!("{IS_PAUSED} && window.places.at(-1) === {FRAMES}"))
}

fn check_marks(browser: &Browser) -> Result<()> {
    seek(browser, 20)?;
    browser.click("#mark-b")?;
    seek(browser, 14)?;
    browser.click("#mark-a")?;
    let names = [browser.text("#mark-a")?, browser.text("#mark-b")?];
    assert_eq!(names, ["A: frame 14", "B: frame 20"]);
    browser.run("document.activeElement.blur(); window.places.length = 0")?;
    browser.press(" ")?;
    browser.wait(&format!("{IS_PAUSED} && window.places.at(-1) === 20"))?;
    browser.click("#loop")?;
    browser.run(BLUR)?;
    browser.press(" ")?;
    // The first turn back is the start from mark B.
    let turns = "window.places.filter((place, index) => place < window.places[index - 1]).length";
    browser.wait(&format!("{turns} >= 3"))?;
    browser.press(" ")?;
    browser.wait(IS_PAUSED)?;
    let outside =
        browser.run("return window.places.filter((place) => place < 14 || place > 20)")?;
    assert_eq!(outside, json!([]), "shown beyond the marks");
    seek(browser, 30)?;
    browser.click("#mark-a")?;
    assert_eq!(browser.text("#mark-b")?, "Set B", "a mark before A is dropped");
    browser.click("#unmark")?;
    assert_eq!(browser.text("#mark-a")?, "Set A");
    browser.click("#loop")
}

fn check_overlays(browser: &Browser) -> Result<()> {
    let has_drawing = format!("return {HAS_DRAWING}");
    assert_eq!(browser.run(&has_drawing)?, true, "a skeleton");
    browser.click("#show")?;
    assert_eq!(browser.run(&has_drawing)?, false, "the video alone");
    browser.click("#read-outs")?;
    browser.wait(HAS_DRAWING)?;
    browser.click("#show")?;
    browser.screenshot("player-light", DESKTOP, ColourScheme::Light)?;
    browser.screenshot("player-phone-dark", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.click("#read-outs")
}

/// Checks that the view in 3D is turned by keys, a drag and buttons, and in step with the player.
fn check_space(browser: &Browser) -> Result<()> {
    let seen = || browser.run("return document.querySelector('#space-canvas').toDataURL()");
    let label = "document.querySelector('#space-canvas').ariaLabel";
    seek(browser, 25)?;
    browser.click("#space-shown")?;
    browser.wait(&format!("{label}.includes('knee flexion left')"))?;
    let first = seen()?;
    browser.run("document.querySelector('#space-canvas').focus()")?;
    browser.press(&RIGHT_KEY.repeat(3))?;
    assert_eq!(browser.text("#place")?, place(25), "the arrow keys turn the view");
    browser.wait(&format!("{label}.includes('turned by 30°')"))?;
    assert_ne!(seen()?, first);
    browser.screenshot("player-3d-light", DESKTOP, ColourScheme::Light)?;
    browser.screenshot("player-3d-phone-dark", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.click("#space-reset")?;
    browser.drag("#space-canvas", [40, 20])?;
    browser.wait(&format!("{label}.includes('turned by 20° and seen from 20° above')"))?;
    browser.click("#space-reset")?;
    assert_eq!(seen()?, first);
    seek(browser, 30)?;
    assert_ne!(seen()?, first, "another frame");
    seek(browser, 1)?;
    browser.wait(&format!("{label}.includes('nobody')"))?;
    browser.click("#space-shown")
}

/// Checks that pictures are saved as they are shown: of the size of the video, with and without a skeleton.
fn check_pictures(browser: &Browser) -> Result<()> {
    browser.run(KEEP_PICTURES)?;
    seek(browser, 25)?;
    browser.click("#snapshot")?;
    browser.wait("window.pictures.length === 1")?;
    browser.wait(
        "document.querySelector('#player-said').textContent.includes('walker_frame_00025.png')",
    )?;
    browser.click("#show")?;
    browser.click("#snapshot")?;
    browser.wait("window.pictures.length === 2")?;
    browser.click("#show")?;
    let sizes = browser.run("return window.pictures.map(({size}) => size)")?;
    assert_eq!(sizes, json!([[320, 240], [320, 240]]));
    let are_same = browser.run("return window.pictures[0].bytes === window.pictures[1].bytes")?;
    assert_eq!(are_same, false, "the skeleton is in one of them");
    Ok(())
}

/// Checks that a link opens a result at a frame, with the video that has no skeletons.
fn check_link(browser: &Browser, server: &TestServer, job: &str) -> Result<()> {
    open(browser, server, &format!("job={job}&frame=30"))?;
    assert_eq!(browser.text("#place")?, place(30));
    browser.wait("document.querySelector('#video').currentSrc.endsWith('/clean.mp4')")?;
    browser.wait(HAS_PICTURE)?;
    assert_eq!(browser.text("#place")?, place(30));
    browser.click("#show")?;
    assert_eq!(browser.run(&format!("return {HAS_DRAWING}"))?, false);
    browser.click("#show")
}

/// Opens an address in a page that has no file.
fn open(browser: &Browser, server: &TestServer, hash: &str) -> Result<()> {
    browser.visit("about:blank")?;
    browser.visit(&server.url(&format!("/#{hash}")))?;
    browser.wait(HAS_CURVES)
}

/// Checks that a result whose only video has the skeletons says so, and shows the user's own file without.
fn check_drawn(browser: &Browser, server: &TestServer, job: &str, video: &Path) -> Result<()> {
    open(browser, server, &format!("job={job}"))?;
    browser.wait("document.querySelector('#video').currentSrc.endsWith('/output.mp4')")?;
    let state = "return [document.querySelector('#show').disabled, document.querySelector('#drawn-note').hidden]";
    assert_eq!(browser.run(state)?, json!([true, false]));
    browser.screenshot("player-drawn", DESKTOP, ColourScheme::Light)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    let other = video.with_file_name("other.mp4");
    std::fs::write(&other, vec![0; 1 << 20])?;
    browser.type_into("#own-file", &other.display().to_string())?;
    assert!(browser.text("#own-file-error")?.starts_with("That is another file."));
    browser.type_into("#own-file", &video.display().to_string())?;
    browser.wait("document.querySelector('#video').currentSrc.startsWith('blob:')")?;
    browser.wait(HAS_PICTURE)?;
    assert_eq!(browser.run(state)?, json!([false, true]));
    assert_eq!(browser.run(&format!("return {HAS_DRAWING}"))?, true);
    browser.click("#show")?;
    assert_eq!(browser.run(&format!("return {HAS_DRAWING}"))?, false);
    Ok(())
}

/// Checks that two results are shown side by side in step, by a link that names both and by the form.
fn check_partner(browser: &Browser, server: &TestServer, [job, other]: [&str; 2]) -> Result<()> {
    open(browser, server, &format!("job={job}&with={other}"))?;
    let partner = "document.querySelector('#partner-stage video')";
    let in_step = format!(
        "((own, other) => other.readyState >= 2 && !own.seeking && !other.seeking && own.paused && other.paused \
         && Math.floor(own.currentTime * {FPS}) === Math.floor(other.currentTime * {FPS})) \
        (document.querySelector('#video'), {partner})"
    );
    browser.wait(&in_step)?;
    seek(browser, 25)?;
    browser.wait(&in_step)?;
    browser.screenshot("player-partner-light", DESKTOP, ColourScheme::Light)?;
    browser.screenshot("player-partner-phone-dark", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    for (mark, frame) in [("#mark-a", 15), ("#mark-b", 30)] {
        seek(browser, frame)?;
        browser.click(mark)?;
    }
    browser.click("#loop")?;
    browser.run(BLUR)?;
    browser.press(" ")?;
    browser.wait(&format!("!{partner}.paused"))?;
    browser.press(" ")?;
    browser.wait(&in_step)?;

    browser.click("#partner-remove")?;
    assert_eq!(browser.run("return document.querySelector('#partner').hidden")?, true);
    assert_eq!(browser.run("return location.hash")?, format!("#job={job}"));
    browser.click("#compare-open")?;
    browser.wait("document.activeElement.id === 'compare-link'")?;
    browser.type_into("#compare-link", "elsewhere")?;
    browser.click("#compare [type=submit]")?;
    assert!(browser.text("#compare-error")?.starts_with("That is not a link to a result."));
    browser.run("document.querySelector('#compare-link').value = ''")?;
    browser.type_into("#compare-link", &server.url(&format!("/#job={other}")))?;
    browser.click("#compare [type=submit]")?;
    browser.wait(&in_step)?;
    assert_eq!(browser.run("return location.hash")?, format!("#job={job}&with={other}"));

    // The other one is beside a video that was uploaded with this browser.
    open(browser, server, &format!("job={other}"))?;
    browser.click("#compare-open")?;
    browser.wait("document.activeElement.id === 'compare-own'")?;
    assert_eq!(browser.run("return document.activeElement.value")?, job);
    browser.click("#compare [type=submit]")?;
    browser.wait(&in_step)?;
    assert_eq!(browser.run("return location.hash")?, format!("#job={other}&with={job}"));
    Ok(())
}
