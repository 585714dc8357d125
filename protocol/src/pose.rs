//! The 33 BlazePose landmarks: names, numbers, connections.
//!
//! Source of the numbering: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose
//! Tracking" (2020), and the MediaPipe Pose documentation. Left and right are the person's own.

use serde::{Deserialize, Serialize};

/// How many landmarks a pose has.
pub const LANDMARKS: usize = 33;

/// One landmark of one person in one frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Landmark {
    /// Horizontal position as a fraction of the upright picture's width; may lie outside 0..1.
    pub x: f32,
    /// Vertical position as a fraction of the upright picture's height; may lie outside 0..1.
    pub y: f32,
    /// Depth relative to the middle of the hips, in the scale of `x`; smaller is nearer.
    pub z: f32,
    /// Probability that the landmark is visible (in the picture and not hidden).
    pub visibility: f32,
    /// Probability that the landmark lies within the picture.
    pub presence: f32,
    /// Position in metres, origin in the middle of the hips, axes as `x`, `y`, `z`.
    pub world: [f32; 3],
}

/// One person's landmarks, in the order of [`NAMES`].
pub type Pose = [Landmark; LANDMARKS];

/// Names of the landmarks by number.
pub const NAMES: [&str; LANDMARKS] = [
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
];

/// Pairs of landmarks joined by a line in the skeleton.
pub const CONNECTIONS: [(usize, usize); 35] = [
    (0, 1),
    (1, 2),
    (2, 3),
    (3, 7),
    (0, 4),
    (4, 5),
    (5, 6),
    (6, 8),
    (9, 10),
    (11, 12),
    (11, 13),
    (13, 15),
    (15, 17),
    (15, 19),
    (15, 21),
    (17, 19),
    (12, 14),
    (14, 16),
    (16, 18),
    (16, 20),
    (16, 22),
    (18, 20),
    (11, 23),
    (12, 24),
    (23, 24),
    (23, 25),
    (24, 26),
    (25, 27),
    (26, 28),
    (27, 29),
    (28, 30),
    (29, 31),
    (30, 32),
    (27, 31),
    (28, 32),
];

/// Mean visibility over all landmarks of one pose.
pub fn mean_visibility(pose: &Pose) -> f32 {
    pose.iter().map(|landmark| landmark.visibility).sum::<f32>() / LANDMARKS as f32
}

/// Number of the same landmark on the other side of the body; the nose is its own.
pub const fn mirror_of(landmark: usize) -> usize {
    match landmark {
        0 => 0,
        // Eyes come in threes.
        1..=3 => landmark + 3,
        4..=6 => landmark - 3,
        left if left % 2 == 1 => landmark + 1,
        _ => landmark - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrored_landmarks_have_the_same_name_on_the_other_side() {
        for (i, name) in NAMES.iter().enumerate() {
            let other = match name.contains("left") {
                true => name.replace("left", "right"),
                false => name.replace("right", "left"),
            };
            assert_eq!(NAMES[mirror_of(i)], other);
        }
    }
}
