//! pose.trc: the landmarks of one person as marker trajectories, in the layout OpenSim reads.
//!
//! Each landmark is a marker of its name, in millimetres from the middle of the hips, or in metres in the
//! scene. The axes are rotated to OpenSim's, Y up and right-handed: X to the right of the picture, Z towards
//! the camera. For a person in profile facing right that is forwards, up and to the right. The rows of
//! two tracks have an empty one between them.
//!
//! The header states the number and rate of the rows; it is written again at the end, in the same
//! number of bytes.

use super::markers::{Markers, RowRate};
use super::trajectory::Trajectory;
use crate::output::error::OutputError;
use crate::output::seconds::seconds_text;
use crate::output::writer::{DataFormat, FrameWriter};
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::{MarkerUnit, TRC_TITLES, trc_labels};
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::pose::LANDMARKS;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Trc,
    create: |file, context| {
        let markers = Markers::new(context.metres);
        Ok(Box::new(TrcWriter::create(file, RowRate::of(context), markers)?))
    },
};

/// Writes the table row by row.
struct TrcWriter {
    file: BufWriter<File>,
    rate: RowRate,
    markers: Markers,
    trajectory: Trajectory,
}

impl TrcWriter {
    /// Starts the table.
    fn create(file: File, rate: RowRate, markers: Markers) -> Result<Self, OutputError> {
        let trajectory = Trajectory::default();
        let mut writer = Self { file: BufWriter::new(file), rate, markers, trajectory };
        let header = writer.header();
        writer.text(&header)?;
        Ok(writer)
    }

    fn header(&self) -> String {
        let [camera, rate] = self.rate.per_second().map(|rate| format!("{rate:<12.6}"));
        let rows = format!("{:<10}", self.rate.rows());
        let unit = self.markers.unit().symbol();
        let numbers = format!("{rate}\t{camera}\t{rows}\t{LANDMARKS}\t{unit}\t{rate}\t1\t{rows}");
        let titles = TRC_TITLES.map(String::from);
        let lines = titles.into_iter().chain([numbers]).chain(trc_labels());
        lines.map(|line| line + "\n").collect()
    }

    fn row(&mut self, frame: &Frame<'_>) -> String {
        self.rate.add(frame.time);
        // A tab ends every cell, the last one too: OpenSim ignores an empty last cell otherwise.
        let mut row = format!("{}\t{}\t", self.rate.rows(), seconds_text(frame.time));
        match self.trajectory.next(frame) {
            Some(person) => {
                // To a micrometre in both units.
                let places = match self.markers.unit() {
                    MarkerUnit::Millimetres => 3,
                    MarkerUnit::Metres => 6,
                };
                for [x, y, z] in self.markers.of(person) {
                    let _ = write!(row, "{x:.places$}\t{y:.places$}\t{z:.places$}\t");
                }
            }
            None => row.push_str(&"\t".repeat(3 * LANDMARKS)),
        }
        row.push('\n');
        row
    }

    fn text(&mut self, text: &str) -> Result<(), OutputError> {
        self.file.write_all(text.as_bytes()).map_err(OutputError::of(Artefact::Trc))
    }

    fn complete(mut self) -> io::Result<()> {
        let header = self.header();
        self.file.rewind()?;
        self.file.write_all(header.as_bytes())?;
        self.file.flush()
    }
}

impl FrameWriter for TrcWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        let row = self.row(frame);
        self.text(&row)
    }

    fn finish(self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.complete().map_err(OutputError::of(Artefact::Trc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::writer::EMPTY_SUMMARY;
    use crate::pose::Person;
    use bodyscript_protocol::pose::Landmark;
    use std::io::Read;
    use std::time::Duration;

    /// The lines of a table with a person in all frames but the first.
    fn lines(rate: Option<f64>, interval: Option<u32>, times_s: &[f64]) -> Vec<String> {
        let mut file = tempfile::tempfile().expect("a file");
        let handle = file.try_clone().expect("a handle");
        let (rate, markers) = (RowRate::new(rate, interval), Markers::new(None));
        let mut writer = Box::new(TrcWriter::create(handle, rate, markers).expect("a header"));
        let world = [0.1, 0.2, -0.3];
        let pose = [Landmark { world, ..Landmark::default() }; LANDMARKS];
        for (id, time) in (0..).zip(times_s) {
            let people = [Person { id: 0, track: 0, pose, strategy: "track", filtered: None }];
            let people = if id == 0 { &people[..0] } else { &people[..] };
            let time = Duration::from_secs_f64(*time);
            FrameWriter::write(&mut *writer, &Frame { id, time, source_time: time, people })
                .expect("a row");
        }
        writer.finish(&EMPTY_SUMMARY).expect("completed");
        file.rewind().expect("it seeks");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    fn values(lines: &[String]) -> Vec<&str> {
        lines[2].split('\t').map(str::trim).collect()
    }

    #[test]
    fn the_header_states_rate_rows_and_markers() {
        let ntsc: Vec<f64> = (0..30).map(|n| f64::from(n) * 1001.0 / 30000.0).collect();
        let lines = lines(Some(30000.0 / 1001.0), Some(1), &ntsc);
        let expected = ["29.970030", "29.970030", "30", "33", "mm", "29.970030", "1", "30"];
        assert_eq!(values(&lines), expected);
        assert_eq!(lines.len(), 6 + 30);
        let labels: Vec<_> = lines[3].split('\t').filter(|cell| !cell.is_empty()).collect();
        assert_eq!((labels.len(), labels[2]), (2 + LANDMARKS, "nose"));
        assert!(lines[4].starts_with("\t\tX1\tY1\tZ1\tX2"), "{}", lines[4]);
        assert_eq!(lines[5], "");
    }

    #[test]
    fn every_row_has_every_cell_in_millimetres_with_y_up() {
        let lines = lines(Some(30.0), Some(1), &[0.0, 0.033333]);
        for row in &lines[6..] {
            assert_eq!(row.matches('\t').count(), 2 + 3 * LANDMARKS, "{row}");
        }
        assert!(lines[6].starts_with("1\t0.000000\t\t\t\t"), "without a person: {}", lines[6]);
        let with_person = "2\t0.033333\t100.000\t-200.000\t300.000\t";
        assert!(lines[7].starts_with(with_person), "{}", lines[7]);
    }

    #[test]
    fn the_stated_rate_is_used_where_it_fits_the_times_and_the_measured_one_elsewhere() {
        let thirds: Vec<f64> = (0..10).map(|n| f64::from(n) / 10.0).collect();
        let rates = |stated, interval| {
            let lines = lines(stated, interval, &thirds);
            let values = values(&lines).join(" ");
            values.split(' ').take(2).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(rates(Some(30.0), Some(3)), "10.000000 30.000000");
        assert_eq!(rates(Some(30.0), Some(1)), "10.000000 10.000000", "contradicted by the times");
        assert_eq!(rates(None, Some(1)), "10.000000 10.000000", "unknown");
        assert_eq!(rates(Some(30.0), None), "10.000000 10.000000", "sampled by time");
    }
}
