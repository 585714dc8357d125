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
//! 5. Bytes that were still in the pipe are heard. The obituary is written and logged.

mod drive;
pub mod trial;
mod wishes;

use crate::origin::Origin;
use crate::pace::Pace;
use crate::worker::birth::{Parentage, bear};
use crate::worker::conversation::Conversation;
use crate::worker::obituary::{End, Evidence};
use crate::worker::{Shop, Workshop};
use bodyscript_protocol::PROTOCOL_VERSION;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{MediaLimits, Prepare, Progress, Start, VideoFacts};
use bodyscript_protocol::options::Options;
use bodyscript_protocol::sandbox_report::SandboxReport;
use bodyscript_protocol::session::Phase;
use drive::Drive;
use std::convert::Infallible;
use std::fs::File;
use std::future::pending;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;
use wishes::Wishes;

pub use crate::worker::obituary::{Exit, Obituary, Stop};

/// What a worker is born with, before anybody need know its job.
#[derive(Debug, Clone)]
pub struct Birth {
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
pub struct Lines {
    /// Brings the order. If its sender is dropped, the worker is ended.
    pub order: oneshot::Receiver<Order>,
    /// Learns what is known of the worker; closes when nothing is left of it.
    pub live: watch::Sender<Live>,
    /// Ends the attempt. If its sender is dropped, it never does.
    pub stop: oneshot::Receiver<Stop>,
}

/// One attempt at a job.
#[derive(Debug)]
pub struct Order {
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

/// What is known of a living worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Its process id, once it is born.
    pub pid: Option<i32>,
    /// How far the conversation has come.
    pub phase: Phase,
    /// The video, once it is probed.
    pub facts: Option<VideoFacts>,
    /// Frames processed so far.
    pub progress: Progress,
    /// How fast they are.
    pub pace: Pace,
    /// The sandbox, once it is closed.
    pub sandbox: Option<SandboxReport>,
    /// Resident size at the last sample, in bytes.
    pub rss_bytes: u64,
    /// Most memory used so far, in bytes.
    pub peak_bytes: u64,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            pid: None,
            phase: Phase::Created,
            facts: None,
            progress: Progress { frames_done: 0, frames_detected: 0 },
            pace: Pace::default(),
            sandbox: None,
            rss_bytes: 0,
            peak_bytes: 0,
        }
    }
}

/// Drives one worker from birth to grave. Never returns before the process is reaped and its
/// cage removed.
///
/// The attempt runs in a task of its own. If this future is dropped, the worker is ended as at a
/// shutdown and the task still sees it to its grave.
pub async fn run(workshop: &Workshop, birth: Birth, lines: Lines) -> Obituary {
    let (interest, lost_interest) = oneshot::channel();
    let shop = Arc::clone(&workshop.shop);
    let task = tokio::spawn(async move {
        let last = lines.live.clone();
        let obituary = attempt(shop, birth, lines, lost_interest).await;
        drop(last);
        obituary
    });
    let end = task.await;
    drop::<oneshot::Sender<Infallible>>(interest);
    match end.map_err(JoinError::try_into_panic) {
        Ok(obituary) => obituary,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime ends, and with it whoever waits for this.
        Err(Err(_)) => pending().await,
    }
}

async fn attempt(
    shop: Arc<Shop>,
    birth: Birth,
    lines: Lines,
    lost_interest: oneshot::Receiver<Infallible>,
) -> Obituary {
    let Birth { name, memory_bytes_max, deadlines, warms_up } = birth;
    let Lines { mut order, live, stop } = lines;
    let evidence = Evidence::blank(shop.cages.backend(), memory_bytes_max);
    let parentage = Parentage { name: name.clone(), memory_bytes_max, cpu: deadlines.cpu };
    let nobody = Tag { job: name, attempt: 0, origin: Origin::NONE };
    let (evidence, tag) = match bear(&shop, parentage).await {
        Ok(worker) => {
            let conversation = Conversation::new(live, nobody);
            let wishes = Wishes::new(order, stop, lost_interest);
            let drive = Drive::new(worker, conversation, deadlines, wishes, evidence);
            drive.see_through(Prepare { warms_up, ..prepare(&shop) }).await
        }
        Err(error) => {
            let tag = order.try_recv().map_or(nobody, |order| Tag::of(&order));
            (Evidence { spawn_error: Some(error.to_string()), ..evidence }, tag)
        }
    };
    let obituary = Obituary::write(evidence);
    announce(&tag, &obituary);
    obituary
}

/// What every worker is told first.
fn prepare(shop: &Shop) -> Prepare {
    Prepare {
        version: PROTOCOL_VERSION,
        layers: shop.layers.clone(),
        layers_required: shop.layers_required.clone(),
        warms_up: false,
    }
}

impl Order {
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

/// What log lines of one attempt have in common.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    pub(crate) job: String,
    pub(crate) attempt: u32,
    pub(crate) origin: Origin,
}

impl Tag {
    fn of(order: &Order) -> Self {
        Self { job: order.job.clone(), attempt: order.number, origin: order.origin.clone() }
    }
}

/// The one line of log for each death, and what helps to understand a bad one.
fn announce(tag: &Tag, obituary: &Obituary) {
    let Tag { job, attempt, origin } = tag;
    let (request_id, trace_id) = (origin.request_id(), origin.trace_id());
    let (exit, signal) = match obituary.exit {
        Some(Exit::Status(status)) => (Some(status), None),
        Some(Exit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    };
    tracing::info!(
        target: "obituary",
        job,
        attempt,
        pid = obituary.pid,
        end = obituary.end.name(),
        exit,
        signal,
        cap = obituary.cap_bytes,
        peak = obituary.peak_bytes,
        wall = obituary.wall.as_secs_f64(),
        cpu = obituary.cpu.as_secs_f64(),
        oom_kills = obituary.oom_kills,
        request_id,
        trace_id,
        "{}", obituary.detail,
    );
    if let End::Sigsys { syscall } = obituary.end {
        tracing::error!(job, attempt, syscall, "a worker attempted a forbidden system call");
    }
    let is_of_interest = !matches!(obituary.end, End::Done | End::Cancelled);
    for line in &obituary.log {
        if is_of_interest {
            tracing::warn!(target: "worker", job, attempt, request_id, trace_id, "{line}");
        } else {
            tracing::debug!(target: "worker", job, attempt, request_id, trace_id, "{line}");
        }
    }
}
