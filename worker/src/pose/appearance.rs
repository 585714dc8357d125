//! The appearance of a person: the mean colours of trunk and thighs. Used by `identity` to tell
//! people apart and to recognise those that were lost for a moment.

use crate::picture::{Picture, Pixels};
use bodyscript_protocol::pose::Pose;

const LEFT_SHOULDER: usize = 11;
const RIGHT_SHOULDER: usize = 12;
const LEFT_HIP: usize = 23;
const RIGHT_HIP: usize = 24;
const LEFT_KNEE: usize = 25;
const RIGHT_KNEE: usize = 26;
/// Points per side of the sampling grid.
const GRID: usize = 6;
/// Share of a new sample in the running mean: small, so that a short occlusion by another person
/// does not replace the colours.
const NEW_SHARE: f32 = 0.05;

/// Red, green and blue of the trunk, then of the thighs, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Appearance([f32; 6]);

impl Appearance {
    /// Samples the appearance of a person in a picture.
    pub(super) fn of(picture: &Picture, pose: &Pose) -> Self {
        let at = |i: usize| [pose[i].x, pose[i].y];
        let trunk = [LEFT_SHOULDER, RIGHT_SHOULDER, RIGHT_HIP, LEFT_HIP].map(at);
        let thighs = [LEFT_HIP, RIGHT_HIP, RIGHT_KNEE, LEFT_KNEE].map(at);
        let ([a, b, c], [d, e, f]) = (mean_colour(picture, trunk), mean_colour(picture, thighs));
        Self([a, b, c, d, e, f])
    }

    /// The running mean with a new sample.
    pub(super) fn updated(&self, sample: &Self) -> Self {
        let mean = |i: usize| self.0[i] + NEW_SHARE * (sample.0[i] - self.0[i]);
        Self(std::array::from_fn(mean))
    }

    /// One grey from top to bottom.
    #[cfg(test)]
    pub(super) const fn plain(grey: f32) -> Self {
        Self([grey; 6])
    }

    /// The difference of two appearances: 0 for equal, 1 for black against white.
    pub(super) fn difference(&self, other: &Self) -> f32 {
        let squares = self.0.iter().zip(other.0).map(|(a, b)| (a - b).powi(2));
        (squares.sum::<f32>() / 6.0).sqrt()
    }
}

/// Mean colour within four corners, given in fractions of the picture. The edges are excluded,
/// where the background begins.
fn mean_colour(picture: &Picture, [a, b, c, d]: [[f32; 2]; 4]) -> [f32; 3] {
    let mut sum = [0.0; 3];
    let step = |i: usize| (i as f32 + 1.0) / (GRID as f32 + 1.0);
    for (across, down) in (0..GRID).flat_map(|x| (0..GRID).map(move |y| (step(x), step(y)))) {
        let [x, y] = std::array::from_fn(|axis| {
            let upper = a[axis] + across * (b[axis] - a[axis]);
            let lower = d[axis] + across * (c[axis] - d[axis]);
            upper + down * (lower - upper)
        });
        let [columns, rows] = picture.size().map(|size| size as f32);
        let column = (x * columns).clamp(0.0, columns - 1.0) as usize;
        let row = (y * rows).clamp(0.0, rows - 1.0) as usize;
        for (sum, value) in sum.iter_mut().zip(picture.pixel(column, row)) {
            *sum += f32::from(value) / 255.0;
        }
    }
    sum.map(|sum| sum / (GRID * GRID) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Layout, SampleRange};
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};

    fn person_at(x: f32) -> Pose {
        let mut pose = [Landmark::default(); LANDMARKS];
        for (i, dx, y) in [
            (LEFT_SHOULDER, 0.1, 0.1),
            (RIGHT_SHOULDER, 0.0, 0.1),
            (LEFT_HIP, 0.1, 0.5),
            (RIGHT_HIP, 0.0, 0.5),
            (LEFT_KNEE, 0.1, 0.9),
            (RIGHT_KNEE, 0.0, 0.9),
        ] {
            pose[i] = Landmark { x: x + dx, y, ..Landmark::default() };
        }
        pose
    }

    fn black(side: u32) -> Picture {
        let range = SampleRange::Full;
        Picture::new(Layout { width: side, height: side, range, ..Layout::default() })
    }

    #[test]
    fn people_with_different_colours_differ_and_updates_are_slow() {
        let mut picture = black(100);
        let [luma, ..] = picture.planes_mut();
        luma.chunks_exact_mut(100).take(50).for_each(|row| row[..50].fill(255));
        let (light, dark) =
            (Appearance::of(&picture, &person_at(0.2)), Appearance::of(&picture, &person_at(0.7)));
        assert_eq!((light.0[0], light.0[3]), (1.0, 0.0), "a white shirt and black trousers");
        assert!((light.difference(&dark) - 0.5_f32.sqrt()).abs() < 1e-6);
        let slow = light.updated(&dark);
        assert!(slow.difference(&light) < 0.1 * slow.difference(&dark));
    }

    #[test]
    fn people_partly_or_wholly_outside_the_picture_have_an_appearance() {
        let picture = black(10);
        for x in [-3.0, 0.95, 40.0] {
            assert_eq!(Appearance::of(&picture, &person_at(x)), Appearance([0.0; 6]));
        }
    }
}
