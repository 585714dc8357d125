//! The recorded frames in order, filtered where that is asked for. Called by `two_passes`.
//!
//! Each track has a filter of its own, which gives a frame back once it has seen some seconds beyond
//! it. Until then the frame waits here, so memory depends on that time and not on the video's.

use super::recording::{RecordedFrame, Recording};
use super::selection::Renumbering;
use crate::motion::{FilteredFrame, TrackFilter, TrackFilterSettings};
use crate::output::OutputError;
use crate::pose::{FILLED, FilterTrace, GAP_MAX, Person};
use bodyscript_protocol::options::{Filter, Options};
use bodyscript_protocol::pose::Pose;
use std::collections::VecDeque;
use std::time::Duration;

/// The recorded frames.
pub(super) struct Replay {
    recording: Recording,
    /// If somebody is chosen.
    renumbering: Option<Renumbering>,
    /// If a filter is asked for: its settings.
    settings: Option<TrackFilterSettings>,
    /// Most people in a frame.
    people_max: usize,
    /// The frames that are not complete.
    waiting: VecDeque<RecordedFrame>,
    tracks: Vec<Track>,
}

/// A track that goes on.
struct Track {
    /// The numbers of the person and of the track.
    id: (u32, u32),
    filter: TrackFilter,
    last_seen: Duration,
    /// The time that was told to the filter last, in seconds.
    time_s: f64,
    /// The number of the frame that the filter gives back next.
    next: u32,
}

impl Replay {
    /// The frames of a recording of pictures of this size.
    pub(super) fn new(
        (recording, renumbering): (Recording, Option<Renumbering>),
        options: &Options,
        size: [u32; 2],
    ) -> Self {
        let settings = match options.filter {
            Filter::Offline => Some(TrackFilterSettings::new(options.low_pass, size)),
            Filter::None | Filter::Live => None,
        };
        let people_max = options.people_max as usize;
        Self {
            recording,
            renumbering,
            settings,
            people_max,
            waiting: VecDeque::new(),
            tracks: Vec::new(),
        }
    }

    /// The next frame; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<RecordedFrame>, OutputError> {
        let Some(settings) = self.settings else { return self.read() };
        while !self.is_complete() {
            match self.read()? {
                Some(frame) => self.add(frame, settings),
                None => self.end_tracks(|_| true),
            }
        }
        Ok(self.waiting.pop_front())
    }

    /// The next frame of the recording, with the people by the numbers that they are written under.
    fn read(&mut self) -> Result<Option<RecordedFrame>, OutputError> {
        let mut frame = self.recording.next()?;
        if let (Some(renumbering), Some(frame)) = (&mut self.renumbering, &mut frame) {
            frame.people = frame.people.take().map(|people| renumbering.apply(people));
        }
        Ok(frame)
    }

    /// Whether the first waiting frame is complete, or none will follow.
    fn is_complete(&self) -> bool {
        match self.waiting.front() {
            Some(first) => self.tracks.iter().all(|track| track.next > first.id),
            None => self.recording.is_at_end(),
        }
    }

    fn add(&mut self, frame: RecordedFrame, settings: TrackFilterSettings) {
        if let Some(people) = &frame.people {
            let (id, time) = (frame.id, frame.time);
            let people: Vec<_> =
                people.iter().map(|person| ((person.id, person.track), person.pose)).collect();
            let is_here = |track: &Track| people.iter().any(|(id, _)| *id == track.id);
            // A person's next track ends the one before.
            let is_replaced = |track: &Track| people.iter().any(|(id, _)| id.0 == track.id.0);
            self.end_tracks(|track| {
                !is_here(track)
                    && (is_replaced(track) || time.saturating_sub(track.last_seen) > GAP_MAX)
            });
            for (track, _) in &people {
                if !self.tracks.iter().any(|known| known.id == *track) {
                    self.tracks.push(Track::new(*track, id, settings));
                }
            }
            for track in &mut self.tracks {
                let pose = people.iter().find(|(id, _)| *id == track.id).map(|(_, pose)| *pose);
                track.push(time, pose);
            }
        }
        self.waiting.push_back(frame);
        for track in &mut self.tracks {
            track.give_back(&mut self.waiting, self.people_max);
        }
    }

    /// Ends the tracks for which this holds, and completes their frames.
    fn end_tracks(&mut self, is_over: impl Fn(&Track) -> bool) {
        let (over, going_on) = std::mem::take(&mut self.tracks).into_iter().partition(is_over);
        self.tracks = going_on;
        for mut track in over {
            track.filter.finish();
            track.give_back(&mut self.waiting, self.people_max);
        }
    }
}

impl Track {
    /// A track that begins with the frame of this number.
    fn new(id: (u32, u32), first: u32, settings: TrackFilterSettings) -> Self {
        let filter = TrackFilter::new(settings);
        Self { id, filter, last_seen: Duration::ZERO, time_s: f64::NEG_INFINITY, next: first }
    }

    fn push(&mut self, time: Duration, pose: Option<Pose>) {
        if pose.is_some() {
            self.last_seen = time;
        }
        // The filter needs rising times, and the clock of a damaged video may stand still.
        self.time_s = time.as_secs_f64().max(self.time_s + 1e-6);
        self.filter.push(self.time_s, pose);
    }

