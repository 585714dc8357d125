//! Which poses a worker may tell: each processed frame once and in order, with finite numbers and no more people than
//! its job has.
//!
//! Called by the session for each message, before anything is shown of it.

use crate::limits::DURATION_MS_MAX;
use crate::message::JobParameters;
use crate::pose::{LANDMARKS, Landmark};
use crate::pose_frame::{PersonPose, PoseFrame, STRATEGY_BYTES_MAX};
use crate::report_limits::{frames_max, skipped_max};

/// What was told of a run so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Told {
    /// Number of frames.
    pub(crate) frames: u32,
    /// The number and the times of the latest one.
    last: Option<(u32, [f64; 2])>,
}

impl Told {
    /// Adds the next frame; returns what of it is impossible.
    pub(crate) fn add(
        &mut self,
        frame: &PoseFrame,
        job: &JobParameters,
    ) -> Result<(), &'static str> {
        let time_s_max = DURATION_MS_MAX as f64 / 1000.0;
        let times = [frame.time_s, frame.source_time_s];
        let follows = |(last, last_times): (u32, [f64; 2])| {
            frame.frame_id > last && times[0] >= last_times[0] && times[1] >= last_times[1]
        };
        let interval = job.options.sampling.interval().unwrap_or(1);
        let checks = [
            (u64::from(frame.frame_id) < skipped_max(job) + frames_max(job), "number of a frame"),
            (frame.frame_id.is_multiple_of(interval), "frame that is not to be processed"),
            (times.iter().all(|time| (0.0..=time_s_max).contains(time)), "time of a frame"),
            (self.last.is_none_or(follows), "order of frames"),
        ];
        if let Some((_, what)) = checks.into_iter().find(|(is_possible, _)| !is_possible) {
            return Err(what);
        }
        check_people(frame, job.options.followed_max())?;
        self.frames += 1;
        self.last = Some((frame.frame_id, times));
        Ok(())
    }
}

fn check_people(frame: &PoseFrame, people_max: u32) -> Result<(), &'static str> {
    // Each may be taken for somebody new in every frame so far, told or not.
    let ids = u64::from(people_max) * (u64::from(frame.frame_id) + 1);
    let PoseFrame { detected, strategy, people, .. } = frame;
    let first = people.first().filter(|person| person.person_id == 0);
    let rises = |pair: &[PersonPose]| pair[0].person_id < pair[1].person_id;
    let checks = [
        (people.len() <= people_max as usize, "number of people"),
        (people.iter().all(|person| u64::from(person.person_id) < ids), "number of a person"),
        (people.windows(2).all(rises), "order of people"),
        (*detected == first.is_some(), "detection"),
        (strategy.as_ref() == first.map(|person| &person.strategy), "strategy"),
        (people.iter().all(|person| is_strategy(&person.strategy)), "strategy"),
        (people.iter().all(|person| person.landmarks.len() == LANDMARKS), "number of landmarks"),
        (people.iter().all(|person| person.landmarks.iter().all(is_finite)), "position"),
    ];
    match checks.into_iter().find(|(is_possible, _)| !is_possible) {
        None => Ok(()),
        Some((_, what)) => Err(what),
    }
}

fn is_strategy(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=STRATEGY_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_word)
}

fn is_finite(landmark: &Landmark) -> bool {
    let Landmark { x, y, z, visibility, presence, world } = *landmark;
    [x, y, z, visibility, presence].iter().chain(&world).all(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MediaLimits;
    use crate::options::{Options, PEOPLE_MAX, Sampling};
    use crate::report_limits::tests::LIMITS;
    use std::num::NonZeroU32;

    fn job(people_max: u32, interval: u32) -> JobParameters {
        let sampling = Sampling::every(interval).expect("an interval");
        let limits = MediaLimits { duration_ms_max: 1_000, frame_rate_max: 10, ..LIMITS };
        let options = Options { people_max, sampling, ..Options::default() };
        JobParameters { options, limits, threads: NonZeroU32::MIN }
    }

    fn person(person_id: u32) -> PersonPose {
        let landmarks = vec![Landmark::default(); LANDMARKS];
        let strategy = "x".repeat(STRATEGY_BYTES_MAX);
        PersonPose { person_id, strategy, track_id: 0, landmarks }
    }

    fn frame(frame_id: u32, people: &[u32]) -> PoseFrame {
        let people: Vec<_> = people.iter().map(|id| person(*id)).collect();
        let first = people.first().filter(|person| person.person_id == 0);
        let strategy = first.map(|person| person.strategy.clone());
        let detected = strategy.is_some();
        let (time_s, source_time_s) = (f64::from(frame_id), f64::from(2 * frame_id));
        PoseFrame { frame_id, time_s, detected, strategy, source_time_s, people }
    }

    #[test]
    fn frames_at_the_limits_are_possible_and_fit_into_a_message() {
        let mut told = Told::default();
        let job = job(PEOPLE_MAX, 1);
        // Ten frames a second for a second, and what rounding may add.
        for (frame_id, people) in [(0, &[][..]), (3, &[1, 2]), (20, &[0, 1, 2, 3, 104])] {
            let frame = frame(frame_id, people);
            crate::codec::encode(&frame).expect("fits");
            assert_eq!(told.add(&frame, &job), Ok(()), "{frame_id}");
        }
        assert_eq!(told.frames, 3);
    }

    #[test]
    fn each_impossible_frame_is_named_and_not_counted() {
        type Change = fn(&mut PoseFrame);
        let cases: [(&str, Change); 18] = [
            ("number of a frame", |it| it.frame_id = 22),
            ("frame that is not to be processed", |it| it.frame_id = 5),
            ("time of a frame", |it| it.time_s = f64::NAN),
            ("time of a frame", |it| it.time_s = -0.5),
            ("time of a frame", |it| it.source_time_s = f64::MAX),
            ("order of frames", |it| it.frame_id = 2),
            ("order of frames", |it| it.time_s = 1.5),
            ("order of frames", |it| it.source_time_s = 3.5),
            ("number of people", |it| it.people.push(person(2))),
            ("number of a person", |it| it.people[1].person_id = 10),
            ("order of people", |it| it.people.swap(0, 1)),
            ("order of people", |it| it.people[1].person_id = 0),
            ("detection", |it| it.detected = false),
            ("strategy", |it| it.strategy = None),
            ("strategy", |it| it.people[1].strategy = "<b>".into()),
            ("strategy", |it| it.people[1].strategy.push('x')),
            ("number of landmarks", |it| it.people[0].landmarks.truncate(32)),
            ("position", |it| it.people[1].landmarks[32].world[2] = f32::INFINITY),
        ];
        for (what, change) in cases {
            let mut told = Told::default();
            let job = job(2, 2);
            told.add(&frame(2, &[0, 1]), &job).expect("possible");
            let before = told;
            let mut next = frame(4, &[0, 1]);
            assert_eq!({ told }.add(&next, &job), Ok(()));
            change(&mut next);
            assert_eq!((told.add(&next, &job), told), (Err(what), before), "{next:?}");
        }
    }
}
