//! The handle to the dispatcher, and the commands that it accepts.
//!
//! One task (`state::State`) owns all jobs, the queue and the memory budget; callers send it a
//! [`Command`] and await the reply. No lock is shared, so a slow client or a hung worker cannot
//! hold one.

pub(crate) mod attempt_task;
pub(crate) mod attempts;
pub(crate) mod breaker;
pub(crate) mod cancellation;
pub(crate) mod counters;
pub(crate) mod deletion;
pub(crate) mod deletion_retry;
pub(crate) mod disk_space;
pub(crate) mod expiry;
pub(crate) mod health;
pub(crate) mod job_retry;
pub(crate) mod job_table;
pub(crate) mod listing;
mod lookup;
pub(crate) mod mode;
mod model_gate;
pub(crate) mod poison_gate;
mod pose_sharing;
pub(crate) mod poses;
pub(crate) mod recent;
pub(crate) mod report;
mod runner;
pub(crate) mod running;
pub(crate) mod scheduler;
mod settlement;
pub(crate) mod settlements;
mod shared_progress;
mod sharing;
pub(crate) mod state;
pub(crate) mod status;
mod store_sweep;
pub(crate) mod submission;
mod ticket;
pub(crate) mod worker_pool;

use crate::config::Config;
use crate::dispatcher::status::{Numbers, Status};
use crate::policy::admission::{Refusal, Request};
use crate::policy::display_name::DisplayName;
use crate::policy::job::{JobId, Upload};
use crate::runner::attempt::exit_report::Stop;
use crate::store::{ArtefactStore, JournalError, Recovered, ResultsOf};
use bodyscript_protocol::formats::Formats;
pub(crate) use counters::AttemptCounters;
pub(crate) use listing::{Listing, Page};
pub(crate) use poses::PoseSource;
pub(crate) use recent::Recent;
pub(crate) use report::{Counts, Health, SharedJournalReport};
pub(crate) use runner::{Runner, RunningAttempt};
use std::sync::Arc;
use thiserror::Error;
pub(crate) use ticket::Ticket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
pub(crate) use worker_pool::Standby;

/// Capacity of the command channel; when it is full, senders wait.
const COMMANDS_MAX: usize = 256;

/// The dispatcher task has ended: the service is stopping.
#[derive(Debug, Error)]
#[error("the dispatcher has stopped")]
pub struct DispatcherStopped;

/// The database that hosts share does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the journal does not answer")]
pub(crate) struct JournalUnreachable;

/// Receives whether there was a job to remove.
pub(crate) type RemoveReply = oneshot::Sender<Result<bool, JournalUnreachable>>;

/// Why an upload did not become a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// The disk has no space for its journal row.
    #[error("not enough disk space for another job")]
    DiskFull,
    /// The files of the journal are not those that the next start would open.
    #[error("the journal was removed, replaced or truncated")]
    JournalLost,
    /// The database that hosts share does not answer.
    #[error("the journal does not answer")]
    JournalUnreachable,
    /// The journal row could not be written.
    #[error("could not write the job to the journal")]
    Unwritten,
    /// Its idempotency key belongs to an earlier, different request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// Its idempotency key belongs to a request that is in progress.
    #[error("a request with the same idempotency key is in progress")]
    KeyBusy,
}

impl From<&JournalError> for SubmitError {
    fn from(error: &JournalError) -> Self {
        match error {
            JournalError::Lost(_) => Self::JournalLost,
            JournalError::Unreachable => Self::JournalUnreachable,
            error if error.is_disk_full() => Self::DiskFull,
            _ => Self::Unwritten,
        }
    }
}

/// Result of a request to cancel a job.
#[derive(Debug)]
pub(crate) enum Cancelled {
    /// The job is cancelled and its memory is free.
    Now(Status),
    /// The job had ended before.
    TooLate(Status),
}

/// Result of an operator's request to retry a job.
#[derive(Debug)]
pub(crate) enum Retried {
    /// The job is queued again.
    Now(Status),
    /// Only a failed job can be retried.
    NotFailed(Status),
    /// The video of the job has been deleted.
    WithoutVideo,
}

