//! The single owner of jobs, queue and memory budget, and the handle by which others reach it.
//!
//! One task (`state::State`) holds all state; everybody else sends it a command and awaits the
//! answer. No lock is shared, so no slow client and no hung worker can hold one.

pub(crate) mod attempt_task;
pub(crate) mod breaker;
pub(crate) mod counters;
pub(crate) mod deletion;
pub(crate) mod deletion_retry;
pub(crate) mod health;
pub(crate) mod job_retry;
pub(crate) mod listing;
pub(crate) mod poison_gate;
pub(crate) mod recent;
pub(crate) mod scheduler;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod submission;
pub(crate) mod worker_pool;

use crate::config::Config;
use crate::dispatcher::status::{Numbers, Status};
use crate::policy::admission::{Refusal, Request};
use crate::policy::display_name::DisplayName;
use crate::policy::job::{JobId, Upload};
use crate::runner::attempt::exit_report::{ExitReport, Stop};
use crate::runner::attempt::origin::Origin;
use crate::runner::attempt::{AttemptChannels, WorkerSpec};
use crate::store::artefacts::StateDir;
use crate::store::journal::JournalError;
use crate::store::recovery::Recovered;
use crate::store::retention::Pressure;
pub(crate) use counters::AttemptCounters;
pub(crate) use listing::{Listing, Page};
pub(crate) use recent::Recent;
use serde::Serialize;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
pub(crate) use worker_pool::Standby;

/// Commands that may wait for the dispatcher; beyond, senders wait.
const COMMANDS_MAX: usize = 256;

/// What runs one attempt: [`crate::runner::attempt::run`] in a factory.
pub(crate) type Runner = Arc<dyn Fn(WorkerSpec, AttemptChannels) -> RunningAttempt + Send + Sync>;

/// An attempt under way.
pub(crate) type RunningAttempt = Pin<Box<dyn Future<Output = ExitReport> + Send>>;

/// The dispatcher is gone: the service is stopping.
#[derive(Debug, Error)]
#[error("the dispatcher has stopped")]
pub struct DispatcherStopped;

/// Why an upload was not made a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// There is no room to write it down.
    #[error("not enough disk space for another job")]
    DiskFull,
    /// What is written down would not be found again.
    #[error("the journal was removed, replaced or truncated")]
    JournalLost,
    /// It could not be written down.
    #[error("could not write the job to the journal")]
    Unwritten,
    /// Its key is that of an earlier request, which was another.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// Its key is that of a request that is being taken in.
    #[error("a request with the same idempotency key is in progress")]
    KeyBusy,
}

impl From<&JournalError> for SubmitError {
    fn from(error: &JournalError) -> Self {
        match error {
            JournalError::Lost(_) => Self::JournalLost,
            error if error.is_disk_full() => Self::DiskFull,
            _ => Self::Unwritten,
        }
    }
}

/// A place in the queue, held while the upload is under way and given back by dropping it.
#[derive(Debug)]
pub(crate) struct Ticket {
    _place: Arc<()>,
    origin: Origin,
}

impl Ticket {
    /// Names the request that brings the upload, for the log.
    pub(crate) fn from(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }
}

/// What became of a wish to cancel a job.
#[derive(Debug)]
pub(crate) enum Cancelled {
    /// It is cancelled; its memory is free.
    Now(Status),
    /// It was over before.
    TooLate(Status),
}

/// What became of an operator's wish to have a job tried again.
#[derive(Debug)]
pub(crate) enum Retried {
    /// It waits for its turn.
    Now(Status),
    /// Only a failed job is tried again.
    NotFailed(Status),
    /// Its video is gone.
    WithoutVideo,
}

/// The results of a job, asked for by its id.
#[derive(Debug)]
pub(crate) enum Results {
    /// They are published.
    Ready {
        /// What the client calls the video.
        filename: DisplayName,
    },
    /// The job is not completed.
    NotReady {
        /// The name of its state.
        state: &'static str,
    },
}

/// How the dispatcher is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Health {
    /// Whether an upload would be taken now, but for its size.
    pub is_ready: bool,
    /// Why not.
    pub reason: Option<&'static str>,
    /// Attempts at once.
    pub workers: usize,
    /// Workers that wait for a job.
    pub standby: Vec<Standby>,
    /// Jobs by state.
    pub jobs: Counts,
    /// Uploads under way.
    pub uploads: usize,
    /// Sum of the caps of all workers.
    pub reserved_bytes: u64,
    /// What that sum may come to.
    pub budget_bytes: u64,
    /// Resident memory of all workers.
    pub workers_rss_bytes: u64,
    /// What is short on this host.
    #[serde(skip)]
    pub pressure: Pressure,
    /// How long one job takes, as measured.
    pub service_time_ms: u64,
}

/// Jobs by state.
#[derive(Debug, Clone, Copy, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct Counts {
    /// In the queue.
    pub pending: usize,
    /// With a worker.
    pub processing: usize,
    /// With results.
    pub completed: usize,
    /// Without.
    pub failed: usize,
    /// Unwanted.
    pub cancelled: usize,
}

