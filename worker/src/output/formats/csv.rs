//! pose_data.csv: one row for every processed frame and landmark, with or without a person.

use crate::motion::MetricScale;
use crate::output::error::OutputError;
use crate::output::seconds::seconds_text;
use crate::output::writer::{DataFormat, FrameWriter};
use crate::pose::{Frame, Person};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::CSV_COLUMNS as COLUMNS;
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::pose::{LANDMARKS, Landmark, NAMES};
use std::fs::File;

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Csv,
    create: |file, context| Ok(Box::new(CsvWriter::create(file, context.metres)?)),
};

/// Writes the table row by row.
struct CsvWriter {
    rows: csv::Writer<File>,
    metres: Option<MetricScale>,
}

impl CsvWriter {
    /// Starts the table with its header.
    fn create(file: File, metres: Option<MetricScale>) -> Result<Self, OutputError> {
        let mut writer = Self { rows: csv::Writer::from_writer(file), metres };
        writer.record(&COLUMNS.map(String::from))?;
        Ok(writer)
    }

    fn record(&mut self, row: &[String; COLUMNS.len()]) -> Result<(), OutputError> {
        self.rows
            .write_record(row)
            .map_err(std::io::Error::from)
            .map_err(OutputError::of(Artefact::Csv))
    }
}

impl FrameWriter for CsvWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        // The first person has rows in every frame, others only where they are detected.
        if frame.first().is_none() {
            for id in 0..LANDMARKS {
                self.record(&without_pose(frame, id))?;
            }
        }
        for person in frame.people {
            let metric = person.in_scene(self.metres);
            for id in 0..LANDMARKS {
                let metric = metric.map(|metric| metric[id]);
                self.record(&with_pose(frame, id, (person, metric)))?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.rows.flush().map_err(OutputError::of(Artefact::Csv))
    }
}

fn with_pose(
    frame: &Frame<'_>,
    id: usize,
    (person, metric): (&Person, Option<[f32; 3]>),
) -> [String; COLUMNS.len()] {
    let landmark: &Landmark = &person.pose[id];
    let number = |value: f32| format!("{value:.6}");
    let [world_x, world_y, world_z] = landmark.world.map(number);
    let [metric_x, metric_y, metric_z] = metric.map(|it| it.map(number)).unwrap_or_default();
    let [x_raw, y_raw, z_raw] = person.raw(id).map(|raw| raw.map(number)).unwrap_or_default();
    [
        frame.id.to_string(),
        id.to_string(),
        number(landmark.x),
        number(landmark.y),
        number(landmark.z),
        number(landmark.visibility),
        person.strategy.to_owned(),
        number(landmark.presence),
        world_x,
        world_y,
        world_z,
        seconds_text(frame.time),
        person.is_detected().to_string(),
        person.id.to_string(),
        person.track.to_string(),
        metric_x,
        metric_y,
        metric_z,
        seconds_text(frame.source_time),
        x_raw,
        y_raw,
        z_raw,
        person.is_filled(id).to_string(),
        NAMES[id].to_owned(),
    ]
}

fn without_pose(frame: &Frame<'_>, id: usize) -> [String; COLUMNS.len()] {
    let mut row: [String; COLUMNS.len()] = Default::default();
    row[0] = frame.id.to_string();
    row[1] = id.to_string();
    row[11] = seconds_text(frame.time);
    row[12] = "false".to_owned();
    row[13] = "0".to_owned();
    row[18] = seconds_text(frame.source_time);
    row[22] = "false".to_owned();
    row[23] = NAMES[id].to_owned();
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::writer::EMPTY_SUMMARY;
    use crate::pose::FilterTrace;
    use std::io::{Read, Seek};
    use std::time::Duration;

    #[test]
    fn every_frame_has_every_landmark_with_or_without_a_person() {
        let mut file = tempfile::tempfile().expect("a file");
        let handle = file.try_clone().expect("a handle");
        let mut writer = Box::new(CsvWriter::create(handle, None).expect("a header"));
        let pose = [Landmark { x: 0.25, visibility: 0.5, ..Landmark::default() }; LANDMARKS];
        let person = |id, filtered| Person { id, track: 2, pose, strategy: "track", filtered };
        let raw = Some([[0.5, 0.25, -0.125]; LANDMARKS]);
        let filtered = FilterTrace { raw, filled: [0].into_iter().collect() };
        let filled = FilterTrace { raw: None, filled: (0..LANDMARKS).collect() };
        let time = Duration::from_micros(33_367);
        let source_time = Duration::from_secs(1);
        let mut write = |id, time, people: &[Person]| {
            writer.write(&Frame { id, time, source_time, people }).expect("rows");
        };
        write(0, Duration::ZERO, &[]);
        write(1, time, &[person(0, None)]);
        write(2, time, &[person(1, Some(filtered))]);
        write(3, time, &[person(0, Some(filled))]);
        writer.finish(&EMPTY_SUMMARY).expect("flushed");
        let mut text = String::new();
        file.rewind().expect("seekable");
        file.read_to_string(&mut text).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 5 * LANDMARKS);
        assert_eq!(lines[0], COLUMNS.join(","));
        assert_eq!(lines[1], "0,0,,,,,,,,,,0.000000,false,0,,,,,1.000000,,,,false,nose");
        assert_eq!(
            lines[34],
            "1,0,0.250000,0.000000,0.000000,0.500000,track,0.000000,0.000000,0.000000,0.000000,\
             0.033367,true,0,2,,,,1.000000,,,,false,nose"
        );
        // Where only another person is detected, the first one has rows as well.
        assert_eq!(lines[67], "2,0,,,,,,,,,,0.033367,false,0,,,,,1.000000,,,,false,nose");
        let ends = |line: usize, end: &str| {
            assert!(lines[line].ends_with(end), "{}", lines[line]);
        };
        assert!(lines[100].starts_with("2,0,0.25") && lines[133].starts_with("3,0,0.25"));
        ends(100, ",true,1,2,,,,1.000000,0.500000,0.250000,-0.125000,true,nose");
        ends(101, ",-0.125000,false,left_eye_inner");
        ends(133, ",false,0,2,,,,1.000000,,,,true,nose");
    }
}