/// The results of a job.
#[derive(Debug)]
pub(crate) enum Results {
    /// The results are published.
    Ready {
        /// Which they are.
        of: ResultsOf,
        /// File name of the video, as given by the client.
        filename: DisplayName,
        /// The formats that were requested.
        formats: Formats,
    },
    /// The job is not completed.
    NotReady {
        /// The name of its state.
        state: &'static str,
    },
}

/// A command to the dispatcher, with the channel for its reply.
#[derive(Debug)]
pub(crate) enum Command {
    Admit {
        request: Request,
        disk_free_bytes: u64,
        reply: oneshot::Sender<Result<Ticket, Refusal>>,
    },
    Submit {
        ticket: Ticket,
        id: JobId,
        upload: Upload,
        reply: state::SubmitReply,
    },
    Status {
        id: JobId,
        reply: oneshot::Sender<Option<Status>>,
    },
    Watch {
        id: JobId,
        reply: oneshot::Sender<Option<watch::Receiver<u64>>>,
    },
    Cancel {
        id: JobId,
        reply: oneshot::Sender<Option<Cancelled>>,
    },
    Retry {
        id: JobId,
        reply: oneshot::Sender<Option<Retried>>,
    },
    Remove {
        id: JobId,
        reply: RemoveReply,
    },
    Results {
        id: JobId,
        reply: oneshot::Sender<Option<Results>>,
    },
    Poses {
        id: JobId,
        reply: oneshot::Sender<Option<PoseSource>>,
    },
    List {
        page: Page,
        reply: oneshot::Sender<Listing>,
    },
    Numbers {
        reply: oneshot::Sender<Vec<Numbers>>,
    },
    Recent {
        ended_max: usize,
        reply: oneshot::Sender<Recent>,
    },
    Health {
        disk_free_bytes: u64,
        reply: oneshot::Sender<Health>,
    },
    Configure {
        config: Arc<Config>,
        reply: oneshot::Sender<()>,
    },
    RestartWorkers {
        reply: oneshot::Sender<usize>,
    },
    Pause {
        reply: oneshot::Sender<usize>,
    },
    Resume {
        reply: oneshot::Sender<()>,
    },
    Leave {
        reply: oneshot::Sender<()>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
    Stop {
        why: Stop,
        reply: oneshot::Sender<()>,
    },
}

/// A handle to the dispatcher.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher {
    commands: mpsc::Sender<Command>,
    counters: AttemptCounters,
    files: ArtefactStore,
}

impl Dispatcher {
    /// Starts the dispatcher task. It ends once every handle is dropped and no worker is left.
    pub(crate) fn start(
        config: Arc<Config>,
        runner: Runner,
        files: ArtefactStore,
        recovered: Recovered,
    ) -> (Self, JoinHandle<()>) {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let state = state::State::new(config, runner, files.clone(), recovered);
        let counters = state.counters.clone();
        (Self { commands, counters, files }, tokio::spawn(state.run(inbox)))
    }

    /// Counters of finished attempts.
    pub(crate) const fn counters(&self) -> &AttemptCounters {
        &self.counters
    }

