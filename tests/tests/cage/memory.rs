//! Memory: when an exit is proven to be out of memory, and that other workers are not affected.

use super::harness::{CAP, Harness, own_groups, send_stop};
use bodyscript::Stop;
use bodyscript::{ExitReason, ProcessExit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_over_its_cap_is_proven_out_of_memory_by_the_kernel() {
    let Some(harness) = Harness::cgroup() else { return };
    let exit_report = harness.run_script("touch:512 ok").await;
    assert_eq!(exit_report.end, ExitReason::Oom, "{exit_report:?}");
    assert_eq!(exit_report.evidence.exit, Some(ProcessExit::Signal(Signal::SIGKILL as i32)));
    assert!(exit_report.evidence.oom_kills >= 1);
    assert!(
        exit_report.evidence.peak_bytes > CAP / 2 && exit_report.evidence.peak_bytes <= CAP,
        "{exit_report:?}"
    );
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_leak_ends_as_out_of_memory_too() {
    let Some(harness) = Harness::cgroup() else { return };
    let exit_report = harness.run_script("leak").await;
    assert_eq!(exit_report.end, ExitReason::Oom, "{exit_report:?}");
    assert!(exit_report.evidence.progress.frames_done > 4, "{exit_report:?}");
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oom_kill_of_a_child_ends_the_whole_cage() {
    let Some(harness) = Harness::cgroup() else { return };
    let exit_report = harness.run_script("family:48").await;
    assert_eq!(exit_report.end, ExitReason::Oom, "{exit_report:?}");
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_untouched_memory_does_not_count_under_a_cgroup() {
    let Some(harness) = Harness::cgroup() else { return };
    assert_eq!(harness.run_script("alloc:512 ok").await.end, ExitReason::Done);
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_allocation_is_out_of_memory_under_rlimits() {
    let harness = Harness::rlimit();
    for script in ["touch:512 ok", "alloc:512 ok"] {
        let exit_report = harness.run_script(script).await;
        assert_eq!(exit_report.end, ExitReason::Oom, "{exit_report:?}");
        assert_eq!(exit_report.evidence.oom_kills, 0);
    }
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn resident_memory_over_the_cap_is_detected_and_killed_under_rlimits() {
    let harness = Harness::rlimit();
    let exit_report = harness.run_script("family:48").await;
    assert_eq!(exit_report.end, ExitReason::RssCap, "{exit_report:?}");
    assert!(exit_report.evidence.peak_bytes > CAP, "{exit_report:?}");
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sigkill_from_outside_is_neither_a_crash_nor_out_of_memory() {
    for open in [Harness::open, Harness::rlimit] {
        let harness = open();
        let exit_report = harness
            .interrupt("touch:32 silent", |pid, _| {
                kill(Pid::from_raw(pid), Signal::SIGKILL).expect("our worker");
            })
            .await;
        assert_eq!(exit_report.end, ExitReason::Killed, "{exit_report:?}");
        assert_eq!(exit_report.evidence.oom_kills, 0);
        harness.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_workers_are_not_affected() {
    let Some(harness) = Harness::cgroup() else { return };
    let (good, hog, crash, kill, stuck) = tokio::join!(
        harness.run_script("touch:16 progress:2 sleep:500 ok"),
        harness.run_script("touch:512 ok"),
        harness.run_script("segv"),
        harness.run_script("leak-child exit:3"),
        harness.interrupt("deaf silent", |_, sender| send_stop(sender, Stop::Cancelled)),
    );
    assert_eq!(good.end, ExitReason::Done, "{good:?}");
    assert_eq!(good.evidence.oom_kills, 0);
    assert_eq!(hog.end, ExitReason::Oom, "{hog:?}");
    assert_eq!(crash.end, ExitReason::Crash(ProcessExit::Signal(11)), "{crash:?}");
    assert_eq!(kill.end, ExitReason::Crash(ProcessExit::Status(3)), "{kill:?}");
    assert_eq!(stuck.end, ExitReason::Cancelled, "{stuck:?}");
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_shortage_of_the_service_is_not_blamed_on_the_video() {
    let Some(harness) = Harness::cgroup() else { return };
    // Half of the cage's cap, for all cages together.
    let limits = ["memory.max", "memory.limit_in_bytes"];
    let files = own_groups().into_iter().flat_map(|group| limits.map(|file| group.join(file)));
    let limit = files.into_iter().find(|file| file.exists()).expect("a group with a limit");
    fs::write(limit, (CAP / 2).to_string()).expect("our own group");
    let exit_report = harness.run_script("touch:512 ok").await;
    assert_eq!(exit_report.end, ExitReason::Killed, "{exit_report:?}");
    assert!(exit_report.evidence.oom_kills >= 1, "{exit_report:?}");
    assert!(exit_report.detail.contains("below its own cap"), "{exit_report:?}");
    harness.close();
}
