//! The classified exit of one worker. Pure: evidence in, exit report out.
//!
//! Created by `attempt` once the worker is reaped and its cage is read; `verdict` decides on it.
//! Nothing is guessed: a SIGKILL is out-of-memory only if the cage's own counters prove it
//! (cgroup-v2.rst `memory.events`, cgroup-v1/memory.rst `memory.oom_control`), or, where rlimits
//! are the cage, if an allocation was refused or the sampled resident size was over the cap.

use crate::runner::attempt::stderr_ring::escaped;
use crate::runner::containment::cage::CageBackend;
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::Summary;
use nix::libc::{SIGKILL, SIGSYS, SIGTERM, SIGXCPU, SIGXFSZ};

pub(crate) use crate::runner::attempt::evidence::Cause;
pub use crate::runner::attempt::evidence::{Deadline, ExitEvidence, FinalMessage, Stop};
pub use crate::runner::containment::process_exit::ProcessExit;

/// How a worker ended: one of a fixed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// `Done` was sent and the exit status is 0.
    Done,
    /// The video is at fault.
    BadInput,
    /// The memory cap was reached, with proof.
    Oom,
    /// The sampled resident size was over a cap that no cgroup enforces.
    RssCap,
    /// Any other signal, or an exit status without the matching final message.
    Crash(ProcessExit),
    /// The seccomp filter killed it.
    Sigsys {
        /// The forbidden system call, if known. The parent learns the signal only (waitid(2)
        /// carries no `si_syscall` for a dead child); the kernel's audit log (type 1326) names the
        /// call.
        syscall: Option<i64>,
    },
    /// A limit on time.
    Deadline(Deadline),
    /// The worker broke the protocol.
    Protocol,
    /// The client no longer wants the job.
    Cancelled,
    /// An operator ended it, by a command or by SIGTERM to its process.
    Operator,
    /// SIGKILL from outside the service: from another program, or from a kernel short of memory elsewhere.
    Killed,
    /// The service shut down.
    Shutdown,
    /// Given up before it decoded anything: the video needs memory that others use now.
    MemoryAwaited,
    /// Given up because the disk runs out of space.
    DiskAwaited,
    /// No worker was spawned, or it ended before `Ready` and so before it touched the video.
    SpawnFailed,
}

impl ExitReason {
    /// The names of all ends.
    pub(crate) const NAMES: [&str; 15] = [
        "done",
        "bad_input",
        "oom",
        "rss_cap",
        "crash",
        "sigsys",
        "deadline",
        "protocol",
        "cancelled",
        "operator",
        "killed",
        "shutdown",
        "memory_awaited",
        "disk_awaited",
        "spawn_failed",
    ];

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
            Self::Killed => "killed",
            Self::Shutdown => "shutdown",
            Self::MemoryAwaited => "memory_awaited",
            Self::DiskAwaited => "disk_awaited",
            Self::SpawnFailed => "spawn_failed",
        }
    }

    /// Whether the attempt counts as an execution of the video.
    pub const fn is_counted(&self) -> bool {
        !matches!(
            self,
            Self::Operator
                | Self::Killed
                | Self::Shutdown
                | Self::MemoryAwaited
                | Self::DiskAwaited
                | Self::SpawnFailed
        )
    }

    /// Whether the video may have killed the worker, which counts towards poison.
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
            | Self::Killed
            | Self::Shutdown
            | Self::MemoryAwaited
            | Self::DiskAwaited
            | Self::SpawnFailed => false,
        }
    }
}

/// How one worker ended, with the evidence for it.
#[derive(Debug, Clone)]
pub struct ExitReport {
    /// How it ended.
    pub end: ExitReason,
    /// One line for the log. Never for clients: it may quote the worker.
    pub detail: String,
    /// What is known of the worker.
    pub evidence: ExitEvidence,
}

impl ExitReport {
    /// Classifies the evidence.
    pub fn from_evidence(evidence: ExitEvidence) -> Self {
        let (end, detail) = classify(&evidence);
        Self { end, detail, evidence }
    }

    /// The worker's result, if it ended with `done`.
    pub fn summary(&self) -> Option<Summary> {
        match self.evidence.final_message {
            Some(FinalMessage::Done(summary)) if self.end == ExitReason::Done => Some(summary),
            _ => None,
        }
    }

    /// Whether a signal from outside the service ended it, and not a command of an operator.
    pub fn is_killed(&self) -> bool {
        let is_commanded = self.evidence.cause == Some(Cause::Stop(Stop::Operator));
        matches!(self.end, ExitReason::Operator | ExitReason::Killed) && !is_commanded
    }

    /// The fault that the worker reported.
    pub const fn fault(&self) -> Option<&Fault> {
        match &self.evidence.final_message {
            Some(FinalMessage::Failed(failure)) => Some(&failure.fault),
            _ => None,
        }
    }
}

