//! Joint angles over time: without jumps of 360 degrees from one frame of a person to the next.
//!
//! What is measured is a direction, so an angle is known up to whole turns. A run of frames in which an angle is
//! defined begins within the turn around the middle of the joint's range, and every later value lies within half a
//! turn of the one before. A gap ends the run, and so does the end of a track: where an arm that is raised sideways
//! passes the axis of flexion, the value before it does not tell on which side the arm comes out.

use super::{Angles, NAMES, angles};
use crate::pose::{Frame, Person};

/// Middle of the range of a hip and a shoulder, in degrees: a thigh reaches from -30 to 130, an arm from -60 to 180.
const LIMB_MIDDLE_DEG: f64 = 60.0;

/// The angles of one person in one frame.
#[derive(Debug)]
pub(in crate::output) struct PersonAngles {
    /// Number of the person.
    pub(in crate::output) id: u32,
    /// Number of the person's track.
    pub(in crate::output) track: u32,
    /// Whether the person was detected, and the pose not interpolated.
    pub(in crate::output) is_detected: bool,
    /// The angles.
    pub(in crate::output) angles: Angles,
}

/// The angles of the people in the latest frame, and of nobody else.
#[derive(Debug, Default)]
pub(in crate::output) struct AngleSeries(Vec<PersonAngles>);

impl AngleSeries {
    /// Continues with the next frame; returns the angles of each person in it.
    pub(in crate::output) fn add(&mut self, frame: &Frame<'_>) -> &[PersonAngles] {
        let next = frame.people.iter().map(|person| {
            let Person { id, track, .. } = *person;
            let before = self.0.iter().find(|it| (it.id, it.track) == (id, track));
            let before = before.map_or([None; NAMES.len()], |before| before.angles);
            let angles = follow(&before, angles(&person.pose));
            PersonAngles { id, track, is_detected: person.is_detected(), angles }
        });
        self.0 = next.collect();
        &self.0
    }
}

/// The angles by whole turns nearer to those before.
fn follow(before: &Angles, mut angles: Angles) -> Angles {
    for ((angle, before), name) in angles.iter_mut().zip(before).zip(NAMES) {
        if let Some(middle) = middle(name) {
            *angle = angle.map(|angle| nearest(angle, before.unwrap_or(middle)));
        }
    }
    angles
}

/// Where the first value of a run is nearest to; none for an angle that is less than a turn by its definition.
fn middle(name: &str) -> Option<f64> {
    let is_limb = name.ends_with("hip_flexion_deg") || name.ends_with("shoulder_flexion_deg");
    let is_turn = is_limb || name.starts_with("trunk_");
    is_turn.then_some(if is_limb { LIMB_MIDDLE_DEG } else { 0.0 })
}

/// The same direction, at most half a turn away.
fn nearest(angle: f64, to: f64) -> f64 {
    angle - 360.0 * ((angle - to) / 360.0 - 0.5).ceil()
}

#[cfg(test)]
mod tests {
    use super::super::tests::Body;
    use super::*;
    use std::time::Duration;

    const SHOULDER: usize = 4;

    /// The left shoulder's flexion while the arm is turned to these angles; without a person where there is none.
    fn flexion(arm_deg: &[Option<f64>]) -> Vec<Option<f64>> {
        assert_eq!(NAMES[SHOULDER], "left_shoulder_flexion_deg");
        let mut series = AngleSeries::default();
        let mut flexion_at = |deg: &Option<f64>| {
            let pose = deg.map(|deg| Body::arm_raised_forwards(deg).facing_the_camera());
            let people = pose.map(|pose| Person {
                id: 3,
                track: 0,
                pose,
                strategy: "track",
                filtered: None,
            });
            let time = Duration::ZERO;
            let frame = Frame { id: 0, time, source_time: time, people: people.as_slice() };
            series.add(&frame).first().and_then(|person| person.angles[SHOULDER])
        };
        arm_deg.iter().map(|deg| flexion_at(deg).map(f64::round)).collect()
    }

    #[test]
    fn an_arm_that_circles_has_no_jump_in_either_direction() {
        let circle: Vec<_> = (0..12).map(|n| Some(f64::from(n) * 60.0)).collect();
        assert_eq!(flexion(&circle), circle);
        let back: Vec<_> = (0..12).map(|n| Some(f64::from(n) * -60.0)).collect();
        assert_eq!(flexion(&back), back);
    }

    #[test]
    fn a_run_begins_within_the_range_of_the_joint() {
        assert_eq!(flexion(&[Some(200.0)]), [Some(200.0)], "an arm behind the head");
        assert_eq!(flexion(&[Some(-100.0)]), [Some(-100.0)], "an arm stretched back");
    }

    #[test]
    fn a_gap_ends_the_turns_that_were_counted() {
        let seen = flexion(&[Some(170.0), Some(330.0), Some(370.0), None, Some(370.0)]);
        assert_eq!(seen, [Some(170.0), Some(330.0), Some(370.0), None, Some(10.0)]);
    }

    #[test]
    fn angles_that_are_no_directions_stay_as_they_are() {
        let mut before = [None; NAMES.len()];
        let knee = NAMES.iter().position(|name| *name == "left_knee_flexion_deg").expect("named");
        before[knee] = Some(180.0);
        let mut angles = [None; NAMES.len()];
        angles[knee] = Some(0.0);
        assert_eq!(follow(&before, angles), angles);
    }
}
