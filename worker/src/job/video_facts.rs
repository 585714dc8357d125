//! What is told of a video before it is decoded.

use super::memory_need;
use super::sampling;
use crate::video::Probe;
use bodyscript_protocol::limits::FRAMES_MAX;
use bodyscript_protocol::message::{Probed, Start, VideoFacts};

/// What is reported of a video before it is decoded.
pub fn probed(probe: &Probe, start: &Start) -> Probed {
    Probed { facts: facts(probe, start), memory_need_bytes: memory_need::bytes(probe, start) }
}

/// The facts of a video, as its headers and the options of the job have them.
pub(super) fn facts(probe: &Probe, start: &Start) -> VideoFacts {
    let frames = sampling::expected(&start.parameters.options, probe);
    VideoFacts {
        width: probe.width,
        height: probe.height,
        frame_rate: probe.frame_rate,
        duration_ms: probe.duration_ms,
        frames_expected: frames.min(FRAMES_MAX),
        trimmed: probe.trimmed,
        rotation_degrees: probe.rotation_degrees,
        mirrored: probe.mirrored,
        container: probe.container.clone(),
        codec: probe.codec.clone(),
    }
}
