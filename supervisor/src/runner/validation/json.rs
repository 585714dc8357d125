//! pose_data.json: every processed frame with the people in it, between the video's facts and the totals. Read
//! as a stream: nothing of it is kept.

use super::Expected;
use super::SCANNED_BYTES_MAX;
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use super::poses::Poses;
use super::reports::{StatisticsReport, VideoReport, WarningReport, check_last_line, check_totals};
use super::table::{Detection, Part};
use super::text_limit::TextLimit;
use bodyscript_protocol::layout::SCHEMA_VERSION;
use bodyscript_protocol::pose::{CONNECTIONS, LANDMARKS, NAMES};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use std::fmt;
use std::io::BufReader;

/// What separates the last frame from the totals.
const AFTER_FRAMES: &[u8] = b"\n],\"statistics\":";

/// Most entries of a list other than that of the frames.
const ENTRIES_MAX: usize = CONNECTIONS.len();

/// Bytes at the end of a long document in which the totals are.
const TAIL_BYTES: u64 = 8 << 10;

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    check_last_line(content)?;
    if content.bytes() > SCANNED_BYTES_MAX {
        return check_ends(content, expected);
    }
    let text = TextLimit::new(content.section(0, content.bytes()));
    let mut document = Deserializer::from_reader(BufReader::new(text));
    let mut poses = Poses::new(expected, Part::Beginning);
    let totals = DocumentSeed { expected, poses: &mut poses }.deserialize(&mut document)?;
    document.end()?;
    poses.end()?;
    check_totals(&totals.statistics, &totals.warnings, expected)
}

/// Of a document beyond the budget, the beginning and the totals at the end.
fn check_ends(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let head = format!("{{\"schema_version\":{SCHEMA_VERSION},\"video\":");
    let found = content.piece(0, head.len() as u64)?;
    ensure(found == head.as_bytes(), "it does not begin as it should")?;
    let (_, tail) = content.tail(TAIL_BYTES)?;
    let at = tail.windows(AFTER_FRAMES.len()).rposition(|window| window == AFTER_FRAMES);
    let at = at.ok_or(Invalid::Malformed("it has no totals at its end"))?;
    // From the quote on, which follows a line end, a bracket and a comma.
    let totals = [b"{", &tail[at + 3..]].concat();
    let totals: Totals = serde_json::from_slice(&totals)?;
    check_totals(&totals.statistics, &totals.warnings, expected)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Totals {
    statistics: StatisticsReport,
    warnings: Vec<WarningReport>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Frame {
    frame_id: u32,
    #[serde(rename = "time_s")]
    _time_s: f64,
    #[serde(rename = "source_time_s")]
    _source_time_s: f64,
    detected: bool,
    #[serde(rename = "strategy")]
    _strategy: Option<String>,
    people: Few<Person>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    person_id: u32,
    #[serde(rename = "strategy")]
    _strategy: String,
    #[serde(rename = "track_id")]
    _track_id: u32,
    filled: bool,
    landmarks: Few<Landmark>,
}

/// Numbers alone: what is no number is written as `null`, and refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Landmark {
    #[serde(rename = "x")]
    _x: f32,
    #[serde(rename = "y")]
    _y: f32,
    #[serde(rename = "z")]
    _z: f32,
    #[serde(rename = "visibility")]
    _visibility: f32,
    #[serde(rename = "presence")]
    _presence: f32,
    #[serde(rename = "world")]
    _world: [f32; 3],
    #[serde(default)]
    metric: Option<[f32; 3]>,
    #[serde(rename = "raw", default)]
    _raw: Option<[f32; 3]>,
    #[serde(rename = "filled", default)]
    _filled: bool,
}

/// A list of at most [`ENTRIES_MAX`] entries.
struct Few<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FewVisitor<T>(Vec<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a short list")
            }

            fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Few<T>, A::Error> {
                while let Some(entry) = seq.next_element()? {
                    if self.0.len() == ENTRIES_MAX {
                        return Err(A::Error::custom("a list is too long"));
                    }
                    self.0.push(entry);
                }
                Ok(Few(self.0))
            }
        }
        deserializer.deserialize_seq(FewVisitor(Vec::new()))
    }
}

/// Reads the document; its fields are in the order in which they are written.
struct DocumentSeed<'a, 'b> {
    expected: &'a Expected,
    poses: &'b mut Poses<'a>,
}

impl<'de> DeserializeSeed<'de> for DocumentSeed<'_, '_> {
    type Value = Totals;

    fn deserialize<D: serde::Deserializer<'de>>(self, document: D) -> Result<Totals, D::Error> {
        document.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed<'_, '_> {
    type Value = Totals;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a video")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Totals, A::Error> {
        let version: u32 = field(&mut map, "schema_version")?;
        equal("schema_version", version, SCHEMA_VERSION).map_err(A::Error::custom)?;
        let video: VideoReport = field(&mut map, "video")?;
        video.check(&self.expected.facts).map_err(A::Error::custom)?;
        let names: Few<String> = field(&mut map, "landmark_names")?;
        let connections: Few<(usize, usize)> = field(&mut map, "connections")?;
        if names.0 != NAMES || connections.0 != CONNECTIONS {
            return Err(A::Error::custom("its landmarks or connections differ"));
        }
        next_key(&mut map, "frames")?;
        map.next_value_seed(FramesSeed(self.poses))?;
        let statistics = field(&mut map, "statistics")?;
        let Few(warnings) = field(&mut map, "warnings")?;
        match map.next_key::<IgnoredAny>()? {
            None => Ok(Totals { statistics, warnings }),
            Some(_) => Err(A::Error::custom("it has an unknown field")),
        }
    }
}

fn next_key<'de, A: MapAccess<'de>>(map: &mut A, name: &'static str) -> Result<(), A::Error> {
    match map.next_key::<String>()? {
        Some(key) if key == name => Ok(()),
        _ => Err(A::Error::missing_field(name)),
    }
}

fn field<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    name: &'static str,
) -> Result<T, A::Error> {
    next_key(map, name)?;
    map.next_value()
}

/// Checks the frames one by one.
struct FramesSeed<'a, 'b>(&'b mut Poses<'a>);

impl<'de> DeserializeSeed<'de> for FramesSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, frames: D) -> Result<(), D::Error> {
        frames.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FramesSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of frames")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut frames: A) -> Result<(), A::Error> {
        while let Some(frame) = frames.next_element::<Frame>()? {
            check_frame(&frame, self.0).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

pub(super) fn check_frame(frame: &Frame, poses: &mut Poses<'_>) -> Result<(), Invalid> {
    let people = &frame.people.0;
    let has_first = people.first().is_some_and(|person| person.person_id == 0 && !person.filled);
    ensure(frame.detected == has_first, "`detected` differs from the people in a frame")?;
    if people.is_empty() {
        poses.add((frame.frame_id, 0), Detection::Missing)?;
    }
    people.iter().try_for_each(|person| {
        equal("landmarks of a person", person.landmarks.0.len() as u64, LANDMARKS as u64)?;
        let has_metres = poses.has_metres(person.person_id);
        let mut landmarks = person.landmarks.0.iter();
        ensure(
            landmarks.all(|landmark| landmark.metric.is_some() == has_metres),
            "a pose has metres without a scale, or lacks them",
        )?;
        let detection = if person.filled { Detection::Filled } else { Detection::Found };
        poses.add((frame.frame_id, person.person_id), detection).map(drop)
    })
}
