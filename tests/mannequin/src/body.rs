//! Body, hair and clothes around a skeleton. Called by the renderer. Everything is placed relative
//! to the skeleton's joints, so a landmark never moves without the picture moving with it.

use glam::{Vec3, vec3};

use super::skeleton::{ArmJoints, LegJoints, Side, Skeleton};
use super::solid::{Part, Shape};

/// Skin colour, sRGB.
pub const SKIN: [u8; 3] = [224, 172, 135];
const HAIR: [u8; 3] = [45, 30, 20];
const LIPS: [u8; 3] = [172, 82, 76];
const EYE_WHITE: [u8; 3] = [245, 245, 245];
const IRIS: [u8; 3] = [25, 22, 30];

/// Colours of a figure's clothes, sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clothes {
    /// The short-sleeved shirt.
    pub shirt: [u8; 3],
    /// The trousers.
    pub trousers: [u8; 3],
    /// The shoes.
    pub shoes: [u8; 3],
}

impl Default for Clothes {
    fn default() -> Self {
        Self { shirt: [40, 90, 170], trousers: [52, 52, 62], shoes: [228, 228, 228] }
    }
}

/// All parts of a dressed body, in the figure's own frame.
pub(super) fn body(skeleton: &Skeleton, clothes: &Clothes) -> Vec<Part> {
    let mut parts = head(skeleton);
    parts.push(part(clothes.shirt, 0.06, shirt(skeleton)));
    parts.push(part(clothes.trousers, 0.04, trousers(skeleton)));
    for (i, side) in Side::BOTH.into_iter().enumerate() {
        parts.push(part(SKIN, 0.015, arm(&skeleton.arms[i], side)));
        parts.push(part(SKIN, 0.01, bare_ankle(&skeleton.legs[i])));
        parts.push(part(clothes.shoes, 0.02, shoe(&skeleton.legs[i])));
    }
    parts
}

fn part(colour: [u8; 3], blend: f32, shapes: Vec<Shape>) -> Part {
    Part::new(Vec3::from(colour.map(f32::from)) / 255.0, blend, shapes)
}

fn head(skeleton: &Skeleton) -> Vec<Part> {
    let head = skeleton.head;
    let collar = (skeleton.arms[0].shoulder + skeleton.arms[1].shoulder) / 2.0;
    let ball = |at: Vec3, radii: Vec3| Shape::ellipsoid(head + at, radii);
    let mut skin = vec![
        ball(vec3(0.0, 0.025, 0.0), vec3(0.073, 0.095, 0.094)),
        ball(vec3(0.0, -0.045, 0.025), vec3(0.054, 0.056, 0.064)),
        Shape::capsule(collar + vec3(0.0, 0.02, 0.0), 0.058, head + vec3(0.0, -0.04, -0.01), 0.054),
        Shape::capsule(head + vec3(0.0, 0.022, 0.088), 0.008, head + vec3(0.0, -0.016, 0.1), 0.014),
    ];
    let hair = vec![
        ball(vec3(0.0, 0.055, -0.022), vec3(0.082, 0.085, 0.095)),
        ball(vec3(0.0, 0.0, -0.045), vec3(0.074, 0.085, 0.066)),
    ];
    let (mut brows, mut whites, mut irises) = (Vec::new(), Vec::new(), Vec::new());
    for side in Side::BOTH {
        let s = side.sign();
        skin.push(ball(vec3(s * 0.074, 0.004, 0.004), vec3(0.012, 0.03, 0.018)));
        whites.push(ball(vec3(s * 0.032, 0.025, 0.077), vec3(0.016, 0.009, 0.012)));
        irises.push(ball(vec3(s * 0.032, 0.025, 0.084), vec3(0.008, 0.008, 0.008)));
        brows.push(Shape::capsule(
            head + vec3(s * 0.016, 0.048, 0.089),
            0.005,
            head + vec3(s * 0.05, 0.048, 0.076),
            0.004,
        ));
    }
    let lips = vec![ball(vec3(0.0, -0.05, 0.081), vec3(0.027, 0.009, 0.013))];
    vec![
        part(SKIN, 0.02, skin),
        part(HAIR, 0.02, hair),
        part(HAIR, 0.002, brows),
        part(EYE_WHITE, 0.002, whites),
        part(IRIS, 0.002, irises),
        part(LIPS, 0.002, lips),
    ]
}

