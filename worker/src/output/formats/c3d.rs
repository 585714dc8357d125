//! pose.c3d: the landmarks of one person as points in the binary format of motion capture.
//!
//! Points are the markers of pose.trc: named as the landmarks, in the same unit, Y up. C3D has one rate and no times,
//! so frames of a variable rate are stated at their mean rate. The head states number and rate of the frames; it is
//! written again at the end, in the same number of bytes.

use super::markers::{Markers, RowRate};
use super::trajectory::Trajectory;
use crate::output::error::OutputError;
use crate::output::writer::{DataFormat, FrameWriter};
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::c3d::{BLOCK_BYTES, FRAME_BYTES, FRAMES_MAX, MISSING, head};
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::pose::LANDMARKS;
use bodyscript_protocol::warning::Warning;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::C3d,
    create: |file, context| {
        let markers = Markers::new(context.metres);
        Ok(Box::new(C3dWriter::create(file, RowRate::of(context), markers)?))
    },
};

/// Writes the file frame by frame.
struct C3dWriter {
    file: BufWriter<File>,
    rate: RowRate,
    markers: Markers,
    /// Whether there was a frame that the format cannot number.
    is_full: bool,
    trajectory: Trajectory,
}

impl C3dWriter {
    /// Starts the file.
    fn create(file: File, rate: RowRate, markers: Markers) -> Result<Self, OutputError> {
        let trajectory = Trajectory::default();
        let file = BufWriter::new(file);
        let mut writer = Self { file, rate, markers, is_full: false, trajectory };
        let head = writer.head();
        writer.file.write_all(&head).map_err(OutputError::of(Artefact::C3d))?;
        Ok(writer)
    }

    fn head(&self) -> Vec<u8> {
        let [_, rate] = self.rate.per_second();
        head(self.rate.rows() as u16, rate as f32, self.markers.unit())
    }

    fn complete(mut self) -> io::Result<()> {
        let bytes = self.rate.rows() as usize * FRAME_BYTES;
        let rest = bytes.next_multiple_of(BLOCK_BYTES) - bytes;
        self.file.write_all(&vec![0; rest])?;
        let head = self.head();
        self.file.rewind()?;
        self.file.write_all(&head)?;
        self.file.flush()
    }
}

impl FrameWriter for C3dWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        self.is_full = self.rate.rows() == FRAMES_MAX;
        if self.is_full {
            return Ok(());
        }
        self.rate.add(frame.time);
        let person = self.trajectory.next(frame);
        let points = person.map_or([[0.0, 0.0, 0.0, MISSING]; LANDMARKS], |person| {
            // None has an error that is known.
            self.markers.of(person).map(|[x, y, z]| [x, y, z, 0.0])
        });
        let bytes: Vec<u8> = points.as_flattened().iter().flat_map(|n| n.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(OutputError::of(Artefact::C3d))
    }

    fn warning(&self) -> Option<Warning> {
        self.is_full.then_some(Warning::C3dShortened)
    }

    fn finish(self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.complete().map_err(OutputError::of(Artefact::C3d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::writer::EMPTY_SUMMARY;
    use crate::pose::Person;
    use bodyscript_protocol::c3d::POINT_NUMBERS;
    use bodyscript_protocol::layout::MarkerUnit;
    use bodyscript_protocol::pose::Landmark;
    use std::io::Read;
    use std::time::Duration;

    /// A file with a person in all frames but the first, and the warning of its writer.
    fn written(frames: u32) -> (Vec<u8>, Option<Warning>) {
        let mut file = tempfile::tempfile().expect("a file");
        let handle = file.try_clone().expect("a handle");
        let (rate, markers) = (RowRate::new(Some(25.0), Some(1)), Markers::new(None));
        let mut writer: Box<dyn FrameWriter> =
            Box::new(C3dWriter::create(handle, rate, markers).expect("a head"));
        let pose = [Landmark { world: [0.1, 0.2, -0.3], ..Landmark::default() }; LANDMARKS];
        let people = [Person { id: 0, track: 0, pose, strategy: "track", filtered: None }];
        for id in 0..frames {
            let time = Duration::from_millis(40 * u64::from(id));
            let people = if id == 0 { &people[..0] } else { &people[..] };
            let frame = Frame { id, time, source_time: time, people };
            FrameWriter::write(&mut *writer, &frame).expect("a frame");
        }
        let warning = writer.warning();
        writer.finish(&EMPTY_SUMMARY).expect("completed");
        file.rewind().expect("it seeks");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("bytes");
        (bytes, warning)
    }

    #[test]
    fn points_are_in_millimetres_with_y_up_and_missing_ones_have_a_negative_residual() {
        let (bytes, warning) = written(3);
        let head = head(3, 25.0, MarkerUnit::Millimetres);
        assert_eq!((&bytes[..head.len()], warning), (&*head, None));
        assert_eq!(bytes.len() % BLOCK_BYTES, 0);
        let numbers =
            bytes[head.len()..].as_chunks().0.iter().map(|four| f32::from_le_bytes(*four));
        let numbers: Vec<f32> = numbers.take(3 * LANDMARKS * POINT_NUMBERS).collect();
        let (missing, points) = numbers.split_at(LANDMARKS * POINT_NUMBERS);
        assert!(missing.chunks(POINT_NUMBERS).all(|point| point == [0.0, 0.0, 0.0, -1.0]));
        assert!(points.chunks(POINT_NUMBERS).all(|point| point == [100.0, -200.0, 300.0, 0.0]));
    }

    #[test]
    fn frames_beyond_the_last_number_are_left_out_with_a_warning() {
        let (all, warning) = written(FRAMES_MAX);
        assert_eq!(warning, None);
        let (bytes, warning) = written(FRAMES_MAX + 1);
        assert_eq!((bytes == all, warning), (true, Some(Warning::C3dShortened)));
    }
}
