//! Decides what follows for a job from the end of an attempt. Pure: exit report and history in,
//! decision out.
//!
//! Called by the dispatcher once per exit report. No video may run more than twice, over all jobs
//! with the same content (the history counts their crashes), and no video may be called too large
//! without proof, or an estimate from its size and codec.
//!
//! | end of the attempt                      | verdict                                             |
//! |-----------------------------------------|-----------------------------------------------------|
//! | done                                    | succeed                                             |
//! | bad_input, a need or results beyond the limit too | reject                                    |
//! | oom, rss_cap                            | retry once at the larger cap if the budget has it, else reject |
//! | a file beyond the limit of the kernel   | reject                                              |
//! | crash; deadline before it was ready     | retry once, then fail                               |
//! | sigsys, other deadlines, protocol       | fail                                                |
//! | cancelled                               | cancel                                              |
//! | operator, killed, shutdown              | requeue, not counted                                |
//! | disk_awaited                            | requeue, not counted; fail after many               |
//! | memory_awaited                          | retry at the cap that it needs, not counted; fail after many |
//! | killed from outside, too often          | fail: a worker can send itself signals forever      |
//! | spawn_failed                            | requeue, not counted; fail after several in a row   |

use crate::runner::attempt::exit_report::{Cause, Deadline, ExitReason, ExitReport, ProcessExit};
use bodyscript_protocol::limits::FILE_BYTES_MAX;
use nix::libc::SIGXFSZ;

/// Maximum number of counted executions of one video.
pub(crate) const EXECUTIONS_MAX: u32 = 2;

/// Maximum number of consecutive failures to spawn a worker for one job.
pub(crate) const SPAWN_FAILURES_MAX: u32 = 5;

/// Attempts of one job that signals from outside ended, after which it fails at the next one.
pub(crate) const KILLS_MAX: u32 = 8;

/// Attempts of one job that are given up until there is memory, after which it fails: each knows the
/// need better than the one before, so there is rarely more than one.
pub(crate) const MEMORY_WAITS_MAX: u32 = 8;

/// Attempts of one job that are given up until there is disk space, after which it fails: its results alone may
/// fill the disk.
pub(crate) const DISK_WAITS_MAX: u32 = 8;

/// The earlier attempts of the job, and the limits of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct History {
    /// Counted executions ([`ExitReason::is_counted`]) of the same video before this attempt.
    pub executions: u32,
    /// Consecutive attempts of this job, immediately before this one, that ended as `spawn_failed`.
    pub spawn_failures: u32,
    /// Attempts of this job, among those kept, that a signal from outside ended.
    pub kills: u32,
    /// Attempts of this job that were given up until there is memory.
    pub memory_waits: u32,
    /// Attempts of this job that were given up until there is disk space.
    pub disk_waits: u32,
    /// Memory cap of a retry after the memory ran out, in bytes.
    pub memory_retry_bytes_max: u64,
    /// Memory budget of all workers together, in bytes.
    pub memory_budget_bytes: u64,
}

/// What follows for the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Publish the artefacts.
    Succeed,
    /// Run it again with this cap.
    Retry {
        /// Memory cap of the next attempt, in bytes.
        memory_bytes_max: u64,
    },
    /// Run it again without counting this attempt.
    Requeue,
    /// The video cannot be processed; the client has to change it.
    Reject,
    /// The service failed to process it.
    Fail,
    /// The client cancelled it.
    Cancel,
}

/// A verdict and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Stable error code; `None` on success and before another attempt.
    pub error_code: Option<&'static str>,
    /// One sentence for users.
    pub sentence: String,
}

impl Decision {
    fn with_code(verdict: Verdict, code: &'static str, sentence: impl Into<String>) -> Self {
        Self { verdict, error_code: Some(code), sentence: sentence.into() }
    }

    fn without_code(verdict: Verdict, sentence: impl Into<String>) -> Self {
        Self { verdict, error_code: None, sentence: sentence.into() }
    }
}

