//! Spawning: what a worker inherits, and which failures prevent its start.

use super::harness::{Harness, fault_worker, settings};
use bodyscript::{AttemptChannels, Live, Stop, run_attempt};
use bodyscript::{CageRequired, WorkerFactory, WorkerFactoryError, WorkerFactorySettings, survey};
use bodyscript::{ExitReason, ProcessExit};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Longest wait for an exit; far beyond what the slowest machine needs.
const WAIT_MAX: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ends_before_it_is_ready_counts_as_never_started() {
    let harness = Harness::open();
    for script in ["early exit:65", "early exit:66", "early segv", "early exit:127"] {
        let exit_report = harness.run_script(script).await;
        assert_eq!(exit_report.end, ExitReason::SpawnFailed, "{script}: {exit_report:?}");
    }
    assert_eq!(harness.run_script("early sigsys").await.end, ExitReason::Sigsys { syscall: None });
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_is_reported_with_its_reason() {
    let folder = TempDir::new().expect("a folder");
    let program = folder.path().join("worker");
    fs::copy(fault_worker(), &program).expect("a copy");
    let harness = Harness::of(program.clone(), WorkerFactory::open);
    fs::remove_file(&program).expect("our copy");
    let exit_report = harness.run_script("ok").await;
    assert_eq!(exit_report.end, ExitReason::SpawnFailed, "{exit_report:?}");
    assert!(exit_report.detail.contains("execute the worker program: ENOENT"), "{exit_report:?}");
    assert_eq!(exit_report.evidence.pid, None);
    let missing = WorkerFactory::open(&settings(&harness.files, program));
    assert!(matches!(missing, Err(WorkerFactoryError::Program { .. })), "{missing:?}");
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_model_is_reported_at_opening() {
    let files = TempDir::new().expect("a folder");
    let settings = settings(&files, fault_worker());
    let model = files.path().join("pose_landmark_full.onnx");
    fs::remove_file(&model).expect("our file");
    let refused = WorkerFactory::open(&settings).expect_err("no model");
    assert!(refused.to_string().contains(&*model.to_string_lossy()), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_fails_without_the_required_cage() {
    let harness = Harness::open();
    let provided = harness.factory.cage_backend();
    for required in [CageRequired::V2, CageRequired::Cgroup, CageRequired::Any] {
        let settings = WorkerFactorySettings {
            cage_required: required,
            ..settings(&harness.files, fault_worker())
        };
        match WorkerFactory::open(&settings) {
            Ok(factory) => assert!(required.accepts().contains(&factory.cage_backend())),
            Err(refused) => {
                assert!(!required.accepts().contains(&provided), "{refused}");
                assert!(matches!(refused, WorkerFactoryError::Cage { .. }), "{refused}");
            }
        }
    }
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_starts_with_the_agreed_descriptors_and_nothing_else() {
    let harness = Harness::open();
    // A descriptor without close-on-exec, as some libraries open them.
    let inheritable = File::open("/dev/null").expect("a device");
    keep_over_exec(&inheritable);
    let task = harness.task("inspect exit:3");
    let mut report = task.assignment.artefacts[0].1.try_clone().expect("a descriptor");
    let end = harness.attempt(task).await.end;
    assert_eq!(end, ExitReason::Crash(ProcessExit::Status(3)));
    let mut text = String::new();
    report.rewind().expect("a file");
    report.read_to_string(&mut text).expect("text");
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {key} in {text}"))
    };
    assert_eq!(value("descriptors"), "[0, 1, 2, 3, 4, 5, 6, 7, 8]");
    let environment = value("environment");
    let mut names = vec![
        "LANG=C.UTF-8",
        "MALLOC_ARENA_MAX=2",
        "BODYSCRIPT_LOG",
        "MALLOC_MMAP_THRESHOLD_=4194304",
    ];
    // Stub libraries beside the program are preloaded.
    if fault_worker().with_file_name("libavfilter.so.8").exists() {
        names.push("LD_PRELOAD");
    }
    for (variable, name) in environment.split_terminator(';').zip(&names) {
        assert!(variable.starts_with(name), "{environment}");
    }
    assert_eq!(environment.split_terminator(';').count(), names.len(), "{environment}");
    assert_eq!(value("command"), "bodyscript-worker;");
    assert_eq!(value("oom_score_adj"), "1000");
    assert_eq!(value("directory"), "Ok(\"/\")");
    assert_eq!(value("leads_session"), "true");
    assert_eq!(value("leads_group"), "true");
    assert_eq!(value("death_signal"), "Ok(Some(SIGKILL))");
    let status = value("status");
    let is_clear = |key: &str| status.contains(&format!("{key}:\t0000000000000000"));
    assert!(is_clear("SigBlk"), "{status}");
    assert!(status.contains("Umask:\t0077"), "{status}");
    // The Rust runtime of the worker ignores SIGPIPE itself; nothing else is inherited.
    assert!(status.contains("SigIgn:\t0000000000001000"), "{status}");
    let limits = value("limits");
    for (name, bytes) in
        [("Max core file size", "0"), ("Max open files", "256"), ("Max locked memory", "65536")]
    {
        let line = limits.split('|').find(|line| line.starts_with(name)).expect("a limit");
        let fields: Vec<_> = line[name.len()..].split_whitespace().collect();
        assert_eq!(fields[..2], [bytes, bytes], "{line}");
    }
    harness.close();
}

fn keep_over_exec(file: &File) {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).expect("a flag");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_the_spawn_takes_effect() {
    let harness = Harness::open();
    let (stop, stopped) = oneshot::channel();
    stop.send(Stop::Shutdown).expect("a listener");
    let live = watch::Sender::new(Live::default());
    let exit_report = harness.task("silent").run_attempt(&harness.factory, live, stopped).await;
    assert_eq!(exit_report.end, ExitReason::Shutdown, "{exit_report:?}");
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_can_get_no_job_is_ended_at_any_stage() {
    let harness = Harness::open();
    let spec = || harness.task("ok").spec;
    let (sender, assignment) = oneshot::channel();
    drop(sender);
    let (_stop, stop) = oneshot::channel();
    let live = watch::Sender::new(Live::default());
    let (cap_requests, _) = mpsc::unbounded_channel();
    let channels = AttemptChannels { assignment, live, cap_requests: cap_requests.clone(), stop };
    let attempt = timeout(WAIT_MAX, run_attempt(&harness.factory, spec(), channels));
    assert_eq!(
        attempt.await.expect("it ends").end,
        ExitReason::Cancelled,
        "cancelled before the spawn"
    );

    let (sender, assignment) = oneshot::channel();
    let (_stop, stop) = oneshot::channel();
    let (live_sender, mut live) = watch::channel(Live::default());
    let attempt = run_attempt(
        &harness.factory,
        spec(),
        AttemptChannels { assignment, live: live_sender, cap_requests, stop },
    );
    let cancel = async {
        live.wait_for(|live| live.sandbox.is_some()).await.expect("it is ready");
        drop(sender);
    };
    let (exit_report, ()) = tokio::join!(timeout(WAIT_MAX, attempt), cancel);
    assert_eq!(
        exit_report.expect("it ends").end,
        ExitReason::Cancelled,
        "cancelled while it waits"
    );
    harness.close();
}

#[test]
fn a_survey_reports_what_the_host_supports_and_cleans_up() {
    let harness = Harness::open();
    let provided: Vec<_> =
        survey().into_iter().filter(|(_, answer)| answer.is_ok()).map(|(kind, _)| kind).collect();
    assert_eq!(provided.first(), Some(&harness.factory.cage_backend()));
    harness.close();
}
