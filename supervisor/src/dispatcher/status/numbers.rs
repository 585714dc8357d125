//! The numbers of a job that statistics need, without the rest of the document. Pure.
//!
//! Made for every job at once by the dispatcher, so it must stay cheap.

use crate::dispatcher::status::progress::frames;
use crate::policy::job::{Job, JobId, JobState};
use crate::runner::attempt::Live;
use jiff::Timestamp;
use std::borrow::Cow;

/// The numbers of one job.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    /// Id of the job.
    pub job_id: JobId,
    /// Name of its state.
    pub status: &'static str,
    /// Error code, if it failed.
    pub error_code: Option<Cow<'static, str>>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Peak memory over all attempts.
    pub peak_bytes: u64,
    /// Wall time of the last attempt, once the job is over.
    pub wall_ms: Option<u64>,
    /// Frames processed.
    pub frames: u32,
    /// Finished attempts.
    pub attempts: usize,
}

impl Numbers {
    /// The numbers of a job; `live` is given for one in progress.
    pub(crate) fn of(job: &Job, live: Option<&Live>) -> Self {
        let state = job.state();
        let past = job.attempts.iter().map(|attempt| attempt.peak_bytes);
        // The frames of a running attempt took none of the time of earlier ones.
        let last = job.attempts.last().filter(|_| state.is_final());
        Self {
            job_id: job.id,
            status: state.name(),
            error_code: match state {
                JobState::Failed { error, .. } => Some(error.code.clone()),
                _ => None,
            },
            created_at: job.created_at,
            started_at: state.started_at(),
            completed_at: state.completed_at(),
            peak_bytes: past.chain(live.map(|live| live.peak_bytes)).max().unwrap_or(0),
            wall_ms: last.map(|attempt| attempt.wall_ms).filter(|ms| *ms > 0),
            frames: frames(job, live).0,
            attempts: job.attempts.len(),
        }
    }
}
