//! The disk of one host is full: its jobs are run by others, and it refuses uploads.

use anyhow::{Result, ensure};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{
    await_end, await_ready, await_runner, check_served_alike, runs,
};
use bodyscript_tests::ctl::ctl_json;
use bodyscript_tests::disks::Disk;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::report;
use bodyscript_tests::traces::fault_video;
use reqwest::StatusCode;
use serde_json::Value;
use std::sync::Arc;

const FLAGS: [&str; 6] =
    ["--workers", "1", "--disk-free-bytes-min", "2MiB", "--upload-bytes-max", "64KiB"];

#[test]
fn a_host_with_a_full_disk_leaves_its_jobs_to_others() -> Result<()> {
    let folder = Arc::new(tempfile::tempdir()?);
    let disk = match Disk::small(&folder.path().join("state")) {
        Ok(disk) => disk,
        Err(reason) => {
            report::skipped("disks", &format!("a host with a full disk: {reason}"));
            return Ok(());
        }
    };
    let Some(cluster) = Cluster::of(2, &FLAGS).with_folder(0, folder).start()? else {
        return Ok(());
    };
    let videos = tempfile::tempdir()?;
    let [full, other] = [cluster.host(0), cluster.host(1)];
    ctl_json(&other.state_dir(), &["pause"])?;
    let running = full.submit(&fault_video(videos.path(), "progress:1 sleep:2000 ok")?)?;
    ensure!(await_runner(&cluster, &running)? == 0);
    let waiting = full.submit(&fault_video(videos.path(), "ok")?)?;
    disk.fill_except(0)?;
    wait_until("the host refuses uploads", || {
        let refused = full.upload(&fault_video(videos.path(), "ok")?, &[])?;
        Ok(refused.status() == StatusCode::INSUFFICIENT_STORAGE
            && refused.json::<Value>()?["code"] == "disk_full")
    })?;

    ctl_json(&other.state_dir(), &["resume"])?;
    let more = (0..3).map(|_| other.submit(&fault_video(videos.path(), "ok")?));
    let jobs = [running, waiting].into_iter().map(Ok).chain(more).collect::<Result<Vec<_>>>()?;
    for id in &jobs {
        let status = await_end(&cluster, id)?;
        ensure!(status["status"] == "completed", "{status}; {}", cluster.log(0));
        ensure!(runs(&cluster, 1, id) == 1, "{id}: {}", cluster.log(0));
    }

    disk.free()?;
    await_ready(full)?;
    let id = full.submit(&fault_video(videos.path(), "ok")?)?;
    ensure!(await_end(&cluster, &id)?["status"] == "completed");
    check_served_alike(&cluster, &id)?;
    cluster.stop()
}
