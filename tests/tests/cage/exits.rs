//! Exits: each kind has its own reason.

use super::harness::{CAP, Harness, MIB, send_stop};
use bodyscript::CageBackend;
use bodyscript::{Deadline, ExitReason, ProcessExit};
use bodyscript::{Deadlines, Live, Stop};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::fault::Fault;
use nix::sys::signal::Signal;
use std::io::{Read, Seek};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_worker_is_done_and_leaves_its_artefacts() {
    let harness = Harness::open();
    let task = harness.task("ok");
    let mut csv = task.assignment.artefacts[0].1.try_clone().expect("a descriptor");
    let (live, seen) = watch::channel(Live::default());
    let (_stop, stopped) = oneshot::channel();
    let exit_report = task.run_attempt(&harness.factory, live, stopped).await;
    assert_eq!(exit_report.end, ExitReason::Done, "{exit_report:?}");
    assert_eq!(exit_report.evidence.exit, Some(ProcessExit::Status(0)));
    assert_eq!(exit_report.summary().map(|summary| summary.frames_processed), Some(3));
    assert_eq!(exit_report.evidence.facts.map(|facts| facts.width), Some(7680));
    assert_eq!(seen.borrow().progress.frames_done, 3);
    assert!(
        exit_report.evidence.peak_bytes > 0 && exit_report.evidence.peak_bytes <= CAP,
        "{}",
        exit_report.evidence.peak_bytes
    );
    let mut text = String::new();
    csv.rewind().expect("a file");
    csv.read_to_string(&mut text).expect("text");
    assert!(text.starts_with("frame_id,"), "{text}");
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_exit_has_its_own_reason() {
    let harness = Harness::open();
    // The status of a refused allocation: proof where rlimits are the cap, and none under a cgroup.
    let refused = match harness.factory.cage_backend() {
        CageBackend::Rlimit => ExitReason::Oom,
        CageBackend::V1 | CageBackend::V2 => ExitReason::Crash(ProcessExit::Status(72)),
    };
    for (script, end) in [
        ("segv", ExitReason::Crash(ProcessExit::Signal(11))),
        ("abort", ExitReason::Crash(ProcessExit::Signal(6))),
        ("panic", ExitReason::Crash(ProcessExit::Status(101))),
        ("exit:0", ExitReason::Crash(ProcessExit::Status(0))),
        ("exit:3", ExitReason::Crash(ProcessExit::Status(3))),
        ("done exit:3", ExitReason::Crash(ProcessExit::Status(3))),
        ("exit:72", refused),
        ("sigsys", ExitReason::Sigsys { syscall: None }),
        ("bad-input", ExitReason::BadInput),
        ("exit:64", ExitReason::BadInput),
    ] {
        let exit_report = harness.run_script(script).await;
        assert_eq!(exit_report.end, end, "{script}: {exit_report:?}");
        let fault = (script == "bad-input").then_some(Fault::NotAVideo);
        assert_eq!(exit_report.fault(), fault.as_ref(), "{script}");
    }
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_message_is_in_the_log() {
    let harness = Harness::open();
    let exit_report = harness.run_script("panic").await;
    assert!(
        exit_report.evidence.log.iter().any(|line| line.contains("as requested")),
        "{:?}",
        exit_report.evidence.log
    );
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_a_file_is_limited() {
    let harness = Harness::open();
    let mut task = harness.task("fill-disk");
    // Other artefacts have smaller limits of their own.
    task.assignment.artefacts.truncate(1);
    task.assignment.artefacts[0].0 = Artefact::Video;
    // The file counts as memory if the folder for temporary files is in memory.
    task.spec.memory_bytes_max = 512 * MIB;
    let exit_report = harness.attempt(task).await;
    assert_eq!(
        exit_report.end,
        ExitReason::Crash(ProcessExit::Signal(Signal::SIGXFSZ as i32)),
        "{exit_report:?}"
    );
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_artefacts_are_not_what_it_reports_violates_the_protocol() {
    let harness = Harness::open();
    for script in ["empty", "html", "rows", "nan"] {
        let exit_report = harness.run_script(script).await;
        assert_eq!(exit_report.end, ExitReason::Protocol, "{script}: {exit_report:?}");
        assert!(exit_report.detail.starts_with("pose_data.csv: "), "{}", exit_report.detail);
        assert!(exit_report.summary().is_none(), "{script}: it has a result");
        // The control: without artefacts to check the same worker succeeds.
        let mut task = harness.task(script);
        task.assignment.artefacts.clear();
        assert_eq!(harness.attempt(task).await.end, ExitReason::Done, "{script}");
    }
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_violates_the_protocol_is_killed() {
    let harness = Harness::open();
    for script in [
        "garbage",
        "oversize",
        "out-of-turn",
        "half-frame exit:0",
        "progress:1 done progress:1",
        "flood-stdout",
        "flood-stderr",
    ] {
        let exit_report = harness.run_script(script).await;
        assert_eq!(exit_report.end, ExitReason::Protocol, "{script}: {exit_report:?}");
        assert!(!exit_report.detail.is_empty(), "{script}");
        assert!(exit_report.evidence.log.iter().all(|line| !line.contains('\u{1b}')), "{script}");
    }
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_deadline_is_enforced_and_named() {
    let harness = Harness::open();
    let soon = Duration::from_millis(300);
    type Shorten = fn(&mut Deadlines, Duration);
    // Long enough for the messages before the exit.
    let shorten_exit: Shorten = |deadlines, soon| deadlines.progress = 10 * soon;
    let cases: [(&str, Deadline, Shorten); 7] = [
        ("early silent", Deadline::Start, |deadlines, soon| deadlines.start = soon),
        ("silent", Deadline::Progress, |deadlines, soon| deadlines.progress = soon),
        ("half-frame", Deadline::Progress, |deadlines, soon| deadlines.progress = soon),
        ("silent", Deadline::Wall, |deadlines, soon| deadlines.wall = soon),
        ("spin", Deadline::Cpu, |deadlines, soon| deadlines.cpu = soon),
        ("progress:1 done silent", Deadline::ProcessExit, shorten_exit),
        ("close-stdout silent", Deadline::ProcessExit, shorten_exit),
    ];
    for (script, which, shorten) in cases {
        for prefix in ["", "deaf "] {
            let mut task = harness.task(&format!("{prefix}{script}"));
            shorten(&mut task.spec.deadlines, soon);
            let exit_report = harness.attempt(task).await;
            assert_eq!(
                exit_report.end,
                ExitReason::Deadline(which),
                "{prefix}{script}: {exit_report:?}"
            );
        }
    }
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responsive_worker_exits_on_request() {
    let harness = Harness::open();
    for (stop, end) in [
        (Stop::Cancelled, ExitReason::Cancelled),
        (Stop::Operator, ExitReason::Operator),
        (Stop::Shutdown, ExitReason::Shutdown),
    ] {
        let exit_report = harness.interrupt("silent", |_, sender| send_stop(sender, stop)).await;
        assert_eq!(exit_report.end, end, "{exit_report:?}");
        assert_eq!(exit_report.evidence.exit, Some(ProcessExit::Status(70)), "{exit_report:?}");
    }
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unresponsive_worker_is_killed_after_the_grace_period() {
    for open in [Harness::open, Harness::rlimit] {
        let harness = open();
        let stop = |_, sender: oneshot::Sender<Stop>| send_stop(sender, Stop::Cancelled);
        let exit_report = harness.interrupt("deaf leak-child touch:32 spin", stop).await;
        assert_eq!(exit_report.end, ExitReason::Cancelled, "{exit_report:?}");
        assert_eq!(exit_report.evidence.exit, Some(ProcessExit::Signal(9)), "{exit_report:?}");
        harness.close();
    }
}
