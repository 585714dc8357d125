//! A job: what was asked, what state it is in, and which states may follow. Pure.
//!
//! Owned by the dispatcher, which changes a job's state through [`Job::apply`] alone.

use crate::name::DisplayName;
use crate::origin::Origin;
use crate::worker::obituary::Obituary;
use bodyscript_protocol::message::{Summary, VideoFacts};
use bodyscript_protocol::options::Options;
use bodyscript_protocol::posture::Posture;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use utoipa::ToSchema;

/// Records of attempts a job keeps; only requeues by operators can make it more.
pub const ATTEMPTS_KEPT_MAX: usize = 16;

/// The key to a job's data: 128 random bits, as 32 hexadecimal digits in URLs and folder names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(u128);

/// A text that is no job's id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not the id of a job: 32 hexadecimal digits")]
pub struct NotAJobId;

impl JobId {
    /// A new one that nobody can guess.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the kernel has random numbers once it has booted");
        Self(u128::from_ne_bytes(bytes))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = NotAJobId;

    fn from_str(text: &str) -> Result<Self, NotAJobId> {
        let canonical = text.len() == 32
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !canonical {
            return Err(NotAJobId);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| NotAJobId)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// What the client calls the file.
    pub filename: DisplayName,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// How it is to be processed.
    pub options: Options,
    /// SHA-256 of the client's key to this request, in hexadecimal, if it gave one.
    pub idempotency_key: Option<String>,
}

impl Upload {
    /// Whether both ask for the same thing of the same video, whatever they call it.
    pub fn is_same_request(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.bytes == other.bytes && self.options == other.options
    }
}

/// One attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AttemptRecord {
    /// The cap on its memory.
    pub cap_bytes: u64,
    /// Most memory it ever used.
    pub peak_bytes: u64,
    /// From birth to reaping.
    pub wall_ms: u64,
    /// Processor time.
    pub cpu_ms: u64,
    /// How it ended: the name of an [`crate::worker::obituary::End`].
    pub end: &'static str,
    /// Whether the video was executed.
    #[serde(skip)]
    pub is_counted: bool,
}

impl AttemptRecord {
    /// What a job remembers of an obituary.
    pub fn of(obituary: &Obituary) -> Self {
        Self {
            cap_bytes: obituary.cap_bytes,
            peak_bytes: obituary.peak_bytes,
            wall_ms: obituary.wall.as_millis() as u64,
            cpu_ms: obituary.cpu.as_millis() as u64,
            end: obituary.end.name(),
            is_counted: obituary.end.is_counted(),
        }
    }
}

/// Why a job failed, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    /// Stable. Owned where a journal told it.
    pub code: Cow<'static, str>,
    /// One sentence.
    pub sentence: String,
}

/// The state of a job, with the facts that belong to it.
#[derive(Debug, Clone, PartialEq)]
pub enum JobState {
    /// In the queue.
    Pending {
        /// When it first started, if an attempt of it is over.
        started_at: Option<Timestamp>,
        /// Cap on the memory of the next attempt.
        memory_bytes_max: u64,
        /// Why it waits again.
        reason: Option<String>,
    },
    /// A worker is on it.
    Processing {
        /// When it first started.
        started_at: Timestamp,
        /// Cap on the memory of this attempt.
        memory_bytes_max: u64,
    },
    /// Its artefacts are published.
    Completed {
        /// When it first started.
        started_at: Timestamp,
        /// When it was completed.
        completed_at: Timestamp,
        /// How it went.
        summary: Summary,
    },
    /// There will be no result.
    Failed {
        /// When it first started, if it did.
        started_at: Option<Timestamp>,
        /// When it failed.
        completed_at: Timestamp,
        /// Why.
        error: JobError,
    },
    /// The client does not want it any more.
    Cancelled {
        /// When it first started, if it did.
        started_at: Option<Timestamp>,
        /// When it was over.
        completed_at: Timestamp,
    },
}

