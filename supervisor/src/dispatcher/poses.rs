//! Where the poses of a job are to be read: in the log of its attempt, or in its results.
//!
//! Part of the dispatcher's loop.

use crate::dispatcher::Results;
use crate::dispatcher::state::State;
use crate::policy::job::{JobId, JobState};
use crate::runner::attempt::PoseLog;
use crate::store::ResultsOf;

/// Where the poses of a job are.
#[derive(Debug)]
pub(crate) enum PoseSource {
    /// There are none yet: the job waits, or its worker starts.
    Awaited,
    /// A worker of this host is finding them.
    Running {
        /// The number of this start of the job.
        start: u32,
        /// What it has found.
        log: PoseLog,
    },
    /// Another host processes the job, and shares what its worker finds.
    Elsewhere {
        /// The number of this start of the job.
        start: u32,
    },
    /// The job has ended.
    Ended {
        /// The number of its last start; 0 if it was never started.
        start: u32,
        /// The name of its state.
        status: &'static str,
        /// Its results, if it has completed.
        results: Option<ResultsOf>,
    },
}

impl State {
    /// Where the poses of a job are; none if there is no such job.
    pub(crate) fn poses(&self, id: JobId) -> Option<PoseSource> {
        let job = self.jobs.get(id)?;
        if job.state().is_final() {
            let results = match self.results(id) {
                Some(Results::Ready { of, .. }) => Some(of),
                _ => None,
            };
            let status = job.state().name();
            return Some(PoseSource::Ended { start: job.claims, status, results });
        }
        if matches!(job.state(), JobState::Processing { .. }) && job.host != Some(self.host) {
            return Some(PoseSource::Elsewhere { start: job.claims });
        }
        let running = self.scheduler.running().get(id);
        let log = running.and_then(|running| Some((running.claim, running.poses.get()?.clone())));
        Some(log.map_or(PoseSource::Awaited, |(start, log)| PoseSource::Running { start, log }))
    }
}
