//! All data artefacts of a run as one: each frame goes to every writer that is wanted.

use super::angles::AnglesWriter;
use super::csv::CsvWriter;
use super::json::JsonWriter;
use super::metadata::VideoReport;
use super::openpose::OpenPoseWriter;
use super::parquet::ParquetWriter;
use super::trc::TrcWriter;
use super::{Frame, OutputError};
use crate::handover::Artefacts;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{Start, Summary, VideoFacts};

/// An artefact that takes the frames one by one and keeps none of them.
pub trait FrameWriter {
    /// Adds one frame.
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError>;
    /// Completes the artefact.
    fn finish(self: Box<Self>, summary: &Summary) -> Result<(), OutputError>;
}

impl FrameWriter for CsvWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        Self::write(self, frame)
    }

    fn finish(self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        Self::finish(*self)
    }
}

impl FrameWriter for JsonWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        Self::write(self, frame)
    }

    fn finish(self: Box<Self>, summary: &Summary) -> Result<(), OutputError> {
        Self::finish(*self, summary)
    }
}

/// Whichever of them are wanted.
pub struct Data(Vec<Box<dyn FrameWriter>>);

impl Data {
    /// Begins the artefacts that are wanted.
    pub fn create(
        artefacts: &mut Artefacts,
        start: &Start,
        facts: &VideoFacts,
        report: &VideoReport<'_>,
    ) -> Result<Self, OutputError> {
        let mut writers: Vec<Box<dyn FrameWriter>> = Vec::new();
        if let Some(file) = artefacts.take(Artefact::Csv) {
            writers.push(Box::new(CsvWriter::create(file)?));
        }
        if let Some(file) = artefacts.take(Artefact::Json) {
            writers.push(Box::new(JsonWriter::create(file, report)?));
        }
        if let Some(file) = artefacts.take(Artefact::OpenPose) {
            writers.push(Box::new(OpenPoseWriter::create(file, (facts.width, facts.height))));
        }
        if let Some(file) = artefacts.take(Artefact::Trc) {
            let interval = start.options.sampling.interval();
            writers.push(Box::new(TrcWriter::create(file, facts.frame_rate, interval)?));
        }
        if let Some(file) = artefacts.take(Artefact::Parquet) {
            writers.push(Box::new(ParquetWriter::create(file)?));
        }
        if let Some(file) = artefacts.take(Artefact::Angles) {
            writers.push(Box::new(AnglesWriter::create(file)?));
        }
        Ok(Self(writers))
    }

    /// Adds one frame to each.
    pub fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        self.0.iter_mut().try_for_each(|writer| writer.write(frame))
    }

    /// Completes them all.
    pub fn finish(self, summary: &Summary) -> Result<(), OutputError> {
        self.0.into_iter().try_for_each(|writer| writer.finish(summary))
    }
}
