//! The angles of bodies in known postures.

use super::*;
use bodyscript_protocol::pose::{LANDMARKS, Landmark};

/// A body with all angles zero: landmark, and metres to the left, up and forwards of the hips.
const NEUTRAL: [(usize, Vector); 16] = [
    (11, [0.18, 0.5, 0.0]),
    (12, [-0.18, 0.5, 0.0]),
    (13, [0.18, 0.2, 0.0]),
    (14, [-0.18, 0.2, 0.0]),
    (15, [0.18, -0.05, 0.0]),
    (16, [-0.18, -0.05, 0.0]),
    (23, [0.1, 0.0, 0.0]),
    (24, [-0.1, 0.0, 0.0]),
    (25, [0.1, -0.4, 0.0]),
    (26, [-0.1, -0.4, 0.0]),
    (27, [0.1, -0.8, 0.0]),
    (28, [-0.1, -0.8, 0.0]),
    (29, [0.1, -0.85, -0.05]),
    (30, [-0.1, -0.85, -0.05]),
    (31, [0.1, -0.85, 0.15]),
    (32, [-0.1, -0.85, 0.15]),
];
const LEFT: Vector = [1.0, 0.0, 0.0];
const UP: Vector = [0.0, 1.0, 0.0];
const FORWARDS: Vector = [0.0, 0.0, 1.0];

pub(super) struct Body([Vector; LANDMARKS]);

impl Body {
    fn neutral() -> Self {
        let mut at = [[0.0; 3]; LANDMARKS];
        NEUTRAL.iter().for_each(|(i, place)| at[*i] = *place);
        Self(at)
    }

    /// Rotates landmarks about an axis through another, right-handed (Rodrigues).
    fn turn(mut self, (about, axis): (usize, Vector), deg: f64, landmarks: &[usize]) -> Self {
        let centre = self.0[about];
        let (sin, cos) = deg.to_radians().sin_cos();
        for i in landmarks {
            let v = subtract(self.0[*i], centre);
            let (across, along) = (cross(axis, v), dot(axis, v) * (1.0 - cos));
            let turned = [0, 1, 2].map(|k| v[k] * cos + across[k] * sin + axis[k] * along);
            self.0[*i] = add(centre, turned);
        }
        self
    }

    /// Standing upright with the left arm raised forwards.
    pub(super) fn arm_raised_forwards(deg: f64) -> Self {
        Self::neutral().turn((11, LEFT), -deg, &[13, 15])
    }

    /// Its landmarks when it faces the camera.
    pub(super) fn facing_the_camera(&self) -> Pose {
        self.seen(|v| [v[0], -v[1], -v[2]])
    }

    fn seen(&self, view: impl Fn(&Vector) -> Vector) -> Pose {
        self.0
            .each_ref()
            .map(|v| Landmark { world: view(v).map(|value| value as f32), ..Landmark::default() })
    }

    /// The named angle when the body faces the camera and when it stands sideways to it.
    fn angle(&self, name: &str) -> [Option<f64>; 2] {
        let column = NAMES.iter().position(|it| *it == name).expect("a column");
        let sideways = self.seen(|v| [v[2], -v[1], v[0]]);
        [self.facing_the_camera(), sideways].map(|pose| angles(&pose)[column])
    }

    fn assert(&self, name: &str, expected: f64) {
        for angle in self.angle(name) {
            let angle = angle.unwrap_or_else(|| panic!("{name} is undefined"));
            assert!((angle - expected).abs() < 0.01, "{name}: {angle}, not {expected}");
        }
    }
}

#[test]
fn all_angles_are_zero_when_standing_upright() {
    NAMES.iter().for_each(|name| Body::neutral().assert(name, 0.0));
}

#[test]
fn each_joint_angle_has_its_value_and_sign() {
    let turned =
        |pivot, axis, deg, landmarks: &[usize]| Body::neutral().turn((pivot, axis), deg, landmarks);
    let left_leg = [25, 27, 29, 31];
    // A right-handed rotation about the axis to the left moves hanging limbs backwards.
    turned(23, LEFT, -40.0, &left_leg).assert("left_hip_flexion_deg", 40.0);
    turned(23, LEFT, 15.0, &left_leg).assert("left_hip_flexion_deg", -15.0);
    turned(24, FORWARDS, -20.0, &[26, 28, 30, 32]).assert("right_hip_abduction_deg", 20.0);
    turned(23, FORWARDS, 20.0, &left_leg).assert("left_hip_abduction_deg", 20.0);
    turned(25, LEFT, 65.0, &[27, 29, 31]).assert("left_knee_flexion_deg", 65.0);
    turned(27, LEFT, -12.0, &[29, 31]).assert("left_ankle_dorsiflexion_deg", 12.0);
    turned(28, LEFT, 30.0, &[30, 32]).assert("right_ankle_dorsiflexion_deg", -30.0);
    Body::arm_raised_forwards(120.0).assert("left_shoulder_flexion_deg", 120.0);
    turned(12, FORWARDS, -70.0, &[14, 16]).assert("right_shoulder_abduction_deg", 70.0);
    turned(14, LEFT, -90.0, &[16]).assert("right_elbow_flexion_deg", 90.0);
}

#[test]
fn trunk_flexion_is_forwards_lateral_flexion_to_the_right_and_rotation_to_the_left() {
    let above = [11, 12, 13, 14, 15, 16];
    let centre = 0;
    let turned = |axis, deg| Body::neutral().turn((centre, axis), deg, &above);
    turned(LEFT, 25.0).assert("trunk_flexion_deg", 25.0);
    turned(LEFT, 25.0).assert("left_hip_flexion_deg", 25.0);
    turned(FORWARDS, 10.0).assert("trunk_lateral_flexion_deg", 10.0);
    turned(UP, 30.0).assert("trunk_rotation_deg", 30.0);
    turned(UP, 30.0).assert("right_shoulder_flexion_deg", 0.0);
}

#[test]
fn flexion_is_undefined_on_its_axis_and_all_angles_for_coinciding_landmarks() {
    let held_out = Body::neutral().turn((11, FORWARDS), 90.0, &[13, 15]);
    held_out.assert("left_shoulder_abduction_deg", 90.0);
    assert_eq!(held_out.angle("left_shoulder_flexion_deg"), [None; 2]);
    let undefined = [Landmark { world: [f32::NAN; 3], ..Landmark::default() }; LANDMARKS];
    assert_eq!(angles(&undefined), [None; NAMES.len()]);
    assert_eq!(angles(&[Landmark::default(); LANDMARKS]), [None; NAMES.len()]);
}
