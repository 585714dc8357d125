//! Verdicts over all ends and histories.

use crate::policy::verdict::*;
use crate::runner::attempt::exit_report::{ExitEvidence, FinalMessage, ProcessExit};
use crate::runner::containment::cage::CageBackend;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::{Failure, VideoFacts};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const MIB: u64 = 1 << 20;

fn ends() -> Vec<ExitReason> {
    let deadlines =
        [Deadline::Start, Deadline::Progress, Deadline::Wall, Deadline::Cpu, Deadline::ProcessExit];
    let mut ends = vec![
        ExitReason::Done,
        ExitReason::BadInput,
        ExitReason::Oom,
        ExitReason::RssCap,
        ExitReason::Crash(ProcessExit::Signal(11)),
        ExitReason::Crash(ProcessExit::Status(101)),
        ExitReason::Sigsys { syscall: None },
        ExitReason::Protocol,
        ExitReason::Cancelled,
        ExitReason::Operator,
        ExitReason::Shutdown,
        ExitReason::MemoryAwaited,
        ExitReason::DiskAwaited,
        ExitReason::SpawnFailed,
    ];
    ends.extend(deadlines.map(ExitReason::Deadline));
    ends
}

pub(crate) fn facts() -> VideoFacts {
    VideoFacts {
        width: 7680,
        height: 4320,
        frame_rate: (30, 1),
        duration_ms: None,
        frames_expected: 30,
        trimmed: false,
        rotation_degrees: 0,
        mirrored: false,
        container: "video/quicktime".into(),
        codec: "video/x-h264".into(),
    }
}

fn exit_report(end: ExitReason, cap_bytes: u64) -> ExitReport {
    let mut exit_report =
        ExitReport::from_evidence(ExitEvidence::blank(CageBackend::V2, cap_bytes));
    exit_report.end = end;
    exit_report.evidence.facts = Some(facts());
    exit_report
}

fn failed_with(fault: Fault) -> FinalMessage {
    FinalMessage::Failed(Failure { fault, detail: String::new() })
}

fn history(executions: u32, memory_retry_bytes_max: u64, memory_budget_bytes: u64) -> History {
    History {
        executions,
        spawn_failures: 0,
        kills: 0,
        memory_waits: 0,
        disk_waits: 0,
        memory_retry_bytes_max,
        memory_budget_bytes,
    }
}

prop_compose! {
    fn any_exit_report()(
        end in select(ends()),
        cap in 1..2_048_u64,
        fault in option::of(select(vec![Fault::NotAVideo, Fault::Output, Fault::Model])),
    ) -> ExitReport {
        let mut exit_report = exit_report(end, cap * MIB);
        exit_report.evidence.final_message = fault.map(failed_with);
        exit_report
    }
}

