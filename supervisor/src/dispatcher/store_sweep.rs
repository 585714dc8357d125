//! Removes from the shared store what no job accounts for: of hosts that were lost between two steps.
//!
//! Part of the dispatcher's loop, which has all jobs of a shared journal. Without one, other services may use the same
//! store, and nothing is removed.

use crate::dispatcher::state::State;
use crate::policy::job::{JobId, JobState};
use crate::store::{JournalState, Stored, failpoint};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How often a host looks through the store.
const SWEEP_PERIOD: Duration = Duration::from_secs(3600);

/// How old something is that is removed. An upload is there before its job, results are there before it is completed.
const AGE_MIN: Duration = Duration::from_secs(6 * 3600);

/// What is kept of a job.
#[derive(Debug, Clone, Copy)]
struct Kept {
    upload: bool,
    /// The poses of a running job.
    poses: bool,
    /// The results of this claim; none for those of any.
    claim: Option<u32>,
}

impl Kept {
    const fn of(state: &JobState, claims: u32) -> Self {
        match state {
            JobState::Pending { .. } | JobState::Processing { .. } => {
                Self { upload: true, poses: true, claim: None }
            }
            JobState::Completed { .. } => Self { upload: false, poses: false, claim: Some(claims) },
            // An operator may retry a failed one.
            JobState::Failed { .. } => Self { upload: true, poses: false, claim: Some(0) },
            JobState::Cancelled { .. } => Self { upload: false, poses: false, claim: Some(0) },
        }
    }
}

impl State {
    /// Looks through the store, if it is time for that.
    pub(crate) fn sweep_store(&mut self) {
        let (period, age_min) = waits();
        let is_due = self.store_swept_at.elapsed() >= period;
        if !is_due || !self.journal.is_shared() || self.journal.state() != JournalState::Writable {
            return;
        }
        self.store_swept_at = Instant::now();
        let kept: HashMap<JobId, Kept> =
            self.jobs.iter().map(|job| (job.id, Kept::of(job.state(), job.claims))).collect();
        let (files, before) = (self.files.clone(), self.clock.wall() - age_min);
        tokio::spawn(async move {
            match files.sweep(before, |stored| is_kept(&kept, stored)).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "objects of no job removed from the store"),
                Err(error) => tracing::warn!(%error, "cannot look through the store"),
            }
        });
    }
}

/// Time between two looks, and the age of what is removed.
fn waits() -> (Duration, Duration) {
    if failpoint::is_skipped("store_sweep_wait") {
        return (Duration::ZERO, Duration::ZERO);
    }
    (SWEEP_PERIOD, AGE_MIN)
}

fn is_kept(kept: &HashMap<JobId, Kept>, stored: &Stored) -> bool {
    match stored {
        Stored::Upload(id) => kept.get(id).is_some_and(|kept| kept.upload),
        Stored::Poses(id) => kept.get(id).is_some_and(|kept| kept.poses),
        Stored::Results(id, claim) => {
            kept.get(id).is_some_and(|kept| kept.claim.is_none_or(|kept| kept == *claim))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn only_what_a_job_may_still_need_is_kept() {
        let (id, at) = (JobId::random(), Timestamp::UNIX_EPOCH);
        let kept = |state: JobState| HashMap::from([(id, Kept::of(&state, 3))]);
        let (upload, results) = (Stored::Upload(id), |claim| Stored::Results(id, claim));
        let running = kept(JobState::Processing { started_at: at, memory_bytes_max: 1 });
        assert!(is_kept(&running, &upload) && is_kept(&running, &results(3)));
        assert!(is_kept(&running, &Stored::Poses(id)));
        let cancelled = kept(JobState::Cancelled { started_at: None, completed_at: at });
        assert!(!is_kept(&cancelled, &upload) && !is_kept(&cancelled, &results(3)));
        assert!(!is_kept(&cancelled, &Stored::Poses(id)));
        let none = HashMap::new();
        assert!(!is_kept(&none, &upload) && !is_kept(&none, &results(1)));
    }
}