    async fn request<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, DispatcherStopped> {
        let (reply, response) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| DispatcherStopped)?;
        response.await.map_err(|_| DispatcherStopped)
    }

    /// Requests a place for an upload, before its body is read.
    pub(crate) async fn admit(
        &self,
        request: Request,
    ) -> Result<Result<Ticket, Refusal>, DispatcherStopped> {
        let disk_free_bytes = self.disk_free_bytes().await;
        self.request(|reply| Command::Admit { request, disk_free_bytes, reply }).await
    }

    /// Submits an upload that is complete in the state folder. After `Ok(Ok(_))` it is a job, which
    /// no crash loses.
    pub(crate) async fn submit(
        &self,
        ticket: Ticket,
        id: JobId,
        upload: Upload,
    ) -> Result<Result<Status, SubmitError>, DispatcherStopped> {
        self.request(|reply| Command::Submit { ticket, id, upload, reply }).await
    }

    /// The status of a job, if the job exists.
    pub(crate) async fn status(&self, id: JobId) -> Result<Option<Status>, DispatcherStopped> {
        self.request(|reply| Command::Status { id, reply }).await
    }

    /// A revision that changes whenever the status of the job does; closed when the job is removed.
    pub(crate) async fn watch(
        &self,
        id: JobId,
    ) -> Result<Option<watch::Receiver<u64>>, DispatcherStopped> {
        self.request(|reply| Command::Watch { id, reply }).await
    }

    /// Cancels a job. Returns once its worker, if any, is reaped.
    pub(crate) async fn cancel(&self, id: JobId) -> Result<Option<Cancelled>, DispatcherStopped> {
        self.request(|reply| Command::Cancel { id, reply }).await
    }

    /// Retries a failed job and clears the crash count of its content.
    pub(crate) async fn retry(&self, id: JobId) -> Result<Option<Retried>, DispatcherStopped> {
        self.request(|reply| Command::Retry { id, reply }).await
    }

    /// Cancels a job if it is not over and removes it with all its files; false if there is none.
    pub(crate) async fn remove(
        &self,
        id: JobId,
    ) -> Result<Result<bool, JournalUnreachable>, DispatcherStopped> {
        self.request(|reply| Command::Remove { id, reply }).await
    }

    /// Whether a job has results.
    pub(crate) async fn results(&self, id: JobId) -> Result<Option<Results>, DispatcherStopped> {
        self.request(|reply| Command::Results { id, reply }).await
    }

    /// Where the poses of a job are now.
    pub(crate) async fn poses(&self, id: JobId) -> Result<Option<PoseSource>, DispatcherStopped> {
        self.request(|reply| Command::Poses { id, reply }).await
    }

    /// A page of the list of all jobs.
    pub(crate) async fn list(&self, page: Page) -> Result<Listing, DispatcherStopped> {
        self.request(|reply| Command::List { page, reply }).await
    }

    /// The numbers of every job, in no particular order.
    pub(crate) async fn numbers(&self) -> Result<Vec<Numbers>, DispatcherStopped> {
        self.request(|reply| Command::Numbers { reply }).await
    }

    /// The running jobs, the head of the queue and up to `ended_max` of the latest ended jobs.
    pub(crate) async fn recent(&self, ended_max: usize) -> Result<Recent, DispatcherStopped> {
        self.request(|reply| Command::Recent { ended_max, reply }).await
    }

    /// State of the dispatcher.
    pub(crate) async fn health(&self) -> Result<Health, DispatcherStopped> {
        let disk_free_bytes = self.disk_free_bytes().await;
        self.request(|reply| Command::Health { disk_free_bytes, reply }).await
    }

    /// Free disk space in bytes; 0 if it is unknown. Measured by the caller: statvfs(2) blocks while
    /// a file system does not respond, and the dispatcher must not.
    async fn disk_free_bytes(&self) -> u64 {
        let files = self.files.clone();
        let measured = spawn_blocking(move || files.folder().free_bytes()).await;
        measured.ok().and_then(Result::ok).unwrap_or(0)
    }

    /// Applies the settings of a configuration that can change while the service runs.
    pub(crate) async fn configure(&self, config: Arc<Config>) -> Result<(), DispatcherStopped> {
        self.request(|reply| Command::Configure { config, reply }).await
    }

    /// Stops every worker and requeues its job, without counting the attempts. Returns how many.
    pub(crate) async fn restart_workers(&self) -> Result<usize, DispatcherStopped> {
        self.request(|reply| Command::RestartWorkers { reply }).await
    }

    /// Stops accepting and starting jobs until [`Self::resume`]. Returns how many are in progress.
    pub(crate) async fn pause(&self) -> Result<usize, DispatcherStopped> {
        self.request(|reply| Command::Pause { reply }).await
    }

    /// Accepts and starts jobs again, unless the service stops.
    pub(crate) async fn resume(&self) -> Result<(), DispatcherStopped> {
        self.request(|reply| Command::Resume { reply }).await
    }

    /// Stops starting jobs for good, and reports that the service stops.
    pub(crate) async fn leave(&self) -> Result<(), DispatcherStopped> {
        self.request(|reply| Command::Leave { reply }).await
    }

    /// Stops accepting and starting jobs for good. Returns once no worker is left.
    pub(crate) async fn close(&self) -> Result<(), DispatcherStopped> {
        self.request(|reply| Command::Close { reply }).await
    }

    /// Stops every attempt in progress. Returns once no worker is left.
    pub(crate) async fn stop(&self, why: Stop) -> Result<(), DispatcherStopped> {
        self.request(|reply| Command::Stop { why, reply }).await
    }
}

#[cfg(test)]
mod simulation;
