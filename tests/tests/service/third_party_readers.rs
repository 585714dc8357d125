//! The data formats as other programs read them: pandas, pyarrow, ezc3d, pycocotools and OpenSim. `make python-tools`
//! fetches them.

use anyhow::{Context, Result, ensure};
use bodyscript_protocol::layout::COCO_KEYPOINTS;
use bodyscript_protocol::pose::NAMES;
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::mannequin::Scene;
use bodyscript_tests::programs::Run;
use bodyscript_tests::report::skipped;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const FRAMES: u32 = 20;
/// Milliseconds without a person at the beginning.
const EMPTY_MS: u128 = 200;

fn person_after_start(time: Duration) -> Scene {
    if time.as_millis() < EMPTY_MS { Scene::empty() } else { footage::walking(time) }
}

#[test]
fn all_readers_read_the_same_data() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("../target/readers/bin/python");
    if !python.exists() {
        skipped("python-readers", "they are not installed; run `make python-tools`");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("late.mp4");
    Clip::new().size(640, 480).frames(FRAMES).footage(person_after_start).encode(&video)?;
    let formats = ["--formats", "csv,json,parquet,trc,angles,c3d,mot,coco,ndjson"];
    let out = folder.path().join("out");
    let run = Run::new(&formats, std::slice::from_ref(&video), &out)?.check()?;
    let tables = run.folder.join("late");
    let output = Command::new(python).arg(here.join("readers/read.py")).arg(&tables).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout)?;

    assert_eq!(read["frames"], FRAMES);
    assert_eq!(read["rows"], 33 * FRAMES);
    let seen = read["frames_with_person"].as_u64().context("frames")?;
    assert!((1..u64::from(FRAMES)).contains(&seen), "some frames have no person: {read}");
    let kind =
        |table: &str, column: &str| read[table][column].as_str().unwrap_or("none").to_owned();
    for column in ["x", "visibility", "world_z"] {
        assert_eq!(kind("csv_types", column), "float64", "empty cells make it text");
        assert_eq!(kind("parquet_types", column), "float32");
    }
    for table in ["csv_types", "parquet_types"] {
        assert_eq!(kind(table, "detected"), "bool", "{table}");
        assert!(kind(table, "frame_id").starts_with("int"), "{table}");
    }
    assert!(read["csv_parquet_apart"].as_f64() < Some(1e-4), "{read}");
    assert!(read["trc_csv_apart_mm"].as_f64() < Some(0.1), "{read}");
    assert_eq!(read["trc_units"], "mm");
    assert_eq!(read["trc_rate"], 30.0);
    assert_eq!(read["trc_markers"], serde_json::to_value(&NAMES[..])?);
    assert_eq!((&read["c3d_units"], &read["c3d_rate"]), (&"mm".into(), &30.0.into()));
    assert!(read["coco_csv_apart_px"].as_f64() < Some(0.01), "{read}");
    let visible = read["coco_labelled"].as_u64().context("keypoints")?;
    assert!(visible > 10 * seen, "most keypoints are in the picture: {read}");
    let names = COCO_KEYPOINTS.map(|landmark| NAMES[landmark]);
    assert_eq!(read["coco_keypoints"], serde_json::to_value(names)?);
    assert!(read["coco_precision"].as_f64() > Some(0.999), "against themselves: {read}");
    assert_eq!(read["angles"].as_array().map(Vec::len), Some(17));
    assert_eq!((&read["angles_rows"], &read["angles_known"]), (&FRAMES.into(), &seen.into()));
    Ok(())
}
