//! Tables and documents of text.

use crate::{SampleRun, media};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bodyscript_protocol::layout::{
    ANGLE_KEYS, ANGLES, COCO_END, COCO_IMAGES, COCO_KEYPOINTS, COCO_PERSON, CSV_COLUMNS, FILLED,
    MOT_MISSING, PEOPLE_END, PERSON_PICTURE_START, SCHEMA_VERSION, SOURCE_TIME, TRACK_ID,
    TRC_TITLES, coco_head, coco_image_name, mot_head, people_head, trc_labels,
};
use bodyscript_protocol::message::{Summary, VideoFacts};
use bodyscript_protocol::options::{OPTIONS, Values};
use bodyscript_protocol::pose::{CONNECTIONS, LANDMARKS, NAMES};
use serde_json::{Value, json};

pub(crate) fn csv(run: &SampleRun) -> String {
    let mut text = CSV_COLUMNS.join(",") + "\n";
    for (frame, is_detected) in run.frames() {
        let track = if is_detected { "0" } else { "" };
        let metric = if is_detected && run.has_metres() { "0.5,1.25,-0.125" } else { ",," };
        for (landmark, name) in NAMES.iter().enumerate() {
            let values = match is_detected {
                true => "0.25,0.5,-0.125000,0.9,track,0.9,0.0,-0.1,0.2",
                false => ",,,,,,,,",
            };
            text += &format!(
                "{frame},{landmark},{values},{frame}.5,{is_detected},0,{track},{metric},{frame}.5,,,,false,{name}\n"
            );
        }
    }
    text
}

pub(crate) fn angles(run: &SampleRun) -> String {
    let columns = ANGLE_KEYS.into_iter().chain(ANGLES).chain([TRACK_ID, SOURCE_TIME, FILLED]);
    let mut text = columns.collect::<Vec<_>>().join(",") + "\n";
    for (frame, is_detected) in run.frames() {
        let (angle, track) = if is_detected { (",1.500", "0") } else { (",", "") };
        let angles = angle.repeat(ANGLES.len());
        text += &format!("{frame},0,{frame}.5,{is_detected}{angles},{track},{frame}.5,false\n");
    }
    text
}

pub(crate) fn trc(run: &SampleRun) -> String {
    let rows = run.summary.frames_processed;
    let unit = run.marker_unit().symbol();
    let numbers = format!("30.0\t30.0\t{rows}   \t{LANDMARKS}\t{unit}\t30.0\t1\t{rows}");
    let titles = TRC_TITLES.map(String::from);
    let head = titles.into_iter().chain([numbers]).chain(trc_labels());
    let rows = (1..).zip(run.frames()).map(|(number, (frame, is_detected))| {
        let cell = if is_detected { "1.5\t" } else { "\t" };
        format!("{number}\t{frame}.5\t{}", cell.repeat(3 * LANDMARKS))
    });
    head.chain(rows).map(|line| line + "\n").collect()
}

pub(crate) fn mot(run: &SampleRun) -> String {
    let rows = run.frames().map(|(frame, is_detected)| {
        let angle = if is_detected { "1.500" } else { MOT_MISSING };
        format!("{frame}.5{}", format!("\t{angle}").repeat(ANGLES.len()))
    });
    mot_head(run.summary.frames_processed).into_iter().chain(rows).map(|line| line + "\n").collect()
}

pub(crate) fn coco(run: &SampleRun) -> String {
    let detected = run.frames().filter(|(_, is_detected)| *is_detected);
    let keypoints = [[1.5, 2.5, 2.0]; COCO_KEYPOINTS.len()].concat();
    let annotations = (1..).zip(detected).map(|(id, (frame, _))| {
        json!({"id": id, "image_id": frame, "category_id": COCO_PERSON, "person_id": 0,
            "track_id": 0, "num_keypoints": COCO_KEYPOINTS.len(),
            "keypoints": keypoints,
            "bbox": [1.0, 2.0, 3.0, 4.0], "area": 12.0, "score": 0.5, "iscrowd": 0,
            "segmentation": []})
    });
    let VideoFacts { width, height, .. } = run.facts;
    let images = run.frames().map(|(id, _)| {
        json!({"id": id, "width": width, "height": height, "file_name": coco_image_name(id)})
    });
    coco_head() + &list(annotations) + COCO_IMAGES + &list(images) + COCO_END + "\n"
}

