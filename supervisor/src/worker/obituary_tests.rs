//! Every combination of evidence, against the rules in words.

use super::*;
use bodyscript_protocol::message::Failure;
use bodyscript_protocol::sandbox_report::{Layer, LayerState};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const SUMMARY: Summary = Summary {
    frames_decoded: 3,
    frames_processed: 3,
    frames_detected: 3,
    mean_visibility: 0.5,
    track_losses: 0,
    jitter: 0.0,
    people: 1,
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

fn any_last_word() -> impl Strategy<Value = Option<LastWord>> {
    let failed = select(faults())
        .prop_map(|fault| LastWord::Failed(Failure { fault, detail: "quoted \u{1b}[31m".into() }));
    option::of(prop_oneof![Just(LastWord::Done(SUMMARY)), failed])
}

fn any_exit() -> impl Strategy<Value = Option<Exit>> {
    let status = prop_oneof![
        select(WorkerExit::ALL.map(|exit| i32::from(exit.code())).to_vec()),
        0..256_i32,
    ];
    let signal = prop_oneof![select(vec![4, 6, 9, 11, 15, SIGSYS, SIGXCPU, SIGXFSZ]), 1..65_i32];
    option::weighted(
        0.95,
        prop_oneof![status.prop_map(Exit::Status), signal.prop_map(Exit::Signal)],
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
        Cause::Deadline(Deadline::Exit),
        Cause::RssCap { rss_bytes: 1 << 30 },
        Cause::Violation("garbage".into()),
    ]))
}

prop_compose! {
    fn any_evidence()(
        (exit, cause, last_word) in (any_exit(), any_cause(), any_last_word()),
        backend in select(CageBackend::ALL.to_vec()),
        (oom_kills, limit_was_hit) in (0..3_u64, any::<bool>()),
        (is_ready, broke_off) in (any::<bool>(), any::<bool>()),
        (cpu_s, cpu_max_s) in (0..4_u64, 1..4_u64),
    ) -> Evidence {
        let mut sandbox = SandboxReport::default();
        sandbox.record(Layer::Seccomp, LayerState::Off);
        Evidence {
            spawn_error: exit.is_none().then(|| "no process".into()),
            exit,
            cause,
            last_word,
            broke_off,
            sandbox: is_ready.then_some(sandbox),
            oom_kills,
            limit_was_hit,
            cpu: Duration::from_secs(cpu_s),
            cpu_max: Duration::from_secs(cpu_max_s),
            ..Evidence::blank(backend, 64 << 20)
        }
    }
}

fn is_proof(evidence: &Evidence) -> bool {
    let counted = evidence.oom_kills > 0 && evidence.limit_was_hit;
    let refused = evidence.backend == CageBackend::Rlimit
        && evidence.exit == Some(Exit::Status(WorkerExit::Memory.code().into()));
    counted || refused
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn out_of_memory_is_never_said_without_proof(evidence in any_evidence()) {
        if Obituary::write(evidence.clone()).end == End::Oom {
            prop_assert!(is_proof(&evidence));
        }
    }

    #[test]
    fn proof_is_believed_unless_the_attempt_was_unwanted(evidence in any_evidence()) {
        let is_wanted = !matches!(evidence.cause, Some(Cause::Stop(_)));
        if evidence.oom_kills > 0 && evidence.limit_was_hit && evidence.exit.is_some() && is_wanted {
            prop_assert_eq!(Obituary::write(evidence).end, End::Oom);
        }
    }

    #[test]
    fn done_takes_the_word_and_the_exit_status_both(evidence in any_evidence()) {
        let obituary = Obituary::write(evidence.clone());
        if obituary.end == End::Done {
            prop_assert_eq!(evidence.exit, Some(Exit::Status(0)));
            prop_assert!(matches!(evidence.last_word, Some(LastWord::Done(_))));
            prop_assert!(!evidence.broke_off);
        }
        prop_assert_eq!(obituary.summary.is_some(), obituary.end == End::Done);
    }

    #[test]
    fn what_the_supervisor_did_is_what_it_says(evidence in any_evidence()) {
        prop_assume!(evidence.exit.is_some());
        let end = Obituary::write(evidence.clone()).end;
        match evidence.cause {
            Some(Cause::Stop(Stop::Cancelled)) => prop_assert_eq!(end, End::Cancelled),
            Some(Cause::Stop(Stop::Operator)) => {
                prop_assert!(matches!(end, End::Operator | End::Done | End::Oom | End::Protocol));
            }
            Some(Cause::Deadline(which)) => {
                prop_assert!(end == End::Deadline(which) || end == End::Oom);
            }
            Some(Cause::RssCap { .. }) => prop_assert!(matches!(end, End::RssCap | End::Oom)),
            Some(Cause::Violation(_)) => prop_assert!(matches!(end, End::Protocol | End::Oom)),
            _ => {}
        }
        let is_stopped = |stop| evidence.cause == Some(Cause::Stop(stop));
        prop_assert_eq!(end == End::Cancelled, is_stopped(Stop::Cancelled));
        let is_terminated = evidence.exit == Some(Exit::Signal(SIGTERM));
        prop_assert!(end != End::Operator || is_stopped(Stop::Operator) || is_terminated);
        prop_assert!(end != End::Shutdown || is_stopped(Stop::Shutdown));
        let is_over_cap = matches!(evidence.cause, Some(Cause::RssCap { .. }));
        prop_assert!(end != End::RssCap || is_over_cap);
    }

    #[test]
    fn only_a_worker_that_was_ready_can_crash(evidence in any_evidence()) {
        let is_ready = evidence.sandbox.is_some();
        let has_process = evidence.exit.is_some();
        match Obituary::write(evidence).end {
            End::Crash(_) => prop_assert!(is_ready),
            End::SpawnFailed => prop_assert!(!is_ready || !has_process),
            _ => prop_assert!(has_process),
        }
    }

    #[test]
    fn bad_input_takes_the_agreeing_exit_status(evidence in any_evidence()) {
        if Obituary::write(evidence.clone()).end == End::BadInput {
            prop_assert_eq!(evidence.exit, Some(Exit::Status(WorkerExit::BadInput.code().into())));
            let agrees = match evidence.last_word {
                Some(LastWord::Failed(failure)) => failure.fault.is_bad_input(),
                Some(LastWord::Done(_)) => false,
                None => true,
            };
            prop_assert!(agrees);
        }
    }

    #[test]
    fn the_worker_cannot_write_control_characters_into_the_log(evidence in any_evidence()) {
        prop_assert!(!Obituary::write(evidence).detail.contains(char::is_control));
    }
}

