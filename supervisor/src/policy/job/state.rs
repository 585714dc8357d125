//! The states of a job and the transitions between them. Pure; the crate documentation has a
//! diagram.
//!
//! Only [`crate::policy::job::Job::apply`] applies transitions.

use bodyscript_protocol::message::Summary;
use jiff::Timestamp;
use std::borrow::Cow;
use thiserror::Error;

/// Why a job failed, for users and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    /// A stable code; owned if it was read from the journal.
    pub code: Cow<'static, str>,
    /// One sentence.
    pub sentence: String,
}

/// The state of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum JobState {
    /// In the queue.
    Pending {
        /// When its first attempt started, if one has.
        started_at: Option<Timestamp>,
        /// Cap on the memory of the next attempt.
        memory_bytes_max: u64,
        /// Why it was queued again.
        reason: Option<String>,
    },
    /// A worker processes it.
    Processing {
        /// When its first attempt started.
        started_at: Timestamp,
        /// Cap on the memory of this attempt.
        memory_bytes_max: u64,
    },
    /// Its artefacts are published.
    Completed {
        /// When its first attempt started.
        started_at: Timestamp,
        /// When it completed.
        completed_at: Timestamp,
        /// Statistics of the processing.
        summary: Summary,
    },
    /// It failed; there are no results.
    Failed {
        /// When its first attempt started, if one has.
        started_at: Option<Timestamp>,
        /// When it failed.
        completed_at: Timestamp,
        /// The reason.
        error: JobError,
    },
    /// The client cancelled it.
    Cancelled {
        /// When its first attempt started, if one has.
        started_at: Option<Timestamp>,
        /// When it was cancelled.
        completed_at: Timestamp,
    },
}

/// What happens to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum JobEvent {
    /// An attempt starts.
    Started,
    /// The memory cap of the attempt was raised.
    Raised {
        /// Its new cap.
        memory_bytes_max: u64,
    },
    /// The attempt has ended and another one follows.
    Requeued {
        /// Memory cap of the next attempt.
        memory_bytes_max: u64,
        /// The reason.
        reason: String,
    },
    /// The artefacts are published.
    Completed(Summary),
    /// The job failed.
    Failed(JobError),
    /// The client cancelled it.
    Cancelled,
    /// An operator retries it.
    Retried {
        /// Memory cap of the next attempt.
        memory_bytes_max: u64,
    },
}

/// An event that is not legal in the current state: a bug in the dispatcher.
#[derive(Debug, Error)]
#[error("a job that is {state} cannot be {event:?}")]
pub struct IllegalTransition {
    state: &'static str,
    event: JobEvent,
}

