//! pose.bvh and pose.glb of a walk, read back: both have the skeleton that was fitted.

use super::bvh::BvhWriter;
use super::glb::GlbWriter;
use super::markers::RowRate;
use crate::motion::synthetic_walk::{FRONT, Walk};
use crate::motion::vector::{Vector, add, length, subtract};
use crate::motion::{JOINT_COUNT, JOINTS, Posture, Rotation, SkeletonRecording};
use crate::output::writer::{EMPTY_SUMMARY, FrameWriter};
use crate::pose::{Frame, Person};
use bodyscript_protocol::pose::Pose;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek};
use std::time::Duration;

const FRAMES: usize = 300;
/// In these the person is missing.
const GAP: std::ops::Range<usize> = 100..110;

/// With this frame another track begins, in which the first pose is left out.
const SECOND_TRACK: usize = 200;

fn glb(file: File) -> GlbWriter {
    GlbWriter::new(file, SkeletonRecording::default())
}

struct Motion {
    times: Vec<Duration>,
    poses: Vec<Option<Pose>>,
    recording: SkeletonRecording,
}

impl Motion {
    fn walk(frames: usize) -> Self {
        let walk = Walk { turn: 0.5, turn_per_s: 1.5, noise_m: [0.002; 3], ..FRONT };
        let (times, poses) = walk.frames(frames, 9);
        let times: Vec<Duration> = times.into_iter().map(Duration::from_secs_f64).collect();
        let is_there = |i: usize| !GAP.contains(&i);
        let poses: Vec<Option<Pose>> =
            poses.into_iter().enumerate().map(|(i, pose)| is_there(i).then_some(pose)).collect();
        let mut recording = SkeletonRecording::default();
        for (i, (time, pose)) in times.iter().zip(&poses).enumerate() {
            recording.add(*time, pose.as_ref().filter(|_| i != SECOND_TRACK));
        }
        Self { times, poses, recording }
    }

    /// What a writer makes of it.
    fn written<W: FrameWriter>(&self, create: impl Fn(File) -> W) -> Vec<u8> {
        let mut file = tempfile::tempfile().expect("a file");
        let mut writer = Box::new(create(file.try_clone().expect("a handle")));
        for (id, (time, pose)) in (0..).zip(self.times.iter().zip(&self.poses)) {
            // The second track follows the first one at once.
            let track = u32::from(id as usize >= SECOND_TRACK);
            let person = |pose| Person { id: 0, track, pose, strategy: "track", filtered: None };
            let people: Vec<Person> = pose.map(person).into_iter().collect();
            let frame = Frame { id, time: *time, source_time: *time, people: &people };
            writer.write(&frame).expect("written");
        }
        writer.finish(&EMPTY_SUMMARY).expect("completed");
        file.rewind().expect("it seeks");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("bytes");
        bytes
    }

    /// Compares the places of all joints in all frames.
    fn compare(&self, offsets: &[Vector], postures: &[Posture]) {
        let proportions = self.recording.proportions();
        assert_eq!(postures.len(), self.poses.len());
        for (frame, (read, fitted)) in postures.iter().zip(self.recording.postures()).enumerate() {
            let fitted = fitted.joints(&proportions);
            let mut joints = [(read.hips, read.rotations[0]); JOINT_COUNT];
            for (i, joint) in JOINTS.iter().enumerate() {
                if let Some(parent) = joint.parent {
                    let (place, rotation) = joints[parent];
                    let rotated = rotation.after(read.rotations[i]);
                    joints[i] = (add(place, rotation.rotate(offsets[i])), rotated);
                }
                let apart = length(subtract(joints[i].0, fitted[i].0));
                assert!(apart < 1e-4, "joint {i} in frame {frame} is {apart} m away");
            }
        }
    }
}

fn about(axis: usize, degrees: f64) -> Rotation {
    let (sin, cos) = (degrees.to_radians() / 2.0).sin_cos();
    let mut quaternion = [0.0, 0.0, 0.0, cos];
    quaternion[axis] = sin;
    Rotation::of_quaternion(quaternion)
}

