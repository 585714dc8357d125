//! Everything known of a worker that has exited: gathered by `drive`, classified by `exit_report`.

use crate::runner::containment::cage::CageBackend;
use crate::runner::containment::process_exit::ProcessExit;
use bodyscript_protocol::message::{Failure, Progress, Summary, VideoFacts};
use bodyscript_protocol::sandbox_report::SandboxReport;
use nix::errno::Errno;
use std::time::Duration;

/// Why the caller ends an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The client no longer wants the job.
    Cancelled,
    /// An operator ended this attempt; the job is to run again.
    Operator,
    /// The service shuts down; the job is to run again at the next start.
    Shutdown,
    /// The disk runs out of space; the job is to run again once there is more.
    DiskLow,
}

/// A limit on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// From the spawn to `Ready`.
    Start,
    /// From one message to the next.
    Progress,
    /// From the assignment to the final message.
    Wall,
    /// Processor time of all threads.
    Cpu,
    /// From the final message to the exit.
    ProcessExit,
}

impl Deadline {
    /// What the worker failed to do in time, for the log.
    pub(crate) const fn missed(self) -> &'static str {
        match self {
            Self::Start => "was not ready in time",
            Self::Progress => "made no progress for too long",
            Self::Wall => "took too long",
            Self::Cpu => "used too much processor time",
            Self::ProcessExit => "did not exit after its final message",
        }
    }
}

/// The first reason for which the supervisor ended a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The caller stopped the attempt.
    Stop(Stop),
    /// A deadline passed.
    Deadline(Deadline),
    /// The resident size was over the cap.
    RssCap {
        /// The sampled size, in bytes.
        rss_bytes: u64,
    },
    /// The worker broke the protocol; how, in words.
    Violation(String),
    /// The files of its job could not be sent.
    FilesNotSent(Errno),
    /// Its cap could not be raised; why, in words.
    CapNotRaised(String),
    /// The video needs memory that others use now.
    MemoryAwaited {
        /// The cap that the next attempt needs, in bytes.
        cap_bytes: u64,
    },
    /// The results are larger than those of any job may be.
    ResultsTooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The results could not be read for their check; why, in words.
    ResultsUnreadable(String),
    /// The video needs more memory than any attempt may have.
    OverMemoryLimit {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
}

/// The message that ends a job.
#[derive(Debug, Clone, PartialEq)]
pub enum FinalMessage {
    /// All artefacts are complete.
    Done(Summary),
    /// The job failed.
    Failed(Failure),
}

/// Everything known of a worker that has exited.
#[derive(Debug, Clone)]
pub struct ExitEvidence {
    /// Why there was no process, if there was none.
    pub spawn_error: Option<String>,
    /// Its process id, if there was a process.
    pub pid: Option<i32>,
    /// How the process ended, if there was one.
    pub exit: Option<ProcessExit>,
    /// Why the supervisor ended it, if it did.
    pub cause: Option<Cause>,
    /// Its final message, if there was one.
    pub final_message: Option<FinalMessage>,
    /// Its output ended within a frame.
    pub has_partial_message: bool,
    /// The sandbox it reported; present from `Ready` on.
    pub sandbox: Option<SandboxReport>,
    /// The video, if the worker reported it.
    pub facts: Option<VideoFacts>,
    /// The last progress it reported.
    pub progress: Progress,
    /// What kind of cage it was in.
    pub backend: CageBackend,
    /// Kills by the kernel's OOM killer within the cage.
    pub oom_kills: u64,
    /// Whether the cage's own limit was hit, and not one of the host or the service.
    pub limit_was_hit: bool,
    /// The memory cap, in bytes.
    pub cap_bytes: u64,
    /// Most memory ever used, in bytes.
    pub peak_bytes: u64,
    /// From the assignment, or the spawn if there was none, to reaping.
    pub wall: Duration,
    /// Processor time, user and system.
    pub cpu: Duration,
    /// The limit on processor time.
    pub cpu_max: Duration,
    /// Its last log lines, escaped.
    pub log: Vec<String>,
}

impl ExitEvidence {
    /// Nothing but the cap and the kind of cage.
    pub const fn blank(backend: CageBackend, cap_bytes: u64) -> Self {
        Self {
            spawn_error: None,
            pid: None,
            exit: None,
            cause: None,
            final_message: None,
            has_partial_message: false,
            sandbox: None,
            facts: None,
            progress: Progress { frames_done: 0, frames_detected: 0 },
            backend,
            oom_kills: 0,
            limit_was_hit: false,
            cap_bytes,
            peak_bytes: 0,
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            cpu_max: Duration::MAX,
            log: Vec::new(),
        }
    }
}
