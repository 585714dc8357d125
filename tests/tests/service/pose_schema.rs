//! The JSON Schema of pose_data.json: it describes every key that a service writes, and nothing else is valid.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::fixture::{Clip, footage};
use bodyscript_tests::mannequin::Scene;
use bodyscript_tests::server::TestServer;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// Longest part of a video that the service processes.
const LIMIT_S: &str = "2";
const FRAMES: u32 = 12;

fn person_after_start(time: Duration) -> Scene {
    if time.as_millis() < 150 { Scene::empty() } else { footage::walking(time) }
}

/// Forbids other keys than those described, which a schema for users has to allow.
fn close(schema: &mut Value) {
    if schema["properties"].is_object() {
        schema["additionalProperties"] = json!(false);
    }
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(close),
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// The properties of all objects in a schema.
fn properties(schema: &Value) -> Vec<(&String, &Value)> {
    let own = schema["properties"].as_object().into_iter().flatten();
    let parts = schema.as_object().into_iter().flat_map(Map::values);
    own.chain(parts.flat_map(properties)).collect()
}

fn document(server: &TestServer, video: &Path, options: &[(&str, &str)]) -> Result<Value> {
    let accepted: Value = server.upload(video, options)?.json()?;
    let job = accepted["job_id"].as_str().with_context(|| accepted.to_string())?;
    let status = server.await_end(job)?;
    ensure!(status["status"] == "completed", "{status}");
    server.json(&format!("/api/serve/{job}/pose_data.json"))
}

fn check(validator: &Validator, document: &Value) {
    let errors: Vec<_> = validator.iter_errors(document).take(3).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

/// The document with another value at a pointer.
fn mutated(document: &Value, (pointer, value): (&str, Value)) -> Result<Value> {
    let mut document = document.clone();
    *document.pointer_mut(pointer).with_context(|| pointer.to_owned())? = value;
    Ok(document)
}

#[test]
fn the_schema_describes_what_a_service_writes_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let encoded = |name: &str, clip: Clip| {
        let path = folder.path().join(name);
        clip.encode(&path).map(|()| path)
    };
    let server = TestServer::start(&["--duration-s-max", LIMIT_S])?;
    let mut schema: Value = server.get("/schemas/pose_data.json")?.json()?;
    for (name, property) in properties(&schema) {
        let is_described = property["description"].is_string() || property["$ref"].is_string();
        assert!(is_described, "{name} has no description");
    }
    close(&mut schema);
    let validator = jsonschema::validator_for(&schema)?;

    let late = encoded("late.mp4", Clip::new().frames(FRAMES).footage(person_after_start))?;
    let late = document(&server, &late, &[("formats", "json")])?;
    assert_eq!(late["frames"][0]["people"], json!([]), "a frame without a person");
    check(&validator, &late);

    let two = Clip::new().size(640, 360).yaw(0.0).frames(FRAMES).footage(footage::pair);
    let pair = encoded("pair.mp4", two)?;
    let pair = document(&server, &pair, &[("formats", "json"), ("max_people", "2")])?;
    assert_eq!(pair["statistics"]["people"], 2);
    check(&validator, &pair);

    let across = Clip::new().size(640, 360).yaw(0.0).frames(75).footage(footage::walking_across);
    let long = encoded("long.mp4", across)?;
    let options = [("formats", "json"), ("height_m", "1.8"), ("filter", "offline")];
    let long = document(&server, &long, &options)?;
    let codes = long["warnings"].as_array().context("warnings")?.iter();
    assert!(
        codes.map(|warning| &warning["code"]).any(|code| code == "video_trimmed"),
        "{}",
        long["warnings"]
    );
    let landmark = &long["frames"][20]["people"][0]["landmarks"][11];
    assert!(landmark["metric"].is_array() && landmark["raw"].is_array(), "{landmark}");
    check(&validator, &long);

    for mutation in [
        ("/schema_version", json!(2)),
        ("/video/width", json!(0)),
        ("/video/rotation_degrees", json!(45)),
        ("/landmark_names/0", json!("tail")),
        ("/connections/0", json!([0, 33])),
        ("/frames/20/detected", json!("yes")),
        ("/frames/20/time_s", json!(null)),
        ("/frames/20/people", json!(null)),
        ("/frames/20/people/0/landmarks", json!([])),
        ("/frames/20/people/0/landmarks/11/visibility", json!(1.5)),
        ("/frames/20/people/0/landmarks/11/metric", json!([0.0, 1.0])),
        ("/statistics/detection_rate", json!(2)),
        ("/warnings/0", json!("video_trimmed")),
    ] {
        let pointer = mutation.0;
        assert!(!validator.is_valid(&mutated(&long, mutation)?), "{pointer} can be anything");
    }
    Ok(())
}