#[test]
fn bvh_has_the_joints_of_the_fitted_skeleton() {
    let motion = Motion::walk(FRAMES);
    let rate = || RowRate::new(Some(30.0), Some(1));
    let bytes = motion.written(|file| BvhWriter::new(file, rate(), SkeletonRecording::default()));
    let text = String::from_utf8(bytes).expect("text");
    let (head, rows) = text.split_once("MOTION\n").expect("two parts");
    let numbers = |line: &str| -> Vec<f64> {
        line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
    };
    let lines: Vec<&str> = head.lines().map(str::trim).collect();
    let offsets: Vec<Vector> = lines
        .windows(3)
        .filter(|lines| lines[0].starts_with("ROOT") || lines[0].starts_with("JOINT"))
        .map(|lines| numbers(lines[2].strip_prefix("OFFSET").expect("an offset")))
        .map(|offset| [offset[0], offset[1], offset[2]])
        .collect();
    let mut rows = rows.lines();
    assert_eq!(rows.next(), Some("Frames:        300"));
    assert_eq!(rows.next(), Some("Frame Time:      0.033333333"));
    let rows: Vec<Vec<f64>> = rows.map(numbers).collect();
    for pair in rows.windows(2) {
        assert!(pair[0][3..].iter().zip(&pair[1][3..]).all(|(a, b)| (a - b).abs() < 180.0));
    }
    let posture = |row: &Vec<f64>| {
        let angles = |i: usize| [0, 1, 2].map(|k| row[3 + 3 * i + k]);
        let rotation = |[z, x, y]: [f64; 3]| about(2, z).after(about(0, x)).after(about(1, y));
        let rotations = std::array::from_fn(|i| rotation(angles(i)));
        Posture { hips: [row[0], row[1], row[2]], rotations }
    };
    motion.compare(&offsets, &rows.iter().map(posture).collect::<Vec<_>>());
}

/// A GLB taken apart.
struct Glb {
    document: Value,
    binary: Vec<u8>,
}

impl Glb {
    fn of(bytes: &[u8]) -> Self {
        let number = |at: usize| {
            u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
        };
        assert_eq!((&bytes[..4], number(4), number(8)), (&b"glTF"[..], 2, bytes.len()));
        let (document, binary) = (20..20 + number(12), 28 + number(12));
        assert_eq!((&bytes[16..20], &bytes[binary - 4..binary]), (&b"JSON"[..], &b"BIN\0"[..]));
        assert_eq!((number(12) % 4, binary + number(binary - 8)), (0, bytes.len()));
        let document = serde_json::from_slice(&bytes[document]).expect("a document");
        Self { document, binary: bytes[binary..].to_vec() }
    }

    /// The numbers of an accessor.
    fn numbers<const N: usize>(&self, accessor: &Value) -> Vec<[f64; N]> {
        let accessor = &self.document["accessors"][accessor.as_u64().expect("a number") as usize];
        let view = &self.document["bufferViews"]
            [accessor["bufferView"].as_u64().expect("a view") as usize];
        let [start, bytes] =
            ["byteOffset", "byteLength"].map(|key| view[key].as_u64().expect("a number") as usize);
        let bytes = &self.binary[start..start + bytes];
        let floats: Vec<f64> =
            bytes.as_chunks().0.iter().map(|it| f32::from_le_bytes(*it).into()).collect();
        let values: Vec<[f64; N]> = floats.as_chunks().0.to_vec();
        assert_eq!(accessor["count"], values.len());
        values
    }
}

#[test]
fn glb_has_the_joints_of_the_fitted_skeleton_at_the_times_of_the_frames() {
    let motion = Motion::walk(FRAMES);
    let file = Glb::of(&motion.written(glb));
    let animation = &file.document["animations"][0];
    let samplers = animation["samplers"].as_array().expect("samplers");
    let times = file.numbers::<1>(&samplers[0]["input"]);
    assert!(
        times.iter().zip(&motion.times).all(|([is], time)| (is - time.as_secs_f64()).abs() < 1e-6)
    );
    let hips = file.numbers::<3>(&samplers[0]["output"]);
    let rotations: Vec<Vec<[f64; 4]>> =
        samplers[1..].iter().map(|sampler| file.numbers::<4>(&sampler["output"])).collect();
    for track in &rotations {
        let is_near =
            |pair: &[[f64; 4]]| pair[0].iter().zip(pair[1]).map(|(a, b)| a * b).sum::<f64>() > 0.0;
        assert!(track.windows(2).all(is_near), "quaternions do not change their sign");
    }
    let postures: Vec<Posture> = (0..hips.len())
        .map(|frame| Posture {
            hips: hips[frame],
            rotations: std::array::from_fn(|i| Rotation::of_quaternion(rotations[i][frame])),
        })
        .collect();
    let nodes = &file.document["nodes"].as_array().expect("nodes")[..JOINT_COUNT];
    let offset = |node: &Value| [0, 1, 2].map(|k| node["translation"][k].as_f64().expect("metres"));
    motion.compare(&nodes.iter().map(offset).collect::<Vec<_>>(), &postures);
}

#[test]
fn glb_without_frames_is_a_body_at_rest() {
    let file = Glb::of(&Motion::walk(0).written(glb));
    assert_eq!(file.document["animations"], Value::Null);
    let low = file.numbers::<3>(&0.into()).iter().map(|[_, y, _]| *y).fold(f64::MAX, f64::min);
    assert!(low.abs() < 0.03, "{low}");
}
