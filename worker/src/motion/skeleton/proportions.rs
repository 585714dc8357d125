//! The lengths of the bones of one person: medians over a whole track, in constant memory.

use super::body::{Body, TRUNK};
use super::joints::{Joint, Line};
use crate::motion::vector::{Vector, length, subtract};
use bodyscript_protocol::pose::Pose;

/// A length of the body, equal on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// From the middle of the hips to that of the shoulders.
    Trunk,
    /// From the middle of the shoulders to that of the ears.
    Neck,
    /// From the middle of the ears to the nose.
    Face,
    /// From shoulder to shoulder.
    Shoulders,
    /// From shoulder to elbow.
    UpperArm,
    /// From elbow to wrist.
    Forearm,
    /// From the wrist to the knuckles.
    Hand,
    /// From hip to hip.
    Hips,
    /// From hip to knee.
    Thigh,
    /// From knee to ankle.
    Shank,
    /// From the ankle to the toes, upwards in the axes of the foot.
    ToesUp,
    /// The same forwards.
    ToesForwards,
    /// From the ankle to the heel, upwards.
    HeelUp,
    /// The same forwards.
    HeelForwards,
}

const MEASURES: usize = Measure::HeelForwards as usize + 1;

/// Of an adult, in metres: used where nobody was found.
const USUAL: [f64; MEASURES] =
    [0.50, 0.22, 0.11, 0.35, 0.28, 0.25, 0.08, 0.19, 0.43, 0.41, -0.06, 0.13, -0.05, -0.05];

/// The lines that are measured, of both sides.
const LINES: [(Measure, Line); 15] = [
    (Measure::Trunk, TRUNK),
    (Measure::Neck, Line { from: [11, 12], to: [7, 8] }),
    (Measure::Face, Line { from: [7, 8], to: [0, 0] }),
    (Measure::Shoulders, Line { from: [11, 11], to: [12, 12] }),
    (Measure::Hips, Line { from: [23, 23], to: [24, 24] }),
    (Measure::UpperArm, Line { from: [11, 11], to: [13, 13] }),
    (Measure::UpperArm, Line { from: [12, 12], to: [14, 14] }),
    (Measure::Forearm, Line { from: [13, 13], to: [15, 15] }),
    (Measure::Forearm, Line { from: [14, 14], to: [16, 16] }),
    (Measure::Hand, Line { from: [15, 15], to: [17, 19] }),
    (Measure::Hand, Line { from: [16, 16], to: [18, 20] }),
    (Measure::Thigh, Line { from: [23, 23], to: [25, 25] }),
    (Measure::Thigh, Line { from: [24, 24], to: [26, 26] }),
    (Measure::Shank, Line { from: [25, 25], to: [27, 27] }),
    (Measure::Shank, Line { from: [26, 26], to: [28, 28] }),
];

/// The lengths of the bones of one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportions([f64; MEASURES]);

impl Proportions {
    /// Those of a person so many times as large.
    pub(super) fn scaled(self, factor: f64) -> Self {
        Self(self.0.map(|metres| metres * factor))
    }

    /// Where a joint is in the rest pose relative to its parent.
    pub fn offset(&self, joint: &Joint) -> Vector {
        joint.offset.map(|(factor, measure)| factor * self.0[measure as usize])
    }
}

impl Default for Proportions {
    fn default() -> Self {
        Self(USUAL)
    }
}

/// Measures one person in all frames.
#[derive(Debug)]
pub(super) struct ProportionsMeter {
    lengths: Vec<Lengths>,
}

impl Default for ProportionsMeter {
    fn default() -> Self {
        Self { lengths: vec![Lengths::default(); MEASURES] }
    }
}

