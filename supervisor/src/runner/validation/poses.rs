//! The order of frames and people that all tables have in common, and their totals.

use super::Expected;
use super::invalid::{Invalid, ensure, equal};
use super::table::{Detection, Part};
use bodyscript_protocol::options::Filter;

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
    /// Whether interpolated poses are told from others.
    tells_filled: bool,
}

impl<'a> Poses<'a> {
    pub(super) const fn new(expected: &'a Expected, part: Part) -> Self {
        Self {
            expected,
            part,
            last: None,
            frames: 0,
            detected: 0,
            people: 0,
            people_in_frame: 0,
            tells_filled: true,
        }
    }

    /// Of a table that does not tell interpolated poses from others.
    pub(super) fn with_unmarked_filling(expected: &'a Expected, part: Part) -> Self {
        Self { tells_filled: false, ..Self::new(expected, part) }
    }

    /// Whether poses of this person have positions in metres.
    pub(super) fn has_metres(&self, person: u32) -> bool {
        self.expected.has_metres(person)
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
        let is_last = |(_, last): (u32, u32)| person > last && detection != Detection::Missing;
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
            Detection::Filled => {
                let is_filtered = parameters.options.filter == Filter::Offline;
                ensure(is_filtered, "a pose is interpolated without a filter that does so")?;
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
        match self.tells_filled {
            true => equal("frames with a person", self.detected, summary.frames_detected)?,
            false => check_unmarked(self.detected, self.expected)?,
        }
        equal("people", self.people, summary.people)
    }
}

/// Checks how many frames have the person in a format that does not tell interpolated poses from others.
pub(super) fn check_unmarked(detected: u32, expected: &Expected) -> Result<(), Invalid> {
    let least = expected.summary.frames_detected;
    let has_filled = expected.parameters.options.filter == Filter::Offline;
    match has_filled && detected >= least {
        true => Ok(()),
        false => equal("frames with a person", detected, least),
    }
}

/// Checks how many frames of a trajectory have the person: between two tracks it leaves one out, and it does not tell
/// interpolated poses from others.
pub(super) fn check_trajectory(detected: u32, expected: &Expected) -> Result<(), Invalid> {
    let has_filled = expected.parameters.options.filter == Filter::Offline;
    let is_possible = has_filled || detected <= expected.summary.frames_detected;
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
