//! One attempt at a job: spawn a worker, drive it, reap it.
//!
//! Called by the dispatcher and by `bodyscript run`, once for each attempt. Never waits on a worker
//! without a deadline, and never returns while a process or cgroup of the worker is left.
//!
//! 1. The worker is spawned in a new cage.
//! 2. `Prepare` is sent. From then on the first event is handled: the assignment, a message, a log
//!    line, a memory sample, a deadline, a stop, the exit. The assignment may be there from the
//!    beginning or come much later: an idle worker has no deadline.
//! 3. Once the video is probed, its memory need is compared with the cap. A higher cap is requested
//!    from the caller; the worker proceeds once it has it, or is ended.
//! 4. The supervisor ends a worker in stages within a grace period: `Cancel`, SIGTERM, SIGKILL to
//!    the whole cage. A missed deadline starts with SIGTERM, because a worker that missed one does
//!    not read messages; a protocol violation or too much memory starts with SIGKILL.
//! 5. The worker is reaped, the cage is emptied, its counters are read, then it is removed.
//! 6. The rest of the pipes is read. Of a worker that succeeded, the artefacts are checked
//!    ([`crate::runner::validation`]). The exit report is created and logged.

pub(crate) mod cap_request;
pub(crate) mod control;
pub(crate) mod conversation;
pub(crate) mod drive;
pub(crate) mod evidence;
pub(crate) mod exit_report;
pub(crate) mod live;
pub(crate) mod origin;
pub(crate) mod pipe_reader;
pub(crate) mod pose_log;
pub(crate) mod progress_rate;
pub(crate) mod results;
pub(crate) mod stderr_ring;
pub(crate) mod trial;

use crate::runner::attempt::cap_request::CapRequests;
use crate::runner::attempt::conversation::Conversation;
use crate::runner::attempt::exit_report::{ExitEvidence, ExitReason};
use crate::runner::attempt::live::LogFields;
use crate::runner::attempt::origin::Origin;
use crate::runner::factory::{FactoryParts, WorkerFactory};
use crate::runner::spawn_worker::{ProcessSpec, spawn_worker};
use crate::runner::worker_users::WorkerUser;
use bodyscript_protocol::PROTOCOL_VERSION;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{JobParameters, Prepare};
use bodyscript_protocol::options::LandmarkModel;
pub use cap_request::{CapReply, CapRequest};
use control::Control;
use drive::Drive;
pub use live::Live;
pub(crate) use pose_log::PoseLog;
use std::convert::Infallible;
use std::fs::File;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinError;

use crate::runner::attempt::exit_report::{ExitReport, ProcessExit, Stop};

/// What is known of a worker before it has a job.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// Its name in the log until it has a job, and in the name of its cage.
    pub name: String,
    /// The memory cap, in bytes.
    pub memory_bytes_max: u64,
    /// The highest cap to which it may be raised, in bytes.
    pub raised_bytes_max: u64,
    /// Limits on time.
    pub deadlines: Deadlines,
    /// The landmark model that it loads.
    pub model: LandmarkModel,
    /// Whether it warms up before it is ready, because it waits on standby.
    pub warms_up: bool,
}

/// The channels between an attempt and its caller.
#[derive(Debug)]
pub struct AttemptChannels {
    /// Delivers the job. If its sender is dropped, the worker is ended.
    pub assignment: oneshot::Receiver<Assignment>,
    /// Publishes the state of the worker; closes once nothing of it is left.
    pub live: watch::Sender<Live>,
    /// Asks for a higher memory cap. If its receiver is dropped, there is no memory.
    pub cap_requests: mpsc::UnboundedSender<CapRequest>,
    /// Ends the attempt. Dropping its sender has no effect.
    pub stop: oneshot::Receiver<Stop>,
}

/// One attempt at a job.
#[derive(Debug)]
pub struct Assignment {
    /// The job's id.
    pub job: String,
    /// The number of this attempt, from 1.
    pub number: u32,
    /// The request that submitted the job, for log lines.
    pub origin: Origin,
    /// The uploaded video, read-only, with an offset of its own.
    pub video: File,
    /// The artefacts to write, each with its file.
    pub artefacts: Vec<(Artefact, File)>,
    /// An empty file for the recording of a job whose results depend on later frames.
    pub recording: Option<File>,
    /// How to process the video.
    pub parameters: JobParameters,
    /// The limit on the size of all these files together, in bytes.
    pub results_bytes_max: u64,
    /// Receives the poses as they are found.
    pub poses: Option<PoseLog>,
}

/// Limits on time, for one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the spawn to `Ready`.
    pub start: Duration,
    /// From one message to the next, and from the final one to the exit.
    pub progress: Duration,
    /// From the assignment to the final message.
    pub wall: Duration,
    /// Processor time of all threads; the kernel counts whole seconds.
    pub cpu: Duration,
    /// From the first request to end a worker to its exit.
    pub grace: Duration,
}