/// The order is the precedence: a stop by the caller, then the kernel's proof of out-of-memory,
/// then why the supervisor acted, then the exit of the process.
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
        Some(Cause::Stop(Stop::DiskLow)) if !complete => {
            return (ExitReason::DiskAwaited, "ended because the disk runs out of space".into());
        }
        _ => {}
    }
    if evidence.oom_kills > 0 && evidence.limit_was_hit {
        let detail = format!("the kernel counted {} OOM kill(s) in the cage", evidence.oom_kills);
        return (ExitReason::Oom, detail);
    }
    // A signal of its own ended it, however long that took: a core dump can outlast the grace period.
    if evidence.cause == Some(Cause::Deadline(Deadline::ProcessExit))
        && let Some(signal) = own_signal(exit)
    {
        return by_signal(evidence, signal);
    }
    match &evidence.cause {
        Some(Cause::Deadline(which)) => (ExitReason::Deadline(*which), which.missed().into()),
        Some(Cause::RssCap { rss_bytes }) => {
            (ExitReason::RssCap, format!("{rss_bytes} bytes were resident"))
        }
        Some(Cause::Violation(what)) => (ExitReason::Protocol, escaped(what)),
        Some(Cause::FilesNotSent(errno)) => {
            (ExitReason::SpawnFailed, format!("the files of the job could not be sent: {errno}"))
        }
        Some(Cause::CapNotRaised(why)) => {
            (ExitReason::SpawnFailed, format!("its memory cap could not be raised: {why}"))
        }
        Some(Cause::MemoryAwaited { cap_bytes }) => {
            (ExitReason::MemoryAwaited, format!("the video needs a cap of {cap_bytes} bytes"))
        }
        Some(Cause::ResultsTooLarge { limit_bytes }) => {
            (ExitReason::BadInput, format!("its results have more than {limit_bytes} bytes"))
        }
        Some(Cause::ResultsUnreadable(why)) => {
            (ExitReason::SpawnFailed, format!("its results cannot be read: {}", escaped(why)))
        }
        Some(Cause::OverMemoryLimit { limit_bytes }) => {
            (ExitReason::BadInput, format!("the video needs more than {limit_bytes} bytes"))
        }
        Some(Cause::Stop(_)) | None => match exit {
            ProcessExit::Signal(signal) => by_signal(evidence, signal),
            ProcessExit::Status(status) => by_status(evidence, status),
        },
    }
}

/// The signal that ended the process, if the supervisor sends no such signal.
const fn own_signal(exit: ProcessExit) -> Option<i32> {
    match exit {
        ProcessExit::Signal(signal) if signal != SIGTERM && signal != SIGKILL => Some(signal),
        ProcessExit::Signal(_) | ProcessExit::Status(_) => None,
    }
}

fn by_signal(evidence: &ExitEvidence, signal: i32) -> (ExitReason, String) {
    let exit = ProcessExit::Signal(signal);
    match signal {
        SIGSYS => (ExitReason::Sigsys { syscall: None }, "a forbidden system call".into()),
        // A SIGTERM of the supervisor has a cause. This one was sent by a person or a service
        // manager, or by the worker to itself, so the verdict bounds how often it is
        // repeated.
        SIGTERM => (ExitReason::Operator, "SIGTERM from outside the service".into()),
        SIGXCPU => (ExitReason::Deadline(Deadline::Cpu), Deadline::Cpu.missed().into()),
        // The hard limit sends SIGKILL to a process that ignored SIGXCPU.
        SIGKILL if evidence.cpu >= evidence.cpu_max => {
            (ExitReason::Deadline(Deadline::Cpu), "ignored the limit on processor time".into())
        }
        SIGKILL if evidence.oom_kills > 0 => {
            let detail = "killed by the kernel's OOM killer below its own cap: the host or the \
                          service is short of memory";
            (ExitReason::Killed, detail.into())
        }
        // The supervisor's own has a cause. Whether the worker sent it to itself is not known either.
        SIGKILL => (ExitReason::Killed, "SIGKILL from outside the service".into()),
        SIGXFSZ => crash(evidence, exit, "wrote more than a file may hold".into()),
        _ => crash(evidence, exit, exit.to_string()),
    }
}

fn by_status(evidence: &ExitEvidence, status: i32) -> (ExitReason, String) {
    let exit = ProcessExit::Status(status);
    if evidence.has_partial_message {
        return (ExitReason::Protocol, "its output ended within a frame".into());
    }
    let message = match &evidence.final_message {
        Some(FinalMessage::Failed(failure)) => {
            format!("{}: {}", failure.fault.code(), escaped(&failure.detail))
        }
        Some(FinalMessage::Done(_)) => "after Done".into(),
        None => "without a final message".into(),
    };
    let detail = format!("{exit}, {message}");
    let Ok(meaning) = WorkerExit::try_from(status) else {
        return crash(evidence, exit, detail);
    };
    let agrees = match &evidence.final_message {
        Some(FinalMessage::Done(_)) => meaning == WorkerExit::Done,
        Some(FinalMessage::Failed(failure)) => meaning == failure.fault.exit(),
        None => meaning != WorkerExit::Done,
    };
    match meaning {
        // A cgroup kills and never refuses an allocation: in one, a refusal means an absurd size or
        // the loose limit on address space, and proves nothing about the cap.
        WorkerExit::Memory if evidence.backend == CageBackend::Rlimit => {
            (ExitReason::Oom, "an allocation was refused".into())
        }
        WorkerExit::Done if agrees => (ExitReason::Done, String::new()),
        WorkerExit::BadInput if agrees => (ExitReason::BadInput, detail),
        WorkerExit::Protocol if agrees => (ExitReason::Protocol, detail),
        _ => crash(evidence, exit, detail),
    }
}

/// A worker that was never ready has not touched the video, so the video cannot have crashed it.
fn crash(evidence: &ExitEvidence, exit: ProcessExit, detail: String) -> (ExitReason, String) {
    match evidence.sandbox {
        Some(_) => (ExitReason::Crash(exit), detail),
        None => (ExitReason::SpawnFailed, format!("ended before it was ready: {detail}")),
    }
}

#[cfg(test)]
#[path = "exit_report_tests.rs"]
mod tests;
