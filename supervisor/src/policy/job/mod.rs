//! A job: its upload, its state and its attempts. Pure.
//!
//! Owned by the dispatcher, which changes a job's state with [`Job::apply`] only.

pub(crate) mod id;
pub(crate) mod record;
pub(crate) mod revision;
pub(crate) mod state;

use crate::policy::client::ClientAddress;
use crate::policy::display_name::DisplayName;
use crate::policy::host::HostId;
use crate::policy::poison;
use crate::runner::attempt::origin::Origin;
use bodyscript_protocol::message::VideoFacts;
use bodyscript_protocol::options::Options;
use bodyscript_protocol::sandbox_report::SandboxReport;
pub use id::JobId;
use jiff::Timestamp;
pub use record::AttemptRecord;
pub(crate) use revision::Revision;
pub(crate) use state::{IllegalTransition, JobState};
pub use state::{JobError, JobEvent};

/// Attempts kept per job; only requeues by operators can lead to more.
pub(crate) const ATTEMPTS_KEPT_MAX: usize = 16;

/// An uploaded video and its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// File name given by the client.
    pub filename: DisplayName,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal; empty for a local file.
    pub sha256: String,
    /// Options of the processing.
    pub options: Options,
    /// SHA-256 of the client's idempotency key, in hexadecimal, if it sent one.
    pub idempotency_key: Option<String>,
}

impl Upload {
    /// Whether both are the same request for the same video; file names may differ.
    pub fn is_same_request(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.bytes == other.bytes && self.options == other.options
    }

    /// What a worker executes: the content with the options. Empty for a local file.
    pub(crate) fn execution(&self) -> String {
        poison::execution(&self.sha256, &self.options)
    }
}

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The uploaded video.
    pub upload: Upload,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The request that submitted it.
    pub origin: Origin,
    /// Properties of the video, as the latest worker reported them.
    pub facts: Option<VideoFacts>,
    /// The sandbox of its latest worker.
    pub sandbox: Option<SandboxReport>,
    /// Its latest finished attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// Number of finished attempts.
    pub attempts_made: u32,
    /// Number of finished attempts that count as executions of the video.
    pub executions: u32,
    /// Number of started attempts, of any end.
    pub claims: u32,
    /// The latest change.
    pub(crate) revision: Revision,
    /// The change before it.
    pub(crate) replaced: Revision,
    /// Who sent it.
    pub(crate) client: ClientAddress,
    /// The host that processes it.
    pub(crate) host: Option<HostId>,
    /// Whether other hosts may accept it too: one that does not know whether it has takes nothing back.
    pub(crate) is_repeatable: bool,
    /// How many hosts were lost while they processed it.
    pub lost_hosts: u32,
    /// Whether its video is no longer in the store that hosts share, although it has failed and could be retried.
    pub(crate) is_video_discarded: bool,
    /// How often an attempt was given up until there is memory, since the start of the service.
    pub memory_waits: u32,
    /// How often an attempt was given up until there is disk space, since the start of the service.
    pub disk_waits: u32,
    state: JobState,
}

impl Job {
    /// A new job in the queue.
    pub fn new(id: JobId, upload: Upload, memory_bytes_max: u64, now: Timestamp) -> Self {
        let state = JobState::Pending { started_at: None, memory_bytes_max, reason: None };
        let revision = Revision::NONE.next();
        Self { revision, ..Self::from_journal(id, upload, now, state) }
    }

    /// A job read from the journal; the caller fills in the remaining fields.
    pub const fn from_journal(
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
            claims: 0,
            revision: Revision::NONE,
            replaced: Revision::NONE,
            client: ClientAddress::ThisHost,
            host: None,
            is_repeatable: false,
            lost_hosts: 0,
            is_video_discarded: false,
            memory_waits: 0,
            disk_waits: 0,
            state,
        }
    }

    /// Its state.
    pub const fn state(&self) -> &JobState {
        &self.state
    }

    /// Applies an event, if it is legal in the current state. A retry by an operator starts with no
    /// executions and no waits for memory or disk space.
    pub fn apply(&mut self, event: JobEvent, now: Timestamp) -> Result<(), IllegalTransition> {
        let is_retry = matches!(event, JobEvent::Retried { .. });
        let is_start = matches!(event, JobEvent::Started);
        self.state = self.state.after(event, now)?;
        self.count_change();
        self.claims += u32::from(is_start);
        if is_retry {
            self.executions = 0;
            self.lost_hosts = 0;
            self.memory_waits = 0;
            self.disk_waits = 0;
        }
        Ok(())
    }

    /// Notes, as a change, that the host that processes it is known by another id.
    pub(crate) fn move_to(&mut self, host: HostId) {
        self.host = Some(host);
        self.count_change();
    }

    /// Notes, as a change, that its video is removed.
    pub(crate) fn discard_video(&mut self) {
        self.is_video_discarded = true;
        self.count_change();
    }

    fn count_change(&mut self) {
        self.replaced = self.revision;
        self.revision = self.revision.next();
    }

    /// Lowers the memory cap of a pending job to the available memory.
    pub fn lower_cap(&mut self, available_bytes: u64) {
        if let JobState::Pending { memory_bytes_max, .. } = &mut self.state {
            *memory_bytes_max = available_bytes.min(*memory_bytes_max);
        }
    }

    /// Adds a finished attempt, and what its worker reported.
    pub fn record(
        &mut self,
        attempt: AttemptRecord,
        facts: Option<VideoFacts>,
        sandbox: Option<SandboxReport>,
    ) {
        self.update(facts, sandbox);
        self.attempts_made += 1;
        self.executions += u32::from(attempt.is_counted);
        if self.attempts.len() == ATTEMPTS_KEPT_MAX {
            self.attempts.remove(0);
        }
        self.attempts.push(attempt);
    }

    /// Notes an attempt that was given up until there is memory. It is none of the finished ones.
    pub fn record_memory_wait(
        &mut self,
        facts: Option<VideoFacts>,
        sandbox: Option<SandboxReport>,
    ) {
        self.update(facts, sandbox);
        self.memory_waits += 1;
    }

    /// Notes an attempt that was given up until there is disk space. It is none of the finished ones.
    pub fn record_disk_wait(&mut self, facts: Option<VideoFacts>, sandbox: Option<SandboxReport>) {
        self.update(facts, sandbox);
        self.disk_waits += 1;
    }

    fn update(&mut self, facts: Option<VideoFacts>, sandbox: Option<SandboxReport>) {
        self.facts = facts.or(self.facts.take());
        self.sandbox = sandbox.or(self.sandbox.take());
    }
}
