//! metadata.json: the job, its options, the video and the totals, as they were told or reported.

use super::Expected;
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use super::reports::{StatisticsReport, VideoReport, WarningReport, check_last_line, check_totals};
use bodyscript_protocol::layout::SCHEMA_VERSION;
use bodyscript_protocol::options::{OPTIONS, Values};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The document. Nothing else is in it than what is named here, and the options.
#[derive(Debug, Deserialize)]
struct Metadata {
    schema_version: u32,
    generator: String,
    job_id: String,
    models: [String; 2],
    video: VideoReport,
    sound: Option<SoundReport>,
    statistics: StatisticsReport,
    warnings: Vec<WarningReport>,
    metres: Option<MetresReport>,
    #[serde(flatten)]
    options: Map<String, Value>,
}

/// What was done with the sound.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SoundReport {
    codec: Option<String>,
    outcome: String,
    note: Option<String>,
}

/// How positions in metres follow from the picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetresReport {
    pixels_per_metre: f64,
    #[serde(rename = "floor_slope_degrees")]
    _floor_slope_degrees: f64,
}

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    check_last_line(content)?;
    let text = content.piece(0, content.bytes())?;
    let metadata: Metadata = serde_json::from_slice(&text)?;
    equal("schema_version", metadata.schema_version, SCHEMA_VERSION)?;
    ensure(metadata.job_id == expected.job, "it is of another job")?;
    metadata.video.check(&expected.facts)?;
    check_totals(&metadata.statistics, &metadata.warnings, expected)?;
    check_options(&metadata.options, expected)?;
    let has_metres = metadata.metres.is_some() == expected.has_metres(0);
    let is_scale = metadata.metres.is_none_or(|metres| metres.pixels_per_metre > 0.0);
    ensure(has_metres && is_scale, "its scale of metres differs")?;
    let mut texts = vec![&metadata.generator];
    texts.extend(&metadata.models);
    if let Some(SoundReport { codec, outcome, note }) = &metadata.sound {
        texts.extend(codec.iter().chain([outcome]).chain(note));
    }
    ensure(texts.into_iter().all(|text| is_plain(text)), "a text has markup or control characters")
}

/// All options but the formats are there, with the values of the job, and nothing else.
fn check_options(found: &Map<String, Value>, expected: &Expected) -> Result<(), Invalid> {
    let recorded = OPTIONS.iter().filter(|row| !matches!(row.values, Values::ListOf(_)));
    let mut others = found.len();
    for row in recorded {
        let value = serde_json::to_value((row.get)(&expected.parameters.options))?;
        ensure(found.get(row.name) == Some(&value), "its options differ")?;
        others -= 1;
    }
    ensure(others == 0, "it has an unknown field")
}

fn is_plain(text: &str) -> bool {
    !text
        .chars()
        .any(|char| char.is_control() || "<>\u{202a}\u{202b}\u{202d}\u{202e}".contains(char))
}
