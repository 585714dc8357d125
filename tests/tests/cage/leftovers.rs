//! Leftovers: no process, file or cgroup outlives a worker, whichever process ends first.

use super::harness::{
    Harness, MIB, cgroups_of, fault_worker, is_alive, orphans, run_exclusively, settings,
};
use super::raised_cap::answered;
use bodyscript::Live;
use bodyscript::{CageBackend, CapReply, WorkerFactory};
use bodyscript::{Deadline, ExitReason, ProcessExit};
use bodyscript_protocol::session::Phase;
use bodyscript_tests::report::skipped;
use nix::unistd::{Pid, Uid};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

const NOBODY: u32 = 65_534;

#[tokio::test(flavor = "multi_thread")]
async fn processes_and_files_of_a_worker_are_removed_with_it() {
    for open in [Harness::open, Harness::rlimit] {
        let harness = open();
        for script in ["leak-child ok", "leak-child leak-child segv"] {
            let exit_report = harness.run_script(script).await;
            assert!(
                matches!(exit_report.end, ExitReason::Done | ExitReason::Crash(_)),
                "{exit_report:?}"
            );
            assert_eq!(orphans(), Vec::<String>::new(), "{script}");
        }
        harness.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fork_and_memory_bombs_stay_within_the_cage() {
    let Some(harness) = Harness::cgroup() else { return };
    // A user without privileges cannot raise a hard limit.
    let granted = CapReply::Granted { cap_bytes: 200 * MIB };
    let (exit_report, _) = answered(&harness, "need:150 touch:120 ok", granted).await;
    assert_eq!(exit_report.end, ExitReason::Done, "{exit_report:?}");
    for script in ["fork-bomb", "thread-bomb"] {
        let mut task = harness.task(script);
        task.spec.deadlines.progress = Duration::from_secs(1);
        let exit_report = harness.attempt(task).await;
        assert!(
            matches!(exit_report.end, ExitReason::Deadline(Deadline::Progress) | ExitReason::Oom),
            "{script}: {exit_report:?}"
        );
        assert_eq!(orphans(), Vec::<String>::new(), "{script}");
    }
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_attempt_still_ends_and_leaves_nothing() {
    let harness = Harness::open();
    let (sender, mut live) = watch::channel(Live::default());
    let (_stop, stopped) = oneshot::channel();
    let task = harness.task("deaf leak-child silent");
    let factory = harness.factory.clone();
    let waiter = tokio::spawn(async move { task.run_attempt(&factory, sender, stopped).await });
    let pid = live.wait_for(|live| live.phase == Phase::Running).await.expect("it runs").pid;
    waiter.abort();
    assert!(waiter.await.expect_err("aborted").is_cancelled());
    // The channel closes once nothing of the attempt is left.
    while live.changed().await.is_ok() {}
    assert!(!is_alive(pid.expect("a running worker has a process id")));
    harness.close();
}

#[test]
fn workers_are_killed_when_the_runtime_ends() {
    let harness = Harness::open();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (sender, mut live) = watch::channel(Live::default());
    let (_stop, stopped) = oneshot::channel();
    let task = harness.task("deaf leak-child silent");
    let factory = harness.factory.clone();
    runtime.spawn(async move { task.run_attempt(&factory, sender, stopped).await });
    let running = runtime.block_on(async {
        live.wait_for(|live| live.phase == Phase::Running).await.expect("it runs").pid
    });
    drop(runtime);
    assert!(!is_alive(running.expect("a running worker has a process id")));
    harness.close();
}

/// Runs another test of this file in a process of its own.
fn in_a_process(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test is a file"));
    command
        .args([&format!("leftovers::{name}"), "--exact", "--ignored", "--nocapture"])
        .stdout(Stdio::piped());
    command
}

#[test]
fn a_killed_supervisor_leaves_no_worker_and_its_cgroups_are_swept() {
    let harness = Harness::open();
    let mut supervisor = in_a_process("inner_supervisor_to_be_killed").spawn().expect("a child");
    let mut output = supervisor.stdout.take().expect("piped");
    let mut worker = String::new();
    while !worker.contains(';') {
        let mut byte = [0];
        output.read_exact(&mut byte).expect("the worker's process id");
        worker.push(byte[0].into());
    }
    let number = worker.rsplit("worker=").next().and_then(|rest| rest.strip_suffix(';'));
    let worker: i32 = number.expect("a number").parse().expect("a number");
    let killed = supervisor.id() as i32;
    let was_caged = !cgroups_of(killed).is_empty();
    assert_eq!(was_caged, harness.factory.cage_backend() != CageBackend::Rlimit);
    supervisor.kill().expect("our child");
    supervisor.wait().expect("our child");
    // The kernel kills the worker, whose new parent may be this process and has to reap it.
    let _ = nix::sys::wait::waitpid(Pid::from_raw(worker), None);
    assert!(!is_alive(worker));
    let next = WorkerFactory::open(&settings(&harness.files, fault_worker())).expect("a factory");
    assert_eq!(cgroups_of(killed), Vec::<PathBuf>::new());
    drop(next);
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the test above, which kills it"]
async fn inner_supervisor_to_be_killed() {
    let harness = Harness::open();
    let (sender, mut live) = watch::channel(Live::default());
    let (_stop, stopped) = oneshot::channel();
    let attempt = harness.task("deaf silent").run_attempt(&harness.factory, sender, stopped);
    let report = async {
        let running = live.wait_for(|live| live.phase == Phase::Running).await.expect("it runs");
        println!("worker={};", running.pid.expect("a running worker has a process id"));
    };
    tokio::join!(attempt, report);
}

#[test]
fn an_unprivileged_user_gets_a_cage_too() {
    if !Uid::effective().is_root() {
        skipped("root", "the cage of another user: only root can become one");
        return;
    }
    let _exclusive = run_exclusively();
    let mut command = in_a_process("inner_as_an_unprivileged_user");
    let output = command.uid(NOBODY).gid(NOBODY).output().expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("as user 65534"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the test above, as nobody"]
async fn inner_as_an_unprivileged_user() {
    println!("as user {}", Uid::effective());
    let harness = Harness::rlimit();
    for (script, end) in [
        ("leak-child ok", ExitReason::Done),
        ("touch:512 ok", ExitReason::Oom),
        ("family:48", ExitReason::RssCap),
        ("segv", ExitReason::Crash(ProcessExit::Signal(11))),
        ("garbage", ExitReason::Protocol),
    ] {
        let exit_report = harness.run_script(script).await;
        assert_eq!(exit_report.end, end, "{script}: {exit_report:?}");
        assert_eq!(orphans(), Vec::<String>::new(), "{script}");
    }
    for script in ["fork-bomb", "thread-bomb"] {
        let mut task = harness.task(script);
        task.spec.deadlines.progress = Duration::from_secs(1);
        let exit_report = harness.attempt(task).await;
        assert!(
            matches!(
                exit_report.end,
                ExitReason::Deadline(_) | ExitReason::RssCap | ExitReason::Oom
            ),
            "{script}: {exit_report:?}"
        );
        assert_eq!(orphans(), Vec::<String>::new(), "{script}");
    }
    harness.close();
}

#[test]
fn a_supervisor_started_with_sigchld_ignored_knows_how_its_workers_end() {
    let _exclusive = run_exclusively();
    let test = std::env::current_exe().expect("this test is a file");
    let output = Command::new("env")
        .arg("--ignore-signal=CHLD")
        .arg(test)
        .args(["leftovers::inner_with_sigchld_ignored", "--exact", "--ignored", "--nocapture"])
        .output()
        .expect("env(1) of coreutils");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("knows"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the test above, in a process of its own"]
async fn inner_with_sigchld_ignored() {
    let harness = Harness::open();
    let exit_report = harness.run_script("segv").await;
    assert_eq!(exit_report.end, ExitReason::Crash(ProcessExit::Signal(11)), "{exit_report:?}");
    harness.close();
    println!("knows");
}
