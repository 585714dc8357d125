//! What became of one worker, as a value. Pure: evidence in, exit report out.
//!
//! Called by `attempt` once the worker is reaped and its cage is read; believed by `verdict`.
//! It must never guess. A SIGKILL is out-of-memory only when the cage's own counters say so
//! (cgroup-v2.rst `memory.events`, cgroup-v1/memory.rst `memory.oom_control`), or, where rlimits
//! are the cage, when an allocation was refused or the resident size was seen over the cap.

use crate::runner::attempt::stderr_ring::escaped;
use crate::runner::containment::cage::CageBackend;
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::{Progress, Summary, VideoFacts};
use bodyscript_protocol::sandbox_report::SandboxReport;
use nix::libc::{SIGKILL, SIGSYS, SIGTERM, SIGXCPU, SIGXFSZ};
use std::time::Duration;

pub(crate) use crate::runner::attempt::evidence::{Cause, ExitEvidence, FinalMessage};
pub use crate::runner::attempt::evidence::{Deadline, Stop};
pub use crate::runner::containment::process_exit::ProcessExit;

/// How a worker ended: one of a fixed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// `Done` was sent and the exit status is 0.
    Done,
    /// The video is at fault.
    BadInput,
    /// The memory cap was reached: proven.
    Oom,
    /// The resident size was seen over a cap that no cgroup enforces.
    RssCap,
    /// Any other signal, or an exit status that stands for no orderly end.
    Crash(ProcessExit),
    /// The seccomp filter ended it.
    Sigsys {
        /// The forbidden system call, where it is known. A parent is told the signal only
        /// (waitid(2) carries no `si_syscall` for a dead child), so it is the kernel's audit
        /// log (type 1326) that names it.
        syscall: Option<i64>,
    },
    /// A limit on time.
    Deadline(Deadline),
    /// The worker broke the protocol.
    Protocol,
    /// The client no longer wants the job.
    Cancelled,
    /// An operator ended it: by an order, or by SIGTERM to its process.
    Operator,
    /// The service shut down.
    Shutdown,
    /// No worker came to be, or it ended before it was ready and so before it touched the video.
    SpawnFailed,
}

impl ExitReason {
    /// The stable name, in status documents, logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::BadInput => "bad_input",
            Self::Oom => "oom",
            Self::RssCap => "rss_cap",
            Self::Crash(_) => "crash",
            Self::Sigsys { .. } => "sigsys",
            Self::Deadline(_) => "deadline",
            Self::Protocol => "protocol",
            Self::Cancelled => "cancelled",
            Self::Operator => "operator",
            Self::Shutdown => "shutdown",
            Self::SpawnFailed => "spawn_failed",
        }
    }

    /// Whether the attempt counts as an execution of the video.
    pub const fn is_counted(&self) -> bool {
        !matches!(self, Self::Operator | Self::Shutdown | Self::SpawnFailed)
    }

    /// Whether the video may have killed the worker: what poison memory counts.
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Oom
            | Self::RssCap
            | Self::Crash(_)
            | Self::Sigsys { .. }
            | Self::Deadline(_)
            | Self::Protocol => true,
            Self::Done
            | Self::BadInput
            | Self::Cancelled
            | Self::Operator
            | Self::Shutdown
            | Self::SpawnFailed => false,
        }
    }
}

/// One worker's end.
#[derive(Debug, Clone)]
pub struct ExitReport {
    /// How it ended.
    pub end: ExitReason,
    /// One line for the log; never for clients, for it may quote the worker.
    pub detail: String,
    /// The result, if there is one.
    pub summary: Option<Summary>,
    /// What the worker said was wrong.
    pub fault: Option<Fault>,
    /// The video, as far as the worker told.
    pub facts: Option<VideoFacts>,
    /// The sandbox it ran in; none if it was never ready.
    pub sandbox: Option<SandboxReport>,
    /// The last progress it reported.
    pub progress: Progress,
    /// Its process id, if there was a process.
    pub pid: Option<i32>,
    /// How the process ended, if there was one.
    pub exit: Option<ProcessExit>,
    /// The memory cap, in bytes.
    pub cap_bytes: u64,
    /// Most memory ever used, in bytes.
    pub peak_bytes: u64,
    /// Kills by the kernel's OOM killer within the cage.
    pub oom_kills: u64,
    /// From the order, or the birth if there was none, to reaping.
    pub wall: Duration,
    /// Processor time, user and system.
    pub cpu: Duration,
    /// The worker's last log lines, escaped.
    pub log: Vec<String>,
}

impl ExitReport {
    /// Reads the evidence.
    pub fn write(evidence: ExitEvidence) -> Self {
        let (end, detail) = classify(&evidence);
        let (summary, fault) = match evidence.final_message {
            Some(FinalMessage::Done(summary)) if end == ExitReason::Done => (Some(summary), None),
            Some(FinalMessage::Failed(failure)) => (None, Some(failure.fault)),
            _ => (None, None),
        };
        Self {
            end,
            detail,
            summary,
            fault,
            facts: evidence.facts,
            sandbox: evidence.sandbox,
            progress: evidence.progress,
            pid: evidence.pid,
            exit: evidence.exit,
            cap_bytes: evidence.cap_bytes,
            peak_bytes: evidence.peak_bytes,
            oom_kills: evidence.oom_kills,
            wall: evidence.wall,
            cpu: evidence.cpu,
            log: evidence.log,
        }
    }
}

