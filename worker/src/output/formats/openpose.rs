//! openpose.zip: one OpenPose document for every processed frame, as that program's `write_json`
//! leaves them in a folder, which is what its readers expect.
//!
//! The archive stores and does not compress, so that a frame costs no memory but its entry in
//! the index at the end, some hundred bytes. Points are those of BODY_25; the small toes, which
//! BlazePose does not have, are zero with zero confidence, as OpenPose writes undetected points.

use crate::output::error::OutputError;
use crate::output::writer::{DataFormat, FrameWriter, WriterContext};
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::{OPENPOSE_POINTS as POINTS, OPENPOSE_VERSION, openpose_name};
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::pose::Pose;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::OpenPose,
    create: |file, WriterContext { facts, .. }| {
        Ok(Box::new(OpenPoseWriter::create(file, (facts.width, facts.height))))
    },
};

/// Where a point of BODY_25 comes from.
#[derive(Clone, Copy)]
enum Source {
    /// This landmark.
    At(usize),
    /// The middle of two, with the lower confidence of both.
    Between(usize, usize),
    /// No landmark.
    Unknown,
}

use Source::{At, Between, Unknown};

/// In BODY_25's order: nose, neck, right arm, left arm, middle of the hips, right leg, left leg,
/// eyes and ears from the right, left foot, right foot.
const BODY_25: [Source; POINTS] = [
    At(0),
    Between(11, 12),
    At(12),
    At(14),
    At(16),
    At(11),
    At(13),
    At(15),
    Between(23, 24),
    At(24),
    At(26),
    At(28),
    At(23),
    At(25),
    At(27),
    At(5),
    At(2),
    At(8),
    At(7),
    At(31),
    Unknown,
    At(29),
    At(32),
    Unknown,
    At(30),
];

#[derive(Serialize)]
struct Document {
    version: f32,
    people: Vec<PersonKeypoints>,
}

/// One person. Readers rely on the empty lists being there.
#[derive(Serialize, Default)]
struct PersonKeypoints {
    person_id: [u32; 1],
    pose_keypoints_2d: Vec<f32>,
    face_keypoints_2d: [f32; 0],
    hand_left_keypoints_2d: [f32; 0],
    hand_right_keypoints_2d: [f32; 0],
    pose_keypoints_3d: [f32; 0],
    face_keypoints_3d: [f32; 0],
    hand_left_keypoints_3d: [f32; 0],
    hand_right_keypoints_3d: [f32; 0],
}

/// Writes the archive frame by frame.
struct OpenPoseWriter {
    archive: ZipWriter<BufWriter<File>>,
    size: [f32; 2],
}

impl OpenPoseWriter {
    /// Starts the archive for pictures of this size in pixels.
    fn create(file: File, (width, height): (u32, u32)) -> Self {
        Self { archive: ZipWriter::new(BufWriter::new(file)), size: [width as f32, height as f32] }
    }

    fn add(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let name = openpose_name(frame.id);
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let people = frame.people.iter().map(|person| PersonKeypoints {
            person_id: [person.id],
            pose_keypoints_2d: points(&person.pose, self.size),
            ..PersonKeypoints::default()
        });
        let document = Document { version: OPENPOSE_VERSION, people: people.collect() };
        // In one write: the archive updates its checksum at every write.
        let text = serde_json::to_vec(&document)?;
        self.archive.start_file(name, stored)?;
        self.archive.write_all(&text)
    }
}

impl FrameWriter for OpenPoseWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        self.add(frame).map_err(OutputError::of(Artefact::OpenPose))
    }

    fn finish(self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        let finished = self.archive.finish().map_err(io::Error::from);
        finished.and_then(|mut file| file.flush()).map_err(OutputError::of(Artefact::OpenPose))
    }
}

/// Position in pixels and confidence of each point.
fn points(pose: &Pose, [width, height]: [f32; 2]) -> Vec<f32> {
    let at = |i: usize| [pose[i].x * width, pose[i].y * height, pose[i].visibility];
    let point = |source: Source| match source {
        At(i) => at(i),
        Between(i, j) => {
            let (a, b) = (at(i), at(j));
            [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0, a[2].min(b[2])]
        }
        Unknown => [0.0; 3],
    };
    let thousandths = |value: f32| (value * 1000.0).round() / 1000.0;
    BODY_25.into_iter().flat_map(point).map(thousandths).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};

    #[test]
    fn points_are_in_pixels_and_derived_ones_are_midpoints_or_zero() {
        let mut pose = [Landmark::default(); LANDMARKS];
        pose[11] = Landmark { x: 0.6, y: 0.4, visibility: 0.9, ..Landmark::default() };
        pose[12] = Landmark { x: 0.4, y: 0.5, visibility: 0.7, ..Landmark::default() };
        let points = points(&pose, [1000.0, 500.0]);
        assert_eq!(points.len(), 3 * POINTS);
        assert_eq!(points[3..6], [500.0, 225.0, 0.7], "the neck");
        assert_eq!(points[6..9], [400.0, 250.0, 0.7], "the right shoulder");
        assert_eq!(points[15..18], [600.0, 200.0, 0.9], "the left shoulder");
        assert_eq!(points[60..63], [0.0; 3], "the left small toe");
    }
}
