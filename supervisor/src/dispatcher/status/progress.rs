//! How far a job is, in numbers and in a sentence: its place while it waits, its frames while a
//! worker is on it.
//!
//! Called by [`crate::dispatcher::status::Status::of`]. Pure but for a look at the running clock.

use crate::policy::job::{Job, JobState};
use crate::runner::attempt::Live;
use bodyscript_protocol::message::Progress;
use std::time::{Duration, Instant};

/// Where a waiting job stands: 1 is next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Its position.
    pub position: usize,
    /// How many wait.
    pub total: usize,
    /// How long it will probably be until the job is over, once anything is known of that.
    pub time_left: Option<Duration>,
}

/// Frames done and expected.
pub(crate) fn frames(job: &Job, live: Option<&Live>) -> (u32, Option<u32>) {
    if let JobState::Completed { summary, .. } = job.state() {
        return (summary.frames_processed, Some(summary.frames_processed));
    }
    let Some(Live { facts, progress: Progress { frames_done, .. }, .. }) = live else {
        return (0, None);
    };
    // The container's word on the number of frames can be too low.
    let expected = facts.as_ref().map(|facts| facts.frames_expected.max(*frames_done));
    (*frames_done, expected)
}

/// Seconds until the job will probably be over, if there is anything to tell it from.
pub(crate) fn seconds_left(
    state: &JobState,
    place: Option<Place>,
    live: Option<&Live>,
) -> Option<u64> {
    let time = time_left(state, place, live)?;
    Some(time.as_millis().div_ceil(1000) as u64)
}

fn time_left(state: &JobState, place: Option<Place>, live: Option<&Live>) -> Option<Duration> {
    match (state, live) {
        (JobState::Pending { .. }, _) => place?.time_left,
        (JobState::Processing { .. }, Some(Live { facts, progress, rate, .. })) => {
            let total = facts.as_ref()?.frames_expected;
            rate.time_left(progress.frames_done, total, Instant::now())
        }
        _ => None,
    }
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

/// One sentence for people.
pub(crate) fn message(
    state: &JobState,
    place: Option<Place>,
    current: u32,
    total: Option<u32>,
) -> String {
    match state {
        JobState::Pending { reason, .. } => {
            let turn = match place {
                Some(Place { position: 1, .. }) => "Your video is first in the queue.".into(),
                Some(Place { position, total, .. }) => {
                    format!("Your video is number {position} of {total} in the queue.")
                }
                None => "Queued.".into(),
            };
            reason.as_ref().map_or(turn.clone(), |reason| format!("{reason} {turn}"))
        }
        JobState::Processing { .. } => match total {
            None => "Starting.".into(),
            Some(total) => format!("Processing frame {current} of {total}."),
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
    fn only_a_completed_job_is_at_a_hundred() {
        let state =
            JobState::Processing { started_at: Timestamp::UNIX_EPOCH, memory_bytes_max: 100 };
        assert_eq!(percent(&state, 50, Some(200)), 25);
        assert_eq!(percent(&state, 200, Some(200)), 99);
        assert_eq!(percent(&state, 7, Some(0)), 0);
        assert_eq!(percent(&state, 7, None), 0);
    }
}
