//! What is known of one worker once it is gone, gathered by `attempt`, read by `exit_report`.
//!
//! Values only: nothing here is a judgement yet.

use crate::runner::containment::cage::CageBackend;
use crate::runner::containment::process_exit::ProcessExit;
use bodyscript_protocol::message::{Failure, Progress, Summary, VideoFacts};
use bodyscript_protocol::sandbox_report::SandboxReport;
use nix::errno::Errno;
use std::time::Duration;

/// Why the supervisor itself ends an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The client no longer wants the job.
    Cancelled,
    /// An operator ended this attempt; the job is to run again.
    Operator,
    /// The service shuts down; the job is to run again at the next start.
    Shutdown,
}

/// A limit on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// From birth to `Ready`.
    Start,
    /// From one message to the next.
    Progress,
    /// From the order to the last word.
    Wall,
    /// Processor time of all threads.
    Cpu,
    /// From the last word to the exit.
    ProcessExit,
}

impl Deadline {
    /// What the worker failed to do in time.
    pub(crate) const fn missed(self) -> &'static str {
        match self {
            Self::Start => "was not ready in time",
            Self::Progress => "made no progress for too long",
            Self::Wall => "took too long",
            Self::Cpu => "used too much processor time",
            Self::ProcessExit => "did not exit after its last word",
        }
    }
}

/// The first reason for which the supervisor set out to end a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It was asked to.
    Stop(Stop),
    /// Time was up.
    Deadline(Deadline),
    /// The resident size, in bytes, was over the cap.
    RssCap {
        /// What was seen.
        rss_bytes: u64,
    },
    /// What the worker did against the protocol.
    Violation(String),
    /// Why the files of its job could not be handed over.
    Unequipped(Errno),
}

/// The last message of a worker.
#[derive(Debug, Clone, PartialEq)]
pub enum FinalMessage {
    /// All artefacts are complete.
    Done(Summary),
    /// There is no result.
    Failed(Failure),
}

/// All that is known of one worker once it is gone.
#[derive(Debug, Clone)]
pub struct ExitEvidence {
    /// Why there was no process; none if there was one.
    pub spawn_error: Option<String>,
    /// Its process id, if there was a process.
    pub pid: Option<i32>,
    /// How the process ended, if there was one.
    pub exit: Option<ProcessExit>,
    /// Why the supervisor ended it, if it did.
    pub cause: Option<Cause>,
    /// What it said last, if it came to that.
    pub final_message: Option<FinalMessage>,
    /// Its output ended within a frame.
    pub broke_off: bool,
    /// The sandbox it reported; present from `Ready` on.
    pub sandbox: Option<SandboxReport>,
    /// The video, as far as the worker told.
    pub facts: Option<VideoFacts>,
    /// The last progress it reported.
    pub progress: Progress,
    /// What kind of cage it was in.
    pub backend: CageBackend,
    /// Kills by the kernel's OOM killer within the cage.
    pub oom_kills: u64,
    /// Whether it was the cage's own limit that was hit, and not one of the host or the service.
    pub limit_was_hit: bool,
    /// The memory cap, in bytes.
    pub cap_bytes: u64,
    /// Most memory ever used, in bytes.
    pub peak_bytes: u64,
    /// From the order, or the birth if there was none, to reaping.
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
            broke_off: false,
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
