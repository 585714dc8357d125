//! pose_data.ndjson: the frames of pose_data.json, one a line, for readers that take a file line by line.

use super::frame_report::FrameReport;
use crate::motion::MetricScale;
use crate::output::error::OutputError;
use crate::output::writer::{DataFormat, FrameWriter};
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::Summary;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Ndjson,
    create: |file, context| {
        Ok(Box::new(NdjsonWriter { file: BufWriter::new(file), metres: context.metres }))
    },
};

/// Writes the file line by line.
struct NdjsonWriter {
    file: BufWriter<File>,
    metres: Option<MetricScale>,
}

impl FrameWriter for NdjsonWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        serde_json::to_writer(&mut self.file, &FrameReport::of(frame, self.metres))
            .map_err(io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(OutputError::of(Artefact::Ndjson))
    }

    fn finish(mut self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.file.flush().map_err(OutputError::of(Artefact::Ndjson))
    }
}
