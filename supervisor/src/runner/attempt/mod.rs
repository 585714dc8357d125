//! One worker's life: spawn, handshake, drive, reap.
//!
//! Called by the dispatcher and by `bodyscript run`, one call for each attempt. It must never
//! wait on a worker without a deadline, nor return while anything of the worker is left.
//!
//! 1. A cage is built and the worker born into it.
//! 2. `Prepare` goes out; from then on whatever comes first is dealt with: the order, a message,
//!    a log line, a sample of its memory, a deadline, a stop, its end. The order may be there at
//!    the birth or come long after: a worker that is ready stands by, without a deadline.
//! 3. An end that the supervisor wants comes in stages: `Cancel`, SIGTERM, SIGKILL to the whole
//!    cage, all within a grace. A deadline begins with SIGTERM, because a worker that
//!    missed one does not listen; a violation or too much memory with SIGKILL.
//! 4. The worker is reaped, the cage emptied, its counters read, then it is removed.
//! 5. Bytes that were still in the pipe are heard. The exit report is written and logged.

pub(crate) mod control;
pub(crate) mod conversation;
pub(crate) mod drive;
pub(crate) mod evidence;
pub(crate) mod exit_report;
pub(crate) mod live;
pub(crate) mod origin;
pub(crate) mod progress_rate;
pub(crate) mod stderr_ring;
pub(crate) mod trial;

use crate::runner::attempt::conversation::Conversation;
use crate::runner::attempt::exit_report::{ExitEvidence, ExitReason};
use crate::runner::attempt::live::LogFields;
use crate::runner::attempt::origin::Origin;
use crate::runner::factory::{FactoryParts, WorkerFactory};
use crate::runner::spawn_worker::{ProcessSpec, spawn_worker};
use bodyscript_protocol::PROTOCOL_VERSION;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{MediaLimits, Prepare, Start};
use bodyscript_protocol::options::Options;
use control::Control;
use drive::Drive;
pub use live::Live;
use std::convert::Infallible;
use std::fs::File;
use std::future::pending;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;

use crate::runner::attempt::exit_report::{ExitReport, ProcessExit, Stop};

/// What a worker is born with, before anybody need know its job.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// What it is called until it has a job, and its cage for good.
    pub name: String,
    /// The memory cap, in bytes.
    pub memory_bytes_max: u64,
    /// Limits on time.
    pub deadlines: Deadlines,
    /// Whether it goes through a job of its own making first, because it will stand by.
    pub warms_up: bool,
}

/// The lines between an attempt and those who follow it.
#[derive(Debug)]
pub struct AttemptChannels {
    /// Brings the order. If its sender is dropped, the worker is ended.
    pub assignment: oneshot::Receiver<Assignment>,
    /// Learns what is known of the worker; closes when nothing is left of it.
    pub live: watch::Sender<Live>,
    /// Ends the attempt. If its sender is dropped, it never does.
    pub stop: oneshot::Receiver<Stop>,
}

/// One attempt at a job.
#[derive(Debug)]
pub struct Assignment {
    /// The job's id.
    pub job: String,
    /// Which attempt at it this is, from 1.
    pub number: u32,
    /// The request that brought the job, for log lines.
    pub origin: Origin,
    /// The uploaded video, read-only, with an offset nobody else uses.
    pub video: File,
    /// What to write, and the files to write to.
    pub artefacts: Vec<(Artefact, File)>,
    /// What was chosen for the video.
    pub options: Options,
    /// Limits on the video.
    pub media: MediaLimits,
    /// The job's share of the processors, in threads.
    pub threads: NonZeroU32,
}

/// Limits on time, for one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From birth to `Ready`.
    pub start: Duration,
    /// From one message to the next.
    pub progress: Duration,
    /// From the order to the last word.
    pub wall: Duration,
    /// Processor time of all threads; the kernel counts whole seconds.
    pub cpu: Duration,
    /// From the wish to end a worker to its end, and from its last word to its exit.
    pub grace: Duration,
}

