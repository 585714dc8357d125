//! metadata.json: what the video was, how it was processed, what came of it.

use super::statistics::Report;
use super::{OutputError, SCHEMA_VERSION};
use crate::inference::ModelName;
use crate::video::SoundReport;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{Start, Summary, VideoFacts};
use serde::Serialize;
use std::fs::File;
use std::io::Write;

/// The video's facts as they appear in JSON artefacts.
#[derive(Debug, Serialize)]
pub struct VideoReport<'a> {
    /// Width as displayed, in pixels.
    pub width: u32,
    /// Height as displayed, in pixels.
    pub height: u32,
    /// Nominal frames per second as a fraction; `null` where the rate varies or is unknown.
    pub frame_rate: Option<[u32; 2]>,
    /// Duration of the whole video in seconds, where the container knows it.
    pub duration_s: Option<f64>,
    /// Whether only the beginning was processed.
    pub trimmed: bool,
    /// How far the stored picture was turned clockwise to be upright, in degrees.
    pub rotation_degrees: u32,
    /// Whether the stored picture was mirrored left to right before that turn.
    pub mirrored: bool,
    /// Media type of the container.
    pub container: &'a str,
    /// Media type of the codec.
    pub codec: &'a str,
}

impl<'a> VideoReport<'a> {
    /// The report of a video.
    pub fn new(facts: &'a VideoFacts) -> Self {
        let (numerator, denominator) = facts.frame_rate;
        Self {
            width: facts.width,
            height: facts.height,
            frame_rate: (numerator > 0).then_some([numerator, denominator]),
            duration_s: facts.duration_ms.map(|ms| ms as f64 / 1000.0),
            trimmed: facts.trimmed,
            rotation_degrees: facts.rotation_degrees,
            mirrored: facts.mirrored,
            container: &facts.container,
            codec: &facts.codec,
        }
    }
}

#[derive(Serialize)]
struct Metadata<'a> {
    schema_version: u32,
    generator: &'static str,
    job_id: &'a str,
    mode: &'static str,
    interval: Option<u32>,
    fps: Option<f64>,
    max_people: u32,
    smoothing: &'static str,
    models: [&'static str; 2],
    video: &'a VideoReport<'a>,
    /// `null` where no overlay was asked for: sound is not looked at then.
    sound: Option<&'a SoundReport>,
    statistics: Report,
}

/// Writes the whole document.
pub fn write(
    mut file: File,
    start: &Start,
    video: &VideoReport<'_>,
    sound: Option<&SoundReport>,
    summary: &Summary,
) -> Result<(), OutputError> {
    let options = start.options;
    let metadata = Metadata {
        schema_version: SCHEMA_VERSION,
        generator: concat!("bodyscript ", env!("CARGO_PKG_VERSION")),
        job_id: &start.job,
        mode: options.mode.name(),
        interval: options.sampling.interval(),
        fps: options.sampling.fps(),
        max_people: options.people_max,
        smoothing: options.smoothing.name(),
        models: [ModelName::Detector, ModelName::Landmarks].map(ModelName::file_name),
        video,
        sound,
        statistics: Report::from(summary),
    };
    serde_json::to_writer_pretty(&mut file, &metadata)
        .map_err(std::io::Error::from)
        .and_then(|()| file.write_all(b"\n"))
        .map_err(OutputError::of(Artefact::Metadata))
}