/// The order of the questions is the precedence: the client's wish, then what the kernel proves,
/// then what made the supervisor act, then what the process itself says.
fn classify(evidence: &ExitEvidence) -> (ExitReason, String) {
    let Some(exit) = evidence.exit else {
        return (ExitReason::SpawnFailed, evidence.spawn_error.clone().unwrap_or_default());
    };
    let complete = exit == ProcessExit::Status(0)
        && matches!(evidence.final_message, Some(FinalMessage::Done(_)));
    match &evidence.cause {
        Some(Cause::Stop(Stop::Cancelled)) => return (ExitReason::Cancelled, "cancelled".into()),
        Some(Cause::Stop(Stop::Operator)) if !complete => {
            return (ExitReason::Operator, "ended by an operator".into());
        }
        Some(Cause::Stop(Stop::Shutdown)) if !complete => {
            return (ExitReason::Shutdown, "ended by the shutdown of the service".into());
        }
        _ => {}
    }
    if evidence.oom_kills > 0 && evidence.limit_was_hit {
        let detail = format!("the kernel counted {} OOM kill(s) in the cage", evidence.oom_kills);
        return (ExitReason::Oom, detail);
    }
    match &evidence.cause {
        Some(Cause::Deadline(which)) => (ExitReason::Deadline(*which), which.missed().into()),
        Some(Cause::RssCap { rss_bytes }) => {
            (ExitReason::RssCap, format!("{rss_bytes} bytes were resident"))
        }
        Some(Cause::Violation(what)) => (ExitReason::Protocol, escaped(what)),
        Some(Cause::Unequipped(errno)) => (
            ExitReason::SpawnFailed,
            format!("the files of the job could not be handed over: {errno}"),
        ),
        Some(Cause::Stop(_)) | None => match exit {
            ProcessExit::Signal(signal) => by_signal(evidence, signal),
            ProcessExit::Status(status) => by_status(evidence, status),
        },
    }
}

fn by_signal(evidence: &ExitEvidence, signal: i32) -> (ExitReason, String) {
    let exit = ProcessExit::Signal(signal);
    match signal {
        SIGSYS => (ExitReason::Sigsys { syscall: None }, "a forbidden system call".into()),
        // Ours come with a cause. The signal of a person or of a service manager's stop: what
        // follows is the verdict's, for a worker can also send it to itself.
        SIGTERM => (ExitReason::Operator, "SIGTERM from outside the service".into()),
        SIGXCPU => (ExitReason::Deadline(Deadline::Cpu), Deadline::Cpu.missed().into()),
        // The hard limit speaks as SIGKILL, to a process that ignored SIGXCPU.
        SIGKILL if evidence.cpu >= evidence.cpu_max => {
            (ExitReason::Deadline(Deadline::Cpu), "ignored the limit on processor time".into())
        }
        SIGKILL if evidence.oom_kills > 0 => {
            let detail = "killed by the kernel's OOM killer below its own cap: the host or the \
                          service is short of memory";
            crash(evidence, exit, detail.into())
        }
        SIGXFSZ => crash(evidence, exit, "wrote more than a file may hold".into()),
        _ => crash(evidence, exit, exit.to_string()),
    }
}

fn by_status(evidence: &ExitEvidence, status: i32) -> (ExitReason, String) {
    let exit = ProcessExit::Status(status);
    if evidence.broke_off {
        return (ExitReason::Protocol, "broke off within a frame".into());
    }
    let told = match &evidence.final_message {
        Some(FinalMessage::Failed(failure)) => {
            format!("{}: {}", failure.fault.code(), escaped(&failure.detail))
        }
        Some(FinalMessage::Done(_)) => "after Done".into(),
        None => "without a last word".into(),
    };
    let detail = format!("{exit}, {told}");
    let Ok(meaning) = WorkerExit::try_from(status) else {
        return crash(evidence, exit, detail);
    };
    let agrees = match &evidence.final_message {
        Some(FinalMessage::Done(_)) => meaning == WorkerExit::Done,
        Some(FinalMessage::Failed(failure)) => meaning == failure.fault.exit(),
        None => meaning != WorkerExit::Done,
    };
    match meaning {
        // A cgroup kills and never refuses: under one, a refused allocation is an absurd request
        // or the loose address-space limit, and proves nothing about the cap.
        WorkerExit::Memory if evidence.backend == CageBackend::Rlimit => {
            (ExitReason::Oom, "an allocation was refused".into())
        }
        WorkerExit::Done if agrees => (ExitReason::Done, String::new()),
        WorkerExit::BadInput if agrees => (ExitReason::BadInput, detail),
        WorkerExit::Protocol if agrees => (ExitReason::Protocol, detail),
        _ => crash(evidence, exit, detail),
    }
}

/// A worker that was never ready has not touched the video, which therefore cannot have killed it.
fn crash(evidence: &ExitEvidence, exit: ProcessExit, detail: String) -> (ExitReason, String) {
    match evidence.sandbox {
        Some(_) => (ExitReason::Crash(exit), detail),
        None => (ExitReason::SpawnFailed, format!("ended before it was ready: {detail}")),
    }
}

#[cfg(test)]
#[path = "exit_report_tests.rs"]
mod tests;