impl ProportionsMeter {
    /// Measures a pose.
    pub(super) fn add(&mut self, pose: &Pose) {
        let body = Body::of(pose);
        for (measure, line) in LINES {
            self.count(measure, length(body.line(line)));
        }
        for side in [0, 1] {
            let Some(foot) = body.foot(side) else { continue };
            let from_ankle = |landmark: usize| {
                foot.inverse().rotate(subtract(body.at(landmark + side), body.at(27 + side)))
            };
            let ([_, toes_up, toes_forwards], [_, heel_up, heel_forwards]) =
                (from_ankle(31), from_ankle(29));
            self.count(Measure::ToesUp, toes_up);
            self.count(Measure::ToesForwards, toes_forwards);
            self.count(Measure::HeelUp, heel_up);
            self.count(Measure::HeelForwards, heel_forwards);
        }
    }

    /// The medians; usual lengths where nothing was measured.
    pub(super) fn proportions(&self) -> Proportions {
        let mut proportions = Proportions::default();
        for (value, lengths) in proportions.0.iter_mut().zip(&self.lengths) {
            *value = lengths.median().unwrap_or(*value);
        }
        proportions
    }

    fn count(&mut self, measure: Measure, metres: f64) {
        self.lengths[measure as usize].add(metres);
    }
}

/// The lowest length that is counted by itself, in metres.
const LENGTH_M_MIN: f64 = -0.25;
/// Lengths are counted by the millimetre.
const BINS_PER_M: f64 = 1000.0;
const BINS: usize = 1250;

/// How often each length was measured.
#[derive(Debug, Clone)]
struct Lengths {
    bins: Vec<u32>,
    count: u32,
}

impl Default for Lengths {
    fn default() -> Self {
        Self { bins: vec![0; BINS], count: 0 }
    }
}

impl Lengths {
    fn add(&mut self, metres: f64) {
        if metres.is_finite() {
            let bin = ((metres - LENGTH_M_MIN) * BINS_PER_M).clamp(0.0, (BINS - 1) as f64);
            self.bins[bin as usize] += 1;
            self.count += 1;
        }
    }

    /// The middle of the millimetre in which the median is.
    fn median(&self) -> Option<f64> {
        let mut left = self.count.checked_sub(1)? / 2;
        for (bin, count) in self.bins.iter().enumerate() {
            match left.checked_sub(*count) {
                Some(rest) => left = rest,
                None => return Some(LENGTH_M_MIN + (bin as f64 + 0.5) / BINS_PER_M),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motion::synthetic_walk::{FRONT, Walk};

    #[test]
    fn the_measures_of_a_known_body_are_found_to_a_millimetre() {
        let mut meter = ProportionsMeter::default();
        let (_, poses) = Walk { turn: 1.0, ..FRONT }.frames(60, 1);
        poses.iter().for_each(|pose| meter.add(pose));
        let Proportions(measures) = meter.proportions();
        let expected = [
            (Measure::Trunk, 0.5),
            (Measure::Shoulders, 0.35),
            (Measure::UpperArm, 0.285),
            (Measure::Forearm, 0.25),
            (Measure::Hips, 0.19),
            (Measure::Thigh, 0.43),
            (Measure::Shank, 0.41),
        ];
        for (measure, metres) in expected {
            let found = measures[measure as usize];
            assert!((found - metres).abs() < 0.001, "{measure:?}: {found}");
        }
    }

    #[test]
    fn a_few_wrong_poses_change_nothing_and_nobody_has_usual_measures() {
        assert_eq!(ProportionsMeter::default().proportions(), Proportions::default());
        let (_, poses) = FRONT.frames(40, 1);
        let mut meter = ProportionsMeter::default();
        poses.iter().for_each(|pose| meter.add(pose));
        let before = meter.proportions();
        let wrong = poses[0].map(|mut landmark| {
            landmark.world = landmark.world.map(|value| 3.0 * value);
            landmark
        });
        (0..5).for_each(|_| meter.add(&wrong));
        let after = meter.proportions();
        for (before, after) in before.0.iter().zip(after.0) {
            assert!((before - after).abs() < 0.01, "{before} {after}");
        }
    }
}
