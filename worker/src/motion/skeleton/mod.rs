//! A skeleton of fixed bone lengths, fitted to the landmarks of each frame and moved so that feet stand.
//!
//! Landmarks in metres are relative to the hips, and the bones between them change their lengths. Here lengths are
//! those of all frames ([`Proportions`]); of each frame the directions of the bones are kept, as rotations of joints
//! ([`SkeletonRecording`]), and the position of the hips follows from the foot that stands ([`planting`]). A limb's
//! rotation about its own axis is not known from landmarks: it is the least that leads there from the parent's. The
//! rest pose is a T: Y up, Z forwards, X to the person's left. The floor is at height 0.

mod body;
mod joints;
mod planting;
mod proportions;
mod recording;

pub use joints::{ENDS, JOINT_COUNT, JOINTS, Joint};
pub use proportions::Proportions;
pub use recording::{SKELETON_BYTES_PER_FRAME, SkeletonRecording};

use super::rotation::Rotation;
use super::vector::{Vector, add, unit};
use body::Body;
use bodyscript_protocol::pose::Pose;
use joints::Aim;

/// Rotation of each joint relative to its parent.
pub type Rotations = [Rotation; JOINT_COUNT];

/// One frame of the skeleton.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posture {
    /// Position of the hips.
    pub hips: Vector,
    /// The rotations.
    pub rotations: Rotations,
}

impl Posture {
    /// The position and the rotation of each joint in the scene.
    pub fn joints(&self, proportions: &Proportions) -> [(Vector, Rotation); JOINT_COUNT] {
        let mut joints = [(self.hips, self.rotations[0]); JOINT_COUNT];
        for (i, joint) in JOINTS.iter().enumerate() {
            if let Some(parent) = joint.parent {
                let (_, rotation) = joints[parent];
                let place = position(joint, &joints, proportions);
                joints[i] = (place, rotation.after(self.rotations[i]));
            }
        }
        joints
    }
}

/// The position of a joint or an end, given the joints before it.
fn position(joint: &Joint, joints: &[(Vector, Rotation)], proportions: &Proportions) -> Vector {
    let offset = proportions.offset(joint);
    match joint.parent {
        Some(parent) => add(joints[parent].0, joints[parent].1.rotate(offset)),
        None => offset,
    }
}

/// The rotations of the joints that a pose has.
fn rotations(pose: &Pose) -> Rotations {
    let body = Body::of(pose);
    let mut in_scene = [Rotation::NONE; JOINT_COUNT];
    let mut rotations = [Rotation::NONE; JOINT_COUNT];
    for (i, joint) in JOINTS.iter().enumerate() {
        let parent = joint.parent.map_or(Rotation::NONE, |parent| in_scene[parent]);
        let rotation = match joint.aim {
            Aim::Pelvis => body.pelvis(),
            Aim::Chest => body.chest(parent),
            Aim::Head => body.head(),
            Aim::Foot(side) => body.foot(side),
            Aim::Bone(rest, line) => unit(body.line(line))
                .map(|direction| Rotation::between(parent.rotate(rest), direction).after(parent)),
            Aim::End => None,
        };
        // Where landmarks coincide there is no direction.
        in_scene[i] = rotation.unwrap_or(parent);
        rotations[i] = parent.inverse().after(in_scene[i]);
    }
    rotations
}

#[cfg(test)]
mod tests;
