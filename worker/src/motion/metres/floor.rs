//! The floor as a line in the picture: where feet stand.

use super::Pixel;
use super::even_sample::EvenSample;
use crate::motion::outliers::median;
use std::collections::VecDeque;

/// Heels and toes.
pub(super) const SOLES: [usize; 4] = [29, 30, 31, 32];
/// A foot stands that has not moved for so long, in seconds.
const STANDING_S: f64 = 0.1;
/// What counts as not moved, in metres of the landmark model.
const UNMOVED_M_MAX: f64 = 0.05;
/// Frames that are remembered, enough for that time at 240 frames per second.
const FRAMES_MAX: usize = 32;
/// Points that are kept: each pair of them has a slope.
const POINTS_MAX: usize = 256;
/// The slope is measured where feet stand at least this far apart, in metres of the landmark model: less says more of
/// the width of a step than of the floor.
const APART_M_MIN: f64 = 0.8;

/// Where feet stand in the frames so far.
#[derive(Debug, Default)]
pub(super) struct StandingFeet {
    recent: VecDeque<Feet>,
    points: EvenSample<Pixel, POINTS_MAX>,
    /// The lowest of heels and toes in each frame: where the floor is if no foot stands.
    lowest: EvenSample<Pixel, POINTS_MAX>,
}

/// Heels and toes in one frame.
#[derive(Debug, Clone, Copy)]
struct Feet {
    time: f64,
    track: u32,
    soles: [Pixel; SOLES.len()],
}

/// Which slopes of the floor are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slope {
    /// It is what the feet say.
    Measured,
    /// The floor is level.
    Level,
}

/// The line of the floor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Floor {
    /// Its height at the left edge of the picture, and what is added for each pixel to the right.
    at_left: f64,
    slope: f64,
}

impl StandingFeet {
    /// Adds [`SOLES`] in the next pose of a track, in which a metre of the landmark model measures so many pixels.
    pub(super) fn add(
        &mut self,
        (time, track): (f64, u32),
        soles: [Pixel; SOLES.len()],
        pixels_per_metre: f64,
    ) {
        let lowest = soles.into_iter().max_by(|a, b| a[1].total_cmp(&b[1]));
        lowest.into_iter().for_each(|lowest| self.lowest.add(lowest));
        // The latest frame that is long enough ago, and those after it.
        let is_old = |feet: &Feet| feet.time <= time - STANDING_S;
        while self.recent.len() > 1 && is_old(&self.recent[1]) {
            self.recent.pop_front();
        }
        if let Some(before) = self.recent.front()
            && is_old(before)
            && before.track == track
            && time - before.time < 2.0 * STANDING_S
        {
            for (now, before) in soles.iter().zip(&before.soles) {
                let moved = (now[0] - before[0]).hypot(now[1] - before[1]);
                if moved < UNMOVED_M_MAX * pixels_per_metre {
                    self.points.add(*now);
                }
            }
        }
        if self.recent.len() == FRAMES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Feet { time, track, soles });
    }

    /// The floor, where a metre of the landmark model measures so many pixels; none if there was no pose.
    pub(super) fn floor(&self, slope: Slope, pixels_per_metre: f64) -> Option<Floor> {
        let points = match self.points.values() {
            [] => self.lowest.values(),
            points => points,
        };
        let slope = match slope {
            Slope::Measured => median_slope(self.points.values(), APART_M_MIN * pixels_per_metre),
            Slope::Level => 0.0,
        };
        let mut heights: Vec<f64> = points.iter().map(|[x, y]| y - slope * x).collect();
        (!heights.is_empty()).then(|| Floor { at_left: median(&mut heights), slope })
    }
}

/// The median of the slopes between all points that are far enough apart (Theil and Sen): a few that are wrong have no
/// influence. Zero if there are none.
fn median_slope(points: &[Pixel], apart_min: f64) -> f64 {
    let mut slopes = Vec::new();
    for (n, [x, y]) in points.iter().enumerate() {
        let others = points[n + 1..].iter().filter(|other| (other[0] - x).abs() >= apart_min);
        slopes.extend(others.map(|other| (other[1] - y) / (other[0] - x)));
    }
    if slopes.is_empty() { 0.0 } else { median(&mut slopes) }
}

impl Floor {
    /// The direction of the floor to the right; its length is one.
    pub(super) fn along(&self) -> [f64; 2] {
        let length = 1.0_f64.hypot(self.slope);
        [1.0 / length, self.slope / length]
    }

    /// The point of the floor from which this place is straight up.
    pub(super) fn below(&self, [x, y]: Pixel) -> Pixel {
        let [along_x, along_y] = self.along();
        let from_left = x * along_x + (y - self.at_left) * along_y;
        [from_left * along_x, self.at_left + from_left * along_y]
    }
}
