//! The positions of figures. Built by tests, read by the renderer and the projection.

use glam::{Affine3A, Quat, vec3};

use super::body::Clothes;
use super::pose::Pose;

/// One person on the floor of the scene.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figure {
    /// The posture.
    pub pose: Pose,
    /// Metres to the right of the scene's centre, seen by a camera at yaw 0.
    pub x: f32,
    /// Metres towards a camera at yaw 0.
    pub z: f32,
    /// Turn about the vertical in radians; 0 faces a camera at yaw 0, positive turns to the
    /// subject's left.
    pub turn: f32,
    /// What the person wears.
    pub clothes: Clothes,
}

impl Figure {
    /// The motion from the figure's own frame to the scene's.
    pub(super) fn placement(&self) -> Affine3A {
        Affine3A::from_rotation_translation(
            Quat::from_rotation_y(self.turn),
            vec3(self.x, 0.0, self.z),
        )
    }
}

impl From<Pose> for Figure {
    fn from(pose: Pose) -> Self {
        Self { pose, ..Self::default() }
    }
}

/// The people in front of the camera; an empty room if there are none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// The people.
    pub figures: Vec<Figure>,
}

impl Scene {
    /// A room without a person.
    pub fn empty() -> Self {
        Self::default()
    }

    /// One person for each pose, from left to right in the picture, `spacing_m` metres apart and
    /// dressed differently.
    pub fn side_by_side(poses: &[Pose], spacing_m: f32) -> Self {
        const SHIRTS: [[u8; 3]; 4] = [[40, 90, 170], [170, 50, 50], [50, 130, 70], [200, 150, 40]];
        let centre = (poses.len() as f32 - 1.0) / 2.0;
        let place = |(i, pose): (usize, &Pose)| Figure {
            pose: *pose,
            x: (i as f32 - centre) * spacing_m,
            clothes: Clothes { shirt: SHIRTS[i % SHIRTS.len()], ..Clothes::default() },
            ..Figure::default()
        };
        Self { figures: poses.iter().enumerate().map(place).collect() }
    }
}

impl From<Pose> for Scene {
    fn from(pose: Pose) -> Self {
        Self { figures: vec![pose.into()] }
    }
}
