//! What the JSON documents say of the video and of the run: the same as the worker's messages.

use super::Expected;
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use bodyscript_protocol::message::{Summary, VideoFacts};
use bodyscript_protocol::warning::Warnings;
use serde::Deserialize;

/// How far a number may differ that was printed and read again.
const PRINTED: f64 = 1e-5;

/// The video.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VideoReport {
    width: u32,
    height: u32,
    frame_rate: Option<[u32; 2]>,
    duration_s: Option<f64>,
    trimmed: bool,
    rotation_degrees: u32,
    mirrored: bool,
    container: String,
    codec: String,
}

impl VideoReport {
    pub(super) fn check(&self, facts: &VideoFacts) -> Result<(), Invalid> {
        equal("width", self.width, facts.width)?;
        equal("height", self.height, facts.height)?;
        let (num, den) = facts.frame_rate;
        let duration_s = facts.duration_ms.map(|ms| ms as f64 / 1000.0);
        let is_same_duration = match (self.duration_s, duration_s) {
            (Some(found), Some(expected)) => is_near(found, expected),
            (found, expected) => found == expected,
        };
        let is_same = self.frame_rate == (num > 0).then_some([num, den])
            && is_same_duration
            && self.trimmed == facts.trimmed
            && self.rotation_degrees == facts.rotation_degrees
            && self.mirrored == facts.mirrored
            && self.container == facts.container
            && self.codec == facts.codec;
        ensure(is_same, "it describes another video")
    }
}

/// The totals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatisticsReport {
    frames_decoded: u32,
    frames_processed: u32,
    frames_detected: u32,
    detection_rate: f64,
    average_quality: f64,
    track_losses: u32,
    jitter: f64,
    people: u32,
}

impl StatisticsReport {
    pub(super) fn check(&self, summary: &Summary) -> Result<(), Invalid> {
        equal("frames_decoded", self.frames_decoded, summary.frames_decoded)?;
        equal("frames_processed", self.frames_processed, summary.frames_processed)?;
        equal("frames_detected", self.frames_detected, summary.frames_detected)?;
        equal("track_losses", self.track_losses, summary.track_losses)?;
        equal("people in the totals", self.people, summary.people)?;
        let processed = f64::from(summary.frames_processed.max(1));
        let is_same = is_near(self.detection_rate, f64::from(summary.frames_detected) / processed)
            && is_near(self.average_quality, summary.mean_visibility.into())
            && is_near(self.jitter, summary.jitter.into());
        ensure(is_same, "its statistics differ")
    }
}

/// One warning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WarningReport {
    code: String,
    sentence: String,
}

pub(super) fn check_warnings(found: &[WarningReport], warnings: Warnings) -> Result<(), Invalid> {
    let expected = warnings.iter().map(|row| (row.code, row.sentence));
    let found = found.iter().map(|warning| (&*warning.code, &*warning.sentence));
    ensure(found.eq(expected), "its warnings differ")
}

/// Checks that the document ends with a bracket and a line end, so that it is not cut off.
pub(super) fn check_last_line(content: &Content<'_>) -> Result<(), Invalid> {
    let (_, end) = content.tail(2)?;
    ensure(end == b"}\n", "its last line is cut off")
}

/// Both in one, as the documents end or contain them.
pub(super) fn check_totals(
    statistics: &StatisticsReport,
    warnings: &[WarningReport],
    expected: &Expected,
) -> Result<(), Invalid> {
    statistics.check(&expected.summary)?;
    check_warnings(warnings, expected.summary.warnings)
}

fn is_near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= PRINTED * expected.abs().max(1.0)
}
