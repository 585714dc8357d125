//! Joint angles: continuous over time, and the same on the page as in the table.

use anyhow::{Context, Result};
use bodyscript_tests::browser::Browser;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::mannequin::{Arm, Pose, Scene};
use bodyscript_tests::programs::Run;
use bodyscript_tests::server::TestServer;
use serde_json::Value;
use std::collections::BTreeMap;
use std::f32::consts::{FRAC_PI_2, TAU};
use std::path::Path;
use std::time::Duration;

const FRAMES: u32 = 60;
const CIRCLE_S: f32 = 2.0;
/// Half of the last decimal of the table.
const ROUNDING_DEG: f64 = 0.000_5 + 1e-9;

/// The left arm circles once, forwards and up: its flexion passes half a turn.
fn circling(time: Duration) -> Scene {
    let swing = TAU * time.as_secs_f32() / CIRCLE_S;
    Pose { left_arm: Arm { swing, spread: 0.0, bend: 0.0 }, ..Pose::still() }.into()
}

/// Seen from the side on which the arm is.
fn circling_arm(folder: &Path) -> Result<std::path::PathBuf> {
    let video = folder.join("circling.mp4");
    Clip::new().size(640, 480).frames(FRAMES).footage(circling).yaw(FRAC_PI_2).encode(&video)?;
    Ok(video)
}

/// The angles of person 0 by their columns, one value for each frame.
type Angles = BTreeMap<String, Vec<Option<f64>>>;

fn read(table: &str) -> Result<Angles> {
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let columns = lines.next().context("a header")?;
    let mut angles = Angles::new();
    for row in lines {
        anyhow::ensure!(row.len() == columns.len() && row[1] == "0", "{row:?}");
        for (name, cell) in columns.iter().zip(row).filter(|(name, _)| name.ends_with("_deg")) {
            let angle = (!cell.is_empty()).then(|| cell.parse()).transpose()?;
            angles.entry((*name).to_owned()).or_default().push(angle);
        }
    }
    Ok(angles)
}

#[test]
fn an_arm_that_circles_has_no_jump_in_its_angle() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = circling_arm(folder.path())?;
    let run = Run::new(&["--formats", "angles"], std::slice::from_ref(&video), folder.path())?;
    let table = std::fs::read_to_string(run.check()?.artefact(&video, "joint_angles.csv"))?;
    let angles = read(&table)?;
    for (name, values) in &angles {
        assert_eq!(values.len() as u32, FRAMES, "{name}");
        for pair in values.windows(2) {
            if let [Some(before), Some(after)] = pair {
                assert!((before - after).abs() < 180.0, "{name}: {before} to {after}");
            }
        }
    }
    let shoulder = angles["left_shoulder_flexion_deg"].iter().flatten();
    let highest = shoulder.copied().fold(f64::MIN, f64::max);
    assert!(highest > 190.0, "the arm goes on behind the head: {highest}");
    Ok(())
}

#[test]
fn the_page_has_the_names_and_numbers_of_the_table() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let (server, folder) = (TestServer::start(&[])?, tempfile::tempdir()?);
    let fields = [("formats", "json,angles")];
    let job: Value = server.upload(&circling_arm(folder.path())?, &fields)?.json()?;
    let id = job["job_id"].as_str().context("an id")?;
    let status = server.await_end(id)?;
    assert_eq!(status["status"], "completed", "{status}");
    browser.visit(&server.url(&format!("/#job={id}")))?;
    browser.wait("document.querySelectorAll('#curves path.left').length === 5")?;
    // Seven angles of both sides and three of the trunk, of which six are shown at first.
    browser.wait("document.querySelectorAll('#more-curves figure').length === 4")?;
    let of_page = browser.run(&format!(
        "const poses = fetch('/api/serve/{id}/pose_data.json').then((answer) => answer.json());
         return Promise.all([import('/assets/pose.js'), poses])
           .then(([{{ PoseData }}, poses]) => JSON.stringify(new PoseData(poses, 0).angles(0)))"
    ))?;
    let table = read(&server.get(&format!("/api/serve/{id}/joint_angles.csv"))?.text()?)?;
    // What JSON has no number for is null: NaN, an angle that is not defined.
    let of_page: Angles = serde_json::from_str(of_page.as_str().context("a text")?)?;
    assert_eq!(of_page.keys().collect::<Vec<_>>(), table.keys().collect::<Vec<_>>());
    for (name, values) in &table {
        for (n, (table, page)) in values.iter().zip(&of_page[name]).enumerate() {
            let is_same = match (table, page) {
                (Some(table), Some(page)) => (table - page).abs() <= ROUNDING_DEG,
                (None, None) => true,
                _ => false,
            };
            assert!(is_same, "{name} in row {n}: {table:?} in the table, {page:?} on the page");
        }
    }
    Ok(())
}
