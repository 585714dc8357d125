//! The table of all data formats, and the writers of one run: each frame goes to all of them.
//!
//! A new data format is a file here and a row of [`FORMATS`], and a row of the protocol's table of artefacts.

mod angles;
mod bvh;
mod c3d;
mod coco;
mod csv;
mod frame_report;
mod glb;
mod json;
mod markers;
mod mot;
mod ndjson;
mod openpose;
mod parquet;
mod trajectory;
mod trc;

use super::artefact_files::ArtefactFiles;
use super::error::OutputError;
use super::writer::{DataFormat, FrameWriter, WriterContext};
use crate::pose::Frame;
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::warning::Warning;

/// The data formats.
const FORMATS: [DataFormat; 12] = [
    csv::FORMAT,
    json::FORMAT,
    openpose::FORMAT,
    trc::FORMAT,
    parquet::FORMAT,
    angles::FORMAT,
    c3d::FORMAT,
    mot::FORMAT,
    coco::FORMAT,
    ndjson::FORMAT,
    bvh::FORMAT,
    glb::FORMAT,
];

/// The writers of the requested formats.
pub(crate) struct DataWriters(Vec<Box<dyn FrameWriter>>);

impl DataWriters {
    /// Starts the requested artefacts.
    pub(crate) fn create(
        files: &mut ArtefactFiles,
        context: &WriterContext<'_>,
    ) -> Result<Self, OutputError> {
        let requested = FORMATS.iter().filter_map(|DataFormat { artefact, create }| {
            files.take(*artefact).map(|file| create(file, context))
        });
        requested.collect::<Result<_, _>>().map(Self)
    }

    /// Adds one frame to each.
    pub(crate) fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        self.0.iter_mut().try_for_each(|writer| writer.write(frame))
    }

    /// What their formats cannot hold of the frames so far.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = Warning> {
        self.0.iter().filter_map(|writer| writer.warning())
    }

    /// Completes them all.
    pub(crate) fn finish(self, summary: &Summary) -> Result<(), OutputError> {
        self.0.into_iter().try_for_each(|writer| writer.finish(summary))
    }
}

#[cfg(test)]
mod animation_tests;
