//! A walk over the floor: how far [`Pose::walking`] carries a person whose standing foot does not slide. Called by
//! tests and the clip encoder.

use super::pose::Pose;
use super::skeleton::Skeleton;

/// Heels and toes, of which the lowest one stands.
const SOLES: std::ops::Range<usize> = 29..33;
/// Steps of the integration in a second.
const STEPS_PER_S: f64 = 240.0;

/// Metres that a person has come forwards after so many seconds.
pub fn distance_walked(time_s: f64) -> f32 {
    let steps = (time_s * STEPS_PER_S).round() as u32;
    let soles = |step: u32| {
        let pose = Pose::walking(f64::from(step) / STEPS_PER_S);
        Skeleton::new(&pose).landmarks()
    };
    let (mut distance, mut before) = (0.0, soles(0));
    for step in 1..=steps {
        let now = soles(step);
        let standing = SOLES.min_by(|a, b| before[*a].y.total_cmp(&before[*b].y));
        distance += standing.map_or(0.0, |sole| before[sole].z - now[sole].z);
        before = now;
    }
    distance
}
