//! The skeleton of the formats for animation: its joints, and the head of pose.bvh. Written by the worker, checked by
//! the supervisor.

use std::fmt::Write as _;

/// A joint of the skeleton, named as common in motion capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joint {
    /// Its name.
    pub name: &'static str,
    /// The joint that moves it; the first joint, the root, has none.
    pub parent: Option<usize>,
}

/// All joints, in depth-first order.
pub const JOINTS: [Joint; 18] = [
    Joint { name: "Hips", parent: None },
    Joint { name: "Spine", parent: Some(0) },
    Joint { name: "Neck", parent: Some(1) },
    Joint { name: "Head", parent: Some(2) },
    Joint { name: "LeftShoulder", parent: Some(1) },
    Joint { name: "LeftArm", parent: Some(4) },
    Joint { name: "LeftForeArm", parent: Some(5) },
    Joint { name: "LeftHand", parent: Some(6) },
    Joint { name: "RightShoulder", parent: Some(1) },
    Joint { name: "RightArm", parent: Some(8) },
    Joint { name: "RightForeArm", parent: Some(9) },
    Joint { name: "RightHand", parent: Some(10) },
    Joint { name: "LeftUpLeg", parent: Some(0) },
    Joint { name: "LeftLeg", parent: Some(12) },
    Joint { name: "LeftFoot", parent: Some(13) },
    Joint { name: "RightUpLeg", parent: Some(0) },
    Joint { name: "RightLeg", parent: Some(15) },
    Joint { name: "RightFoot", parent: Some(16) },
];

/// The joints that end a chain, and so have an end site: head, hands and feet.
pub const CHAIN_ENDS: [usize; 5] = [3, 7, 11, 14, 17];

/// Numbers in a row of pose.bvh: the position of the root, and three angles of each joint.
pub const BVH_NUMBERS: usize = 3 + 3 * JOINTS.len();

/// Bytes of a frame in pose.glb: its time, the position of the root and the rotation of each joint.
pub const GLB_FRAME_BYTES: usize = 4 * (1 + 3 + 4 * JOINTS.len());

/// The line between skeleton and rows in pose.bvh.
pub const BVH_MOTION: &str = "MOTION";

/// The lines of pose.bvh that describe the skeleton, given where joints and ends of chains are relative to their
/// parents, in metres.
pub fn bvh_hierarchy(
    joints: &[[f64; 3]; JOINTS.len()],
    ends: &[[f64; 3]; CHAIN_ENDS.len()],
) -> Vec<String> {
    let mut lines = vec!["HIERARCHY".to_owned()];
    for (i, Joint { name, parent }) in JOINTS.iter().enumerate() {
        let depth = depth(i);
        let indent = "\t".repeat(depth);
        let (kind, channels) = match parent {
            None => ("ROOT", "6 Xposition Yposition Zposition"),
            Some(_) => ("JOINT", "3"),
        };
        lines.push(format!("{indent}{kind} {name}"));
        lines.push(format!("{indent}{{"));
        lines.push(format!("{indent}\t{}", offset(joints[i])));
        lines.push(format!("{indent}\tCHANNELS {channels} Zrotation Xrotation Yrotation"));
        if let Some(end) = CHAIN_ENDS.iter().position(|joint| *joint == i) {
            lines.extend([format!("{indent}\tEnd Site"), format!("{indent}\t{{")]);
            lines.push(format!("{indent}\t\t{}", offset(ends[end])));
            lines.push(format!("{indent}\t}}"));
        }
        // What ends here ends all joints that are not its ancestors' or its own.
        let next = JOINTS.get(i + 1).map_or(0, |_| self::depth(i + 1));
        lines.extend((next..=depth).rev().map(|depth| "\t".repeat(depth) + "}"));
    }
    lines
}

/// How many joints move this one.
fn depth(joint: usize) -> usize {
    JOINTS[joint].parent.map_or(0, |parent| 1 + depth(parent))
}

fn offset(metres: [f64; 3]) -> String {
    let mut line = "OFFSET".to_owned();
    for metres in metres {
        // Adding zero makes a negative zero positive.
        let _ = write!(line, " {:.6}", metres + 0.0);
    }
    line
}

/// The two lines of pose.bvh that state the number of rows and the time between them, in seconds. They have the
/// same length for all numbers.
pub fn bvh_motion(rows: u32, frame_s: f64) -> [String; 2] {
    [format!("Frames: {rows:>10}"), format!("Frame Time: {frame_s:>16.9}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_has_each_joint_within_its_parent() {
        let lines = bvh_hierarchy(&[[0.0, 0.5, -0.25]; 18], &[[0.0; 3]; 5]);
        let mut open = Vec::new();
        let mut found = Vec::new();
        for line in lines.iter().skip(1) {
            match line.trim() {
                "{" => {}
                "}" => drop(open.pop().expect("an open joint")),
                "End Site" => open.push("End Site"),
                "OFFSET 0.000000 0.500000 -0.250000" | "OFFSET 0.000000 0.000000 0.000000" => {}
                other if other.starts_with("CHANNELS") => {}
                other => {
                    let (kind, name) = other.split_once(' ').expect("a name");
                    assert_eq!(kind == "ROOT", open.is_empty(), "{other}");
                    let joint = JOINTS.iter().find(|joint| joint.name == name).expect("known");
                    assert_eq!(
                        joint.parent.map(|parent| JOINTS[parent].name),
                        open.last().copied()
                    );
                    open.push(joint.name);
                    found.push(*joint);
                }
            }
        }
        assert_eq!((open.len(), found), (0, JOINTS.to_vec()));
        assert_eq!(lines.iter().filter(|line| line.contains("CHANNELS 6")).count(), 1);
    }

    #[test]
    fn parents_come_first_and_ends_of_chains_move_nothing() {
        for (i, Joint { parent, .. }) in JOINTS.iter().enumerate() {
            assert_eq!(parent.is_none(), i == 0);
            assert!(parent.is_none_or(|parent| parent < i && !CHAIN_ENDS.contains(&parent)));
        }
    }

    #[test]
    fn numbers_of_rows_do_not_change_the_length_of_the_head() {
        let lengths = |lines: [String; 2]| lines.map(|line| line.len());
        assert_eq!(lengths(bvh_motion(0, 1.0)), lengths(bvh_motion(u32::MAX, 0.001)));
    }
}
