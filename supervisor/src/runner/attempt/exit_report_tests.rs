//! Classification of evidence: properties over generated combinations, and single cases.

use crate::runner::attempt::exit_report::*;
use bodyscript_protocol::message::Failure;
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::time::Duration;

const SUMMARY: Summary = Summary {
    first_frame: 0,
    frames_decoded: 3,
    frames_processed: 3,
    frames_detected: 3,
    mean_visibility: 0.5,
    track_losses: 0,
    jitter: 0.0,
    people: 1,
    warnings: bodyscript_protocol::warning::Warnings::NONE,
};

fn faults() -> Vec<Fault> {
    vec![
        Fault::Empty,
        Fault::NotAVideo,
        Fault::UnsupportedCodec("video/x".into()),
        Fault::Model,
        Fault::Sandbox,
        Fault::Protocol,
        Fault::Output,
        Fault::Media,
        Fault::Cancelled,
    ]
}

fn any_final_message() -> impl Strategy<Value = Option<FinalMessage>> {
    let failed = select(faults()).prop_map(|fault| {
        FinalMessage::Failed(Failure { fault, detail: "quoted \u{1b}[31m".into() })
    });
    option::of(prop_oneof![Just(FinalMessage::Done(SUMMARY)), failed])
}

fn any_exit() -> impl Strategy<Value = Option<ProcessExit>> {
    let status = prop_oneof![
        select(WorkerExit::ALL.map(|exit| i32::from(exit.code())).to_vec()),
        0..256_i32,
    ];
    let signal = prop_oneof![select(vec![4, 6, 9, 11, 15, SIGSYS, SIGXCPU, SIGXFSZ]), 1..65_i32];
    option::weighted(
        0.95,
        prop_oneof![status.prop_map(ProcessExit::Status), signal.prop_map(ProcessExit::Signal)],
    )
}

fn any_cause() -> impl Strategy<Value = Option<Cause>> {
    option::of(select(vec![
        Cause::Stop(Stop::Cancelled),
        Cause::Stop(Stop::Operator),
        Cause::Stop(Stop::Shutdown),
        Cause::Deadline(Deadline::Start),
        Cause::Deadline(Deadline::Progress),
        Cause::Deadline(Deadline::Wall),
        Cause::Deadline(Deadline::ProcessExit),
        Cause::RssCap { rss_bytes: 1 << 30 },
        Cause::Violation("garbage".into()),
        Cause::CapNotRaised("busy".into()),
        Cause::MemoryAwaited { cap_bytes: 1 << 30 },
        Cause::OverMemoryLimit { limit_bytes: 1 << 30 },
        Cause::Stop(Stop::DiskLow),
        Cause::ResultsTooLarge { limit_bytes: 1 << 30 },
        Cause::ResultsUnreadable("broken".into()),
    ]))
}

prop_compose! {
    fn any_evidence()(
        (exit, cause, final_message) in (any_exit(), any_cause(), any_final_message()),
        backend in select(CageBackend::ALL.to_vec()),
        (oom_kills, limit_was_hit) in (0..3_u64, any::<bool>()),
        (is_ready, has_partial_message) in (any::<bool>(), any::<bool>()),
        (cpu_s, cpu_max_s) in (0..4_u64, 1..4_u64),
    ) -> ExitEvidence {
        let mut sandbox = SandboxReport::default();
        sandbox.record(Layer::Seccomp, LayerState::Off);
        ExitEvidence {
            spawn_error: exit.is_none().then(|| "no process".into()),
            exit,
            cause,
            final_message,
            has_partial_message,
            sandbox: is_ready.then_some(sandbox),
            oom_kills,
            limit_was_hit,
            cpu: Duration::from_secs(cpu_s),
            cpu_max: Duration::from_secs(cpu_max_s),
            ..ExitEvidence::blank(backend, 64 << 20)
        }
    }
}

