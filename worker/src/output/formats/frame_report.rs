//! One frame as JSON: an entry of pose_data.json, a line of pose_data.ndjson.

use crate::motion::MetricScale;
use crate::output::seconds;
use crate::pose::{Frame, Person};
use bodyscript_protocol::pose::{LANDMARKS, Landmark};
use serde::Serialize;

/// One processed frame with the people in it.
#[derive(Serialize)]
pub(super) struct FrameReport<'a> {
    frame_id: u32,
    time_s: f64,
    detected: bool,
    strategy: Option<&'a str>,
    source_time_s: f64,
    people: Vec<PersonReport<'a>>,
}

#[derive(Serialize)]
struct PersonReport<'a> {
    person_id: u32,
    strategy: &'a str,
    track_id: u32,
    filled: bool,
    landmarks: Vec<LandmarkReport>,
}

#[derive(Serialize)]
struct LandmarkReport {
    x: f32,
    y: f32,
    z: f32,
    visibility: f32,
    presence: f32,
    world: [f32; 3],
    /// The position in the scene in metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<[f32; 3]>,
    /// x, y and z before a filter that knew later frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<[f32; 3]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    filled: bool,
}

impl<'a> FrameReport<'a> {
    /// The report of a frame; the scale is that of positions in metres.
    pub(super) fn of(frame: &Frame<'a>, metres: Option<MetricScale>) -> Self {
        Self {
            frame_id: frame.id,
            time_s: seconds(frame.time),
            detected: frame.first_detected().is_some(),
            strategy: frame.first().map(|person| person.strategy),
            source_time_s: seconds(frame.source_time),
            people: frame.people.iter().map(|it| PersonReport::of(it, metres)).collect(),
        }
    }
}

impl<'a> PersonReport<'a> {
    fn of(person: &'a Person, metres: Option<MetricScale>) -> Self {
        let metric = person.in_scene(metres);
        let landmark = |i: usize| LandmarkReport::of(person, i, metric.map(|metric| metric[i]));
        Self {
            person_id: person.id,
            strategy: person.strategy,
            track_id: person.track,
            filled: !person.is_detected(),
            landmarks: (0..LANDMARKS).map(landmark).collect(),
        }
    }
}

impl LandmarkReport {
    fn of(person: &Person, i: usize, metric: Option<[f32; 3]>) -> Self {
        let Landmark { x, y, z, visibility, presence, world } = person.pose[i];
        let (raw, filled) = (person.raw(i), person.is_filled(i));
        Self { x, y, z, visibility, presence, world, metric, raw, filled }
    }
}