/// Decides one attempt.
pub(crate) fn decide(exit_report: &ExitReport, history: &History) -> Decision {
    match exit_report.end {
        ExitReason::Done => Decision::without_code(Verdict::Succeed, "The video was processed."),
        ExitReason::BadInput => bad_input(exit_report),
        ExitReason::Oom | ExitReason::RssCap => out_of_memory(exit_report, history),
        ExitReason::Crash(ProcessExit::Signal(SIGXFSZ)) => results_too_large(FILE_BYTES_MAX),
        ExitReason::Crash(_) => retry_or(exit_report, history, crashed(exit_report)),
        ExitReason::Deadline(Deadline::Start) => {
            retry_or(exit_report, history, too_slow(Deadline::Start))
        }
        ExitReason::Deadline(which) => too_slow(which),
        ExitReason::Sigsys { .. } => Decision::with_code(
            Verdict::Fail,
            "sandbox_violation",
            "The worker was stopped because it attempted a forbidden system call. Re-encode the \
             video with another program and try again.",
        ),
        ExitReason::Protocol => protocol(),
        ExitReason::Cancelled => {
            Decision::with_code(Verdict::Cancel, "cancelled", "The job was cancelled.")
        }
        ExitReason::Operator | ExitReason::Killed => killed(exit_report, history),
        ExitReason::Shutdown => {
            Decision::without_code(Verdict::Requeue, "The service is restarting.")
        }
        ExitReason::MemoryAwaited => memory_awaited(exit_report, history),
        ExitReason::DiskAwaited => disk_awaited(history),
        ExitReason::SpawnFailed => spawn_failed(exit_report, history),
    }
}

fn disk_awaited(history: &History) -> Decision {
    if history.disk_waits < DISK_WAITS_MAX {
        return Decision::without_code(Verdict::Requeue, "Waiting for disk space.");
    }
    Decision::with_code(
        Verdict::Fail,
        "output_failed",
        "The service ran out of disk space again and again while writing the results. Try again \
         later.",
    )
}

fn results_too_large(limit_bytes: u64) -> Decision {
    Decision::with_code(
        Verdict::Reject,
        "results_too_large",
        format!(
            "The results are larger than the limit of {}. Send a shorter or smaller video, or \
             choose fewer formats.",
            mebibytes(limit_bytes)
        ),
    )
}

/// Only a worker that states another need each time gets here often.
fn memory_awaited(exit_report: &ExitReport, history: &History) -> Decision {
    match exit_report.evidence.cause {
        Some(Cause::MemoryAwaited { cap_bytes }) if history.memory_waits < MEMORY_WAITS_MAX => {
            Decision::without_code(
                Verdict::Retry { memory_bytes_max: cap_bytes },
                format!(
                    "The video needs {} of memory, which other videos use now.",
                    mebibytes(cap_bytes)
                ),
            )
        }
        _ => protocol(),
    }
}

fn protocol() -> Decision {
    Decision::with_code(
        Verdict::Fail,
        "worker_protocol",
        "The worker was stopped because it violated its protocol. Re-encode the video with \
         another program, or contact the operator if it happens again.",
    )
}

/// A signal from outside may come from the worker itself, so it does not restart a job for ever.
fn killed(exit_report: &ExitReport, history: &History) -> Decision {
    if !exit_report.is_killed() || history.kills < KILLS_MAX {
        let sentence = match exit_report.end {
            ExitReason::Operator => "An operator restarted the worker.",
            _ => "Another program killed the worker. Retrying.",
        };
        return Decision::without_code(Verdict::Requeue, sentence);
    }
    Decision::with_code(
        Verdict::Fail,
        "worker_killed",
        "The worker was killed again and again by another program. Try again later, and contact \
         the operator if it happens again.",
    )
}

fn is_last(history: &History) -> bool {
    history.executions.saturating_add(1) >= EXECUTIONS_MAX
}

