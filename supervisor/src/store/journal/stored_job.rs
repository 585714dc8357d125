//! A job in the form of a journal: plain values by the names that both engines give them.
//!
//! SQLite has a column for each ([`crate::store::journal::sqlite`]), PostgreSQL a JSON document.

use crate::policy::display_name::DisplayName;
use crate::policy::job::{AttemptRecord, Job, JobError, JobId, JobState, Revision, Upload};
use crate::runner::attempt::exit_report::{Deadline, ExitReason, ProcessExit};
use crate::runner::attempt::origin::Origin;
use crate::store::clock::Moment;
use crate::store::journal::JobRow;
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::options::Options;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// A value that cannot be read, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} has an unreadable value")]
pub(crate) struct Unreadable(pub(crate) &'static str);

/// A job without its id and attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredJob {
    pub filename: String,
    pub bytes: u64,
    pub sha256: String,
    pub options: Options,
    pub created_ms: i64,
    pub state: Cow<'static, str>,
    pub started_ms: Option<i64>,
    pub completed_ms: Option<i64>,
    pub memory_bytes_max: Option<u64>,
    pub reason: Option<String>,
    pub summary: Option<Summary>,
    pub error_code: Option<String>,
    pub error_sentence: Option<String>,
    pub facts: Option<Value>,
    pub posture: Option<Value>,
    pub attempts_made: u32,
    pub executions: u32,
    pub claims: u32,
    /// PostgreSQL has it beside the document.
    #[serde(skip)]
    pub revision: i64,
    pub ended_clock_ms: Option<i64>,
    pub idempotency_key: Option<String>,
    pub request_id: Option<String>,
    pub trace_id: Option<String>,
}

impl StoredJob {
    /// The form of a job.
    pub(crate) fn of(JobRow { job, ended }: &JobRow) -> Self {
        let state = job.state();
        let mut stored = Self {
            filename: job.upload.filename.to_string(),
            bytes: job.upload.bytes,
            sha256: job.upload.sha256.clone(),
            options: job.upload.options,
            created_ms: job.created_at.as_millisecond(),
            state: state.name().into(),
            started_ms: state.started_at().map(Timestamp::as_millisecond),
            completed_ms: state.completed_at().map(Timestamp::as_millisecond),
            memory_bytes_max: None,
            reason: None,
            summary: None,
            error_code: None,
            error_sentence: None,
            facts: job.facts.as_ref().map(value),
            posture: job.sandbox.as_ref().map(value),
            attempts_made: job.attempts_made,
            executions: job.executions,
            claims: job.claims,
            revision: job.revision.for_journal(),
            ended_clock_ms: ended.map(Moment::as_ms),
            idempotency_key: job.upload.idempotency_key.clone(),
            request_id: job.origin.request_id().map(str::to_owned),
            trace_id: job.origin.trace_id().map(str::to_owned),
        };
        match state {
            JobState::Pending { memory_bytes_max, reason, .. } => {
                stored.memory_bytes_max = Some(*memory_bytes_max);
                stored.reason.clone_from(reason);
            }
            JobState::Processing { memory_bytes_max, .. } => {
                stored.memory_bytes_max = Some(*memory_bytes_max);
            }
            JobState::Completed { summary, .. } => stored.summary = Some(*summary),
            JobState::Failed { error, .. } => {
                stored.error_code = Some(error.code.to_string());
                stored.error_sentence = Some(error.sentence.clone());
            }
            JobState::Cancelled { .. } => {}
        }
        stored
    }

    /// The job. Details that cannot be read are left out; without its state there is no job.
    pub(crate) fn into_row(self, id: JobId) -> Result<JobRow, Unreadable> {
        let (state, created_at) = (self.state()?, time("created_ms", self.created_ms)?);
        let upload = Upload {
            filename: DisplayName::new(&self.filename),
            bytes: self.bytes,
            sha256: self.sha256,
            options: self.options,
            idempotency_key: self.idempotency_key,
        };
        let mut job = Job::from_journal(id, upload, created_at, state);
        job.origin = Origin::from_journal(self.request_id, self.trace_id);
        job.facts = details(self.facts);
        job.sandbox = details(self.posture);
        job.attempts_made = self.attempts_made;
        job.executions = self.executions;
        job.claims = self.claims;
        job.revision = Revision::from_journal(self.revision);
        Ok(JobRow { job, ended: self.ended_clock_ms.map(Moment::from_ms) })
    }

