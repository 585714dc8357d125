//! Which facts and totals of a video a worker may report: those that some video within the limits of its job has.
//!
//! Called by the session for each message, before anything is shown of it or decided by it.

use crate::limits::{DURATION_MS_MAX, FRAMES_MAX, JITTER_MAX};
use crate::message::{JobParameters, MediaLimits, OnLong, Summary, VideoFacts};

/// The turns that an upright picture can come from, in degrees.
const ROTATIONS: [u32; 4] = [0, 90, 180, 270];

/// Most frames that a job may report.
pub(crate) fn frames_max(job: &JobParameters) -> u64 {
    job.limits.frames_max().min(FRAMES_MAX.into())
}

/// Checks the properties of a video; returns the first that is impossible.
pub(crate) fn check_facts(facts: &VideoFacts, limits: &MediaLimits) -> Result<(), &'static str> {
    let MediaLimits { side_px_max, area_px_max, frame_rate_max, on_long, .. } = *limits;
    let (width, height) = (facts.width, facts.height);
    let (num, den) = (u64::from(facts.frame_rate.0), u64::from(facts.frame_rate.1));
    let has_area = width > 0 && height > 0;
    let area = u64::from(width) * u64::from(height);
    let checks = [
        (
            has_area && width.max(height) <= side_px_max && area <= area_px_max.into(),
            "picture size",
        ),
        // A nominal rate is rounded before it is compared with the limit.
        (den > 0 && 2 * num <= (2 * u64::from(frame_rate_max) + 1) * den, "frame rate"),
        (facts.duration_ms.is_none_or(|ms| ms <= DURATION_MS_MAX), "duration"),
        (!facts.trimmed || on_long == OnLong::Trim, "trim"),
        (facts.frames_expected <= FRAMES_MAX, "number of frames"),
        (ROTATIONS.contains(&facts.rotation_degrees), "rotation"),
        (is_media_type(&facts.container), "container"),
        (is_media_type(&facts.codec), "codec"),
    ];
    match checks.into_iter().find(|(is_possible, _)| !is_possible) {
        None => Ok(()),
        Some((_, what)) => Err(what),
    }
}

/// Whether the totals of a run agree with each other and with the job's options and limits.
pub(crate) fn is_possible(summary: &Summary, job: &JobParameters) -> bool {
    let Summary { first_frame, frames_decoded, frames_processed, frames_detected, .. } = *summary;
    u64::from(frames_decoded) <= frames_max(job)
        && u64::from(first_frame) <= skipped_max(job)
        && job.options.sampling.processed(first_frame, frames_decoded).contains(&frames_processed)
        && frames_detected <= frames_processed
        && (0.0..=1.0).contains(&summary.mean_visibility)
        && summary.track_losses <= frames_detected
        && (0.0..=JITTER_MAX).contains(&summary.jitter)
        && u64::from(summary.people) <= people_max(job, frames_processed)
        && (frames_detected == 0 || summary.people > 0)
}

/// Most frames before the part that is processed.
pub(crate) fn skipped_max(job: &JobParameters) -> u64 {
    match job.options.start {
        None => 0,
        Some(start) => job.limits.frames_max_in(start.get().into()).min(FRAMES_MAX.into()),
    }
}

/// Most people that can be distinguished: the first keeps its number, and each of the others may be taken for
/// somebody new in each frame.
fn people_max(job: &JobParameters, frames_processed: u32) -> u64 {
    let others = u64::from(job.options.people_max.saturating_sub(1));
    let first = u64::from(frames_processed > 0);
    first + others * u64::from(frames_processed)
}

