//! The first person as one trajectory, for formats that describe one body and have no tracks.

use crate::pose::{Frame, Person};

/// Follows the first person from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Trajectory {
    /// The track of the person in the last frame.
    last: Option<u32>,
}

impl Trajectory {
    /// The first person of the next frame. None as well in the first frame of a track that follows
    /// another one at once, so that readers do not connect two people.
    pub(super) fn next<'a>(&mut self, frame: &Frame<'a>) -> Option<&'a Person> {
        let person = frame.first();
        let last = std::mem::replace(&mut self.last, person.map(|person| person.track));
        person.filter(|person| last.is_none_or(|last| last == person.track))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};
    use std::time::Duration;

    #[test]
    fn tracks_are_separated_by_a_frame_without_the_person() {
        let mut trajectory = Trajectory::default();
        let pose = [Landmark::default(); LANDMARKS];
        let mut has_person = |track: Option<u32>| {
            let time = Duration::ZERO;
            let person = |track| Person { id: 0, track, pose, strategy: "track", filtered: None };
            let person = track.map(person);
            let people: Vec<_> = person.into_iter().collect();
            trajectory.next(&Frame { id: 0, time, source_time: time, people: &people }).is_some()
        };
        let tracks = [Some(0), Some(0), Some(1), Some(1), None, Some(2)];
        assert_eq!(tracks.map(&mut has_person), [true, true, false, true, false, true]);
    }
}