/// What can happen to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An attempt begins.
    Started,
    /// The attempt is over without a final word; another is to follow.
    Requeued {
        /// Cap on its memory.
        memory_bytes_max: u64,
        /// Why.
        reason: String,
    },
    /// The artefacts are published.
    Completed(Summary),
    /// There will be no result.
    Failed(JobError),
    /// The client does not want it any more.
    Cancelled,
    /// An operator allows another try.
    Retried {
        /// Cap on the memory of the next attempt.
        memory_bytes_max: u64,
    },
}

/// An event that cannot happen in this state: a fault in the dispatcher.
#[derive(Debug, Error)]
#[error("a job that is {state} cannot be {event:?}")]
pub struct IllegalTransition {
    state: &'static str,
    event: Event,
}

impl JobState {
    /// The name in status documents.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Processing { .. } => "processing",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether nothing follows unless an operator wants it.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. })
    }

    /// When the job first started, if it did.
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

    /// When the job was over, if it is.
    pub const fn completed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { .. } | Self::Processing { .. } => None,
            Self::Completed { completed_at, .. }
            | Self::Failed { completed_at, .. }
            | Self::Cancelled { completed_at, .. } => Some(*completed_at),
        }
    }

    fn after(&self, event: Event, now: Timestamp) -> Result<Self, IllegalTransition> {
        let started_at = self.started_at();
        Ok(match (self, event) {
            (Self::Pending { memory_bytes_max, .. }, Event::Started) => Self::Processing {
                started_at: started_at.unwrap_or(now),
                memory_bytes_max: *memory_bytes_max,
            },
            (Self::Processing { .. }, Event::Requeued { memory_bytes_max, reason }) => {
                Self::Pending { started_at, memory_bytes_max, reason: Some(reason) }
            }
            (Self::Processing { started_at, .. }, Event::Completed(summary)) => {
                Self::Completed { started_at: *started_at, completed_at: now, summary }
            }
            (Self::Pending { .. } | Self::Processing { .. }, Event::Failed(error)) => {
                Self::Failed { started_at, completed_at: now, error }
            }
            (Self::Pending { .. } | Self::Processing { .. }, Event::Cancelled) => {
                Self::Cancelled { started_at, completed_at: now }
            }
            (Self::Failed { .. }, Event::Retried { memory_bytes_max }) => Self::Pending {
                started_at,
                memory_bytes_max,
                reason: Some("An operator allowed another try.".into()),
            },
            (_, event) => return Err(IllegalTransition { state: self.name(), event }),
        })
    }
}

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its key.
    pub id: JobId,
    /// What was uploaded.
    pub upload: Upload,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The request that brought it, as long as the service that took it runs.
    pub origin: Origin,
    /// What its latest worker told of the video.
    pub facts: Option<VideoFacts>,
    /// The sandbox of its latest worker.
    pub posture: Option<Posture>,
    /// Its latest attempts that are over, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// How many attempts are over.
    pub attempts_made: u32,
    /// How many of them count as executions of the video.
    pub executions: u32,
    state: JobState,
}

impl Job {
    /// A job that waits for its first attempt.
    pub fn new(id: JobId, upload: Upload, memory_bytes_max: u64, now: Timestamp) -> Self {
        let state = JobState::Pending { started_at: None, memory_bytes_max, reason: None };
        Self::recalled(id, upload, now, state)
    }

    /// A job as a journal has it; what else is known of it is the caller's to fill in.
    pub const fn recalled(
        id: JobId,
        upload: Upload,
        created_at: Timestamp,
        state: JobState,
    ) -> Self {
        Self {
            id,
            upload,
            created_at,
            origin: Origin::NONE,
            facts: None,
            posture: None,
            attempts: Vec::new(),
            attempts_made: 0,
            executions: 0,
            state,
        }
    }

    /// Its state.
    pub const fn state(&self) -> &JobState {
        &self.state
    }

    /// Takes the job to its next state, if that is legal.
    pub fn apply(&mut self, event: Event, now: Timestamp) -> Result<(), IllegalTransition> {
        self.state = self.state.after(event, now)?;
        Ok(())
    }

