//! The angles of the larger joints of one pose, as they are in all outputs.
//!
//! Angles are in degrees, from the world landmarks, which are in metres and turned upright with
//! the picture. They are zero in upright standing with hanging arms and feet square to the
//! shanks; their signs are those of the ISB recommendations (Wu et al., J Biomech 35:543, 2002,
//! and 38:981, 2005): flexion, dorsiflexion and abduction are positive. Landmarks are points, so
//! a limb's rotation about its own axis cannot be determined, and no sequence of Cardan angles is used:
//!
//! - knee, elbow: how far the lower segment deviates from the line of the upper one, 0 to 180.
//! - ankle: 90 less the angle between shank (ankle to knee) and foot (heel to foot index).
//! - hip, shoulder: direction of thigh or upper arm against the trunk. Flexion is its projection
//!   on the sagittal plane; abduction its elevation out of that plane, -90 to 90.
//!   Close to the axis of flexion, where the projection is undefined, flexion is left empty.
//! - trunk: the line from the middle of the hips to that of the shoulders against the vertical
//!   of the picture: flexion forwards, lateral flexion to the person's right; rotation is the
//!   turn of the shoulders against the hips, to the person's left.
//!
//! `supervisor/assets/angles.js` has the same formulas for the result page.

mod series;

pub(super) use series::{AngleSeries, PersonAngles};

use bodyscript_protocol::layout::ANGLES as NAMES;
use bodyscript_protocol::pose::Pose;

/// Least share of a limb in the sagittal plane for its flexion to be defined: ten degrees.
const SAGITTAL_SHARE_MIN: f64 = 0.17;
/// A length below this, in metres, has no direction.
const LENGTH_M_MIN: f64 = 1e-6;

type Vector = [f64; 3];
/// In the order of [`NAMES`]; none where an angle is not defined.
pub(super) type Angles = [Option<f64>; NAMES.len()];

/// The angles of one pose; none where landmarks coincide.
fn angles(pose: &Pose) -> Angles {
    // Y up and Z towards the camera, which keeps the axes right-handed.
    let at = |i: usize| {
        let [x, y, z] = pose[i].world.map(f64::from);
        [x, -y, -z]
    };
    let segment = |from: usize, to: usize| subtract(at(to), at(from));
    let middle = |i: usize, j: usize| add(at(i), at(j)).map(|sum| sum / 2.0);
    let trunk = subtract(middle(11, 12), middle(23, 24));
    let (hips, shoulders) = (segment(23, 24), segment(11, 12));
    let pelvis = Axes::of(trunk, hips);
    let chest = Axes::of(trunk, shoulders);
    let side = |side: usize| {
        let outwards = if side == 0 { -1.0 } else { 1.0 };
        let (hip, knee, ankle) = (23 + side, 25 + side, 27 + side);
        let (shoulder, elbow, wrist) = (11 + side, 13 + side, 15 + side);
        let (thigh, shank) = (segment(hip, knee), segment(knee, ankle));
        let (upper_arm, forearm) = (segment(shoulder, elbow), segment(elbow, wrist));
        let foot = segment(29 + side, 31 + side);
        [
            pelvis.and_then(|axes| axes.flexion(thigh)),
            pelvis.and_then(|axes| axes.abduction(thigh, outwards)),
            between(thigh, shank),
            between(shank.map(|value| -value), foot).map(|angle| 90.0 - angle),
            chest.and_then(|axes| axes.flexion(upper_arm)),
            chest.and_then(|axes| axes.abduction(upper_arm, outwards)),
            between(upper_arm, forearm),
        ]
    };
    // The pelvis axes with the vertical up: its axis to the right is made horizontal.
    let level = Axes::of([0.0, 1.0, 0.0], [hips[0], 0.0, hips[2]]);
    let mut angles = [None; NAMES.len()];
    angles[..7].copy_from_slice(&side(0));
    angles[7..14].copy_from_slice(&side(1));
    angles[14] = level.map(|axes| dot(trunk, axes.forwards).atan2(trunk[1]).to_degrees());
    angles[15] = level.map(|axes| dot(trunk, axes.right).atan2(trunk[1]).to_degrees());
    angles[16] = pelvis.zip(chest).map(|(pelvis, chest)| {
        let sine = dot(cross(pelvis.right, chest.right), pelvis.up);
        sine.atan2(dot(pelvis.right, chest.right)).to_degrees()
    });
    angles
}

/// Three orthogonal directions of a part of the body.
#[derive(Clone, Copy)]
struct Axes {
    forwards: Vector,
    up: Vector,
    right: Vector,
}

impl Axes {
    /// Along `up`, and along the component of `right` that is orthogonal to it.
    fn of(up: Vector, right: Vector) -> Option<Self> {
        let up = unit(up)?;
        let forwards = unit(cross(up, right))?;
        Some(Self { forwards, up, right: cross(forwards, up) })
    }

    fn flexion(&self, limb: Vector) -> Option<f64> {
        let limb = unit(limb)?;
        let (forwards, down) = (dot(limb, self.forwards), -dot(limb, self.up));
        let is_defined = forwards.hypot(down) >= SAGITTAL_SHARE_MIN;
        is_defined.then(|| forwards.atan2(down).to_degrees())
    }

    fn abduction(&self, limb: Vector, outwards: f64) -> Option<f64> {
        let limb = unit(limb)?;
        Some((outwards * dot(limb, self.right)).clamp(-1.0, 1.0).asin().to_degrees())
    }
}

/// The angle between two directions, 0 to 180 degrees.
fn between(a: Vector, b: Vector) -> Option<f64> {
    Some(dot(unit(a)?, unit(b)?).clamp(-1.0, 1.0).acos().to_degrees())
}

fn unit(v: Vector) -> Option<Vector> {
    let length = dot(v, v).sqrt();
    // False for NaN as well.
    (length > LENGTH_M_MIN).then(|| v.map(|value| value / length))
}

fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn subtract(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests;