fn is_oom_proven(evidence: &ExitEvidence) -> bool {
    let counted = evidence.oom_kills > 0 && evidence.limit_was_hit;
    let refused = evidence.backend == CageBackend::Rlimit
        && evidence.exit == Some(ProcessExit::Status(WorkerExit::Memory.code().into()));
    counted || refused
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn oom_is_never_reported_without_proof(evidence in any_evidence()) {
        if ExitReport::from_evidence(evidence.clone()).end == ExitReason::Oom {
            prop_assert!(is_oom_proven(&evidence));
        }
    }

    #[test]
    fn proven_oom_is_reported_unless_the_caller_stopped_the_attempt(evidence in any_evidence()) {
        let is_wanted = !matches!(evidence.cause, Some(Cause::Stop(_)));
        if evidence.oom_kills > 0 && evidence.limit_was_hit && evidence.exit.is_some() && is_wanted {
            prop_assert_eq!(ExitReport::from_evidence(evidence).end, ExitReason::Oom);
        }
    }

    #[test]
    fn done_requires_the_done_message_and_exit_status_0(evidence in any_evidence()) {
        let exit_report = ExitReport::from_evidence(evidence.clone());
        if exit_report.end == ExitReason::Done {
            prop_assert_eq!(evidence.exit, Some(ProcessExit::Status(0)));
            prop_assert!(matches!(evidence.final_message, Some(FinalMessage::Done(_))));
            prop_assert!(!evidence.has_partial_message);
        }
        prop_assert_eq!(exit_report.summary().is_some(), exit_report.end == ExitReason::Done);
    }

    #[test]
    fn the_cause_of_the_supervisor_decides_unless_oom_is_proven(evidence in any_evidence()) {
        prop_assume!(evidence.exit.is_some());
        let end = ExitReport::from_evidence(evidence.clone()).end;
        match evidence.cause {
            Some(Cause::Stop(Stop::Cancelled)) => prop_assert_eq!(end, ExitReason::Cancelled),
            Some(Cause::Stop(Stop::Operator)) => {
                prop_assert!(matches!(end, ExitReason::Operator | ExitReason::Done | ExitReason::Oom | ExitReason::Protocol));
            }
            Some(Cause::Deadline(which)) => {
                let is_own_signal = which == Deadline::ProcessExit
                    && matches!(evidence.exit, Some(ProcessExit::Signal(signal))
                        if signal != SIGTERM && signal != SIGKILL);
                prop_assert!(
                    end == ExitReason::Deadline(which) || end == ExitReason::Oom || is_own_signal
                );
            }
            Some(Cause::RssCap { .. }) => prop_assert!(matches!(end, ExitReason::RssCap | ExitReason::Oom)),
            Some(Cause::Violation(_)) => prop_assert!(matches!(end, ExitReason::Protocol | ExitReason::Oom)),
            Some(Cause::CapNotRaised(_) | Cause::ResultsUnreadable(_)) => {
                prop_assert!(matches!(end, ExitReason::SpawnFailed | ExitReason::Oom));
            }
            Some(Cause::MemoryAwaited { .. }) => {
                prop_assert!(matches!(end, ExitReason::MemoryAwaited | ExitReason::Oom));
            }
            Some(Cause::OverMemoryLimit { .. } | Cause::ResultsTooLarge { .. }) => {
                prop_assert!(matches!(end, ExitReason::BadInput | ExitReason::Oom));
            }
            _ => {}
        }
        let is_stopped = |stop| evidence.cause == Some(Cause::Stop(stop));
        prop_assert_eq!(end == ExitReason::Cancelled, is_stopped(Stop::Cancelled));
        let is_terminated = evidence.exit == Some(ProcessExit::Signal(SIGTERM));
        prop_assert!(end != ExitReason::Operator || is_stopped(Stop::Operator) || is_terminated);
        prop_assert!(end != ExitReason::Shutdown || is_stopped(Stop::Shutdown));
        prop_assert!(end != ExitReason::DiskAwaited || is_stopped(Stop::DiskLow));
        let is_over_cap = matches!(evidence.cause, Some(Cause::RssCap { .. }));
        prop_assert!(end != ExitReason::RssCap || is_over_cap);
    }

    #[test]
    fn only_a_worker_that_was_ready_is_reported_as_crashed(evidence in any_evidence()) {
        let is_ready = evidence.sandbox.is_some();
        let has_process = evidence.exit.is_some();
        let is_unraised = matches!(
            evidence.cause,
            Some(Cause::CapNotRaised(_) | Cause::ResultsUnreadable(_))
        );
        match ExitReport::from_evidence(evidence).end {
            ExitReason::Crash(_) => prop_assert!(is_ready),
            ExitReason::SpawnFailed => prop_assert!(!is_ready || !has_process || is_unraised),
            _ => prop_assert!(has_process),
        }
    }

    #[test]
    fn bad_input_requires_the_matching_exit_status(evidence in any_evidence()) {
        let is_too_large = matches!(
            evidence.cause,
            Some(Cause::OverMemoryLimit { .. } | Cause::ResultsTooLarge { .. })
        );
        let end = ExitReport::from_evidence(evidence.clone()).end;
        if end == ExitReason::BadInput && !is_too_large {
            prop_assert_eq!(evidence.exit, Some(ProcessExit::Status(WorkerExit::BadInput.code().into())));
            let agrees = match evidence.final_message {
                Some(FinalMessage::Failed(failure)) => failure.fault.is_bad_input(),
                Some(FinalMessage::Done(_)) => false,
                None => true,
            };
            prop_assert!(agrees);
        }
    }

    #[test]
    fn the_detail_contains_no_control_characters(evidence in any_evidence()) {
        prop_assert!(!ExitReport::from_evidence(evidence).detail.contains(char::is_control));
    }
}

