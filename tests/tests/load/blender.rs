//! The formats for animation as Blender opens them. `make soak` fetches it.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::programs::Run;
use bodyscript_tests::report::skipped;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const FRAMES: u32 = 45;
/// Largest distance of a joint from the skeleton in the file, in metres.
const APART_M_MAX: f64 = 0.01;

#[test]
fn blender_has_the_joints_of_both_files() -> Result<()> {
    let _exclusive = super::run_exclusively();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("../target/blender/bin/python");
    if !python.exists() {
        skipped("blender", "it is not installed; run `make soak`");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walk.mp4");
    Clip::new().size(640, 480).frames(FRAMES).footage(footage::walking).yaw(0.6).encode(&video)?;
    let out = folder.path().join("out");
    let formats = ["--formats", "bvh,glb"];
    let run = Run::new(&formats, std::slice::from_ref(&video), &out)?.check()?;
    let output = Command::new(python)
        .arg(here.join("blender/read.py"))
        .arg(run.folder.join("walk"))
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let read: Value = serde_json::from_str(text.lines().last().context("no output")?)?;
    println!("blender: {read}");
    assert_eq!((&read["frames"], &read["joints"]), (&FRAMES.into(), &18.into()));
    for format in ["bvh_m", "glb_m"] {
        let apart = read[format].as_f64().context("a distance")?;
        ensure!(apart < APART_M_MAX, "{format}: {apart} m");
    }
    Ok(())
}
