//! The result of pose estimation: the people of one frame.

use bodyscript_protocol::pose::Pose;
use std::time::Duration;

/// One processed frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Number of the frame in the video, from 0.
    pub(crate) id: u32,
    /// Time in life.
    pub(crate) time: Duration,
    /// Presentation time in the file.
    pub(crate) source_time: Duration,
    /// The people in it, by ascending id.
    pub(crate) people: &'a [Person],
}

impl<'a> Frame<'a> {
    /// The person with the id 0: the most prominent one, and the only one unless more are requested.
    pub(crate) fn first(&self) -> Option<&'a Person> {
        self.people.first().filter(|person| person.id == 0)
    }
}

/// One person in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Person {
    /// Number of the person in the video, from 0: the same from frame to frame.
    pub(crate) id: u32,
    /// Number of the person's track, from 0: another one after the person was lost, or if this
    /// number stands for somebody else from here on.
    pub(crate) track: u32,
    /// The landmarks.
    pub(crate) pose: Pose,
    /// The name of the strategy that detected the person.
    pub(crate) strategy: &'static str,
}
