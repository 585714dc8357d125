//! A job: what was asked, and what is known of it. Pure.
//!
//! Owned by the dispatcher, which changes a job's state through [`Job::apply`] alone.

pub(crate) mod id;
pub(crate) mod record;
pub(crate) mod state;

use crate::policy::display_name::DisplayName;
use crate::runner::attempt::origin::Origin;
use bodyscript_protocol::message::VideoFacts;
use bodyscript_protocol::options::Options;
use bodyscript_protocol::sandbox_report::SandboxReport;
pub use id::JobId;
use jiff::Timestamp;
pub use record::AttemptRecord;
pub(crate) use state::{IllegalTransition, JobState};
pub use state::{JobError, JobEvent};

/// Records of attempts a job keeps; only requeues by operators can make it more.
pub(crate) const ATTEMPTS_KEPT_MAX: usize = 16;

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

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its key.
    pub id: JobId,
    /// What was uploaded.
    pub upload: Upload,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The request that brought it.
    pub origin: Origin,
    /// What its latest worker told of the video.
    pub facts: Option<VideoFacts>,
    /// The sandbox of its latest worker.
    pub sandbox: Option<SandboxReport>,
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
            sandbox: None,
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
    pub fn apply(&mut self, event: JobEvent, now: Timestamp) -> Result<(), IllegalTransition> {
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
