//! Every end against every history.

use super::*;
use crate::worker::CageBackend;
use crate::worker::obituary::{Evidence, Exit};
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::VideoFacts;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const MIB: u64 = 1 << 20;

fn ends() -> Vec<End> {
    let deadlines =
        [Deadline::Start, Deadline::Progress, Deadline::Wall, Deadline::Cpu, Deadline::Exit];
    let mut ends = vec![
        End::Done,
        End::BadInput,
        End::Oom,
        End::RssCap,
        End::Crash(Exit::Signal(11)),
        End::Crash(Exit::Status(101)),
        End::Sigsys { syscall: None },
        End::Protocol,
        End::Cancelled,
        End::Operator,
        End::Shutdown,
        End::SpawnFailed,
    ];
    ends.extend(deadlines.map(End::Deadline));
    ends
}

fn facts() -> VideoFacts {
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

fn obituary(end: End, cap_bytes: u64) -> Obituary {
    let mut obituary = Obituary::write(Evidence::blank(CageBackend::V2, cap_bytes));
    obituary.end = end;
    obituary.facts = Some(facts());
    obituary
}

fn history(executions: u32, memory_retry_bytes_max: u64, memory_budget_bytes: u64) -> History {
    History {
        executions,
        spawn_failures: 0,
        operator_restarts: 0,
        memory_retry_bytes_max,
        memory_budget_bytes,
    }
}

prop_compose! {
    fn any_obituary()(
        end in select(ends()),
        cap in 1..2_048_u64,
        fault in option::of(select(vec![Fault::NotAVideo, Fault::Output, Fault::Model])),
    ) -> Obituary {
        Obituary { fault, ..obituary(end, cap * MIB) }
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
        obituaries in prop::collection::vec(any_obituary(), 1..32),
        history in any_history(),
    ) {
        let mut history = History { executions: 0, spawn_failures: 0, ..history };
        let mut executions = 0;
        let mut cap = None;
        for obituary in obituaries {
            let cap_bytes = cap.unwrap_or(obituary.cap_bytes);
            let obituary = Obituary { cap_bytes, ..obituary };
            executions += u32::from(obituary.end.is_counted());
            prop_assert!(executions <= EXECUTIONS_MAX);
            match decide(&obituary, &history).verdict {
                Verdict::Retry { memory_bytes_max } => cap = Some(memory_bytes_max),
                Verdict::Requeue => cap = Some(cap_bytes),
                _ => return Ok(()),
            }
            history.executions = executions;
            history.spawn_failures = match obituary.end {
                End::SpawnFailed => history.spawn_failures + 1,
                _ => 0,
            };
        }
    }

    #[test]
    fn a_retry_is_for_what_may_go_better(obituary in any_obituary(), history in any_history()) {
        if let Verdict::Retry { memory_bytes_max } = decide(&obituary, &history).verdict {
            match obituary.end {
                End::Oom | End::RssCap => {
                    prop_assert!(memory_bytes_max > obituary.cap_bytes);
                    prop_assert!(memory_bytes_max <= history.memory_budget_bytes);
                }
                End::Crash(_) | End::Deadline(Deadline::Start) => {
                    prop_assert_eq!(memory_bytes_max, obituary.cap_bytes);
                }
                end => prop_assert!(false, "{:?} is tried again", end),
            }
        }
    }

    #[test]
    fn too_large_is_said_of_proven_ends_alone(
        obituary in any_obituary(),
        history in any_history(),
    ) {
        let decision = decide(&obituary, &history);
        if decision.error_code == Some("out_of_memory") {
            prop_assert!(matches!(obituary.end, End::Oom | End::RssCap));
            prop_assert_eq!(decision.verdict, Verdict::Reject);
        }
    }

    #[test]
    fn what_is_not_the_videos_doing_is_not_counted(
        obituary in any_obituary(),
        history in any_history(),
    ) {
        let verdict = decide(&obituary, &history).verdict;
        match obituary.end {
            End::Operator | End::Shutdown => prop_assert_eq!(verdict, Verdict::Requeue),
            End::SpawnFailed => prop_assert!(matches!(verdict, Verdict::Requeue | Verdict::Fail)),
            End::Cancelled => prop_assert_eq!(verdict, Verdict::Cancel),
            End::BadInput => prop_assert_eq!(verdict, Verdict::Reject),
            End::Done => prop_assert_eq!(verdict, Verdict::Succeed),
            _ => prop_assert!(verdict != Verdict::Requeue),
        }
        let is_error =
            matches!(verdict, Verdict::Reject | Verdict::Fail | Verdict::Cancel);
        prop_assert_eq!(decide(&obituary, &history).error_code.is_some(), is_error);
    }

    #[test]
    fn every_sentence_is_one_and_says_something(
        obituary in any_obituary(),
        history in any_history(),
    ) {
        let sentence = decide(&obituary, &history).sentence;
        prop_assert!(sentence.ends_with('.') && sentence.len() > 15, "{}", sentence);
        prop_assert!(!sentence.contains("  ") && !sentence.contains('\n'), "{}", sentence);
    }
}

#[test]
fn memory_is_tried_once_more_with_more_and_then_called_too_little() {
    let budget = 2_048 * MIB;
    let first = decide(&obituary(End::Oom, 384 * MIB), &history(0, 768 * MIB, budget));
    assert_eq!(first.verdict, Verdict::Retry { memory_bytes_max: 768 * MIB });
    let second = decide(&obituary(End::Oom, 768 * MIB), &history(1, 768 * MIB, budget));
    assert_eq!(second.verdict, Verdict::Reject);
    assert_eq!(second.error_code, Some("out_of_memory"));
    assert_eq!(
        second.sentence,
        "The video needed more than 768 MiB of memory: the picture is 7680x4320; a smaller one \
         will work."
    );
}

#[test]
fn a_retry_that_is_just_within_the_budget_is_made_and_one_past_it_is_not() {
    let dead = obituary(End::Oom, 384 * MIB);
    let at = decide(&dead, &history(0, 768 * MIB, 768 * MIB));
    assert_eq!(at.verdict, Verdict::Retry { memory_bytes_max: 768 * MIB });
    let past = decide(&dead, &history(0, 768 * MIB, 768 * MIB - 1));
    assert_eq!(past.verdict, Verdict::Reject);
}

#[test]
fn a_crash_and_then_too_little_memory_make_two_executions() {
    let decision = decide(&obituary(End::Oom, 384 * MIB), &history(1, 768 * MIB, 2_048 * MIB));
    assert_eq!(decision.verdict, Verdict::Reject);
    assert!(decision.sentence.contains("384 MiB"), "{}", decision.sentence);
}

#[test]
fn the_workers_fault_outlives_its_crash() {
    let mut dead = obituary(End::Crash(Exit::Status(68)), 384 * MIB);
    dead.fault = Some(Fault::Output);
    let decision = decide(&dead, &history(1, 768 * MIB, 2_048 * MIB));
    assert_eq!((decision.verdict, decision.error_code), (Verdict::Fail, Some("output_failed")));
}

#[test]
fn a_host_that_starts_no_worker_fails_a_job_in_the_end() {
    let dead = obituary(End::SpawnFailed, 384 * MIB);
    let before = |spawn_failures| History { spawn_failures, ..history(0, 768 * MIB, 2_048 * MIB) };
    let nearly = decide(&dead, &before(SPAWN_FAILURES_MAX - 2));
    assert_eq!(nearly.verdict, Verdict::Requeue);
    let last = decide(&dead, &before(SPAWN_FAILURES_MAX - 1));
    assert_eq!((last.verdict, last.error_code), (Verdict::Fail, Some("spawn_failed")));
}

#[test]
fn restarts_by_an_operator_that_do_not_end_count_as_crashes() {
    let mut ended = obituary(End::Operator, MIB);
    ended.exit = Some(Exit::Signal(15));
    let after = |operator_restarts| {
        let history = History { operator_restarts, ..history(1, MIB, MIB) };
        let judged = in_earnest(ended.clone(), &history);
        (judged.end, decide(&judged, &history).verdict)
    };
    assert_eq!(after(OPERATOR_RESTARTS_MAX - 1), (End::Operator, Verdict::Requeue));
    assert_eq!(after(OPERATOR_RESTARTS_MAX), (End::Crash(Exit::Signal(15)), Verdict::Fail));
}
