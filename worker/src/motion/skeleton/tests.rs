//! The skeleton on walks of known joints.

use super::super::synthetic_walk::{FRONT, Walk};
use super::super::vector::{length, scale, subtract};
use super::joints::SOLES;
use super::*;
use bodyscript_protocol::skeleton;
use std::time::Duration;

fn recorded(walk: &Walk, frames: usize, seed: u64) -> (SkeletonRecording, Vec<Pose>) {
    let (times, poses) = walk.frames(frames, seed);
    let mut recording = SkeletonRecording::default();
    for (time, pose) in times.into_iter().zip(&poses) {
        recording.add(Duration::from_secs_f64(time), Some(pose));
    }
    (recording, poses)
}

fn index(name: &str) -> usize {
    skeleton::JOINTS.iter().position(|joint| joint.name == name).expect("a joint")
}

/// Joints and the landmarks whose places they have.
const PLACES: [(&str, usize); 12] = [
    ("LeftArm", 11),
    ("RightArm", 12),
    ("LeftForeArm", 13),
    ("RightForeArm", 14),
    ("LeftHand", 15),
    ("RightHand", 16),
    ("LeftUpLeg", 23),
    ("RightUpLeg", 24),
    ("LeftLeg", 25),
    ("RightLeg", 26),
    ("LeftFoot", 27),
    ("RightFoot", 28),
];

#[test]
fn sides_mirror_each_other() {
    let usual = Proportions::default();
    for (left, skeleton::Joint { name, .. }) in skeleton::JOINTS.iter().enumerate() {
        let right = index(&name.replace("Left", "Right"));
        let [x, y, z] = usual.offset(&JOINTS[left]);
        let mirrored = if left == right { [x, y, z] } else { [-x, y, z] };
        assert_eq!(usual.offset(&JOINTS[right]), mirrored, "{name}");
    }
}

#[test]
fn joints_are_where_the_landmarks_are_and_bones_keep_their_lengths() {
    for turn in [0.0, 1.0, 2.5, -1.6] {
        let (recording, poses) = recorded(&Walk { turn, ..FRONT }, 300, 1);
        let proportions = recording.proportions();
        assert_eq!(recording.frames(), poses.len());
        for (pose, posture) in poses.iter().zip(recording.postures()) {
            let joints = posture.joints(&proportions);
            for (name, landmark) in PLACES {
                let [x, y, z] = pose[landmark].world.map(f64::from);
                let place = subtract(joints[index(name)].0, posture.hips);
                let apart = length(subtract(place, [x, -y, -z]));
                assert!(apart < 0.01, "{name} is {apart} m from landmark {landmark}");
            }
            for (i, (joint, (place, _))) in JOINTS.iter().zip(joints).enumerate() {
                let Some(parent) = joint.parent else { continue };
                let bone = length(subtract(place, joints[parent].0));
                assert!((bone - length(proportions.offset(joint))).abs() < 1e-9, "{i}");
            }
        }
    }
}

/// The places of toes and heels in each frame.
fn soles(recording: &SkeletonRecording) -> Vec<[Vector; 4]> {
    let proportions = recording.proportions();
    let of_posture = |posture: Posture| {
        let joints = posture.joints(&proportions);
        SOLES.map(|sole| position(&sole, &joints, &proportions))
    };
    recording.postures().map(of_posture).collect()
}