    /// Lets the job begin anew: what it was executed before no longer counts.
    pub const fn absolve(&mut self) {
        self.executions = 0;
    }

    /// Lowers the memory a waiting job is to have to what can be had.
    pub fn lower_cap(&mut self, available_bytes: u64) {
        if let JobState::Pending { memory_bytes_max, .. } = &mut self.state {
            *memory_bytes_max = available_bytes.min(*memory_bytes_max);
        }
    }

    /// Remembers an attempt that is over.
    pub fn record(&mut self, attempt: AttemptRecord) {
        self.attempts_made += 1;
        self.executions += u32::from(attempt.is_counted);
        if self.attempts.len() == ATTEMPTS_KEPT_MAX {
            self.attempts.remove(0);
        }
        self.attempts.push(attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SUMMARY: Summary = Summary {
        frames_decoded: 2,
        frames_processed: 2,
        frames_detected: 1,
        mean_visibility: 0.5,
        track_losses: 0,
        jitter: 0.0,
        people: 1,
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

    fn requeued() -> Event {
        Event::Requeued { memory_bytes_max: 200, reason: "more".into() }
    }

    fn retried() -> Event {
        Event::Retried { memory_bytes_max: 300 }
    }

    fn failed() -> Event {
        Event::Failed(JobError { code: "x".into(), sentence: "X.".into() })
    }

    fn second(s: i64) -> Timestamp {
        Timestamp::from_second(s).expect("small")
    }

    #[test]
    fn ids_differ_and_survive_being_written() {
        let id = JobId::random();
        assert_ne!(id, JobId::random());
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "..", &"A".repeat(32), &"0".repeat(31), &"0".repeat(33), &"+".repeat(32)]
        {
            assert_eq!(wrong.parse::<JobId>(), Err(NotAJobId));
        }
    }

    #[test]
    fn a_retry_keeps_the_first_start_and_brings_its_own_cap() {
        let mut job = job();
        for (event, at) in [(Event::Started, 1), (requeued(), 2), (Event::Started, 3)] {
            job.apply(event, second(at)).expect("legal");
        }
        let expected = JobState::Processing { started_at: second(1), memory_bytes_max: 200 };
        assert_eq!(job.state(), &expected);
        job.apply(Event::Completed(SUMMARY), second(4)).expect("legal");
        assert_eq!(job.state().started_at(), Some(second(1)));
        assert_eq!(job.state().completed_at(), Some(second(4)));
    }

    #[test]
    fn every_pair_of_state_and_event_is_as_the_diagram_says() {
        let events = [
            Event::Started,
            requeued(),
            Event::Completed(SUMMARY),
            failed(),
            Event::Cancelled,
            retried(),
        ];
        let ways: [(&[Event], [bool; 6]); 6] = [
            (&[], [true, false, false, true, true, false]),
            (&[Event::Started], [false, true, true, true, true, false]),
            (&[Event::Started, Event::Completed(SUMMARY)], [false; 6]),
            (&[failed()], [false, false, false, false, false, true]),
            (&[failed(), retried()], [true, false, false, true, true, false]),
            (&[Event::Cancelled], [false; 6]),
        ];
        for (way, legal) in ways {
            for (event, legal) in events.iter().zip(legal) {
                let mut job = job();
                for step in way {
                    job.apply(step.clone(), second(1)).expect("the way there is legal");
                }
                let state = job.state().name();
                let result = job.apply(event.clone(), second(2));
                assert_eq!(result.is_ok(), legal, "{state} then {event:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_job_that_is_over_stays_so(picks in prop::collection::vec(0usize..5, 0..20)) {
            let mut job = job();
            let mut over = None;
            for pick in picks {
                let event = match pick {
                    0 => Event::Started,
                    1 => requeued(),
                    2 => Event::Completed(SUMMARY),
                    3 => failed(),
                    _ => Event::Cancelled,
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