    fn state(&self) -> Result<JobState, Unreadable> {
        let started_at = self.started_ms.map(|ms| time("started_ms", ms)).transpose()?;
        let started = || started_at.ok_or(Unreadable("started_ms"));
        let completed = || {
            let ms = self.completed_ms.ok_or(Unreadable("completed_ms"))?;
            time("completed_ms", ms)
        };
        let cap = || self.memory_bytes_max.ok_or(Unreadable("memory_bytes_max"));
        Ok(match self.state.as_ref() {
            "pending" => JobState::Pending {
                started_at,
                memory_bytes_max: cap()?,
                reason: self.reason.clone(),
            },
            "processing" => {
                JobState::Processing { started_at: started()?, memory_bytes_max: cap()? }
            }
            "completed" => JobState::Completed {
                started_at: started()?,
                completed_at: completed()?,
                summary: self.summary.ok_or(Unreadable("summary"))?,
            },
            "failed" => JobState::Failed {
                started_at,
                completed_at: completed()?,
                error: JobError {
                    code: Cow::Owned(self.error_code.clone().ok_or(Unreadable("error_code"))?),
                    sentence: self.error_sentence.clone().ok_or(Unreadable("error_sentence"))?,
                },
            },
            "cancelled" => JobState::Cancelled { started_at, completed_at: completed()? },
            _ => return Err(Unreadable("state")),
        })
    }
}

/// A finished attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredAttempt {
    pub cap_bytes: u64,
    pub peak_bytes: u64,
    pub wall_ms: u64,
    pub cpu_ms: u64,
    pub end: Cow<'static, str>,
    pub is_counted: bool,
}

impl StoredAttempt {
    /// The form of an attempt.
    pub(crate) const fn of(attempt: &AttemptRecord) -> Self {
        Self {
            cap_bytes: attempt.cap_bytes,
            peak_bytes: attempt.peak_bytes,
            wall_ms: attempt.wall_ms,
            cpu_ms: attempt.cpu_ms,
            end: Cow::Borrowed(attempt.end),
            is_counted: attempt.is_counted,
        }
    }

    /// The attempt.
    pub(crate) fn into_record(self) -> Result<AttemptRecord, Unreadable> {
        let end = end_name(&self.end).ok_or(Unreadable("end"))?;
        Ok(AttemptRecord {
            cap_bytes: self.cap_bytes,
            peak_bytes: self.peak_bytes,
            wall_ms: self.wall_ms,
            cpu_ms: self.cpu_ms,
            end,
            is_counted: self.is_counted,
            // Which of the ends by an operator were no command is not stored.
            is_killed: end == ExitReason::Killed.name(),
        })
    }
}

/// The name of an end, from the stored text.
fn end_name(text: &str) -> Option<&'static str> {
    const NAMES: [&str; 13] = [
        ExitReason::Done.name(),
        ExitReason::BadInput.name(),
        ExitReason::Oom.name(),
        ExitReason::RssCap.name(),
        ExitReason::Crash(ProcessExit::Status(0)).name(),
        ExitReason::Sigsys { syscall: None }.name(),
        ExitReason::Deadline(Deadline::Wall).name(),
        ExitReason::Protocol.name(),
        ExitReason::Cancelled.name(),
        ExitReason::Operator.name(),
        ExitReason::Killed.name(),
        ExitReason::Shutdown.name(),
        ExitReason::SpawnFailed.name(),
    ];
    NAMES.into_iter().find(|name| *name == text)
}

fn value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("plain values with text keys")
}

/// A value that is useful but not required: none if it cannot be read.
fn details<T: DeserializeOwned>(stored: Option<Value>) -> Option<T> {
    stored.and_then(|stored| serde_json::from_value(stored).ok())
}

fn time(name: &'static str, ms: i64) -> Result<Timestamp, Unreadable> {
    Timestamp::from_millisecond(ms).map_err(|_| Unreadable(name))
}