fn dead_of(signal: i32) -> Evidence {
    Evidence {
        exit: Some(Exit::Signal(signal)),
        sandbox: Some(SandboxReport::default()),
        ..Evidence::blank(CageBackend::V1, 64 << 20)
    }
}

#[test]
fn a_sigterm_that_is_not_the_supervisors_is_an_operators() {
    assert_eq!(Obituary::write(dead_of(SIGTERM)).end, End::Operator);
    let late = Evidence { cause: Some(Cause::Deadline(Deadline::Wall)), ..dead_of(SIGTERM) };
    assert_eq!(Obituary::write(late).end, End::Deadline(Deadline::Wall));
}

#[test]
fn a_sigkill_alone_is_a_crash() {
    for backend in CageBackend::ALL {
        let evidence = Evidence { backend, ..dead_of(SIGKILL) };
        assert_eq!(Obituary::write(evidence).end, End::Crash(Exit::Signal(SIGKILL)));
    }
}

#[test]
fn a_kill_for_want_of_memory_elsewhere_is_not_blamed_on_the_cap() {
    let evidence = Evidence { oom_kills: 1, limit_was_hit: false, ..dead_of(SIGKILL) };
    let obituary = Obituary::write(evidence);
    assert_eq!(obituary.end, End::Crash(Exit::Signal(SIGKILL)));
    assert!(obituary.detail.contains("below its own cap"), "{}", obituary.detail);
}

#[test]
fn the_limit_on_processor_time_is_known_by_both_its_signals() {
    let spent = |signal| Evidence {
        cpu: Duration::from_secs(11),
        cpu_max: Duration::from_secs(10),
        ..dead_of(signal)
    };
    assert_eq!(Obituary::write(spent(SIGXCPU)).end, End::Deadline(Deadline::Cpu));
    assert_eq!(Obituary::write(spent(SIGKILL)).end, End::Deadline(Deadline::Cpu));
}

#[test]
fn a_forbidden_system_call_is_known_even_before_the_worker_is_ready() {
    let evidence = Evidence { sandbox: None, ..dead_of(SIGSYS) };
    assert_eq!(Obituary::write(evidence).end, End::Sigsys { syscall: None });
}

#[test]
fn a_result_that_is_complete_is_not_thrown_away_at_a_shutdown() {
    let evidence = Evidence {
        exit: Some(Exit::Status(0)),
        last_word: Some(LastWord::Done(SUMMARY)),
        cause: Some(Cause::Stop(Stop::Shutdown)),
        ..dead_of(0)
    };
    assert_eq!(Obituary::write(evidence).end, End::Done);
}

#[test]
fn the_names_are_the_contract() {
    let exit = Exit::Status(1);
    let names = [
        (End::Done, "done"),
        (End::BadInput, "bad_input"),
        (End::Oom, "oom"),
        (End::RssCap, "rss_cap"),
        (End::Crash(exit), "crash"),
        (End::Sigsys { syscall: None }, "sigsys"),
        (End::Deadline(Deadline::Wall), "deadline"),
        (End::Protocol, "protocol"),
        (End::Cancelled, "cancelled"),
        (End::Operator, "operator"),
        (End::Shutdown, "shutdown"),
        (End::SpawnFailed, "spawn_failed"),
    ];
    for (end, name) in names {
        assert_eq!(end.name(), name);
    }
}
