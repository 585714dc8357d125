//! The curves, facts and downloads of a result in a real browser: of a video that is longer than the limit, in which
//! nobody is to be seen for a while.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::browser::{Browser, ColourScheme};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::mannequin::Scene;
use bodyscript_tests::server::TestServer;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const DESKTOP: u32 = 1280;
const PHONE: u32 = 390;
const NO_FAULTS: Vec<String> = Vec::new();
const FRAMES: u32 = 60;
const LIMIT_S: f64 = 3.0;
const FORMATS: &str = "video,csv,json,angles";
const RIGHT_KEY: &str = "\u{E014}";
/// Half of the last decimal of the saved table and of that of the service.
const ROUNDING_DEG: f64 = 0.005 + 0.000_5 + 1e-9;

const KNEE: &str = "document.querySelector('#curves .curve:nth-child(2) svg')";
/// From here on the files that the page makes are kept as texts, and what it copies.
const KEEP: &str = "window.files = []; const make = URL.createObjectURL; \
    URL.createObjectURL = (blob) => { blob.text().then((text) => window.files.push(text)); return make.call(URL, blob); }; \
    Object.defineProperty(navigator, 'clipboard', {configurable: true, \
        value: {writeText: (text) => { window.copied = text; return Promise.resolve(); }}})";

fn leaving(time: Duration) -> Scene {
    match time.as_millis() {
        1000..1800 => Scene::empty(),
        _ => footage::walking(time),
    }
}

fn clip(folder: &TempDir) -> Result<PathBuf> {
    let path = folder.path().join("it's a walk.mp4");
    let clip = Clip::new().size(480, 270).fps(15, 1).frames(FRAMES).yaw(0.0).footage(leaving);
    clip.encode(&path)?;
    Ok(path)
}

fn text(browser: &Browser, expression: &str) -> Result<String> {
    let found = browser.run(&format!("return {expression}"))?;
    Ok(found.as_str().with_context(|| format!("{expression} is {found}"))?.to_owned())
}

/// The span of time that is said to be shown.
fn span(browser: &Browser) -> Result<[f64; 2]> {
    let text = browser.text("#span")?;
    let numbers = text.trim_end_matches(" s").split_once(" to ").context(text.clone())?;
    Ok([numbers.0.parse()?, numbers.1.parse()?])
}

#[test]
fn curves_facts_and_files_of_a_result() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let limit = LIMIT_S.to_string();
    let server = TestServer::start(&["--duration-s-max", &limit])?;
    let folder = tempfile::tempdir()?;
    let video = clip(&folder)?;
    browser.choose(&server.url("/"), &video)?;
    browser.wait(
        "document.querySelector('.trim-note').textContent === 'Only the first 3 s are analysed.'",
    )?;
    let job: Value = server.upload(&video, &[("formats", FORMATS), ("interval", "1")])?.json()?;
    let job = job["job_id"].as_str().context("an id")?;
    let status = server.await_end(job)?;
    assert_eq!(status["status"], "completed", "{status}");
    browser.visit(&server.url(&format!("/#job={job}")))?;
    browser.wait("document.querySelectorAll('#curves path.left').length === 5")?;
    browser.run(KEEP)?;

    check_facts(&browser)?;
    check_axis_and_gaps(&browser)?;
    check_pointer_and_keys(&browser)?;
    check_zoom(&browser)?;
    check_table(&browser, &server, job)?;
    browser.screenshot("curves-light", DESKTOP, ColourScheme::Light)?;
    browser.screenshot("curves-phone-dark", PHONE, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    check_links(&browser, &server, (job, folder.path()))?;
    check_other_formats(&browser, &video)
}

fn check_facts(browser: &Browser) -> Result<()> {
    browser.wait("document.querySelector('#facts').textContent.includes('fps')")?;
    let facts = text(browser, "document.querySelector('#facts').textContent")?;
    for fact in ["first 3.", " s of 4.", "480 × 270", "15 fps", "Track", "Most prominent at first"]
    {
        assert!(facts.contains(fact), "no {fact} in {facts}");
    }
    let warnings = browser.text("#warnings")?;
    assert!(warnings.contains("longer than the limit"), "{warnings}");
    Ok(())
}