prop_compose! {
    fn any_history()(
        executions in 0..4_u32,
        spawn_failures in 0..8_u32,
        retry in 0..4_096_u64,
        budget in 0..4_096_u64,
    ) -> History {
        History { spawn_failures, ..history(executions, retry * MIB, budget * MIB) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn no_video_is_executed_more_than_twice(
        exit_reports in prop::collection::vec(any_exit_report(), 1..32),
        history in any_history(),
    ) {
        let mut history = History { executions: 0, spawn_failures: 0, ..history };
        let mut executions = 0;
        let mut cap = None;
        for exit_report in exit_reports {
            let cap_bytes = cap.unwrap_or(exit_report.evidence.cap_bytes);
            let mut exit_report = exit_report;
            exit_report.evidence.cap_bytes = cap_bytes;
            executions += u32::from(exit_report.end.is_counted());
            prop_assert!(executions <= EXECUTIONS_MAX);
            match decide(&exit_report, &history).verdict {
                Verdict::Retry { memory_bytes_max } => cap = Some(memory_bytes_max),
                Verdict::Requeue => cap = Some(cap_bytes),
                _ => return Ok(()),
            }
            history.executions = executions;
            history.spawn_failures = match exit_report.end {
                ExitReason::SpawnFailed => history.spawn_failures + 1,
                _ => 0,
            };
        }
    }

    #[test]
    fn only_memory_crashes_and_slow_starts_are_retried(
        exit_report in any_exit_report(),
        history in any_history(),
    ) {
        if let Verdict::Retry { memory_bytes_max } = decide(&exit_report, &history).verdict {
            match exit_report.end {
                ExitReason::Oom | ExitReason::RssCap => {
                    prop_assert!(memory_bytes_max > exit_report.evidence.cap_bytes);
                    prop_assert!(memory_bytes_max <= history.memory_budget_bytes);
                }
                ExitReason::Crash(_) | ExitReason::Deadline(Deadline::Start) => {
                    prop_assert_eq!(memory_bytes_max, exit_report.evidence.cap_bytes);
                }
                end => prop_assert!(false, "{:?} is retried", end),
            }
        }
    }

    #[test]
    fn out_of_memory_needs_a_proven_end(
        exit_report in any_exit_report(),
        history in any_history(),
    ) {
        let decision = decide(&exit_report, &history);
        if decision.error_code == Some("out_of_memory") {
            prop_assert!(matches!(exit_report.end, ExitReason::Oom | ExitReason::RssCap));
            prop_assert_eq!(decision.verdict, Verdict::Reject);
        }
    }

    #[test]
    fn each_end_leads_to_its_verdicts_and_only_errors_have_a_code(
        exit_report in any_exit_report(),
        history in any_history(),
    ) {
        let verdict = decide(&exit_report, &history).verdict;
        match exit_report.end {
            ExitReason::Operator | ExitReason::Shutdown | ExitReason::DiskAwaited => {
                prop_assert_eq!(verdict, Verdict::Requeue)
            }
            ExitReason::SpawnFailed => prop_assert!(matches!(verdict, Verdict::Requeue | Verdict::Fail)),
            ExitReason::Cancelled => prop_assert_eq!(verdict, Verdict::Cancel),
            ExitReason::BadInput => prop_assert_eq!(verdict, Verdict::Reject),
            ExitReason::Done => prop_assert_eq!(verdict, Verdict::Succeed),
            _ => prop_assert!(verdict != Verdict::Requeue),
        }
        let is_error =
            matches!(verdict, Verdict::Reject | Verdict::Fail | Verdict::Cancel);
        prop_assert_eq!(decide(&exit_report, &history).error_code.is_some(), is_error);
    }

    #[test]
    fn every_decision_has_a_sentence(
        exit_report in any_exit_report(),
        history in any_history(),
    ) {
        let sentence = decide(&exit_report, &history).sentence;
        prop_assert!(sentence.ends_with('.') && sentence.len() > 15, "{}", sentence);
        prop_assert!(!sentence.contains("  ") && !sentence.contains('\n'), "{}", sentence);
    }
}

#[test]
fn out_of_memory_is_retried_once_with_more_and_then_rejected() {
    let budget = 2_048 * MIB;
    let first = decide(&exit_report(ExitReason::Oom, 384 * MIB), &history(0, 768 * MIB, budget));
    assert_eq!(first.verdict, Verdict::Retry { memory_bytes_max: 768 * MIB });
    let second = decide(&exit_report(ExitReason::Oom, 768 * MIB), &history(1, 768 * MIB, budget));
    assert_eq!(second.verdict, Verdict::Reject);
    assert_eq!(second.error_code, Some("out_of_memory"));
    assert_eq!(
        second.sentence,
        "The video needed more than 768 MiB of memory. It is 7680 × 4320 pixels. Send a smaller \
         copy."
    );
}

#[test]
fn a_retry_must_fit_into_the_budget() {
    let dead = exit_report(ExitReason::Oom, 384 * MIB);
    let at = decide(&dead, &history(0, 768 * MIB, 768 * MIB));
    assert_eq!(at.verdict, Verdict::Retry { memory_bytes_max: 768 * MIB });
    let past = decide(&dead, &history(0, 768 * MIB, 768 * MIB - 1));
    assert_eq!(past.verdict, Verdict::Reject);
}

#[test]
fn a_crash_and_an_out_of_memory_are_two_executions() {
    let decision =
        decide(&exit_report(ExitReason::Oom, 384 * MIB), &history(1, 768 * MIB, 2_048 * MIB));
    assert_eq!(decision.verdict, Verdict::Reject);
    assert!(decision.sentence.contains("384 MiB"), "{}", decision.sentence);
}

#[test]
fn a_reported_fault_decides_over_the_crash() {
    let mut dead = exit_report(ExitReason::Crash(ProcessExit::Status(68)), 384 * MIB);
    dead.evidence.final_message = Some(failed_with(Fault::Output));
    let decision = decide(&dead, &history(1, 768 * MIB, 2_048 * MIB));
    assert_eq!((decision.verdict, decision.error_code), (Verdict::Fail, Some("output_failed")));
}

#[test]
fn repeated_spawn_failures_fail_the_job() {
    let dead = exit_report(ExitReason::SpawnFailed, 384 * MIB);
    let before = |spawn_failures| History { spawn_failures, ..history(0, 768 * MIB, 2_048 * MIB) };
    let nearly = decide(&dead, &before(SPAWN_FAILURES_MAX - 2));
    assert_eq!(nearly.verdict, Verdict::Requeue);
    let last = decide(&dead, &before(SPAWN_FAILURES_MAX - 1));
    assert_eq!((last.verdict, last.error_code), (Verdict::Fail, Some("spawn_failed")));
}

#[test]
fn only_kills_from_outside_exhaust_the_restarts_of_a_job() {
    let after = |end, cause, kills| {
        let mut ended = exit_report(end, MIB);
        ended.evidence.cause = cause;
        let decision = decide(&ended, &History { kills, ..history(1, MIB, MIB) });
        (decision.verdict, decision.error_code)
    };
    for end in [ExitReason::Operator, ExitReason::Killed] {
        assert_eq!(after(end, None, KILLS_MAX - 1), (Verdict::Requeue, None));
        assert_eq!(after(end, None, KILLS_MAX), (Verdict::Fail, Some("worker_killed")));
        assert!(!end.is_counted() && !end.is_fatal(), "{end:?}");
    }
    let commanded =
        after(ExitReason::Operator, Some(Cause::Stop(crate::Stop::Operator)), KILLS_MAX);
    assert_eq!(commanded, (Verdict::Requeue, None));
}

#[test]
fn an_attempt_given_up_for_memory_is_followed_by_one_with_the_cap_it_needs() {
    let mut ended = exit_report(ExitReason::MemoryAwaited, 384 * MIB);
    ended.evidence.cause = Some(Cause::MemoryAwaited { cap_bytes: 600 * MIB });
    // Whatever was executed before: this attempt executed nothing.
    let after = |memory_waits| {
        let history = history(EXECUTIONS_MAX - 1, 768 * MIB, 800 * MIB);
        decide(&ended, &History { memory_waits, ..history })
    };
    let decision = after(MEMORY_WAITS_MAX - 1);
    assert_eq!(decision.verdict, Verdict::Retry { memory_bytes_max: 600 * MIB });
    assert_eq!(decision.sentence, "The video needs 600 MiB of memory, which other videos use now.");
    assert!(!ended.end.is_counted() && !ended.end.is_fatal());
    let last = after(MEMORY_WAITS_MAX);
    assert_eq!((last.verdict, last.error_code), (Verdict::Fail, Some("worker_protocol")));
}

#[test]
fn a_need_beyond_the_limit_is_rejected_and_the_limit_is_named() {
    let mut ended = exit_report(ExitReason::BadInput, 384 * MIB);
    ended.evidence.cause = Some(Cause::OverMemoryLimit { limit_bytes: 768 * MIB });
    let decision = decide(&ended, &history(0, 768 * MIB, 2_048 * MIB));
    assert_eq!((decision.verdict, decision.error_code), (Verdict::Reject, Some("out_of_memory")));
    assert_eq!(
        decision.sentence,
        "The video needed more than 768 MiB of memory. It is 7680 × 4320 pixels. Send a smaller \
         copy."
    );
}

#[test]
fn an_attempt_given_up_for_disk_space_is_queued_again_a_few_times() {
    let ended = exit_report(ExitReason::DiskAwaited, 384 * MIB);
    let after = |disk_waits| {
        let history = history(EXECUTIONS_MAX - 1, 768 * MIB, 800 * MIB);
        let decision = decide(&ended, &History { disk_waits, ..history });
        (decision.verdict, decision.error_code)
    };
    assert!(!ended.end.is_counted() && !ended.end.is_fatal());
    assert_eq!(after(DISK_WAITS_MAX - 1), (Verdict::Requeue, None));
    assert_eq!(after(DISK_WAITS_MAX), (Verdict::Fail, Some("output_failed")));
}

#[test]
fn results_beyond_a_limit_are_rejected_and_the_limit_is_named() {
    let mut together = exit_report(ExitReason::BadInput, 384 * MIB);
    together.evidence.cause = Some(Cause::ResultsTooLarge { limit_bytes: 1024 * MIB });
    let alone = exit_report(ExitReason::Crash(ProcessExit::Signal(SIGXFSZ)), 384 * MIB);
    for (ended, limit) in [(together, "1024 MiB"), (alone, "256 MiB")] {
        let decision = decide(&ended, &history(0, 768 * MIB, 2_048 * MIB));
        let code = Some("results_too_large");
        assert_eq!((decision.verdict, decision.error_code), (Verdict::Reject, code));
        let sentence = &decision.sentence;
        assert!(sentence.contains(&format!("the limit of {limit}. Send a shorter")), "{sentence}");
    }
}