/// Whether the text has only the characters of media types as media libraries name them.
fn is_media_type(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.:+".contains(&byte))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::options::{Options, Sampling, Thousandths};
    use crate::warning::Warnings;
    use std::num::NonZeroU32;

    pub(crate) const LIMITS: MediaLimits = MediaLimits {
        duration_ms_max: 10_000,
        on_long: OnLong::Trim,
        side_px_max: 1920,
        area_px_max: 1920 * 1080,
        frame_rate_max: 60,
    };

    fn facts() -> VideoFacts {
        VideoFacts {
            width: 1920,
            height: 1080,
            frame_rate: (30_000, 1001),
            duration_ms: Some(1_000),
            frames_expected: 30,
            trimmed: true,
            rotation_degrees: 270,
            mirrored: false,
            container: "video/quicktime".into(),
            codec: "video/x-h264".into(),
        }
    }

    fn job(options: Options) -> JobParameters {
        JobParameters { options, limits: LIMITS, threads: NonZeroU32::MIN }
    }

    fn summary() -> Summary {
        Summary {
            first_frame: 0,
            frames_decoded: 661,
            frames_processed: 661,
            frames_detected: 661,
            mean_visibility: 1.0,
            track_losses: 0,
            jitter: 0.5,
            people: 1,
            warnings: Warnings::NONE,
        }
    }

    #[test]
    fn facts_at_the_limits_are_possible() {
        assert_eq!(check_facts(&facts(), &LIMITS), Ok(()));
        let unknown = VideoFacts { frame_rate: (0, 1), duration_ms: None, ..facts() };
        assert_eq!(check_facts(&unknown, &LIMITS), Ok(()));
        let rounded = VideoFacts { frame_rate: (121, 2), ..facts() };
        assert_eq!(check_facts(&rounded, &LIMITS), Ok(()));
    }

    #[test]
    fn each_fact_beyond_its_limit_is_named() {
        type Change = fn(&mut VideoFacts);
        let cases: [(&str, Change); 17] = [
            ("picture size", |facts| facts.width = 0),
            ("picture size", |facts| facts.height = 0),
            ("picture size", |facts| facts.width = u32::MAX),
            ("picture size", |facts| facts.width = 1921),
            ("picture size", |facts| facts.height = 1081),
            ("frame rate", |facts| facts.frame_rate = (30, 0)),
            ("frame rate", |facts| facts.frame_rate = (0, 0)),
            ("frame rate", |facts| facts.frame_rate = (61, 1)),
            ("frame rate", |facts| facts.frame_rate = (u32::MAX, 1)),
            ("duration", |facts| facts.duration_ms = Some(u64::MAX)),
            ("number of frames", |facts| facts.frames_expected = u32::MAX),
            ("rotation", |facts| facts.rotation_degrees = 45),
            ("rotation", |facts| facts.rotation_degrees = 360),
            ("container", |facts| facts.container = "<img src=x>".into()),
            ("container", |facts| facts.container = "\u{202e}".into()),
            ("codec", |facts| facts.codec = "a\r\nX-Injected: 1".into()),
            ("codec", |facts| facts.codec = "\u{1b}[2J".into()),
        ];
        for (what, change) in cases {
            let mut facts = facts();
            change(&mut facts);
            assert_eq!(check_facts(&facts, &LIMITS), Err(what), "{facts:?}");
        }
        let reject = MediaLimits { on_long: OnLong::Reject, ..LIMITS };
        assert_eq!(check_facts(&facts(), &reject), Err("trim"));
    }

    #[test]
    fn totals_at_the_limits_are_possible_and_one_past_each_is_not() {
        let job = job(Options::default());
        assert!(is_possible(&summary(), &job));
        type Change = fn(&mut Summary);
        let cases: [Change; 13] = [
            |it| it.first_frame = 1,
            |it| (it.frames_decoded, it.frames_processed) = (662, 662),
            |it| it.frames_processed = 660,
            |it| it.frames_processed = 662,
            |it| it.frames_detected = 662,
            |it| it.mean_visibility = 1.001,
            |it| it.mean_visibility = f32::NAN,
            |it| it.track_losses = 662,
            |it| it.jitter = f32::NAN,
            |it| it.jitter = -0.1,
            |it| it.jitter = f32::MAX,
            |it| it.people = 2,
            |it| it.people = 0,
        ];
        for (n, change) in cases.into_iter().enumerate() {
            let mut summary = summary();
            change(&mut summary);
            assert!(!is_possible(&summary, &job), "case {n}: {summary:?}");
        }
    }

    #[test]
    fn the_number_of_processed_frames_follows_from_the_sampling() {
        let every_third =
            Options { sampling: Sampling::every(3).expect("legal"), ..Options::default() };
        let of = |frames_processed| {
            let counts = Summary { frames_decoded: 10, frames_processed, ..summary() };
            let counts = Summary { frames_detected: 0, people: 0, ..counts };
            is_possible(&counts, &job(every_third))
        };
        assert_eq!([3, 4, 5].map(of), [false, true, false]);
    }

    #[test]
    fn a_part_begins_no_later_than_frames_at_the_highest_rate_do() {
        let from_start = Options { start: Some(Thousandths::new(2000)), ..Options::default() };
        let of = |first_frame| is_possible(&Summary { first_frame, ..summary() }, &job(from_start));
        assert!(of(0) && of(181) && !of(182));
    }

    #[test]
    fn several_people_may_be_taken_for_new_ones_in_each_frame() {
        let five = Options { people_max: 5, ..Options::default() };
        let of = |people| {
            let counts = Summary { frames_decoded: 2, frames_processed: 2, people, ..summary() };
            is_possible(&Summary { frames_detected: 2, ..counts }, &job(five))
        };
        assert!(of(9) && !of(10));
    }
}
