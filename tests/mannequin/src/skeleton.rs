//! Forward kinematics: joint angles to joint positions, and the definition of where each BlazePose
//! landmark sits on them. Called by the body, which is shaped around it, and by the projection.
//! Positions are metres in the figure's own frame: x to the subject's left, y up from the floor,
//! z forwards. It must never look at pixels: this is the truth the pictures are measured against.

use glam::{Quat, Vec3, vec3};

use super::pose::{Arm, Leg, Pose};

const HIP_HALF_WIDTH: f32 = 0.095;
const SHOULDER_HALF_WIDTH: f32 = 0.175;
const HIPS_TO_SHOULDERS: f32 = 0.5;
const SHOULDERS_TO_HEAD: f32 = 0.225;
const UPPER_ARM: f32 = 0.285;
const FOREARM: f32 = 0.25;
const THIGH: f32 = 0.43;
const SHANK: f32 = 0.41;
/// From the ears to the top of the hair.
const HEAD_TO_CROWN: f32 = 0.14;
/// Thickness of the sole under heel and toe.
const SOLE: f32 = 0.03;

/// A side of the subject's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The subject's left, at positive x.
    Left,
    /// The subject's right, at negative x.
    Right,
}

impl Side {
    /// Both sides, in BlazePose's order.
    pub(super) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// +1 for left, -1 for right.
    pub(super) fn sign(self) -> f32 {
        match self {
            Self::Left => 1.0,
            Self::Right => -1.0,
        }
    }
}

/// Joints of one arm.
#[derive(Debug, Clone, Copy)]
pub(super) struct ArmJoints {
    /// Centre of the shoulder joint.
    pub(super) shoulder: Vec3,
    /// Centre of the elbow.
    pub(super) elbow: Vec3,
    /// Centre of the wrist.
    pub(super) wrist: Vec3,
    /// The hand's frame: -y along the fingers, +z towards the thumb, ±x out of the palm.
    pub(super) hand: Quat,
}

/// Joints of one leg.
#[derive(Debug, Clone, Copy)]
pub(super) struct LegJoints {
    /// Centre of the hip joint.
    pub(super) hip: Vec3,
    /// Centre of the knee.
    pub(super) knee: Vec3,
    /// Centre of the ankle.
    pub(super) ankle: Vec3,
    /// The foot's frame: +z along the toes, -y through the sole.
    pub(super) foot: Quat,
}

/// Every joint of a figure, in its own frame.
#[derive(Debug, Clone, Copy)]
pub struct Skeleton {
    /// Midpoint between the ears.
    pub(super) head: Vec3,
    /// Left and right arm.
    pub(super) arms: [ArmJoints; 2],
    /// Left and right leg.
    pub(super) legs: [LegJoints; 2],
}

impl Skeleton {
    /// The skeleton in `pose`, the lower foot standing on the floor.
    pub fn new(pose: &Pose) -> Self {
        let legs = [leg(&pose.left_leg, Side::Left), leg(&pose.right_leg, Side::Right)];
        let arms = [
            arm(&pose.left_arm, Side::Left, pose.twist),
            arm(&pose.right_arm, Side::Right, pose.twist),
        ];
        let head = vec3(0.0, HIPS_TO_SHOULDERS + SHOULDERS_TO_HEAD, 0.015);
        let mut skeleton = Self { head, arms, legs };
        skeleton.stand();
        skeleton
    }

    /// Where the 33 BlazePose landmarks are, in BlazePose's numbering and in metres.
    pub fn landmarks(&self) -> [Vec3; 33] {
        let mut at = [Vec3::ZERO; 33];
        at[0] = self.head + vec3(0.0, -0.014, 0.114);
        for (i, side) in Side::BOTH.into_iter().enumerate() {
            let s = side.sign();
            let face = |x: f32, y, z| self.head + vec3(s * x, y, z);
            let (arm, leg) = (&self.arms[i], &self.legs[i]);
            let hand = |x: f32, y, z| arm.wrist + arm.hand * vec3(s * x, y, z);
            at[1 + 3 * i] = face(0.018, 0.025, 0.085);
            at[2 + 3 * i] = face(0.032, 0.026, 0.084);
            at[3 + 3 * i] = face(0.046, 0.025, 0.076);
            at[7 + i] = face(0.076, 0.004, 0.004);
            at[9 + i] = face(0.026, -0.05, 0.084);
            at[11 + i] = arm.shoulder;
            at[13 + i] = arm.elbow;
            at[15 + i] = arm.wrist;
            at[17 + i] = hand(0.0, -0.075, -0.034);
            at[19 + i] = hand(0.0, -0.085, 0.026);
            at[21 + i] = hand(-0.005, -0.055, 0.045);
            at[23 + i] = leg.hip;
            at[25 + i] = leg.knee;
            at[27 + i] = leg.ankle;
            at[29 + i] = leg.heel();
            at[31 + i] = leg.toe();
        }
        at
    }

    /// From the floor to the top of the hair, in metres.
    pub fn height(&self) -> f32 {
        self.head.y + HEAD_TO_CROWN
    }

    fn stand(&mut self) {
        let lowest = self
            .legs
            .iter()
            .flat_map(|leg| [leg.heel().y, leg.toe().y])
            .fold(f32::INFINITY, f32::min);
        let rise = vec3(0.0, SOLE - lowest, 0.0);
        self.head += rise;
        for arm in &mut self.arms {
            arm.shoulder += rise;
            arm.elbow += rise;
            arm.wrist += rise;
        }
        for leg in &mut self.legs {
            leg.hip += rise;
            leg.knee += rise;
            leg.ankle += rise;
        }
    }
}

impl LegJoints {
    /// Back of the heel.
    pub(super) fn heel(&self) -> Vec3 {
        self.ankle + self.foot * vec3(0.0, -0.05, -0.05)
    }

    /// Base of the big toe, BlazePose's "foot index".
    pub(super) fn toe(&self) -> Vec3 {
        self.ankle + self.foot * vec3(0.0, -0.06, 0.135)
    }
}

fn limb_rotation(swing: f32, spread: f32, side: Side) -> Quat {
    Quat::from_rotation_x(-swing) * Quat::from_rotation_z(side.sign() * spread)
}

fn arm(angles: &Arm, side: Side, twist: f32) -> ArmJoints {
    let trunk = Quat::from_rotation_y(twist);
    let upper = trunk * limb_rotation(angles.swing, angles.spread, side);
    let fore = upper * Quat::from_rotation_x(-angles.bend);
    let shoulder = trunk * vec3(side.sign() * SHOULDER_HALF_WIDTH, HIPS_TO_SHOULDERS, 0.0);
    let elbow = shoulder + upper * vec3(0.0, -UPPER_ARM, 0.0);
    let wrist = elbow + fore * vec3(0.0, -FOREARM, 0.0);
    ArmJoints { shoulder, elbow, wrist, hand: fore }
}

fn leg(angles: &Leg, side: Side) -> LegJoints {
    let upper = limb_rotation(angles.swing, angles.spread, side);
    let lower = upper * Quat::from_rotation_x(angles.bend);
    let hip = vec3(side.sign() * HIP_HALF_WIDTH, 0.0, 0.0);
    let knee = hip + upper * vec3(0.0, -THIGH, 0.0);
    let ankle = knee + lower * vec3(0.0, -SHANK, 0.0);
    // The ankle gives way to the floor: the foot follows the shank only in part.
    let foot = Quat::from_rotation_y(side.sign() * 0.2)
        * Quat::from_rotation_x(0.6 * (angles.bend - angles.swing));
    LegJoints { hip, knee, ankle, foot }
}
