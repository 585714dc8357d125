//! Draws a pose over its picture: anti-aliased limbs and joints, coloured by limb. The person's
//! left is cool and the right warm, in hues that stay apart for the colour-blind (Okabe and Ito,
//! "Color Universal Design", 2008).

use crate::picture::Picture;
use bodyscript_protocol::pose::{CONNECTIONS, Pose};

/// Landmarks less visible than this are not drawn.
const VISIBILITY_MIN: f32 = 0.5;
/// Line width as a share of the picture's longer side.
const LINE_SHARE: f32 = 1.0 / 320.0;
/// Narrowest line, in pixels.
const LINE_PX_MIN: f32 = 2.0;

type Rgb = [u8; 3];

const FACE: Rgb = [240, 228, 66];
const TORSO: Rgb = [240, 240, 240];
const LEFT_ARM: Rgb = [86, 180, 233];
const RIGHT_ARM: Rgb = [230, 159, 0];
const LEFT_LEG: Rgb = [0, 158, 115];
const RIGHT_LEG: Rgb = [213, 94, 0];
const JOINT: Rgb = [255, 255, 255];

/// Draws one pose.
pub fn draw(picture: &mut Picture, pose: &Pose) {
    let (width, height) = (picture.width as f32, picture.height as f32);
    let radius = (width.max(height) * LINE_SHARE).max(LINE_PX_MIN) / 2.0;
    let point = |i: usize| {
        let landmark = &pose[i];
        let is_near = landmark.x.abs() < 4.0 && landmark.y.abs() < 4.0;
        (landmark.visibility >= VISIBILITY_MIN && is_near)
            .then_some([landmark.x * width, landmark.y * height])
    };
    for (from, to) in CONNECTIONS {
        if let (Some(a), Some(b)) = (point(from), point(to)) {
            capsule(picture, (a, b), radius, color(from, to));
        }
    }
    for i in 0..pose.len() {
        if let Some(at) = point(i) {
            capsule(picture, (at, at), radius * 1.8, JOINT);
        }
    }
}

fn color(from: usize, to: usize) -> Rgb {
    match (from, to) {
        (0..=10, 0..=10) => FACE,
        (11 | 12 | 23 | 24, 11 | 12 | 23 | 24) => TORSO,
        (_, 11..=22) if to % 2 == 1 => LEFT_ARM,
        (_, 11..=22) => RIGHT_ARM,
        _ if to % 2 == 1 => LEFT_LEG,
        _ => RIGHT_LEG,
    }
}

/// A line with round ends: every pixel is covered as far as its centre lies inside.
fn capsule(picture: &mut Picture, (a, b): ([f32; 2], [f32; 2]), radius: f32, color: Rgb) {
    let reach = radius + 1.0;
    let span = |from: f32, to: f32, size: u32| {
        let low = (from.min(to) - reach).floor().max(0.0) as u32;
        let high = (from.max(to) + reach).ceil().clamp(0.0, size as f32) as u32;
        low.min(high)..high
    };
    let (columns, rows) = (span(a[0], b[0], picture.width), span(a[1], b[1], picture.height));
    for y in rows {
        let row = picture.row_mut(y);
        for x in columns.clone() {
            let distance = distance_to_segment([x as f32 + 0.5, y as f32 + 0.5], a, b);
            let cover = (radius + 0.5 - distance).clamp(0.0, 1.0);
            if cover > 0.0 {
                let at = x as usize * 3;
                blend(&mut row[at..at + 3], color, cover);
            }
        }
    }
}

fn blend(pixel: &mut [u8], color: Rgb, cover: f32) {
    for (value, target) in pixel.iter_mut().zip(color) {
        let mixed = f32::from(*value) + cover * (f32::from(target) - f32::from(*value));
        *value = mixed.round() as u8;
    }
}

fn distance_to_segment(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    let (pa, ba) = ([p[0] - a[0], p[1] - a[1]], [b[0] - a[0], b[1] - a[1]]);
    let length_squared = ba[0] * ba[0] + ba[1] * ba[1];
    let along = if length_squared > 0.0 {
        ((pa[0] * ba[0] + pa[1] * ba[1]) / length_squared).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (pa[0] - along * ba[0]).hypot(pa[1] - along * ba[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};

    fn pose(visibility: f32) -> Pose {
        let mut pose = [Landmark::default(); LANDMARKS];
        for (i, landmark) in pose.iter_mut().enumerate() {
            landmark.x = 0.1 + 0.8 * (i % 6) as f32 / 5.0;
            landmark.y = 0.1 + 0.8 * (i / 6) as f32 / 5.0;
            landmark.visibility = visibility;
        }
        pose
    }

    #[test]
    fn only_visible_landmarks_are_drawn() {
        let mut picture = Picture::new(64, 48);
        draw(&mut picture, &pose(0.49));
        assert!(picture.rgb.iter().all(|value| *value == 0));
        draw(&mut picture, &pose(0.51));
        let at = ((0.1 * 48.0) as u32, (0.1 * 64.0) as usize * 3);
        assert_eq!(picture.row(at.0)[at.1..at.1 + 3], JOINT);
    }

    #[test]
    fn landmarks_outside_or_absurd_do_no_harm() {
        let mut picture = Picture::new(64, 48);
        let mut pose = pose(1.0);
        for (i, bad) in [f32::NAN, f32::INFINITY, -1e30, 3.9, -3.9].into_iter().enumerate() {
            pose[2 * i].x = bad;
            pose[2 * i + 1].y = bad;
        }
        draw(&mut picture, &pose);
    }

    #[test]
    fn every_limb_has_a_colour_of_its_own() {
        let limbs = [(2, 3), (23, 24), (13, 15), (14, 16), (27, 31), (28, 32)];
        let colors: Vec<_> = limbs.iter().map(|(from, to)| color(*from, *to)).collect();
        assert_eq!(colors, [FACE, TORSO, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG]);
        for (i, a) in colors.iter().enumerate() {
            for b in &colors[..i] {
                let apart: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
                assert!(apart > 60, "{a:?} and {b:?}");
            }
        }
    }
}
