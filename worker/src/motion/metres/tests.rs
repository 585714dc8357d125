//! The scale of the scene on synthetic walks from left to right.

use super::*;
use bodyscript_mannequin::{Pose as Posture, Skeleton, distance_walked};
use bodyscript_protocol::pose::Landmark;

const SIZE: [u32; 2] = [1280, 720];
const PIXELS_PER_METRE: f64 = 240.0;
const FRAMES: u32 = 80;
const RATE_HZ: f64 = 30.0;
/// How large the landmark model takes the person for.
const MODEL: f64 = 0.9;
const LEFT_ANKLE: usize = 27;
const HIPS: [usize; 2] = [23, 24];

/// A floor that rises by so many degrees, and a person who grows by this factor until the end.
#[derive(Clone, Copy)]
struct SideView {
    slope_degrees: f64,
    growth: f64,
}

const LEVEL: SideView = SideView { slope_degrees: 0.0, growth: 1.0 };

fn time(frame: u32) -> f64 {
    f64::from(frame) / RATE_HZ
}

fn height_m() -> f64 {
    Skeleton::new(&Posture::still()).height().into()
}

/// The joints in the scene: X forwards over the floor, Y up, Z to the camera.
fn joints(frame: u32) -> [[f64; 3]; LANDMARKS] {
    let distance = distance_walked(time(frame));
    Skeleton::new(&Posture::walking(time(frame))).landmarks().map(|joint| {
        let [left, up, forwards] = joint.to_array();
        [forwards + distance, up, -left].map(f64::from)
    })
}

fn middle(joints: &[[f64; 3]; LANDMARKS]) -> [f64; 3] {
    let [left, right] = HIPS.map(|hip| joints[hip]);
    std::array::from_fn(|axis| (left[axis] + right[axis]) / 2.0)
}

impl SideView {
    fn pose(&self, frame: u32) -> Pose {
        let (sin, cos) = self.slope_degrees.to_radians().sin_cos();
        let grown = 1.0 + (self.growth - 1.0) * f64::from(frame) / f64::from(FRAMES);
        let turned = joints(frame).map(|[x, y, z]| [x * cos - y * sin, x * sin + y * cos, z]);
        let hips = middle(&turned);
        turned.map(|joint| {
            let [x, y, _] = joint.map(|metres| metres * PIXELS_PER_METRE * grown);
            let [right, up, near] = std::array::from_fn(|axis| MODEL * (joint[axis] - hips[axis]));
            Landmark {
                x: ((200.0 + x) / f64::from(SIZE[0])) as f32,
                y: ((650.0 - y) / f64::from(SIZE[1])) as f32,
                visibility: 0.9,
                presence: 0.9,
                world: [right, -up, -near].map(|metres| metres as f32),
                ..Landmark::default()
            }
        })
    }

    fn surveyed(&self, frames: u32) -> Surveyed {
        survey((0..frames).map(|frame| self.pose(frame)))
    }
}

fn survey(poses: impl Iterator<Item = Pose>) -> Surveyed {
    let mut survey = MetresSurvey::new(SIZE);
    (0..).zip(poses).for_each(|(frame, pose)| survey.add((time(frame), 0), &pose));
    survey.finish(height_m())
}

#[test]
fn positions_are_metres_in_the_scene_whatever_the_slope_of_the_floor() {
    for slope_degrees in [0.0, -8.0, 5.0] {
        let view = SideView { slope_degrees, ..LEVEL };
        let found = view.surveyed(FRAMES);
        let scale = found.scale.expect("a scale");
        assert!(!found.depth_changes);
        assert!((scale.floor_slope_degrees() - slope_degrees).abs() < 0.3, "{scale:?}");
        // Heels and toes of a foot that stands are this high above the floor on which the shoe is.
        let first = joints(0);
        let origin = [middle(&first)[0], 0.03, middle(&first)[2]];
        for frame in [0, 17, FRAMES - 1] {
            let expected = joints(frame);
            for (i, found) in scale.positions(&view.pose(frame)).iter().enumerate() {
                for axis in 0..3 {
                    let expected = expected[i][axis] - origin[axis];
                    let apart = (f64::from(found[axis]) - expected).abs();
                    assert!(apart < 0.015 * expected.abs() + 0.02, "{frame} {i} {axis}: {apart}");
                }
            }
        }
    }
}

#[test]
fn a_person_who_comes_nearer_is_told_and_says_nothing_of_the_slope() {
    let found = SideView { slope_degrees: 3.0, growth: 1.25 }.surveyed(FRAMES);
    assert!(found.depth_changes);
    assert_eq!(found.scale.expect("a scale").floor_slope_degrees(), 0.0);
}

#[test]
fn who_stands_still_has_a_level_floor_at_the_feet() {
    let pose = LEVEL.pose(0);
    let scale = survey(std::iter::repeat_n(pose, 30)).scale.expect("a scale");
    assert_eq!(scale.floor_slope_degrees(), 0.0);
    let positions = scale.positions(&pose);
    assert!(positions[29..].iter().any(|sole| sole[1].abs() < 0.02), "{:?}", &positions[29..]);
    assert!(HIPS.iter().map(|hip| positions[*hip][0]).sum::<f32>().abs() < 1e-3);
}

#[test]
fn who_is_seen_for_a_moment_or_in_part_only_is_not_measured() {
    let none = Surveyed { scale: None, depth_changes: false };
    assert_eq!(survey(std::iter::empty()), none);
    assert_eq!(LEVEL.surveyed(7), none);
    let without_legs = |frame| {
        let mut pose = LEVEL.pose(frame);
        pose[HIPS[0]..].iter_mut().for_each(|landmark| landmark.visibility = 0.1);
        pose
    };
    assert_eq!(survey((0..FRAMES).map(without_legs)), none);
}

#[test]
fn parts_that_point_to_the_camera_follow_from_the_others() {
    let shown = LEVEL.surveyed(FRAMES).scale.expect("a scale");
    let hidden = |frame| {
        let mut pose = LEVEL.pose(frame);
        (LEFT_ANKLE..LEFT_ANKLE + 2).for_each(|ankle| pose[ankle].visibility = 0.1);
        pose
    };
    let found = survey((0..FRAMES).map(hidden)).scale.expect("a scale");
    let ratio = found.pixels_per_metre() / shown.pixels_per_metre();
    assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
}
