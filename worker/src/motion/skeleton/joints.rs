//! The joints of the skeleton, in depth-first order, and the landmarks between which their bones lie.

use super::proportions::Measure;
use crate::motion::vector::Vector;
use bodyscript_protocol::skeleton;

/// A joint, or the end of a chain of them.
#[derive(Debug, Clone, Copy)]
pub struct Joint {
    /// The joint that moves it.
    pub parent: Option<usize>,
    /// Where it is in the rest pose relative to its parent: for each axis a measure of the body, and a factor.
    pub(super) offset: [(f64, Measure); 3],
    /// What gives its rotation.
    pub(super) aim: Aim,
}

/// What gives the rotation of a joint.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    /// The line through the hips, and the trunk.
    Pelvis,
    /// The trunk, and the line through the shoulders.
    Chest,
    /// The line from between the ears to the nose, and that through the ears.
    Head,
    /// The line from heel to toe, and the ankle above it. The number is 0 for the left foot and 1 for the right one.
    Foot(usize),
    /// A line, which points in this direction in the rest pose.
    Bone(Vector, Line),
    /// The end of a chain does not rotate.
    End,
}

/// The line from the middle of two landmarks to that of two others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) from: [usize; 2],
    pub(super) to: [usize; 2],
}

const LEFT: Vector = [1.0, 0.0, 0.0];
const RIGHT: Vector = [-1.0, 0.0, 0.0];
const UP: Vector = [0.0, 1.0, 0.0];
const DOWN: Vector = [0.0, -1.0, 0.0];

/// Share of the trunk that is below the chest.
pub(super) const SPINE_SHARE: f64 = 0.25;

/// How many joints there are.
pub const JOINT_COUNT: usize = skeleton::JOINTS.len();
/// Joints of the left foot and of the right one.
const FEET: [usize; 2] = [skeleton::CHAIN_ENDS[3], skeleton::CHAIN_ENDS[4]];

/// All joints, in the order of [`skeleton::JOINTS`].
pub const JOINTS: [Joint; JOINT_COUNT] = [
    joint(0, [0.0; 3], Measure::Trunk, Aim::Pelvis),
    joint(1, [0.0, SPINE_SHARE, 0.0], Measure::Trunk, Aim::Chest),
    joint(2, [0.0, 1.0 - SPINE_SHARE, 0.0], Measure::Trunk, bone(UP, [11, 12], [7, 8])),
    joint(3, UP, Measure::Neck, Aim::Head),
    joint(4, [0.0, 1.0 - SPINE_SHARE, 0.0], Measure::Trunk, bone(LEFT, [11, 12], [11, 11])),
    joint(5, [0.5, 0.0, 0.0], Measure::Shoulders, bone(LEFT, [11, 11], [13, 13])),
    joint(6, LEFT, Measure::UpperArm, bone(LEFT, [13, 13], [15, 15])),
    joint(7, LEFT, Measure::Forearm, bone(LEFT, [15, 15], [17, 19])),
    joint(8, [0.0, 1.0 - SPINE_SHARE, 0.0], Measure::Trunk, bone(RIGHT, [11, 12], [12, 12])),
    joint(9, [-0.5, 0.0, 0.0], Measure::Shoulders, bone(RIGHT, [12, 12], [14, 14])),
    joint(10, RIGHT, Measure::UpperArm, bone(RIGHT, [14, 14], [16, 16])),
    joint(11, RIGHT, Measure::Forearm, bone(RIGHT, [16, 16], [18, 20])),
    joint(12, [0.5, 0.0, 0.0], Measure::Hips, bone(DOWN, [23, 23], [25, 25])),
    joint(13, DOWN, Measure::Thigh, bone(DOWN, [25, 25], [27, 27])),
    joint(14, DOWN, Measure::Shank, Aim::Foot(0)),
    joint(15, [-0.5, 0.0, 0.0], Measure::Hips, bone(DOWN, [24, 24], [26, 26])),
    joint(16, DOWN, Measure::Thigh, bone(DOWN, [26, 26], [28, 28])),
    joint(17, DOWN, Measure::Shank, Aim::Foot(1)),
];

/// The ends of the chains, in the order of [`skeleton::CHAIN_ENDS`]: nose, knuckles, toes.
pub const ENDS: [Joint; 5] = [
    end(0, [0.0, 0.0, 1.0], Measure::Face),
    end(1, LEFT, Measure::Hand),
    end(2, RIGHT, Measure::Hand),
    foot_point(FEET[0], TOES),
    foot_point(FEET[1], TOES),
];

/// The points with which feet stand: toes and heel of the left one and of the right one.
pub(super) const SOLES: [Joint; 4] = [
    foot_point(FEET[0], TOES),
    foot_point(FEET[0], HEEL),
    foot_point(FEET[1], TOES),
    foot_point(FEET[1], HEEL),
];

const TOES: [Measure; 2] = [Measure::ToesUp, Measure::ToesForwards];
const HEEL: [Measure; 2] = [Measure::HeelUp, Measure::HeelForwards];

const fn joint(number: usize, factors: Vector, measure: Measure, aim: Aim) -> Joint {
    Joint { parent: skeleton::JOINTS[number].parent, offset: times(factors, measure), aim }
}

const fn end(number: usize, factors: Vector, measure: Measure) -> Joint {
    let parent = Some(skeleton::CHAIN_ENDS[number]);
    Joint { parent, offset: times(factors, measure), aim: Aim::End }
}

const fn times([x, y, z]: Vector, measure: Measure) -> [(f64, Measure); 3] {
    [(x, measure), (y, measure), (z, measure)]
}

const fn bone(rest: Vector, from: [usize; 2], to: [usize; 2]) -> Aim {
    Aim::Bone(rest, Line { from, to })
}

const fn foot_point(foot: usize, [up, forwards]: [Measure; 2]) -> Joint {
    Joint { parent: Some(foot), offset: [(0.0, up), (1.0, up), (1.0, forwards)], aim: Aim::End }
}