#[test]
fn a_standing_foot_stays_on_the_floor_and_the_walk_goes_forwards() {
    let noise_m = [0.002, 0.002, 0.004];
    let (recording, _) = recorded(&Walk { turn: 0.7, noise_m, ..FRONT }, 150, 2);
    let soles = soles(&recording);
    // What is clearly lower than everything else stands.
    let standing = |soles: &[Vector; 4]| {
        let height = |sole: usize| soles[sole][1];
        let lowest = (0..4).min_by(|a, b| height(*a).total_cmp(&height(*b))).expect("soles");
        (0..4).all(|sole| sole == lowest || height(sole) - height(lowest) > 0.01).then_some(lowest)
    };
    let mut last: Option<(usize, Vector)> = None;
    let mut stood = 0;
    for places in &soles {
        let Some(sole) = standing(places) else { continue };
        let place = places[sole];
        assert!(place[1].abs() < 0.01, "{} m above the floor", place[1]);
        match last {
            Some((before, start)) if before == sole => {
                let drift = (place[0] - start[0]).hypot(place[2] - start[2]);
                assert!(drift < 0.01, "sole {sole} drifts {drift} m");
                stood += 1;
            }
            _ => last = Some((sole, place)),
        }
    }
    assert!(stood > 60, "{stood} of {}", soles.len());
    let hips: Vec<Vector> = recording.postures().map(|posture| posture.hips).collect();
    let moved = subtract(hips[149], hips[0]);
    let forwards = moved[0] * 0.7_f64.sin() + moved[2] * 0.7_f64.cos();
    assert!((3.0..8.0).contains(&forwards), "{forwards} m in 5 s");
}

#[test]
fn the_feet_of_a_person_who_stands_still_do_not_drift() {
    let noise_m = [0.002, 0.002, 0.004];
    let walk = Walk { pace: 0.0, turn: 0.4, noise_m, ..FRONT };
    let soles = soles(&recorded(&walk, 600, 4).0);
    let mean = |part: &[[Vector; 4]], sole: usize, axis: usize| {
        part.iter().map(|soles| soles[sole][axis]).sum::<f64>() / part.len() as f64
    };
    for (sole, axis) in (0..4).flat_map(|sole| [0, 1, 2].map(|axis| (sole, axis))) {
        let drift = mean(&soles[500..], sole, axis) - mean(&soles[..100], sole, axis);
        assert!(drift.abs() < 0.01, "sole {sole} moved {drift} m along axis {axis}");
    }
}

#[test]
fn without_a_pose_the_skeleton_stays_and_goes_on_from_there() {
    let (_, poses) = FRONT.frames(40, 3);
    let mut recording = SkeletonRecording::default();
    let coinciding = [Default::default(); bodyscript_protocol::pose::LANDMARKS];
    let frames =
        [None, Some(&poses[0]), Some(&poses[5]), None, Some(&poses[39]), Some(&coinciding)];
    frames.iter().for_each(|pose| recording.add(Duration::ZERO, *pose));
    let postures: Vec<Posture> = recording.postures().collect();
    assert_eq!(postures[0].rotations, [Rotation::NONE; JOINT_COUNT]);
    assert_eq!(postures[3], postures[2]);
    let apart = subtract(postures[4].hips, postures[3].hips);
    assert!(apart[0].hypot(apart[2]) < 1e-9, "{apart:?}");
    assert!(postures[5].hips.iter().all(|value| value.is_finite()));
    assert_eq!(SkeletonRecording::default().postures().count(), 0);
}

#[test]
fn a_larger_person_has_longer_bones_and_the_same_rotations() {
    let (times, poses) = FRONT.frames(30, 1);
    let recorded = |mut recording: SkeletonRecording| {
        let frames = times.iter().zip(&poses);
        frames.for_each(|(time, pose)| recording.add(Duration::from_secs_f64(*time), Some(pose)));
        recording
    };
    let [usual, large] = [1.0, 1.1].map(|scale| recorded(SkeletonRecording::scaled(scale)));
    for joint in &JOINTS {
        let [usual, large] = [&usual, &large].map(|it| it.proportions().offset(joint));
        assert!(length(subtract(large, scale(usual, 1.1))) < 1e-12);
    }
    for (usual, large) in usual.postures().zip(large.postures()) {
        assert_eq!(usual.rotations, large.rotations);
        assert!((large.hips[1] - 1.1 * usual.hips[1]).abs() < 1e-9);
    }
}
