//! Workers yield to the supervisor while processors are scarce, and none gets more than another.

use super::harness::{Harness, own_groups, send_stop};
use bodyscript::{ExitReason, Stop};
use bodyscript_tests::report::skipped;
use std::fs;
use std::path::{Path, PathBuf};

/// The share of a group: on cgroup v2, on v1.
const FILES: [&str; 2] = ["cpu.weight", "cpu.shares"];

fn share(group: &Path) -> Option<u32> {
    let text = FILES.iter().find_map(|file| fs::read_to_string(group.join(file)).ok());
    text.map(|text| text.trim().parse().expect("a number"))
}

/// This supervisor's group with shares of processors, and its share.
fn group_with_share() -> Option<(PathBuf, u32)> {
    own_groups().into_iter().find_map(|group| share(&group).map(|share| (group, share)))
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_together_have_a_lower_share_and_each_an_equal_one() {
    let Some(harness) = Harness::cgroup() else { return };
    let Some((group, together)) = group_with_share() else {
        skipped("cgroups", "no cpu controller is delegated to this user");
        return harness.close();
    };
    assert!(harness.factory.shared_by_weight().contains(&"processors"));
    // A quarter of what the supervisor has: 100 on v2, 1024 for each thread on v1.
    assert!([25, 256].contains(&together), "{together}");
    let mut found = Vec::new();
    let exit_report = harness
        .interrupt("silent", |pid, sender| {
            for leaf in fs::read_dir(&group).expect("our own group").flatten() {
                let members = fs::read_to_string(leaf.path().join("cgroup.procs"));
                if members.is_ok_and(|members| members.lines().any(|line| line == pid.to_string()))
                {
                    found.extend(share(&leaf.path()));
                }
            }
            send_stop(sender, Stop::Cancelled);
        })
        .await;
    assert_eq!(exit_report.end, ExitReason::Cancelled, "{exit_report:?}");
    assert!([vec![100], vec![1024]].contains(&found), "the kernel's default: {found:?}");
    harness.close();
}