/// Drives one worker from birth to grave. Never returns before the process is reaped and its
/// cage removed.
///
/// The attempt runs in a task of its own. If this future is dropped, the worker is ended as at a
/// shutdown and the task still sees it to its grave.
pub async fn run(
    factory: &WorkerFactory,
    birth: WorkerSpec,
    channels: AttemptChannels,
) -> ExitReport {
    let (interest, lost_interest) = oneshot::channel();
    let shop = Arc::clone(&factory.shop);
    let task = tokio::spawn(async move {
        let last = channels.live.clone();
        let exit_report = attempt(shop, birth, channels, lost_interest).await;
        drop(last);
        exit_report
    });
    let end = task.await;
    drop::<oneshot::Sender<Infallible>>(interest);
    match end.map_err(JoinError::try_into_panic) {
        Ok(exit_report) => exit_report,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime ends, and with it whoever waits for this.
        Err(Err(_)) => pending().await,
    }
}

async fn attempt(
    shop: Arc<FactoryParts>,
    birth: WorkerSpec,
    channels: AttemptChannels,
    lost_interest: oneshot::Receiver<Infallible>,
) -> ExitReport {
    let WorkerSpec { name, memory_bytes_max, deadlines, warms_up } = birth;
    let AttemptChannels { mut assignment, live, stop } = channels;
    let evidence = ExitEvidence::blank(shop.cages.backend(), memory_bytes_max);
    let spec = ProcessSpec { name: name.clone(), memory_bytes_max, cpu: deadlines.cpu };
    let nobody = LogFields { job: name, attempt: 0, origin: Origin::NONE };
    let (evidence, fields) = match spawn_worker(&shop, spec).await {
        Ok(worker) => {
            let conversation = Conversation::new(live, nobody);
            let control = Control::new(assignment, stop, lost_interest);
            let drive = Drive::new(worker, conversation, deadlines, control, evidence);
            drive.run_to_exit(Prepare { warms_up, ..prepare(&shop) }).await
        }
        Err(error) => {
            let fields =
                assignment.try_recv().map_or(nobody, |assignment| LogFields::of(&assignment));
            (ExitEvidence { spawn_error: Some(error.to_string()), ..evidence }, fields)
        }
    };
    let exit_report = ExitReport::write(evidence);
    announce(&fields, &exit_report);
    exit_report
}

/// What every worker is told first.
fn prepare(shop: &FactoryParts) -> Prepare {
    Prepare {
        version: PROTOCOL_VERSION,
        layers: shop.layers.clone(),
        layers_required: shop.layers_required.clone(),
        warms_up: false,
    }
}

impl Assignment {
    /// What is said to the worker, and the files that go with it.
    fn split(self) -> (Start, Vec<File>) {
        let (artefacts, files): (Vec<_>, Vec<_>) = self.artefacts.into_iter().unzip();
        let start = Start {
            job: self.job,
            options: self.options,
            limits: self.media,
            artefacts,
            threads: self.threads,
        };
        (start, [self.video].into_iter().chain(files).collect())
    }
}

impl LogFields {
    fn of(assignment: &Assignment) -> Self {
        Self {
            job: assignment.job.clone(),
            attempt: assignment.number,
            origin: assignment.origin.clone(),
        }
    }
}

/// The one line of log for each death, and what helps to understand a bad one.
fn announce(fields: &LogFields, exit_report: &ExitReport) {
    let LogFields { job, attempt, origin } = fields;
    let (request_id, trace_id) = (origin.request_id(), origin.trace_id());
    let (exit, signal) = match exit_report.exit {
        Some(ProcessExit::Status(status)) => (Some(status), None),
        Some(ProcessExit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    };
    tracing::info!(
        target: "exit",
        job,
        attempt,
        pid = exit_report.pid,
        end = exit_report.end.name(),
        exit,
        signal,
        cap = exit_report.cap_bytes,
        peak = exit_report.peak_bytes,
        wall = exit_report.wall.as_secs_f64(),
        cpu = exit_report.cpu.as_secs_f64(),
        oom_kills = exit_report.oom_kills,
        request_id,
        trace_id,
        "{}", exit_report.detail,
    );
    if let ExitReason::Sigsys { syscall } = exit_report.end {
        tracing::error!(job, attempt, syscall, "a worker attempted a forbidden system call");
    }
    let is_of_interest = !matches!(exit_report.end, ExitReason::Done | ExitReason::Cancelled);
    for line in &exit_report.log {
        if is_of_interest {
            tracing::warn!(target: "worker", job, attempt, request_id, trace_id, "{line}");
        } else {
            tracing::debug!(target: "worker", job, attempt, request_id, trace_id, "{line}");
        }
    }
}
