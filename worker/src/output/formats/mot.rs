//! joint_angles.mot: the angles of joint_angles.csv of one person, as a motion for OpenSim.
//!
//! One row for every processed frame at the frame's time. The head states the number of rows; it is written again
//! at the end, in the same number of bytes.

use super::trajectory::Trajectory;
use crate::output::error::OutputError;
use crate::output::joint_angles::{AngleSeries, Angles};
use crate::output::seconds::seconds_text;
use crate::output::writer::{DataFormat, FrameWriter};
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::{ANGLES as NAMES, MOT_MISSING, mot_head};
use bodyscript_protocol::message::Summary;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::time::Duration;

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Mot,
    create: |file, _| Ok(Box::new(MotWriter::create(file)?)),
};

/// Writes the table row by row.
struct MotWriter {
    file: BufWriter<File>,
    series: AngleSeries,
    trajectory: Trajectory,
    rows: u32,
}

impl MotWriter {
    /// Starts the table.
    fn create(file: File) -> Result<Self, OutputError> {
        let (series, trajectory) = (AngleSeries::default(), Trajectory::default());
        let mut writer = Self { file: BufWriter::new(file), series, trajectory, rows: 0 };
        writer.head().map_err(OutputError::of(Artefact::Mot))?;
        Ok(writer)
    }

    fn head(&mut self) -> io::Result<()> {
        mot_head(self.rows).iter().try_for_each(|line| writeln!(self.file, "{line}"))
    }

    fn complete(mut self) -> io::Result<()> {
        self.file.rewind()?;
        self.head()?;
        self.file.flush()
    }
}

impl FrameWriter for MotWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        self.rows += 1;
        let first = self.trajectory.next(frame);
        let angles = self.series.add(frame).first().filter(|_| first.is_some());
        let angles = angles.map_or([None; NAMES.len()], |first| first.angles);
        let row = row(frame.time, &angles);
        self.file.write_all(row.as_bytes()).map_err(OutputError::of(Artefact::Mot))
    }

    fn finish(self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.complete().map_err(OutputError::of(Artefact::Mot))
    }
}

fn row(time: Duration, angles: &Angles) -> String {
    let mut row = seconds_text(time);
    for angle in angles {
        let _ = match angle {
            Some(deg) => write!(row, "\t{deg:.3}"),
            None => write!(row, "\t{MOT_MISSING}"),
        };
    }
    row.push('\n');
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::writer::EMPTY_SUMMARY;
    use crate::pose::Person;
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};
    use std::io::Read;

    #[test]
    fn the_head_counts_the_rows_and_what_is_not_defined_is_no_number() {
        let mut file = tempfile::tempfile().expect("a file");
        let handle = file.try_clone().expect("a handle");
        let mut writer = Box::new(MotWriter::create(handle).expect("a head"));
        // All landmarks in one point have no angle.
        let pose = [Landmark::default(); LANDMARKS];
        let other = [Person { id: 1, track: 0, pose, strategy: "track", filtered: None }];
        for (id, people) in [(0, &[][..]), (1, &other[..])] {
            let time = Duration::from_micros(33_367 * u64::from(id));
            let frame = Frame { id, time, source_time: time, people };
            FrameWriter::write(&mut *writer, &frame).expect("a row");
        }
        writer.finish(&EMPTY_SUMMARY).expect("completed");
        file.rewind().expect("it seeks");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..7], mot_head(2));
        assert_eq!(lines[2], "nRows=2         ");
        assert_eq!(lines[7], format!("0.000000{}", "\tNaN".repeat(17)));
        assert_eq!(lines[8], format!("0.033367{}", "\tNaN".repeat(17)));
        assert_eq!(lines.len(), 9);
    }

    #[test]
    fn angles_have_the_decimals_of_the_table() {
        let mut angles = [None; NAMES.len()];
        angles[0] = Some(12.345_678);
        assert!(row(Duration::from_millis(500), &angles).starts_with("0.500000\t12.346\tNaN\t"));
    }
}