fn bad_input(exit_report: &ExitReport) -> Decision {
    if let Some(Cause::OverMemoryLimit { limit_bytes }) = exit_report.evidence.cause {
        return too_large(exit_report, limit_bytes);
    }
    if let Some(Cause::ResultsTooLarge { limit_bytes }) = exit_report.evidence.cause {
        return results_too_large(limit_bytes);
    }
    match exit_report.fault() {
        Some(fault) => Decision::with_code(Verdict::Reject, fault.code(), fault.sentence()),
        None => Decision::with_code(
            Verdict::Reject,
            "bad_input",
            "The video can't be read. Export it again, for example as H.264 in MP4.",
        ),
    }
}

fn out_of_memory(exit_report: &ExitReport, history: &History) -> Decision {
    let cap = exit_report.evidence.cap_bytes;
    let larger = history.memory_retry_bytes_max;
    let fits = larger > cap && larger <= history.memory_budget_bytes;
    if fits && !is_last(history) {
        return Decision::without_code(
            Verdict::Retry { memory_bytes_max: larger },
            format!(
                "The video needed more than {} of memory. Retrying with {}.",
                mebibytes(cap),
                mebibytes(larger)
            ),
        );
    }
    too_large(exit_report, cap)
}

fn too_large(exit_report: &ExitReport, limit_bytes: u64) -> Decision {
    let remedy = match &exit_report.evidence.facts {
        Some(facts) => {
            format!("It is {} × {} pixels. Send a smaller copy", facts.width, facts.height)
        }
        None => "Send a copy with smaller frames".into(),
    };
    let limit = mebibytes(limit_bytes);
    let sentence = format!("The video needed more than {limit} of memory. {remedy}.");
    Decision::with_code(Verdict::Reject, "out_of_memory", sentence)
}

fn crashed(exit_report: &ExitReport) -> Decision {
    match exit_report.fault() {
        Some(fault) if !fault.is_bad_input() => {
            Decision::with_code(Verdict::Fail, fault.code(), fault.sentence())
        }
        _ => Decision::with_code(
            Verdict::Fail,
            "worker_crashed",
            "The worker crashed on this video. The file may be damaged. Re-encode it with another \
             program and try again.",
        ),
    }
}

fn too_slow(which: Deadline) -> Decision {
    let sentence = match which {
        Deadline::Start => {
            "The service is overloaded: the worker did not start in time. Try again later."
        }
        Deadline::Progress => {
            "Processing stopped making progress. Re-encode the video with another program and try \
             again."
        }
        Deadline::Wall => {
            "Processing took too long. Send a shorter or smaller video, or choose a faster mode."
        }
        Deadline::Cpu => {
            "Processing needed too much processor time. Send a shorter or smaller video, or choose \
             a faster mode."
        }
        Deadline::ProcessExit => {
            "The worker did not exit after its last message. Try again, and contact the operator \
             if it happens again."
        }
    };
    Decision::with_code(Verdict::Fail, "deadline_exceeded", sentence)
}

/// Retries with the same cap if an execution is left, else returns the final decision.
fn retry_or(exit_report: &ExitReport, history: &History, last: Decision) -> Decision {
    if is_last(history) {
        return last;
    }
    Decision::without_code(
        Verdict::Retry { memory_bytes_max: exit_report.evidence.cap_bytes },
        "The worker ended unexpectedly. Retrying.",
    )
}

fn spawn_failed(exit_report: &ExitReport, history: &History) -> Decision {
    if history.spawn_failures.saturating_add(1) < SPAWN_FAILURES_MAX {
        return Decision::without_code(
            Verdict::Requeue,
            "The worker could not be started. Retrying.",
        );
    }
    match exit_report.fault() {
        Some(fault) => Decision::with_code(Verdict::Fail, fault.code(), fault.sentence()),
        None => Decision::with_code(
            Verdict::Fail,
            "spawn_failed",
            "The service could not start a worker. Try again later. The log of the service has the \
             cause.",
        ),
    }
}

/// Bytes in MiB, without decimals if the number is whole.
fn mebibytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{:.1} MiB", bytes as f64 / MIB as f64)
    }
}

#[cfg(test)]
pub(crate) mod tests;