impl JobState {
    /// The name in documents.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Processing { .. } => "processing",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether the job has ended; only an operator can retry it then.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. })
    }

    /// When the first attempt started, if one has.
    pub const fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { started_at, .. }
            | Self::Failed { started_at, .. }
            | Self::Cancelled { started_at, .. } => *started_at,
            Self::Processing { started_at, .. } | Self::Completed { started_at, .. } => {
                Some(*started_at)
            }
        }
    }

    /// When the job ended, if it has.
    pub const fn completed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { .. } | Self::Processing { .. } => None,
            Self::Completed { completed_at, .. }
            | Self::Failed { completed_at, .. }
            | Self::Cancelled { completed_at, .. } => Some(*completed_at),
        }
    }

    /// The state after an event, if the event is legal in this one.
    pub(crate) fn after(&self, event: JobEvent, now: Timestamp) -> Result<Self, IllegalTransition> {
        let started_at = self.started_at();
        Ok(match (self, event) {
            (Self::Pending { memory_bytes_max, .. }, JobEvent::Started) => Self::Processing {
                started_at: started_at.unwrap_or(now),
                memory_bytes_max: *memory_bytes_max,
            },
            (Self::Processing { started_at, .. }, JobEvent::Raised { memory_bytes_max }) => {
                Self::Processing { started_at: *started_at, memory_bytes_max }
            }
            (Self::Processing { .. }, JobEvent::Requeued { memory_bytes_max, reason }) => {
                Self::Pending { started_at, memory_bytes_max, reason: Some(reason) }
            }
            (Self::Processing { started_at, .. }, JobEvent::Completed(summary)) => {
                Self::Completed { started_at: *started_at, completed_at: now, summary }
            }
            (Self::Pending { .. } | Self::Processing { .. }, JobEvent::Failed(error)) => {
                Self::Failed { started_at, completed_at: now, error }
            }
            (Self::Pending { .. } | Self::Processing { .. }, JobEvent::Cancelled) => {
                Self::Cancelled { started_at, completed_at: now }
            }
            (Self::Failed { .. }, JobEvent::Retried { memory_bytes_max }) => Self::Pending {
                started_at,
                memory_bytes_max,
                reason: Some("An operator started a retry.".into()),
            },
            (_, event) => return Err(IllegalTransition { state: self.name(), event }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::display_name::DisplayName;
    use crate::policy::job::{Job, JobId, Upload};
    use bodyscript_protocol::options::Options;
    use proptest::prelude::*;

    const SUMMARY: Summary = Summary {
        first_frame: 0,
        frames_decoded: 2,
        frames_processed: 2,
        frames_detected: 1,
        mean_visibility: 0.5,
        track_losses: 0,
        jitter: 0.0,
        people: 1,
        warnings: bodyscript_protocol::warning::Warnings::NONE,
    };

    fn job() -> Job {
        let upload = Upload {
            filename: DisplayName::new("clip.mp4"),
            bytes: 1,
            sha256: String::new(),
            options: Options::default(),
            idempotency_key: None,
        };
        Job::new(JobId::random(), upload, 100, Timestamp::UNIX_EPOCH)
    }

    fn requeued() -> JobEvent {
        JobEvent::Requeued { memory_bytes_max: 200, reason: "more".into() }
    }

    fn retried() -> JobEvent {
        JobEvent::Retried { memory_bytes_max: 300 }
    }

    fn failed() -> JobEvent {
        JobEvent::Failed(JobError { code: "x".into(), sentence: "X.".into() })
    }

    fn second(s: i64) -> Timestamp {
        Timestamp::from_second(s).expect("small")
    }

    #[test]
    fn a_retry_keeps_the_first_start_and_sets_a_new_cap() {
        let mut job = job();
        for (event, at) in [(JobEvent::Started, 1), (requeued(), 2), (JobEvent::Started, 3)] {
            job.apply(event, second(at)).expect("legal");
        }
        let expected = JobState::Processing { started_at: second(1), memory_bytes_max: 200 };
        assert_eq!(job.state(), &expected);
        job.apply(JobEvent::Completed(SUMMARY), second(4)).expect("legal");
        assert_eq!(job.state().started_at(), Some(second(1)));
        assert_eq!(job.state().completed_at(), Some(second(4)));
    }

    #[test]
    fn a_raised_cap_is_that_of_the_attempt() {
        let mut job = job();
        job.apply(JobEvent::Started, second(1)).expect("legal");
        job.apply(JobEvent::Raised { memory_bytes_max: 150 }, second(2)).expect("legal");
        let expected = JobState::Processing { started_at: second(1), memory_bytes_max: 150 };
        assert_eq!(job.state(), &expected);
    }

    #[test]
    fn a_retry_by_an_operator_forgets_how_often_the_job_has_waited_for_memory() {
        let mut job = job();
        job.record_memory_wait(None, None);
        assert_eq!((job.memory_waits, job.attempts_made, job.attempts.len()), (1, 0, 0));
        job.apply(failed(), second(1)).expect("legal");
        job.apply(retried(), second(2)).expect("legal");
        assert_eq!(job.memory_waits, 0);
    }

    #[test]
    fn every_pair_of_state_and_event_matches_the_diagram() {
        let events = [
            JobEvent::Started,
            requeued(),
            JobEvent::Completed(SUMMARY),
            failed(),
            JobEvent::Cancelled,
            retried(),
            JobEvent::Raised { memory_bytes_max: 400 },
        ];
        let paths: [(&[JobEvent], [bool; 7]); 6] = [
            (&[], [true, false, false, true, true, false, false]),
            (&[JobEvent::Started], [false, true, true, true, true, false, true]),
            (&[JobEvent::Started, JobEvent::Completed(SUMMARY)], [false; 7]),
            (&[failed()], [false, false, false, false, false, true, false]),
            (&[failed(), retried()], [true, false, false, true, true, false, false]),
            (&[JobEvent::Cancelled], [false; 7]),
        ];
        for (path, legal) in paths {
            for (event, legal) in events.iter().zip(legal) {
                let mut job = job();
                for step in path {
                    job.apply(step.clone(), second(1)).expect("every step is legal");
                }
                let state = job.state().name();
                let result = job.apply(event.clone(), second(2));
                assert_eq!(result.is_ok(), legal, "{state} then {event:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn an_ended_job_changes_only_by_a_retry(picks in prop::collection::vec(0usize..5, 0..20)) {
            let mut job = job();
            let mut over = None;
            for pick in picks {
                let event = match pick {
                    0 => JobEvent::Started,
                    1 => requeued(),
                    2 => JobEvent::Completed(SUMMARY),
                    3 => failed(),
                    _ => JobEvent::Cancelled,
                };
                let _ = job.apply(event, second(1));
                if let Some(over) = &over {
                    prop_assert_eq!(job.state(), over);
                }
                if job.state().is_final() {
                    over = Some(job.state().clone());
                }
            }
        }
    }
}