/// Runs one worker from its spawn to its exit report. Never returns before the process is reaped
/// and its cage is removed.
///
/// The attempt runs in a task of its own. If this future is dropped, the task ends the worker as at
/// a shutdown and still reaps it.
pub async fn run(
    factory: &WorkerFactory,
    spec: WorkerSpec,
    channels: AttemptChannels,
) -> ExitReport {
    let (caller, caller_gone) = oneshot::channel();
    let parts = Arc::clone(&factory.parts);
    let task = tokio::spawn(async move {
        // Keeps the channel open until the attempt has ended.
        let live = channels.live.clone();
        let exit_report = attempt(parts, spec, channels, caller_gone).await;
        drop(live);
        exit_report
    });
    let finished = task.await;
    drop::<oneshot::Sender<Infallible>>(caller);
    match finished.map_err(JoinError::try_into_panic) {
        Ok(exit_report) => exit_report,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime shuts down, and this future with it.
        Err(Err(_)) => pending().await,
    }
}

async fn attempt(
    parts: Arc<FactoryParts>,
    spec: WorkerSpec,
    channels: AttemptChannels,
    caller_gone: oneshot::Receiver<Infallible>,
) -> ExitReport {
    let WorkerSpec { name, memory_bytes_max, raised_bytes_max, deadlines, model, warms_up } = spec;
    let AttemptChannels { mut assignment, live, cap_requests, stop } = channels;
    let evidence = ExitEvidence::blank(parts.cages.backend(), memory_bytes_max);
    let caps = [memory_bytes_max, raised_bytes_max];
    let process = ProcessSpec { name: name.clone(), caps, cpu: deadlines.cpu, model };
    let no_job = LogFields { job: name, attempt: 0, origin: Origin::NONE };
    let (evidence, fields, results) = match spawn_worker(&parts, process).await {
        Ok(worker) => {
            let conversation = Conversation::new(live, no_job);
            let control = Control::new(assignment, stop, caller_gone);
            let control = (control, CapRequests::new(cap_requests));
            let drive = Drive::new(worker, conversation, deadlines, control, evidence);
            // Its own until it is reaped.
            let user = parts.users.take();
            drive.run_to_exit(Prepare { model, warms_up, ..prepare(&parts, &user) }).await
        }
        Err(error) => {
            let fields =
                assignment.try_recv().map_or(no_job, |assignment| LogFields::of(&assignment));
            (ExitEvidence { spawn_error: Some(error.to_string()), ..evidence }, fields, None)
        }
    };
    let exit_report = match (ExitReport::from_evidence(evidence), results) {
        (exit_report, Some(results)) => results.verify(exit_report).await,
        (exit_report, None) => exit_report,
    };
    log_exit(&fields, &exit_report);
    exit_report
}

/// The first message to every worker.
fn prepare(parts: &FactoryParts, user: &WorkerUser) -> Prepare {
    Prepare {
        version: PROTOCOL_VERSION,
        layers: parts.layers.clone(),
        layers_required: parts.layers_required.clone(),
        user_id: user.id,
        model: LandmarkModel::default(),
        warms_up: false,
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

/// Logs the exit in one line, and the worker's own log lines.
fn log_exit(fields: &LogFields, exit_report: &ExitReport) {
    let LogFields { job, attempt, origin } = fields;
    let (request_id, trace_id) = (origin.request_id(), origin.trace_id());
    let (exit, signal) = match exit_report.evidence.exit {
        Some(ProcessExit::Status(status)) => (Some(status), None),
        Some(ProcessExit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    };
    tracing::info!(
        target: "exit",
        job,
        attempt,
        pid = exit_report.evidence.pid,
        end = exit_report.end.name(),
        exit,
        signal,
        cap = exit_report.evidence.cap_bytes,
        peak = exit_report.evidence.peak_bytes,
        wall = exit_report.evidence.wall.as_secs_f64(),
        cpu = exit_report.evidence.cpu.as_secs_f64(),
        oom_kills = exit_report.evidence.oom_kills,
        request_id,
        trace_id,
        "{}", exit_report.detail,
    );
    if let ExitReason::Sigsys { syscall } = exit_report.end {
        tracing::error!(job, attempt, syscall, "a worker attempted a forbidden system call");
    }
    let is_failure = !matches!(exit_report.end, ExitReason::Done | ExitReason::Cancelled);
    for line in &exit_report.evidence.log {
        if is_failure {
            tracing::warn!(target: "worker", job, attempt, request_id, trace_id, "{line}");
        } else {
            tracing::debug!(target: "worker", job, attempt, request_id, trace_id, "{line}");
        }
    }
}