fn check_axis_and_gaps(browser: &Browser) -> Result<()> {
    let marks = text(
        browser,
        "[...document.querySelector('.axis').children].map((mark) => mark.textContent).join()",
    )?;
    assert!(marks.starts_with("0 s,1 s,2 s"), "{marks}");
    let pieces = browser.run(&format!(
        "return {KNEE}.querySelector('.left').getAttribute('d').split('M').length - 1"
    ))?;
    assert!(pieces.as_u64() >= Some(2), "a line is drawn where nobody was found: {pieces}");
    Ok(())
}

fn check_pointer_and_keys(browser: &Browser) -> Result<()> {
    let time = "document.querySelector('#curves .values .muted').textContent";
    let before = text(browser, time)?;
    browser.run(&format!(
        "const {{left, top, width}} = {KNEE}.getBoundingClientRect(); \
         {KNEE}.dispatchEvent(new PointerEvent('pointermove', {{clientX: left + width / 2, clientY: top + 1}}))"
    ))?;
    let pointed = text(browser, time)?;
    assert!(pointed.starts_with("1.4") || pointed.starts_with("1.5"), "{pointed}");
    browser.run(&format!("{KNEE}.dispatchEvent(new PointerEvent('pointerleave'))"))?;
    assert_eq!(text(browser, time)?, before);

    browser.run(&format!("{KNEE}.focus()"))?;
    let now = format!("{KNEE}.getAttribute('aria-valuenow')");
    let frame: u32 = text(browser, &now)?.parse()?;
    browser.press(RIGHT_KEY)?;
    assert_eq!(text(browser, &now)?, (frame + 1).to_string(), "one step, by one of the listeners");
    let place = browser.text("#place")?;
    assert!(place.starts_with(&format!("frame {} ", frame + 1)), "{place}");
    let value = text(browser, &format!("{KNEE}.getAttribute('aria-valuetext')"))?;
    assert!(value.contains(" s: left ") && value.contains(", right "), "{value}");
    Ok(())
}

fn check_zoom(browser: &Browser) -> Result<()> {
    let whole = span(browser)?;
    browser.run(&format!("{KNEE}.scrollIntoView({{block: 'center'}})"))?;
    let width = browser.run(&format!("return {KNEE}.getBoundingClientRect().width"))?;
    let quarter = width.as_f64().context("a width")? / 4.0;
    browser.drag("#curves .curve:nth-child(2) svg", [quarter as i32, 0])?;
    let [from, to] = span(browser)?;
    let length = whole[1] - whole[0];
    assert!(
        (from - length / 2.0).abs() < 0.1 && (to - length * 0.75).abs() < 0.1,
        "{from} to {to}"
    );
    browser.click("#zoom-all")?;
    assert_eq!(span(browser)?, whole);
    browser.click("#zoom-in")?;
    browser.click("#zoom-in")?;
    let [from, to] = span(browser)?;
    assert!((to - from - length / 4.0).abs() < 0.02 && to < whole[1], "{from} to {to}");
    browser.run("const scrub = document.querySelector('#scrub'); scrub.value = scrub.max; scrub.dispatchEvent(new Event('input'))")?;
    let [_, to] = span(browser)?;
    assert!((to - whole[1]).abs() < 0.02, "it follows the player: {to}");
    browser.click("#zoom-out")?;
    let [from, to] = span(browser)?;
    assert!((to - from - length / 2.0).abs() < 0.02, "{from} to {to}");
    Ok(())
}

/// Rows of a table by the numbers of their frames, each with its cells by the names of their columns.
fn rows(table: &str) -> Result<BTreeMap<u32, BTreeMap<&str, &str>>> {
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let columns = lines.next().context("a header")?;
    lines.map(|row| Ok((row[0].parse()?, columns.iter().copied().zip(row).collect()))).collect()
}

