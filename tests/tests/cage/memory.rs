//! Memory: what is proven, what is not, and whom it concerns.

use super::bench::{Bench, CAP, own_groups, tell};
use bodyscript::Stop;
use bodyscript::{ExitReason, ProcessExit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_over_its_cap_is_proven_out_of_memory_by_the_kernel() {
    let Some(bench) = Bench::cgroup() else { return };
    let exit_report = bench.handle_command("touch:512 ok").await;
    assert_eq!(exit_report.end, ExitReason::Oom, "{exit_report:?}");
    assert_eq!(exit_report.exit, Some(ProcessExit::Signal(Signal::SIGKILL as i32)));
    assert!(exit_report.oom_kills >= 1);
    assert!(exit_report.peak_bytes > CAP / 2 && exit_report.peak_bytes <= CAP, "{exit_report:?}");
    bench.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_leak_ends_as_out_of_memory_too() {
    let Some(bench) = Bench::cgroup() else { return };
    let exit_report = bench.handle_command("leak").await;
    assert_eq!(exit_report.end, ExitReason::Oom, "{exit_report:?}");
    assert!(exit_report.progress.frames_done > 4, "{exit_report:?}");
    bench.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cage_that_loses_a_child_to_the_oom_killer_is_ended_as_a_whole() {
    let Some(bench) = Bench::cgroup() else { return };
    let exit_report = bench.handle_command("family:48").await;
    assert_eq!(exit_report.end, ExitReason::Oom, "{exit_report:?}");
    bench.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_is_reserved_and_not_touched_is_no_memory_under_a_cgroup() {
    let Some(bench) = Bench::cgroup() else { return };
    assert_eq!(bench.handle_command("alloc:512 ok").await.end, ExitReason::Done);
    bench.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_allocation_is_out_of_memory_under_rlimits() {
    let bench = Bench::rlimit();
    for script in ["touch:512 ok", "alloc:512 ok"] {
        let exit_report = bench.handle_command(script).await;
        assert_eq!(exit_report.end, ExitReason::Oom, "{exit_report:?}");
        assert_eq!(exit_report.oom_kills, 0);
    }
    bench.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn resident_memory_no_limit_refuses_is_seen_and_ended_under_rlimits() {
    let bench = Bench::rlimit();
    let exit_report = bench.handle_command("family:48").await;
    assert_eq!(exit_report.end, ExitReason::RssCap, "{exit_report:?}");
    assert!(exit_report.peak_bytes > CAP, "{exit_report:?}");
    bench.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sigkill_from_outside_is_a_crash_and_never_out_of_memory() {
    for open in [Bench::open, Bench::rlimit] {
        let bench = open();
        let exit_report = bench
            .interrupt("touch:32 silent", |pid, _| {
                kill(Pid::from_raw(pid), Signal::SIGKILL).expect("our worker");
            })
            .await;
        assert_eq!(exit_report.end, ExitReason::Crash(ProcessExit::Signal(9)), "{exit_report:?}");
        assert_eq!(exit_report.oom_kills, 0);
        bench.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_do_not_notice() {
    let Some(bench) = Bench::cgroup() else { return };
    let (good, hog, crash, kill, stuck) = tokio::join!(
        bench.handle_command("touch:16 progress:2 sleep:500 ok"),
        bench.handle_command("touch:512 ok"),
        bench.handle_command("segv"),
        bench.handle_command("leak-child exit:3"),
        bench.interrupt("deaf silent", |_, sender| tell(sender, Stop::Cancelled)),
    );
    assert_eq!(good.end, ExitReason::Done, "{good:?}");
    assert_eq!(good.oom_kills, 0);
    assert_eq!(hog.end, ExitReason::Oom, "{hog:?}");
    assert_eq!(crash.end, ExitReason::Crash(ProcessExit::Signal(11)), "{crash:?}");
    assert_eq!(kill.end, ExitReason::Crash(ProcessExit::Status(3)), "{kill:?}");
    assert_eq!(stuck.end, ExitReason::Cancelled, "{stuck:?}");
    bench.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_the_service_lacks_is_not_blamed_on_the_video() {
    let Some(bench) = Bench::cgroup() else { return };
    // Half of what the cage may have, for all cages together.
    let limits = ["memory.max", "memory.limit_in_bytes"];
    let files = own_groups().into_iter().flat_map(|group| limits.map(|file| group.join(file)));
    let limit = files.into_iter().find(|file| file.exists()).expect("a group with a limit");
    fs::write(limit, (CAP / 2).to_string()).expect("our own group");
    let exit_report = bench.handle_command("touch:512 ok").await;
    assert_eq!(exit_report.end, ExitReason::Crash(ProcessExit::Signal(9)), "{exit_report:?}");
    assert!(exit_report.oom_kills >= 1, "{exit_report:?}");
    assert!(exit_report.detail.contains("below its own cap"), "{exit_report:?}");
    bench.close();
}