pub(crate) fn people(run: &SampleRun) -> String {
    let Summary { frames_detected, people, .. } = run.summary;
    let picture = BASE64_STANDARD.encode(media::picture([60, 80]));
    let found = (0..people.min(1)).map(|id| {
        json!({"person_id": id,
            "track_id": run.parameters.options.tells_people_by_track().then_some(0),
            "frames": frames_detected, "first_s": 0.0, "last_s": 1.0, "in_view_s": 1.0, "best_s": 0.5,
            "box": [0.25, 0.25, 0.25, 0.25], "person": "0.5,0.5,0.5",
            "picture": format!("{PERSON_PICTURE_START}{picture}")})
    });
    people_head() + &list(found) + PEOPLE_END + "\n"
}

/// The entries of a list, one a line.
fn list(entries: impl Iterator<Item = Value>) -> String {
    let entries = entries.map(|entry| format!("\n{entry}")).collect::<Vec<_>>();
    entries.join(",") + "\n"
}

pub(crate) fn json(run: &SampleRun) -> String {
    let frames = frames(run).join(",\n");
    format!(
        "{{\"schema_version\":{SCHEMA_VERSION},\"video\":{},\"landmark_names\":{},\
         \"connections\":{},\"frames\":[\n{frames}\n],\"statistics\":{},\"warnings\":{}}}\n",
        video(&run.facts),
        json!(NAMES.as_slice()),
        json!(CONNECTIONS.as_slice()),
        statistics(run),
        warnings(run),
    )
}

pub(crate) fn ndjson(run: &SampleRun) -> String {
    frames(run).into_iter().map(|frame| frame + "\n").collect()
}

/// The frames as JSON has them.
fn frames(run: &SampleRun) -> Vec<String> {
    let mut landmark = json!({"x": 0.25, "y": 0.5, "z": 0.0, "visibility": 0.5, "presence": 0.5,
        "world": [0.0, 0.0, 0.0]});
    if run.has_metres() {
        landmark["metric"] = json!([0.5, 1.25, -0.125]);
    }
    let landmarks = vec![landmark; LANDMARKS];
    let frames = run.frames().map(|(frame, is_detected)| {
        let person = json!({"person_id": 0, "strategy": "track", "track_id": 0, "filled": false,
            "landmarks": landmarks});
        let people = if is_detected { vec![person] } else { Vec::new() };
        let frame = json!({"frame_id": frame, "time_s": 0.5, "source_time_s": 0.5, "detected": is_detected,
            "strategy": is_detected.then_some("track"), "people": people});
        frame.to_string()
    });
    frames.collect()
}

pub(crate) fn metadata(run: &SampleRun) -> String {
    let mut document = json!({
        "schema_version": SCHEMA_VERSION,
        "generator": "sample",
        "job_id": run.job,
        "models": ["a.onnx", "b.onnx"],
        "video": video(&run.facts),
        "sound": null,
        "statistics": statistics(run),
        "warnings": warnings(run),
        "metres": run
            .has_metres()
            .then(|| json!({"pixels_per_metre": 166.2, "floor_slope_degrees": -0.5})),
    });
    for row in OPTIONS.iter().filter(|row| !matches!(row.values, Values::ListOf(_))) {
        document[row.name] = json!((row.get)(&run.parameters.options));
    }
    document.to_string() + "\n"
}

fn video(facts: &VideoFacts) -> Value {
    let (num, den) = facts.frame_rate;
    json!({
        "width": facts.width,
        "height": facts.height,
        "frame_rate": (num > 0).then_some([num, den]),
        "duration_s": facts.duration_ms.map(|ms| ms as f64 / 1000.0),
        "trimmed": facts.trimmed,
        "rotation_degrees": facts.rotation_degrees,
        "mirrored": facts.mirrored,
        "container": facts.container,
        "codec": facts.codec,
    })
}

fn statistics(run: &SampleRun) -> Value {
    let summary = &run.summary;
    let processed = f64::from(summary.frames_processed.max(1));
    json!({
        "frames_decoded": summary.frames_decoded,
        "frames_processed": summary.frames_processed,
        "frames_detected": summary.frames_detected,
        "detection_rate": f64::from(summary.frames_detected) / processed,
        "average_quality": summary.mean_visibility,
        "track_losses": summary.track_losses,
        "jitter": summary.jitter,
        "people": summary.people,
    })
}

fn warnings(run: &SampleRun) -> Value {
    let rows = run.summary.warnings.iter();
    rows.map(|row| json!({"code": row.code, "sentence": row.sentence})).collect()
}