/// What is saved and measured is what is shown, with the numbers of the service.
fn check_table(browser: &Browser, server: &TestServer, job: &str) -> Result<()> {
    browser.run("document.querySelector('#motion').open = true")?;
    browser.wait("document.querySelectorAll('#motion-rows tr').length === 17")?;
    browser.click("#save-angles")?;
    browser.wait("window.files.length === 1")?;
    let saved = text(browser, "window.files[0]")?;
    let made = server.get(&format!("/api/serve/{job}/joint_angles.csv"))?.text()?;
    let (saved, made) = (rows(&saved)?, rows(&made)?);
    let [from, to] = span(browser)?;
    let mut knee = Vec::new();
    for (frame, row) in &saved {
        let time: f64 = row["source_time_s"].parse()?;
        ensure!(time > from - 0.01 && time < to + 0.01, "frame {frame} is not shown: {time}");
        for (name, cell) in
            row.iter().filter(|(name, cell)| name.ends_with("_deg") && !cell.is_empty())
        {
            let (angle, truth): (f64, f64) = (cell.parse()?, made[frame][name].parse()?);
            assert!((angle - truth).abs() <= ROUNDING_DEG, "{frame}: {name} {angle}, not {truth}");
            if *name == "left_knee_flexion_deg" {
                knee.push(angle);
            }
        }
    }
    ensure!(!knee.is_empty() && saved.len() < made.len(), "{} rows", saved.len());
    let [low, high] = [f64::min, f64::max].map(|extreme| knee.iter().copied().reduce(extreme));
    let shown = text(
        browser,
        "[...document.querySelectorAll('#motion-rows tr')] \
        .find((row) => row.cells[0].textContent === 'Knee flexion, left').cells[1].textContent",
    )?;
    let shown: f64 = shown.trim_end_matches('°').parse()?;
    assert!((shown - low.context("a value")?).abs() <= 0.51, "{shown}, not {low:?}");
    assert!(high > low, "{knee:?}");
    Ok(())
}

/// The link, and the commands, which are executed: they make another job with the same options.
fn check_links(browser: &Browser, server: &TestServer, (job, folder): (&str, &Path)) -> Result<()> {
    browser.click("#copy-link")?;
    browser.wait("document.querySelector('#copied').textContent === 'Link copied.'")?;
    assert_eq!(text(browser, "window.copied")?, server.url(&format!("/#job={job}")));
    let all = text(browser, "document.querySelector('#download-all').getAttribute('href')")?;
    assert_eq!(all, format!("/api/download/{job}/all"));

    browser.click("#copy-curl")?;
    browser.wait("document.querySelector('#copied').textContent === 'Commands copied.'")?;
    let commands = text(browser, "window.copied")?;
    let output = Command::new("sh").args(["-c", &commands]).current_dir(folder).output()?;
    ensure!(output.status.success(), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
    let archive = folder.join("it_s a walk.zip");
    ensure!(archive.metadata()?.len() > 0, "nothing was fetched by {commands}");
    let jobs = server.operator_json("/api/jobs")?;
    let jobs = jobs["jobs"].as_array().context("a list")?;
    assert_eq!(jobs.len(), 2);
    for option in ["filename", "mode", "interval", "filter", "model", "max_people", "crop"] {
        assert_eq!(jobs[0][option], jobs[1][option], "{option}");
    }
    let formats = |job: &Value| job["urls"].as_object().map(|urls| urls.keys().cloned().collect());
    let [first, second]: [Option<Vec<String>>; 2] = [&jobs[0], &jobs[1]].map(formats);
    assert_eq!(first, second);
    Ok(())
}

/// Opens the list of formats that the result does not have, and chooses one.
fn choose_other(browser: &Browser, format: &str) -> Result<()> {
    // All of the result is there, so that nothing moves any more.
    browser.wait("document.querySelector('#facts').textContent.includes('fps')")?;
    browser.run("document.querySelector('#others').open = true")?;
    let choice = format!("document.querySelector('#others-list input[value={format}]')");
    browser.wait(&choice)?;
    browser.run(&format!("{choice}.click()")).map(drop)
}

/// The video is asked for where the page does not have it, and processed once more by a click where it does.
fn check_other_formats(browser: &Browser, video: &Path) -> Result<()> {
    let is_made =
        |format: &str| format!("document.querySelector('#downloads a[href$=\"/{format}\"]')");
    choose_other(browser, "trc")?;
    assert_eq!(browser.run("return document.querySelector('#run-again').hidden")?, true);
    let other = video.with_file_name("other.mp4");
    std::fs::write(&other, "another file")?;
    browser.type_into("#again-file", &other.display().to_string())?;
    browser
        .wait("document.querySelector('#others-error').textContent.includes('is not the video')")?;
    browser.screenshot("curves-other-formats", PHONE, ColourScheme::Light)?;
    assert_eq!(browser.accessibility_faults()?, NO_FAULTS);
    browser.type_into("#again-file", &video.display().to_string())?;
    browser.wait(&is_made("trc"))?;
    choose_other(browser, "mot")?;
    assert_eq!(browser.run("return document.querySelector('#others-file').hidden")?, true);
    browser.click("#run-again")?;
    browser.wait(&is_made("mot"))?;
    let kept = browser.run(&format!("return Boolean({})", is_made("trc")))?;
    assert_eq!(kept, true, "the formats of the earlier run are made too");
    Ok(())
}
