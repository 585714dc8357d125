//! pose.bvh: the skeleton of one person and its movement, for animation.
//!
//! Lengths are in metres, angles in degrees; Y is up, and in the rest pose, a T, Z is forwards. BVH has one time
//! between frames, so those of a variable rate are stated at their mean rate. A frame without the person, and the
//! first of another track, repeats the last one. The file is written at the end: the lengths of the bones, which come
//! first, are those of all frames.

use super::markers::RowRate;
use super::trajectory::Trajectory;
use crate::motion::{ENDS, JOINT_COUNT, JOINTS, Posture, SkeletonRecording, Unwrapper};
use crate::output::error::OutputError;
use crate::output::writer::{DataFormat, FrameWriter};
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::skeleton::{BVH_MOTION, bvh_hierarchy, bvh_motion};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Bvh,
    create: |file, context| {
        let recording = SkeletonRecording::scaled(context.model_scale());
        Ok(Box::new(BvhWriter::new(file, RowRate::of(context), recording)))
    },
};

/// Keeps the movement, and writes it.
pub(super) struct BvhWriter {
    file: File,
    rate: RowRate,
    trajectory: Trajectory,
    recording: SkeletonRecording,
}

impl BvhWriter {
    /// Before the first frame, with a recording without frames.
    pub(super) fn new(file: File, rate: RowRate, recording: SkeletonRecording) -> Self {
        Self { file, rate, trajectory: Trajectory::default(), recording }
    }

    fn complete(&self) -> io::Result<()> {
        let mut file = BufWriter::new(&self.file);
        for line in self.head() {
            writeln!(file, "{line}")?;
        }
        let mut angles = [Unwrapper::default(); 3 * JOINT_COUNT];
        for posture in self.recording.postures() {
            writeln!(file, "{}", row(&posture, &mut angles))?;
        }
        file.flush()
    }

    fn head(&self) -> Vec<String> {
        let proportions = self.recording.proportions();
        let joints = JOINTS.each_ref().map(|joint| proportions.offset(joint));
        let ends = ENDS.each_ref().map(|end| proportions.offset(end));
        let [_, rate] = self.rate.per_second();
        let mut lines = bvh_hierarchy(&joints, &ends);
        lines.push(BVH_MOTION.to_owned());
        lines.extend(bvh_motion(self.rate.rows(), 1.0 / rate));
        lines
    }
}

/// Position of the hips, then the angles of each joint, continued from the row before.
fn row(posture: &Posture, unwrappers: &mut [Unwrapper; 3 * JOINT_COUNT]) -> String {
    let mut row = posture.hips.map(|metres| format!("{metres:.6}")).join(" ");
    let angles = posture.rotations.map(|rotation| rotation.zxy_degrees());
    for (angle, unwrapper) in angles.as_flattened().iter().zip(unwrappers) {
        let angle = unwrapper.next(Some(*angle)).unwrap_or(*angle);
        let _ = write!(row, " {angle:.4}");
    }
    row
}

impl FrameWriter for BvhWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        self.rate.add(frame.time);
        let person = self.trajectory.next(frame);
        self.recording.add(frame.time, person.map(|person| &person.pose));
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.complete().map_err(OutputError::of(Artefact::Bvh))
    }
}