fn killed_by(signal: i32) -> ExitEvidence {
    ExitEvidence {
        exit: Some(ProcessExit::Signal(signal)),
        sandbox: Some(SandboxReport::default()),
        ..ExitEvidence::blank(CageBackend::V1, 64 << 20)
    }
}

#[test]
fn a_sigterm_from_outside_is_reported_as_operator() {
    assert_eq!(ExitReport::from_evidence(killed_by(SIGTERM)).end, ExitReason::Operator);
    let late = ExitEvidence { cause: Some(Cause::Deadline(Deadline::Wall)), ..killed_by(SIGTERM) };
    assert_eq!(ExitReport::from_evidence(late).end, ExitReason::Deadline(Deadline::Wall));
}

#[test]
fn a_sigkill_alone_is_reported_as_killed() {
    for backend in CageBackend::ALL {
        let evidence = ExitEvidence { backend, ..killed_by(SIGKILL) };
        assert_eq!(ExitReport::from_evidence(evidence).end, ExitReason::Killed);
    }
}

#[test]
fn an_oom_kill_below_the_cap_is_reported_as_killed() {
    let evidence = ExitEvidence { oom_kills: 1, limit_was_hit: false, ..killed_by(SIGKILL) };
    let exit_report = ExitReport::from_evidence(evidence);
    assert_eq!(exit_report.end, ExitReason::Killed);
    assert!(exit_report.detail.contains("below its own cap"), "{}", exit_report.detail);
}

#[test]
fn sigxcpu_and_sigkill_at_the_cpu_limit_are_reported_as_deadline() {
    let spent = |signal| ExitEvidence {
        cpu: Duration::from_secs(11),
        cpu_max: Duration::from_secs(10),
        ..killed_by(signal)
    };
    assert_eq!(ExitReport::from_evidence(spent(SIGXCPU)).end, ExitReason::Deadline(Deadline::Cpu));
    assert_eq!(ExitReport::from_evidence(spent(SIGKILL)).end, ExitReason::Deadline(Deadline::Cpu));
}

#[test]
fn sigsys_before_ready_is_reported_as_sigsys() {
    let evidence = ExitEvidence { sandbox: None, ..killed_by(SIGSYS) };
    assert_eq!(ExitReport::from_evidence(evidence).end, ExitReason::Sigsys { syscall: None });
}

#[test]
fn a_complete_result_is_kept_at_a_shutdown() {
    let evidence = ExitEvidence {
        exit: Some(ProcessExit::Status(0)),
        final_message: Some(FinalMessage::Done(SUMMARY)),
        cause: Some(Cause::Stop(Stop::Shutdown)),
        ..killed_by(0)
    };
    assert_eq!(ExitReport::from_evidence(evidence).end, ExitReason::Done);
}

#[test]
fn the_names_of_ends_do_not_change() {
    let exit = ProcessExit::Status(1);
    let names = [
        (ExitReason::Done, "done"),
        (ExitReason::BadInput, "bad_input"),
        (ExitReason::Oom, "oom"),
        (ExitReason::RssCap, "rss_cap"),
        (ExitReason::Crash(exit), "crash"),
        (ExitReason::Sigsys { syscall: None }, "sigsys"),
        (ExitReason::Deadline(Deadline::Wall), "deadline"),
        (ExitReason::Protocol, "protocol"),
        (ExitReason::Cancelled, "cancelled"),
        (ExitReason::Operator, "operator"),
        (ExitReason::Killed, "killed"),
        (ExitReason::Shutdown, "shutdown"),
        (ExitReason::MemoryAwaited, "memory_awaited"),
        (ExitReason::DiskAwaited, "disk_awaited"),
        (ExitReason::SpawnFailed, "spawn_failed"),
    ];
    for (end, name) in &names {
        assert_eq!(end.name(), *name);
    }
    assert_eq!(ExitReason::NAMES, names.map(|(_, name)| name));
}

#[test]
fn a_signal_of_its_own_explains_an_exit_that_took_too_long() {
    let late = |signal| ExitEvidence {
        cause: Some(Cause::Deadline(Deadline::ProcessExit)),
        ..killed_by(signal)
    };
    let crash = ExitReason::Crash(ProcessExit::Signal(SIGXFSZ));
    assert_eq!(ExitReport::from_evidence(late(SIGXFSZ)).end, crash);
    let killed = ExitReport::from_evidence(late(SIGKILL)).end;
    assert_eq!(killed, ExitReason::Deadline(Deadline::ProcessExit));
}
