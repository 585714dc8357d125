//! pose_data.json: the same data as the table as one document, written frame by frame.

use super::frame_report::FrameReport;
use crate::motion::MetricScale;
use crate::output::error::OutputError;
use crate::output::json_list::JsonList;
use crate::output::statistics::StatisticsReport;
use crate::output::writer::{DataFormat, FrameWriter, WriterContext};
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::SCHEMA_VERSION;
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::pose::{CONNECTIONS, NAMES};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Json,
    create: |file, context| Ok(Box::new(JsonWriter::create(file, context)?)),
};

/// Writes the document from top to bottom; nothing of it is kept in memory.
struct JsonWriter {
    file: BufWriter<File>,
    frames: JsonList,
    metres: Option<MetricScale>,
}

impl JsonWriter {
    /// Starts the document with what is known before the first frame.
    fn create(file: File, context: &WriterContext<'_>) -> Result<Self, OutputError> {
        let file = BufWriter::new(file);
        let mut writer = Self { file, frames: JsonList::default(), metres: context.metres };
        writer.text(&format!("{{\"schema_version\":{SCHEMA_VERSION},\"video\":"))?;
        writer.value(context.report)?;
        writer.text(",\"landmark_names\":")?;
        writer.value(&NAMES.as_slice())?;
        writer.text(",\"connections\":")?;
        writer.value(&CONNECTIONS.as_slice())?;
        writer.text(",\"frames\":[")?;
        Ok(writer)
    }

    fn text(&mut self, text: &str) -> Result<(), OutputError> {
        self.file.write_all(text.as_bytes()).map_err(OutputError::of(Artefact::Json))
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), OutputError> {
        serde_json::to_writer(&mut self.file, value)
            .map_err(std::io::Error::from)
            .map_err(OutputError::of(Artefact::Json))
    }
}

impl FrameWriter for JsonWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        let report = FrameReport::of(frame, self.metres);
        self.frames.push(&mut self.file, &report).map_err(OutputError::of(Artefact::Json))
    }

    /// Completes the document with the totals and what was left out.
    fn finish(mut self: Box<Self>, summary: &Summary) -> Result<(), OutputError> {
        self.text("\n],\"statistics\":")?;
        self.value(&StatisticsReport::from(summary))?;
        self.text(",\"warnings\":")?;
        self.value(&summary.warnings.iter().collect::<Vec<_>>())?;
        self.text("}\n")?;
        self.file.flush().map_err(OutputError::of(Artefact::Json))
    }
}
