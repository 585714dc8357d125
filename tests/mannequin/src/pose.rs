//! Joint angles: what a test sets to put a figure in a posture. Called by tests and the clip
//! encoder; it knows no lengths and no pictures, which are the skeleton's and the camera's.

use std::f32::consts::TAU;

/// Duration of one gait cycle (two steps) of [`Pose::walking`], in seconds.
pub const GAIT_CYCLE_S: f64 = 1.2;

/// One arm's angles in radians; all zero is an arm hanging straight down.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Arm {
    /// Shoulder flexion: positive carries the arm forwards and up.
    pub swing: f32,
    /// Shoulder abduction: positive carries the arm away from the trunk, π/2 is level.
    pub spread: f32,
    /// Elbow flexion: positive closes the elbow forwards.
    pub bend: f32,
}

/// One leg's angles in radians; all zero is a leg standing straight.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Leg {
    /// Hip flexion: positive carries the thigh forwards.
    pub swing: f32,
    /// Hip abduction: positive carries the thigh away from the other.
    pub spread: f32,
    /// Knee flexion: positive closes the knee backwards.
    pub bend: f32,
}

/// A posture of the whole body. Left and right are the subject's own.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pose {
    /// The left arm.
    pub left_arm: Arm,
    /// The right arm.
    pub right_arm: Arm,
    /// The left leg.
    pub left_leg: Leg,
    /// The right leg.
    pub right_leg: Leg,
    /// Turn of the shoulders against the pelvis in radians, positive towards the subject's left.
    pub twist: f32,
}

impl Pose {
    /// Standing at ease: arms a little away from the body, the same on both sides.
    pub fn still() -> Self {
        let arm = Arm { swing: 0.05, spread: 0.3, bend: 0.2 };
        let leg = Leg { swing: 0.0, spread: 0.05, bend: 0.0 };
        Self { left_arm: arm, right_arm: arm, left_leg: leg, right_leg: leg, twist: 0.0 }
    }

    /// Walking on the spot, `time_s` seconds into the motion; repeats every [`GAIT_CYCLE_S`].
    pub fn walking(time_s: f64) -> Self {
        // Reduced in f64: in f32 the phase would wander after some minutes.
        let phase = (time_s / GAIT_CYCLE_S).rem_euclid(1.0) as f32 * TAU;
        let (left_leg, right_leg) = (striding_leg(phase), striding_leg(phase + TAU / 2.0));
        Self {
            left_arm: counter_swinging_arm(phase),
            right_arm: counter_swinging_arm(phase + TAU / 2.0),
            left_leg,
            right_leg,
            twist: 0.1 * phase.sin(),
        }
    }

    /// The posture seen in a mirror: left and right exchanged.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self {
            left_arm: self.right_arm,
            right_arm: self.left_arm,
            left_leg: self.right_leg,
            right_leg: self.left_leg,
            twist: -self.twist,
        }
    }
}

/// The knee flexes while the thigh travels forwards, so that the foot clears the floor.
fn striding_leg(phase: f32) -> Leg {
    let lift = phase.cos().max(0.0);
    Leg { swing: 0.08 + 0.38 * phase.sin(), spread: 0.04, bend: 0.1 + 0.75 * lift * lift }
}

/// Each arm swings with the opposite leg.
fn counter_swinging_arm(phase: f32) -> Arm {
    let forwards = -phase.sin();
    Arm { swing: 0.05 + 0.3 * forwards, spread: 0.42, bend: 0.4 + 0.2 * forwards }
}
