//! The skeleton of one person in all frames, kept until the lengths of its bones are known.
//!
//! Rotations do not depend on the lengths. They are kept as whole numbers, exact to a hundredth of a degree:
//! [`SKELETON_BYTES_PER_FRAME`] for each frame.

use super::joints::{JOINT_COUNT, SOLES};
use super::planting::Planting;
use super::proportions::{Proportions, ProportionsMeter};
use super::{Posture, Rotations, position, rotations};
use crate::motion::rotation::Rotation;
use bodyscript_protocol::pose::Pose;
use std::time::Duration;

/// What a frame takes.
pub const SKELETON_BYTES_PER_FRAME: u64 = size_of::<Row>() as u64;
/// Frames for which memory is taken at a time. One growing list would take twice as much while it grows.
const BLOCK_FRAMES: usize = 256;
/// Stands for 1 in a quaternion.
const ONE: f64 = i16::MAX as f64;

/// The frames so far.
#[derive(Debug)]
pub struct SkeletonRecording {
    meter: ProportionsMeter,
    blocks: Vec<Vec<Row>>,
    /// Metres of the person in a metre of the landmark model.
    scale: f64,
}

impl Default for SkeletonRecording {
    fn default() -> Self {
        Self::scaled(1.0)
    }
}

/// One frame.
#[derive(Debug, Clone, Copy)]
struct Row {
    time: Duration,
    /// Quaternions, if the person is there.
    rotations: Option<[[i16; 4]; JOINT_COUNT]>,
}

impl SkeletonRecording {
    /// Before the first frame of a person who is so many times as large as the landmark model takes people for.
    pub fn scaled(scale: f64) -> Self {
        Self { meter: ProportionsMeter::default(), blocks: Vec::new(), scale }
    }

    /// Adds the next frame, with or without the person.
    pub fn add(&mut self, time: Duration, pose: Option<&Pose>) {
        let rotations = pose.map(|pose| {
            self.meter.add(pose);
            let compact = |rotation: Rotation| {
                rotation
                    .quaternion_near([0.0, 0.0, 0.0, 1.0])
                    .map(|value| (value * ONE).round() as i16)
            };
            rotations(pose).map(compact)
        });
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK_FRAMES) {
            self.blocks.push(Vec::with_capacity(BLOCK_FRAMES));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(Row { time, rotations });
        }
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum()
    }

    /// The lengths of the bones.
    pub fn proportions(&self) -> Proportions {
        self.meter.proportions().scaled(self.scale)
    }

    /// The times of the frames.
    pub fn times(&self) -> impl Iterator<Item = Duration> {
        self.blocks.iter().flatten().map(|row| row.time)
    }

    /// The skeleton in each frame. Where the person is missing it stays as it was, and goes on from there.
    pub fn postures(&self) -> impl Iterator<Item = Posture> {
        let proportions = self.proportions();
        let mut planting = Planting::default();
        let mut rotations = [Rotation::NONE; JOINT_COUNT];
        self.blocks.iter().flatten().map(move |row| {
            let hips = match row.rotations {
                Some(compact) => {
                    rotations = compact
                        .map(|it| Rotation::of_quaternion(it.map(|value| f64::from(value) / ONE)));
                    planting.hips(&soles(rotations, &proportions))
                }
                None => {
                    planting.interrupt();
                    planting.last()
                }
            };
            Posture { hips, rotations }
        })
    }
}

/// Where the soles are relative to the hips.
fn soles(rotations: Rotations, proportions: &Proportions) -> [[f64; 3]; SOLES.len()] {
    let joints = Posture { hips: [0.0; 3], rotations }.joints(proportions);
    SOLES.map(|sole| position(&sole, &joints, proportions))
}
