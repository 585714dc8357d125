//! Progress of a job in numbers and in a sentence: its queue position while pending, its frames
//! while processing.
//!
//! Called by [`crate::dispatcher::status::Status::of`]. Pure, except that it reads the clock.

use crate::policy::job::{Job, JobState};
use crate::runner::attempt::Live;
use bodyscript_protocol::message::{Progress, Skipped};
use std::time::{Duration, Instant};

/// The queue position of a pending job: 1 is next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Its position.
    pub position: usize,
    /// Number of pending jobs.
    pub total: usize,
    /// Estimated time until the job is over, if there is a basis for it.
    pub time_left: Option<Duration>,
}

/// Frames processed and expected.
pub(crate) fn frames(job: &Job, live: Option<&Live>) -> (u32, Option<u32>) {
    if let JobState::Completed { summary, .. } = job.state() {
        return (summary.frames_processed, Some(summary.frames_processed));
    }
    let Some(Live { facts, progress: Progress { frames_done, .. }, .. }) = live else {
        return (0, None);
    };
    // The number of frames in the container's header can be too low.
    let expected = facts.as_ref().map(|facts| facts.frames_expected.max(*frames_done));
    (*frames_done, expected)
}

/// Estimated seconds until the job is over, if there is a basis for them.
pub(crate) fn seconds_left(job: &Job, place: Option<Place>, live: Option<&Live>) -> Option<u64> {
    let time = time_left(job, place, live)?;
    Some(time.as_millis().div_ceil(1000) as u64)
}

fn time_left(job: &Job, place: Option<Place>, live: Option<&Live>) -> Option<Duration> {
    match (job.state(), live) {
        (JobState::Pending { .. }, _) => place?.time_left,
        (JobState::Processing { .. }, Some(live)) => {
            let (done, all) = frames_of_passes(job, Some(live), frames(job, Some(live)));
            live.rate.time_left(done, all?, Instant::now())
        }
        _ => None,
    }
}

/// Frames done and expected in all passes of a job. One of a second pass, which is decoded and encoded but not searched
/// for people, counts half.
pub(crate) fn frames_of_passes(
    job: &Job,
    live: Option<&Live>,
    (current, total): (u32, Option<u32>),
) -> (u32, Option<u32>) {
    if !job.upload.options.is_recorded() {
        return (current, total);
    }
    let written = live.map_or(0, |live| live.frames_written);
    let of_both = |total: u32| total.saturating_add(total / 2);
    (current.saturating_add(written / 2), total.map(of_both))
}

/// From 0 to 100; 100 only when completed.
pub(crate) fn percent(state: &JobState, current: u32, total: Option<u32>) -> u8 {
    match state {
        JobState::Completed { .. } => 100,
        _ => match total {
            Some(total) if total > 0 => (u64::from(current) * 100 / u64::from(total)).min(99) as u8,
            _ => 0,
        },
    }
}

/// One sentence for users.
pub(crate) fn message(
    state: &JobState,
    place: Option<Place>,
    live: Option<&Live>,
    (current, total): (u32, Option<u32>),
) -> String {
    match state {
        JobState::Pending { reason, .. } => {
            let position_text = match place {
                Some(Place { position: 1, .. }) => "Your video is first in the queue.".into(),
                Some(Place { position, total, .. }) => {
                    format!("Your video is number {position} of {total} in the queue.")
                }
                None => "Queued.".into(),
            };
            reason
                .as_ref()
                .map_or(position_text.clone(), |reason| format!("{reason} {position_text}"))
        }
        JobState::Processing { .. } => match (total, live.and_then(|live| live.skipped)) {
            (None, _) => "Starting.".into(),
            (_, Some(Skipped { until_ms })) if current == 0 => {
                format!("Reading up to the chosen part, {} s so far.", until_ms / 1000)
            }
            (Some(total), _) => format!("Processing frame {current} of {total}."),
        },
        JobState::Completed { .. } => "Done.".into(),
        JobState::Failed { error, .. } => error.sentence.clone(),
        JobState::Cancelled { .. } => "Cancelled.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn a_job_tells_how_far_it_was_read_on_the_way_to_its_part() {
        let state =
            JobState::Processing { started_at: Timestamp::UNIX_EPOCH, memory_bytes_max: 100 };
        let skipped = Some(Skipped { until_ms: 12_345 });
        let live = Live { skipped, ..Live::default() };
        let said = |current| message(&state, None, Some(&live), (current, Some(9)));
        assert_eq!(said(0), "Reading up to the chosen part, 12 s so far.");
        assert_eq!(said(1), "Processing frame 1 of 9.");
    }

    #[test]
    fn only_a_completed_job_is_at_100_percent() {
        let state =
            JobState::Processing { started_at: Timestamp::UNIX_EPOCH, memory_bytes_max: 100 };
        assert_eq!(percent(&state, 50, Some(200)), 25);
        assert_eq!(percent(&state, 200, Some(200)), 99);
        assert_eq!(percent(&state, 7, Some(0)), 0);
        assert_eq!(percent(&state, 7, None), 0);
    }
}