fn shirt(skeleton: &Skeleton) -> Vec<Shape> {
    let [left, right] = &skeleton.arms;
    let collar = (left.shoulder + right.shoulder) / 2.0;
    let hem = (skeleton.legs[0].hip + skeleton.legs[1].hip) / 2.0 + vec3(0.0, 0.07, 0.0);
    let across = 0.7 * (left.shoulder - collar);
    // Two columns side by side make a trunk that is wider than it is deep.
    let mut shapes = vec![Shape::capsule(collar + across, 0.055, collar - across, 0.055)];
    for arm in [left, right] {
        let outwards = arm.shoulder - collar;
        let chest = collar + 0.32 * outwards + vec3(0.0, -0.12, 0.0);
        let waist = hem + 0.28 * outwards + vec3(0.0, 0.1, 0.0);
        shapes.push(Shape::capsule(chest, 0.105, waist, 0.09));
        shapes.push(Shape::capsule(waist, 0.09, hem + 0.3 * outwards, 0.1));
        let sleeve_end = arm.shoulder.lerp(arm.elbow, 0.45);
        shapes.push(Shape::capsule(arm.shoulder, 0.054, sleeve_end, 0.057));
    }
    shapes
}

fn trousers(skeleton: &Skeleton) -> Vec<Shape> {
    let [left, right] = &skeleton.legs;
    let up = vec3(0.0, 0.03, 0.0);
    let mut shapes = vec![Shape::capsule(
        0.8 * left.hip + 0.2 * right.hip + up,
        0.095,
        0.8 * right.hip + 0.2 * left.hip + up,
        0.095,
    )];
    for leg in [left, right] {
        shapes.push(Shape::capsule(leg.hip, 0.085, leg.knee, 0.058));
        shapes.push(Shape::capsule(leg.knee, 0.058, leg.knee.lerp(leg.ankle, 0.87), 0.046));
    }
    shapes
}

fn arm(joints: &ArmJoints, side: Side) -> Vec<Shape> {
    let at = |x: f32, y, z| joints.wrist + joints.hand * vec3(side.sign() * x, y, z);
    let finger = |z: f32, splay: f32, tip: f32| {
        Shape::capsule(at(0.0, -0.075, z), 0.013, at(-0.01, -tip, z + splay), 0.01)
    };
    vec![
        Shape::capsule(joints.shoulder, 0.05, joints.elbow, 0.042),
        Shape::capsule(joints.elbow, 0.042, joints.wrist, 0.028),
        Shape::capsule(joints.wrist, 0.026, at(0.0, -0.07, 0.018), 0.022),
        Shape::capsule(joints.wrist, 0.026, at(0.0, -0.065, -0.02), 0.02),
        Shape::capsule(at(0.0, -0.02, 0.02), 0.018, at(-0.01, -0.085, 0.055), 0.011),
        finger(0.024, 0.012, 0.15),
        finger(0.004, 0.002, 0.16),
        finger(-0.012, -0.004, 0.15),
        finger(-0.028, -0.012, 0.125),
    ]
}

fn bare_ankle(leg: &LegJoints) -> Vec<Shape> {
    let instep = leg.ankle + leg.foot * vec3(0.0, -0.03, 0.03);
    vec![
        Shape::capsule(leg.knee, 0.05, leg.ankle, 0.035),
        Shape::capsule(leg.ankle, 0.035, instep, 0.03),
    ]
}

fn shoe(leg: &LegJoints) -> Vec<Shape> {
    let at = |y, z| leg.ankle + leg.foot * vec3(0.0, y, z);
    vec![
        Shape::capsule(at(-0.03, -0.01), 0.042, at(-0.05, 0.11), 0.036),
        Shape::capsule(at(-0.045, -0.015), 0.042, at(-0.055, 0.15), 0.034),
    ]
}
