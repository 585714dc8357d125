//! joint_angles.csv: one row of joint angles for every processed frame and person, with or without one.

use crate::output::error::OutputError;
use crate::output::joint_angles::{AngleSeries, PersonAngles};
use crate::output::seconds::seconds_text;
use crate::output::writer::{DataFormat, FrameWriter};
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::{
    ANGLE_KEYS as KEYS, ANGLES as NAMES, FILLED, SOURCE_TIME, TRACK_ID,
};
use bodyscript_protocol::message::Summary;
use std::fs::File;
use std::io;

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Angles,
    create: |file, _| Ok(Box::new(AnglesWriter::create(file)?)),
};

/// Writes the table row by row.
struct AnglesWriter {
    rows: csv::Writer<File>,
    series: AngleSeries,
}

impl AnglesWriter {
    /// Starts the table with its header.
    fn create(file: File) -> Result<Self, OutputError> {
        let mut rows = csv::Writer::from_writer(file);
        let columns = KEYS.iter().chain(&NAMES).chain([&TRACK_ID, &SOURCE_TIME, &FILLED]);
        rows.write_record(columns).map_err(csv_error)?;
        Ok(Self { rows, series: AngleSeries::default() })
    }

    fn add(&mut self, frame: &Frame<'_>) -> csv::Result<()> {
        let people = self.series.add(frame);
        if people.is_empty() {
            return self.rows.write_record(row(frame, None));
        }
        people.iter().try_for_each(|person| self.rows.write_record(row(frame, Some(person))))
    }
}

impl FrameWriter for AnglesWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        self.add(frame).map_err(csv_error)
    }

    fn finish(mut self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.rows.flush().map_err(OutputError::of(Artefact::Angles))
    }
}

/// The cells of a person, or of nobody.
fn row(frame: &Frame<'_>, person: Option<&PersonAngles>) -> impl Iterator<Item = String> {
    let keys = [
        frame.id.to_string(),
        person.map_or(0, |person| person.id).to_string(),
        seconds_text(frame.time),
        person.is_some_and(|person| person.is_detected).to_string(),
    ];
    let angles = person.map_or([None; NAMES.len()], |person| person.angles);
    let cell = |angle: Option<f64>| angle.map_or(String::new(), |deg| format!("{deg:.3}"));
    let source_time = seconds_text(frame.source_time);
    let track = person.map_or(String::new(), |person| person.track.to_string());
    let is_filled = person.is_some_and(|person| !person.is_detected);
    let last = [track, source_time, is_filled.to_string()];
    keys.into_iter().chain(angles.into_iter().map(cell)).chain(last)
}

fn csv_error(error: csv::Error) -> OutputError {
    OutputError::of(Artefact::Angles)(io::Error::from(error))
}
