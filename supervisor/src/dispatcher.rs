//! The single owner of jobs, queue and memory budget, and the handle by which others reach it.
//!
//! One task (`desk::Desk`) holds all state; everybody else sends it a command and awaits the
//! answer. No lock is shared, so no slow client and no hung worker can hold one.

mod breaker;
mod content;
mod desk;
mod farewell;
mod intake;
mod listing;
mod recent;
mod removal;
mod retry;
mod shift;
mod standby;
mod tally;
mod tempo;
mod turn;
mod vitals;

use crate::admission::{Refusal, Request};
use crate::artefacts::StateDir;
use crate::attempt::{Birth, Lines};
use crate::config::Config;
use crate::job::{JobId, Upload};
use crate::journal::JournalError;
use crate::name::DisplayName;
use crate::origin::Origin;
use crate::recovery::Recovered;
use crate::retention::Pressure;
use crate::status::{Numbers, Status};
use crate::worker::obituary::{Obituary, Stop};
pub use listing::{Listing, Page};
pub use recent::Recent;
use serde::Serialize;
pub use standby::Standby;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
pub use tally::Tally;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Commands that may wait for the dispatcher; beyond, senders wait.
const COMMANDS_MAX: usize = 256;

/// What runs one attempt: [`crate::attempt::run`] in a workshop.
pub type Runner = Arc<dyn Fn(Birth, Lines) -> RunningAttempt + Send + Sync>;

/// An attempt under way.
pub type RunningAttempt = Pin<Box<dyn Future<Output = Obituary> + Send>>;

/// The dispatcher is gone: the service is stopping.
#[derive(Debug, Error)]
#[error("the dispatcher has stopped")]
pub struct Gone;

/// Why an upload was not made a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotTaken {
    /// There is no room to write it down.
    #[error("there is no room on the disk for one more job")]
    DiskFull,
    /// What is written down would not be found again.
    #[error("the journal was removed, replaced or truncated")]
    JournalLost,
    /// It could not be written down.
    #[error("the job could not be written into the journal")]
    Unwritten,
    /// Its key is that of an earlier request, which was another.
    #[error("the key belongs to another request")]
    KeyReused,
    /// Its key is that of a request that is being taken in.
    #[error("a request with the same key is under way")]
    KeyBusy,
}

impl From<&JournalError> for NotTaken {
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
pub struct Ticket {
    _place: Arc<()>,
    origin: Origin,
}

impl Ticket {
    /// Names the request that brings the upload, for the log.
    pub fn from(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }
}

/// What became of a wish to cancel a job.
#[derive(Debug)]
pub enum Cancelled {
    /// It is cancelled; its memory is free.
    Now(Status),
    /// It was over before.
    TooLate(Status),
}

/// What became of an operator's wish to have a job tried again.
#[derive(Debug)]
pub enum Retried {
    /// It waits for its turn.
    Now(Status),
    /// Only a failed job is tried again.
    NotFailed(Status),
    /// Its video is gone.
    WithoutVideo(Status),
}

/// The results of a job, asked for by its id.
#[derive(Debug)]
pub enum Results {
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
pub struct Health {
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
pub struct Counts {
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
enum Command {
    Admit { request: Request, reply: oneshot::Sender<Result<Ticket, Refusal>> },
    Submit { ticket: Ticket, id: JobId, upload: Upload, reply: intake::Taken },
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
pub struct Dispatcher {
    commands: mpsc::Sender<Command>,
    tally: Tally,
}

impl Dispatcher {
    /// Starts it. It ends when every handle is dropped and no attempt is under way.
    pub fn start(
        config: Arc<Config>,
        runner: Runner,
        state: StateDir,
        recovered: Recovered,
    ) -> (Self, JoinHandle<()>) {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let desk = desk::Desk::new(config, runner, state, recovered);
        let tally = desk.tally.clone();
        (Self { commands, tally }, tokio::spawn(desk.work(inbox)))
    }

    /// The attempts that are over.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// Asks for a place for an upload, before its body is read.
    pub async fn admit(&self, request: Request) -> Result<Result<Ticket, Refusal>, Gone> {
        self.ask(|reply| Command::Admit { request, reply }).await
    }

    /// Hands in an upload, complete in the state folder. It is a job once this returns `Ok(Ok)`:
    /// from then on no crash loses it.
    pub async fn submit(
        &self,
        ticket: Ticket,
        id: JobId,
        upload: Upload,
    ) -> Result<Result<Status, NotTaken>, Gone> {
        self.ask(|reply| Command::Submit { ticket, id, upload, reply }).await
    }

    /// The status of a job, if there is such a job.
    pub async fn status(&self, id: JobId) -> Result<Option<Status>, Gone> {
        self.ask(|reply| Command::Status { id, reply }).await
    }

    /// A number that changes whenever the status of the job does; closed when the job is removed.
    pub async fn watch(&self, id: JobId) -> Result<Option<watch::Receiver<u64>>, Gone> {
        self.ask(|reply| Command::Watch { id, reply }).await
    }

    /// Cancels a job. Returns once its worker, if any, is gone.
    pub async fn cancel(&self, id: JobId) -> Result<Option<Cancelled>, Gone> {
        self.ask(|reply| Command::Cancel { id, reply }).await
    }

    /// Has a failed job tried again, whatever is held against it or its content.
    pub async fn retry(&self, id: JobId) -> Result<Option<Retried>, Gone> {
        self.ask(|reply| Command::Retry { id, reply }).await
    }

    /// Cancels a job if need be and forgets it with all its files; tells whether there was one.
    pub async fn remove(&self, id: JobId) -> Result<bool, Gone> {
        self.ask(|reply| Command::Remove { id, reply }).await
    }

    /// Whether a job has results.
    pub async fn results(&self, id: JobId) -> Result<Option<Results>, Gone> {
        self.ask(|reply| Command::Results { id, reply }).await
    }

    /// A page of the list of all jobs.
    pub async fn list(&self, page: Page) -> Result<Listing, Gone> {
        self.ask(|reply| Command::List { page, reply }).await
    }

    /// The numbers of every job, in no order.
    pub async fn numbers(&self) -> Result<Vec<Numbers>, Gone> {
        self.ask(|reply| Command::Numbers { reply }).await
    }

    /// The jobs under way and this many of the latest ends.
    pub async fn recent(&self, ended_max: usize) -> Result<Recent, Gone> {
        self.ask(|reply| Command::Recent { ended_max, reply }).await
    }

    /// How the dispatcher is, in its own word.
    pub async fn health(&self) -> Result<Health, Gone> {
        self.ask(|reply| Command::Health { reply }).await
    }

    /// Goes on by this configuration, as far as it can be changed while it works.
    pub async fn configure(&self, config: Arc<Config>) -> Result<(), Gone> {
        self.ask(|reply| Command::Configure { config, reply }).await
    }

    /// Ends every worker and gives its job another; tells how many. No attempt is counted.
    pub async fn restart_workers(&self) -> Result<usize, Gone> {
        self.ask(|reply| Command::RestartWorkers { reply }).await
    }

    /// Takes and starts no more jobs. Returns once no attempt is under way.
    pub async fn drain(&self) -> Result<(), Gone> {
        self.ask(|reply| Command::Drain { reply }).await
    }

    /// Ends every attempt under way. Returns once none is.
    pub async fn stop(&self, why: Stop) -> Result<(), Gone> {
        self.ask(|reply| Command::Stop { why, reply }).await
    }
}
