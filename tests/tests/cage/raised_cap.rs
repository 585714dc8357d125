//! Caps that are raised once the video is probed, and attempts that are given up without memory.

use super::harness::{CAP, Harness, MIB};
use bodyscript::{CapReply, CapRequest, ExitReason, ExitReport, Live};
use tokio::sync::{mpsc, oneshot, watch};

/// A cap between those of the harness.
const RAISED: u64 = 200 * MIB;

/// Runs an attempt whose request for memory is answered; returns what it has asked for.
pub(crate) async fn answered(
    harness: &Harness,
    script: &str,
    reply: CapReply,
) -> (ExitReport, u64) {
    let (sender, mut requests) = mpsc::unbounded_channel::<CapRequest>();
    let mut task = harness.task(script);
    task.cap_requests = sender;
    let (_stop, stopped) = oneshot::channel();
    let live = watch::Sender::new(Live::default());
    let attempt = task.run_attempt(&harness.factory, live, stopped);
    let answer = async {
        let request = requests.recv().await.expect("a request");
        assert_eq!(request.job, "01TEST");
        request.reply.send(reply).expect("the attempt waits");
        request.need_bytes
    };
    tokio::join!(attempt, answer)
}

async fn a_raised_cap_holds_more_than_the_first(harness: &Harness) {
    let granted = CapReply::Granted { cap_bytes: RAISED };
    let (exit_report, need) = answered(harness, "need:150 touch:120 ok", granted).await;
    assert_eq!((exit_report.end, need), (ExitReason::Done, 150 * MIB), "{exit_report:?}");
    assert_eq!(exit_report.evidence.cap_bytes, RAISED);
    assert!(exit_report.evidence.peak_bytes > 2 * CAP - 16 * MIB, "{exit_report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_cap_holds_more_than_the_first_in_the_strongest_cage() {
    let harness = Harness::open();
    a_raised_cap_holds_more_than_the_first(&harness).await;
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_cap_holds_more_than_the_first_under_rlimits() {
    let harness = Harness::rlimit();
    a_raised_cap_holds_more_than_the_first(&harness).await;
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_over_its_raised_cap_is_out_of_memory() {
    for open in [Harness::cgroup, || Some(Harness::rlimit())] {
        let Some(harness) = open() else { continue };
        let granted = CapReply::Granted { cap_bytes: RAISED };
        let (exit_report, _) = answered(&harness, "need:150 touch:512 ok", granted).await;
        assert_eq!(exit_report.end, ExitReason::Oom, "{exit_report:?}");
        assert_eq!(exit_report.evidence.cap_bytes, RAISED);
        assert!(exit_report.evidence.peak_bytes <= RAISED, "{exit_report:?}");
        harness.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_need_within_the_cap_is_not_requested() {
    let harness = Harness::open();
    let exit_report = harness.run_script("need:64 ok").await;
    assert_eq!(exit_report.end, ExitReason::Done, "{exit_report:?}");
    assert_eq!(exit_report.evidence.cap_bytes, CAP);
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_without_memory_is_ended_before_it_executes_the_video() {
    let harness = Harness::open();
    for (reply, end) in [
        (CapReply::Later { cap_bytes: RAISED }, ExitReason::MemoryAwaited),
        (CapReply::Never { limit_bytes: RAISED }, ExitReason::BadInput),
    ] {
        for script in ["need-all touch:512 ok", "deaf need-all touch:512 ok"] {
            let (exit_report, need) = answered(&harness, script, reply).await;
            assert_eq!((exit_report.end, need), (end, u64::MAX), "{script}: {exit_report:?}");
            assert_eq!(exit_report.evidence.progress.frames_done, 0);
            assert_eq!(exit_report.evidence.cap_bytes, CAP, "nothing was raised");
        }
    }
    let exit_report = harness.run_script("need:100 ok").await;
    assert_eq!(exit_report.end, ExitReason::MemoryAwaited, "nobody answers: {exit_report:?}");
    harness.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_wait_for_the_reply_breaks_the_protocol() {
    let harness = Harness::open();
    // Kept until the end, so that a request is neither answered nor known to be in vain.
    let (sender, requests) = mpsc::unbounded_channel::<CapRequest>();
    let mut task = harness.task("need:100 hasty ok");
    task.cap_requests = sender;
    let exit_report = harness.attempt(task).await;
    assert_eq!(exit_report.end, ExitReason::Protocol, "{exit_report:?}");
    drop(requests);
    let exit_report = harness.run_script("probed-twice ok").await;
    assert_eq!(exit_report.end, ExitReason::Protocol, "{exit_report:?}");
    harness.close();
}
