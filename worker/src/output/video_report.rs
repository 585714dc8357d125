//! The video's facts as they appear in JSON artefacts.

use bodyscript_protocol::message::VideoFacts;
use serde::Serialize;

/// The video's facts as they appear in JSON artefacts.
#[derive(Debug, Serialize)]
pub(crate) struct VideoReport<'a> {
    /// Width as displayed, in pixels.
    pub width: u32,
    /// Height as displayed, in pixels.
    pub height: u32,
    /// Nominal frames per second as a fraction; `null` where the rate varies or is unknown.
    pub frame_rate: Option<[u32; 2]>,
    /// Duration of the whole video in seconds, where the container states it.
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
    pub(crate) fn new(facts: &'a VideoFacts) -> Self {
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
