//! The people of each processed frame as they are found, told to the supervisor by the pass that tracks.

use super::area::Area;
use crate::output::seconds;
use crate::pose::{Person, VideoFrame};
use bodyscript_protocol::message::ToSupervisor;
use bodyscript_protocol::options::Part;
use bodyscript_protocol::pose_frame::{PersonPose, PoseFrame};
use std::time::Duration;

/// What of the frames is told.
pub(super) struct FoundPoses {
    /// Time of the first frame that is told, at the earliest.
    start: Duration,
    /// The area that is processed, if it is not the whole picture.
    area: Option<Area>,
}

impl FoundPoses {
    /// In this part of a video whose whole pictures have this size.
    pub(super) fn of(part: &Part, whole: [u32; 2]) -> Self {
        Self { start: part.start, area: Area::of(part, whole) }
    }

    /// The message about a frame; none if it is not processed, or before the part.
    pub(super) fn message(
        &self,
        frame: &VideoFrame,
        people: Option<&[Person]>,
    ) -> Option<ToSupervisor> {
        let people = people.filter(|_| frame.pts >= self.start)?;
        let in_whole = self.area.map(|area| area.in_whole(people));
        let people = in_whole.as_deref().unwrap_or(people);
        let first = people.first().filter(|person| person.id == 0);
        let told = people.iter().map(|person| PersonPose {
            person_id: person.id,
            strategy: person.strategy.to_owned(),
            track_id: person.track,
            landmarks: person.pose.to_vec(),
        });
        Some(ToSupervisor::Poses(PoseFrame {
            frame_id: frame.id,
            time_s: seconds(frame.time),
            detected: first.is_some(),
            strategy: first.map(|person| person.strategy.to_owned()),
            source_time_s: seconds(frame.pts),
            people: told.collect(),
        }))
    }
}
