//! The landmarks of one pose as points of a body: Y up, Z towards the camera.

use super::joints::{Line, SPINE_SHARE};
use crate::motion::rotation::Rotation;
use crate::motion::vector::{Vector, add, cross, length, scale, subtract};
use bodyscript_protocol::pose::{LANDMARKS, Pose};

/// The positions of the landmarks, in metres from the hips.
pub(super) struct Body([Vector; LANDMARKS]);

/// Lines of the body, by landmarks.
pub(super) const TRUNK: Line = Line { from: [23, 24], to: [11, 12] };
const THROUGH_HIPS: Line = Line { from: [24, 24], to: [23, 23] };
const THROUGH_SHOULDERS: Line = Line { from: [12, 12], to: [11, 11] };
const THROUGH_EARS: Line = Line { from: [8, 8], to: [7, 7] };
const FACE: Line = Line { from: [7, 8], to: [0, 0] };

impl Body {
    /// The body of a pose.
    pub(super) fn of(pose: &Pose) -> Self {
        Self(pose.map(|landmark| {
            let [x, y, z] = landmark.world.map(f64::from);
            [x, -y, -z]
        }))
    }

    /// The position of a landmark.
    pub(super) fn at(&self, landmark: usize) -> Vector {
        self.0[landmark]
    }

    /// From one end of a line to the other.
    pub(super) fn line(&self, Line { from, to }: Line) -> Vector {
        let middle = |[a, b]: [usize; 2]| scale(add(self.at(a), self.at(b)), 0.5);
        subtract(middle(to), middle(from))
    }

    /// The axes of the pelvis.
    pub(super) fn pelvis(&self) -> Option<Rotation> {
        Rotation::of_left(self.line(THROUGH_HIPS), self.line(TRUNK))
    }

    /// The axes of the chest, which begins a quarter of the trunk above the hips, by the axes of the pelvis.
    pub(super) fn chest(&self, pelvis: Rotation) -> Option<Rotation> {
        let trunk = self.line(TRUNK);
        let below = pelvis.rotate([0.0, SPINE_SHARE * length(trunk), 0.0]);
        Rotation::of_up(subtract(trunk, below), self.line(THROUGH_SHOULDERS))
    }

    /// The axes of the head.
    pub(super) fn head(&self) -> Option<Rotation> {
        Rotation::of_forwards(self.line(FACE), self.line(THROUGH_EARS))
    }

    /// The axes of the left foot (0) or the right one (1): Z from heel to toes, the ankle above.
    pub(super) fn foot(&self, side: usize) -> Option<Rotation> {
        let (ankle, heel, toes) = (27 + side, 29 + side, 31 + side);
        let forwards = self.line(Line { from: [heel; 2], to: [toes; 2] });
        let up = self.line(Line { from: [heel, toes], to: [ankle; 2] });
        Rotation::of_forwards(forwards, cross(up, forwards))
    }
}