    /// Puts the frames that the filter gives back into those that wait.
    fn give_back(&mut self, waiting: &mut VecDeque<RecordedFrame>, people_max: usize) {
        while let Some(filtered) = self.filter.pop() {
            let is_next =
                |frame: &&mut RecordedFrame| frame.id >= self.next && frame.people.is_some();
            let Some(frame) = waiting.iter_mut().find(is_next) else { return };
            self.next = frame.id + 1;
            if let Some(people) = &mut frame.people {
                put(people, (self.id, people_max), filtered);
            }
        }
    }
}

/// Replaces the pose of a person by the filtered one, or adds the person with an interpolated one, unless
/// somebody else has the place.
fn put(
    people: &mut Vec<Person>,
    ((id, track), people_max): ((u32, u32), usize),
    filtered: FilteredFrame,
) {
    let FilteredFrame { raw, pose: Some(pose), filled, .. } = filtered else { return };
    let raw = raw.map(|raw| raw.map(|landmark| [landmark.x, landmark.y, landmark.z]));
    let filtered = Some(FilterTrace { raw, filled });
    match people.binary_search_by_key(&id, |person| person.id) {
        Ok(at) => people[at] = Person { pose, filtered, ..people[at] },
        Err(_) if people.len() >= people_max => {}
        Err(at) => people.insert(at, Person { id, track, pose, strategy: FILLED, filtered }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::recording::Recorder;
    use crate::pose::VideoFrame;
    use bodyscript_mannequin::{Pose as Posture, Skeleton};
    use bodyscript_protocol::pose::Landmark;

    /// Somebody who stands here, from left to right.
    fn pose(x: f32) -> Pose {
        let joints = Skeleton::new(&Posture::still()).landmarks();
        let hips = (joints[23] + joints[24]) / 2.0;
        joints.map(|joint| {
            let [left, up, forwards] = (joint - hips).to_array();
            let (x, y, z) = (x + 0.2 * left, 0.5 - 0.4 * up, -0.2 * forwards);
            let world = [left, -up, -forwards];
            Landmark { x, y, z, visibility: 0.9, presence: 0.9, world }
        })
    }

    fn person(id: u32, track: u32, frame: u32) -> Person {
        let pose = pose(0.002 * frame as f32);
        Person { id, track, pose, strategy: "track", filtered: None }
    }

    /// The frames of a recording, at 30 frames a second, through the filter.
    fn replayed(frames: impl IntoIterator<Item = Option<Vec<Person>>>) -> Vec<RecordedFrame> {
        let mut recorder = Recorder::new(tempfile::tempfile().expect("a file"));
        for (id, people) in (0..).zip(frames) {
            let pts = Duration::from_secs(1) * id / 30;
            let frame = VideoFrame { id, pts, time: pts, ..VideoFrame::default() };
            recorder.add(&frame, people.as_deref(), &[]).expect("written");
        }
        let recording = recorder.finish().expect("rewound");
        let options = Options { filter: Filter::Offline, people_max: 2, ..Options::default() };
        let mut replay = Replay::new((recording, None), &options, [1280, 720]);
        std::iter::from_fn(|| replay.next().expect("readable")).collect()
    }

    #[test]
    fn frames_keep_their_order_and_short_gaps_are_filled() {
        let is_gap = |n: u32| (100..106).contains(&n);
        let people = |n: u32| if is_gap(n) { vec![] } else { vec![person(0, 0, n)] };
        // Every second frame is not processed.
        let frames = (0..1200).map(|n| (n % 2 == 0).then(|| people(n)));
        let frames = replayed(frames);
        assert!(frames.iter().map(|frame| frame.id).eq(0..1200));
        for RecordedFrame { id, people, .. } in &frames {
            let Some(people) = people else {
                assert_eq!(id % 2, 1);
                continue;
            };
            assert_eq!(people.len(), 1, "{id}");
            assert_eq!(people[0].is_detected(), !is_gap(*id));
            assert_eq!(people[0].raw(7).is_some(), !is_gap(*id));
            let expected = pose(0.002 * *id as f32)[7].x;
            assert!((people[0].pose[7].x - expected).abs() < 1e-3, "{id}: {}", people[0].pose[7].x);
        }
    }

    #[test]
    fn tracks_are_filtered_alone_and_not_beyond_their_ends() {
        let people = |n: u32| match n {
            0..60 => vec![person(0, 0, n)],
            // Somebody else, elsewhere.
            60..90 => vec![person(0, 1, n + 250)],
            90..130 => vec![],
            _ => vec![person(0, 2, n)],
        };
        for RecordedFrame { id, people: found, .. } in replayed((0..200).map(|n| Some(people(n)))) {
            let (found, expected) = (found.expect("processed"), people(id));
            assert_eq!(found.len(), expected.len(), "{id}");
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!((found.id, found.track), (expected.id, expected.track), "{id}");
                let apart = (found.pose[7].x - expected.pose[7].x).abs();
                assert!(apart < 1e-3, "{id}: {apart}");
            }
        }
    }

    #[test]
    fn an_interpolated_person_takes_nobodys_place() {
        let people = |n: u32| match n {
            50..53 => vec![person(0, 0, n), person(2, 0, n)],
            _ => vec![person(0, 0, n), person(1, 0, n)],
        };
        let frames = replayed((0..100).map(|n| Some(people(n))));
        assert_eq!(frames.len(), 100);
        assert!(frames.iter().all(|it| it.people.as_ref().is_some_and(|it| it.len() == 2)));
    }
}
