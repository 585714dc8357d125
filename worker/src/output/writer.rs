//! What every data format must provide: a writer that takes the frames one by one, and a row for
//! the table of `formats`.

use super::error::OutputError;
use super::video_report::VideoReport;
use crate::motion::MetricScale;
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{Start, Summary, VideoFacts};
use bodyscript_protocol::warning::Warning;
use std::fs::File;

/// Writes an artefact from frames that come one by one, and keeps none of them.
pub(super) trait FrameWriter {
    /// Adds one frame.
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError>;

    /// What of the frames so far the format cannot hold.
    fn warning(&self) -> Option<Warning> {
        None
    }

    /// Completes the artefact.
    fn finish(self: Box<Self>, summary: &Summary) -> Result<(), OutputError>;
}

/// The job and its video, as known before the first frame.
#[derive(Clone, Copy)]
pub(crate) struct WriterContext<'a> {
    /// The job's description.
    pub(crate) start: &'a Start,
    /// What the video's headers state.
    pub(crate) facts: &'a VideoFacts,
    /// The same as it appears in JSON.
    pub(crate) report: &'a VideoReport<'a>,
    /// The scale of positions in metres, if they are asked for and known.
    pub(crate) metres: Option<MetricScale>,
}

impl WriterContext<'_> {
    /// How many times as large as the landmark model takes people for the first person is, as far as that is known.
    pub(super) fn model_scale(&self) -> f64 {
        self.metres.as_ref().map_or(1.0, MetricScale::model_scale)
    }
}

/// Starts the writer of one format on its file.
type Create = fn(File, &WriterContext<'_>) -> Result<Box<dyn FrameWriter>, OutputError>;

/// One data format.
pub(super) struct DataFormat {
    /// The artefact.
    pub(super) artefact: Artefact,
    /// Starts its writer.
    pub(super) create: Create,
}

/// The summary of a run without frames.
#[cfg(test)]
pub(super) const EMPTY_SUMMARY: Summary = Summary {
    first_frame: 0,
    frames_decoded: 0,
    frames_processed: 0,
    frames_detected: 0,
    mean_visibility: 0.0,
    track_losses: 0,
    jitter: 0.0,
    people: 0,
    warnings: bodyscript_protocol::warning::Warnings::NONE,
};