/// What can be asked of the dispatcher.
#[derive(Debug)]
pub(crate) enum Command {
    Admit { request: Request, reply: oneshot::Sender<Result<Ticket, Refusal>> },
    Submit { ticket: Ticket, id: JobId, upload: Upload, reply: state::SubmitReply },
    Status { id: JobId, reply: oneshot::Sender<Option<Status>> },
    Watch { id: JobId, reply: oneshot::Sender<Option<watch::Receiver<u64>>> },
    Cancel { id: JobId, reply: oneshot::Sender<Option<Cancelled>> },
    Retry { id: JobId, reply: oneshot::Sender<Option<Retried>> },
    Remove { id: JobId, reply: oneshot::Sender<bool> },
    Results { id: JobId, reply: oneshot::Sender<Option<Results>> },
    List { page: Page, reply: oneshot::Sender<Listing> },
    Numbers { reply: oneshot::Sender<Vec<Numbers>> },
    Recent { ended_max: usize, reply: oneshot::Sender<Recent> },
    Health { reply: oneshot::Sender<Health> },
    Configure { config: Arc<Config>, reply: oneshot::Sender<()> },
    RestartWorkers { reply: oneshot::Sender<usize> },
    Drain { reply: oneshot::Sender<()> },
    Stop { why: Stop, reply: oneshot::Sender<()> },
}

/// The way to the dispatcher.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher {
    commands: mpsc::Sender<Command>,
    counters: AttemptCounters,
}

impl Dispatcher {
    /// Starts it. It ends when every handle is dropped and no attempt is under way.
    pub(crate) fn start(
        config: Arc<Config>,
        runner: Runner,
        state: StateDir,
        recovered: Recovered,
    ) -> (Self, JoinHandle<()>) {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let state = state::State::new(config, runner, state, recovered);
        let counters = state.counters.clone();
        (Self { commands, counters }, tokio::spawn(state.work(inbox)))
    }

    /// The attempts that are over.
    pub(crate) const fn counters(&self) -> &AttemptCounters {
        &self.counters
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, DispatcherStopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| DispatcherStopped)?;
        answer.await.map_err(|_| DispatcherStopped)
    }

    /// Asks for a place for an upload, before its body is read.
    pub(crate) async fn admit(
        &self,
        request: Request,
    ) -> Result<Result<Ticket, Refusal>, DispatcherStopped> {
        self.ask(|reply| Command::Admit { request, reply }).await
    }

    /// Hands in an upload, complete in the state folder. It is a job once this returns `Ok(Ok)`:
    /// from then on no crash loses it.
    pub(crate) async fn submit(
        &self,
        ticket: Ticket,
        id: JobId,
        upload: Upload,
    ) -> Result<Result<Status, SubmitError>, DispatcherStopped> {
        self.ask(|reply| Command::Submit { ticket, id, upload, reply }).await
    }

    /// The status of a job, if there is such a job.
    pub(crate) async fn status(&self, id: JobId) -> Result<Option<Status>, DispatcherStopped> {
        self.ask(|reply| Command::Status { id, reply }).await
    }

    /// A number that changes whenever the status of the job does; closed when the job is removed.
    pub(crate) async fn watch(
        &self,
        id: JobId,
    ) -> Result<Option<watch::Receiver<u64>>, DispatcherStopped> {
        self.ask(|reply| Command::Watch { id, reply }).await
    }

    /// Cancels a job. Returns once its worker, if any, is gone.
    pub(crate) async fn cancel(&self, id: JobId) -> Result<Option<Cancelled>, DispatcherStopped> {
        self.ask(|reply| Command::Cancel { id, reply }).await
    }

    /// Has a failed job tried again, whatever is held against it or its content.
    pub(crate) async fn retry(&self, id: JobId) -> Result<Option<Retried>, DispatcherStopped> {
        self.ask(|reply| Command::Retry { id, reply }).await
    }

    /// Cancels a job if need be and forgets it with all its files; tells whether there was one.
    pub(crate) async fn remove(&self, id: JobId) -> Result<bool, DispatcherStopped> {
        self.ask(|reply| Command::Remove { id, reply }).await
    }

    /// Whether a job has results.
    pub(crate) async fn results(&self, id: JobId) -> Result<Option<Results>, DispatcherStopped> {
        self.ask(|reply| Command::Results { id, reply }).await
    }

    /// A page of the list of all jobs.
    pub(crate) async fn list(&self, page: Page) -> Result<Listing, DispatcherStopped> {
        self.ask(|reply| Command::List { page, reply }).await
    }

    /// The numbers of every job, in no order.
    pub(crate) async fn numbers(&self) -> Result<Vec<Numbers>, DispatcherStopped> {
        self.ask(|reply| Command::Numbers { reply }).await
    }

    /// The jobs under way and this many of the latest ends.
    pub(crate) async fn recent(&self, ended_max: usize) -> Result<Recent, DispatcherStopped> {
        self.ask(|reply| Command::Recent { ended_max, reply }).await
    }

    /// How the dispatcher is, in its own word.
    pub(crate) async fn health(&self) -> Result<Health, DispatcherStopped> {
        self.ask(|reply| Command::Health { reply }).await
    }

    /// Goes on by this configuration, as far as it can be changed while it works.
    pub(crate) async fn configure(&self, config: Arc<Config>) -> Result<(), DispatcherStopped> {
        self.ask(|reply| Command::Configure { config, reply }).await
    }

    /// Ends every worker and gives its job another; tells how many. No attempt is counted.
    pub(crate) async fn restart_workers(&self) -> Result<usize, DispatcherStopped> {
        self.ask(|reply| Command::RestartWorkers { reply }).await
    }

    /// Takes and starts no more jobs. Returns once no attempt is under way.
    pub(crate) async fn drain(&self) -> Result<(), DispatcherStopped> {
        self.ask(|reply| Command::Drain { reply }).await
    }

    /// Ends every attempt under way. Returns once none is.
    pub(crate) async fn stop(&self, why: Stop) -> Result<(), DispatcherStopped> {
        self.ask(|reply| Command::Stop { why, reply }).await
    }
}

#[cfg(test)]
mod simulation;
