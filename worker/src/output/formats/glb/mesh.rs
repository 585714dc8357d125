//! A body for the skeleton: one slim octahedron for each bone, in the rest pose.

use crate::motion::vector::{Vector, add, cross, length, scale, subtract, unit};
use crate::motion::{ENDS, JOINT_COUNT, JOINTS, Joint, Proportions};

const BONES: usize = JOINT_COUNT - 1 + ENDS.len();
/// Corners of an octahedron.
const CORNERS: usize = 6;
/// Where a bone is thickest, and how thick, in lengths of the bone.
const WAIST: f64 = 0.15;
const RADIUS: f64 = 0.1;
/// Triangles between the start (0), the waist (1 to 4) and the end (5).
const TRIANGLES: [[u16; 3]; 8] =
    [[0, 2, 1], [0, 3, 2], [0, 4, 3], [0, 1, 4], [5, 1, 2], [5, 2, 3], [5, 3, 4], [5, 4, 1]];

pub(super) const VERTICES: usize = BONES * CORNERS;
pub(super) const INDICES: usize = BONES * 3 * TRIANGLES.len();

/// The body.
pub(super) struct Mesh {
    /// Positions of the joints.
    pub(super) joints: [Vector; JOINT_COUNT],
    /// Positions of the corners.
    pub(super) vertices: Vec<[f32; 3]>,
    /// The joint that moves each of them.
    pub(super) moved_by: Vec<u8>,
    /// Corners of the triangles.
    pub(super) indices: Vec<u16>,
}

impl Mesh {
    /// A body of these lengths that stands on the floor.
    pub(super) fn new(proportions: &Proportions) -> Self {
        let joints = standing_joints(proportions);
        let (vertices, moved_by, indices) = (Vec::new(), Vec::new(), Vec::new());
        let mut mesh = Self { joints, vertices, moved_by, indices };
        for joint in JOINTS.iter().chain(&ENDS) {
            if let Some(parent) = joint.parent {
                let start = joints[parent];
                mesh.add_bone(parent, start, add(start, proportions.offset(joint)));
            }
        }
        mesh
    }

    /// The lowest and the highest coordinates of the corners.
    pub(super) fn bounds(&self) -> [[f32; 3]; 2] {
        let extreme = |pick: fn(f32, f32) -> f32| {
            self.vertices.iter().copied().reduce(|a, b| [0, 1, 2].map(|k| pick(a[k], b[k])))
        };
        [extreme(f32::min), extreme(f32::max)].map(Option::unwrap_or_default)
    }

    fn add_bone(&mut self, joint: usize, start: Vector, end: Vector) {
        let bone = subtract(end, start);
        let radius = RADIUS * length(bone);
        // Any axis across does.
        let [x, _, z] = unit(bone).unwrap_or([0.0, 1.0, 0.0]);
        let axis = if x.abs() < z.abs() { [1.0, 0.0, 0.0] } else { [0.0, 0.0, 1.0] };
        let across = unit(cross(bone, axis)).unwrap_or(axis);
        let other = unit(cross(bone, across)).unwrap_or(axis);
        let waist = add(start, scale(bone, WAIST));
        let corner = |direction: Vector, sign: f64| add(waist, scale(direction, sign * radius));
        let corners = [
            start,
            corner(across, 1.0),
            corner(other, 1.0),
            corner(across, -1.0),
            corner(other, -1.0),
            end,
        ];
        let first = self.vertices.len() as u16;
        self.indices.extend(TRIANGLES.as_flattened().iter().map(|corner| first + corner));
        self.vertices.extend(corners.map(|corner| corner.map(|metres| metres as f32)));
        self.moved_by.extend([joint as u8; CORNERS]);
    }
}

/// The joints of the rest pose with the lowest one's toes on the floor.
fn standing_joints(proportions: &Proportions) -> [Vector; JOINT_COUNT] {
    let mut joints = [[0.0; 3]; JOINT_COUNT];
    let place = |joint: &Joint, joints: &[Vector]| {
        let start = joint.parent.map_or([0.0; 3], |parent| joints[parent]);
        add(start, proportions.offset(joint))
    };
    for (i, joint) in JOINTS.iter().enumerate().skip(1) {
        joints[i] = place(joint, &joints);
    }
    let lowest = ENDS.iter().map(|end| place(end, &joints)[1]).fold(0.0, f64::min);
    joints.map(|[x, y, z]| [x, y - lowest, z])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bone_has_its_corners_and_the_body_stands_on_the_floor() {
        let mesh = Mesh::new(&Proportions::default());
        assert_eq!((mesh.vertices.len(), mesh.moved_by.len()), (VERTICES, VERTICES));
        assert_eq!(mesh.indices.len(), INDICES);
        assert!(mesh.indices.iter().all(|index| usize::from(*index) < VERTICES));
        let [low, high] = mesh.bounds();
        assert!(low[1].abs() < 0.03, "{low:?}");
        assert!((1.5..1.9).contains(&high[1]), "{high:?}");
        assert!((low[0] + high[0]).abs() < 1e-6, "symmetric");
    }
}
