//! metadata.json: the video's facts, the options it was processed with, and the totals.

use super::error::OutputError;
use super::statistics::StatisticsReport;
use super::video_report::VideoReport;
use crate::inference::ModelName;
use crate::video::SoundReport;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::SCHEMA_VERSION;
use bodyscript_protocol::message::{Start, Summary};
use bodyscript_protocol::options::{OPTIONS, Options, Values};
use bodyscript_protocol::warning::WarningRow;
use serde::{Serialize, Serializer};
use std::fs::File;
use std::io::Write;

#[derive(Serialize)]
struct Metadata<'a> {
    schema_version: u32,
    generator: &'static str,
    job_id: &'a str,
    #[serde(flatten)]
    options: RecordedOptions,
    models: [&'static str; 2],
    video: &'a VideoReport<'a>,
    /// `null` where no video with sound was requested: sound is not read then.
    sound: Option<&'a SoundReport>,
    statistics: StatisticsReport,
    warnings: Vec<&'static WarningRow>,
}

/// All options except the formats, which the files themselves show.
struct RecordedOptions(Options);

impl Serialize for RecordedOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let recorded = OPTIONS.iter().filter(|row| !matches!(row.values, Values::ListOf(_)));
        serializer.collect_map(recorded.map(|row| (row.name, (row.get)(&self.0))))
    }
}

/// Writes the whole document.
pub(crate) fn write(
    mut file: File,
    start: &Start,
    video: &VideoReport<'_>,
    sound: Option<&SoundReport>,
    summary: &Summary,
) -> Result<(), OutputError> {
    let options = start.parameters.options;
    let metadata = Metadata {
        schema_version: SCHEMA_VERSION,
        generator: concat!("bodyscript ", env!("CARGO_PKG_VERSION")),
        job_id: &start.job,
        options: RecordedOptions(options),
        models: [ModelName::Detector, ModelName::Landmarks(options.model)]
            .map(ModelName::file_name),
        video,
        sound,
        statistics: StatisticsReport::from(summary),
        warnings: summary.warnings.iter().collect(),
    };
    serde_json::to_writer_pretty(&mut file, &metadata)
        .map_err(std::io::Error::from)
        .and_then(|()| file.write_all(b"\n"))
        .map_err(OutputError::of(Artefact::Metadata))
}
