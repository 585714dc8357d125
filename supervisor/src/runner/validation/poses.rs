//! The order of frames and people that all tables have in common, and their totals.

use super::Expected;
use super::invalid::{Invalid, ensure, equal};
use super::table::{Detection, Part};

/// The frames and people of a table so far.
pub(super) struct Poses<'a> {
    expected: &'a Expected,
    part: Part,
    /// The latest frame, and the latest person in it.
    last: Option<(u32, u32)>,
    frames: u32,
    detected: u32,
    /// One more than the highest number of a person that was found.
    people: u32,
    people_in_frame: u32,
}

impl<'a> Poses<'a> {
    pub(super) const fn new(expected: &'a Expected, part: Part) -> Self {
        Self { expected, part, last: None, frames: 0, detected: 0, people: 0, people_in_frame: 0 }
    }

    /// Checks the next pose: frames rise, and people within a frame do.
    pub(super) fn add(
        &mut self,
        (frame, person): (u32, u32),
        detection: Detection,
    ) -> Result<Place, Invalid> {
        let Expected { parameters, summary, .. } = self.expected;
        let place = match self.last {
            Some((last, _)) if last == frame => Place::SameFrame,
            Some((last, _)) => {
                ensure(frame > last, "frames are not in order")?;
                Place::NewFrame
            }
            None => Place::NewFrame,
        };
        let is_last = |(_, last): (u32, u32)| person > last && detection == Detection::Found;
        match place {
            Place::SameFrame => {
                ensure(self.last.is_some_and(is_last), "people are not in order")?;
                self.people_in_frame += 1;
            }
            Place::NewFrame => {
                self.frames += 1;
                self.people_in_frame = 1;
            }
        }
        self.expected.check_frame(frame)?;
        ensure(
            self.people_in_frame <= parameters.options.people_max,
            "too many people in a frame",
        )?;
        ensure(person < summary.people.max(1), "it has a person who was not reported")?;
        self.last = Some((frame, person));
        match detection {
            Detection::Found => {
                self.detected += u32::from(person == 0);
                self.people = self.people.max(person + 1);
            }
            Detection::Missing => ensure(person == 0, "a person who is not there has a row")?,
        }
        Ok(place)
    }

    /// Checks the totals.
    pub(super) fn end(&self) -> Result<(), Invalid> {
        let summary = &self.expected.summary;
        if self.part == Part::End {
            let interval = self.expected.parameters.options.sampling.interval();
            let expected = interval.map(|interval| {
                let first = summary.first_frame.div_ceil(interval);
                let last = first.saturating_add(summary.frames_processed.saturating_sub(1));
                last.saturating_mul(interval)
            });
            let last = self.last.map(|(frame, _)| frame);
            return match (last, expected) {
                (Some(last), Some(expected)) => equal("last frame", last, expected),
                (Some(_), None) => Ok(()),
                (None, _) => Err(Invalid::Malformed("its end has no rows")),
            };
        }
        equal("frames", self.frames, summary.frames_processed)?;
        equal("frames with a person", self.detected, summary.frames_detected)?;
        equal("people", self.people, summary.people)
    }
}

/// Checks how many frames of a trajectory have the person: between two tracks it leaves one out.
pub(super) const fn check_trajectory(detected: u32, expected: &Expected) -> Result<(), Invalid> {
    let is_possible = detected <= expected.summary.frames_detected;
    ensure(is_possible, "more frames have a person than were reported")
}

/// Where a pose belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the first of its frame.
    NewFrame,
    /// It follows another one of the same frame.
    SameFrame,
}
