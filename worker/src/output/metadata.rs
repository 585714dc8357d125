//! metadata.json: the video's facts, the options it was processed with, and the totals.

use super::error::OutputError;
use super::statistics::StatisticsReport;
use super::video_report::VideoReport;
use super::writer::WriterContext;
use crate::inference::ModelName;
use crate::motion::MetricScale;
use crate::video::SoundReport;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::SCHEMA_VERSION;
use bodyscript_protocol::message::Summary;
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
    /// `null` where positions in metres are not asked for or not known.
    metres: Option<MetresReport>,
}

/// How positions in metres follow from the picture.
#[derive(Serialize)]
struct MetresReport {
    /// How many pixels a metre measures at the person.
    pixels_per_metre: f64,
    /// By how much the floor rises to the right of the picture.
    floor_slope_degrees: f64,
}

impl From<MetricScale> for MetresReport {
    fn from(scale: MetricScale) -> Self {
        let floor_slope_degrees = scale.floor_slope_degrees();
        Self { pixels_per_metre: scale.pixels_per_metre(), floor_slope_degrees }
    }
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
    context: &WriterContext<'_>,
    sound: Option<&SoundReport>,
    summary: &Summary,
) -> Result<(), OutputError> {
    let WriterContext { start, report: video, metres, .. } = *context;
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
        metres: metres.map(MetresReport::from),
    };
    serde_json::to_writer_pretty(&mut file, &metadata)
        .map_err(std::io::Error::from)
        .and_then(|()| file.write_all(b"\n"))
        .map_err(OutputError::of(Artefact::Metadata))
}
