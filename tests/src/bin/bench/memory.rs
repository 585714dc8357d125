//! Peak memory: of a worker by picture size, of the supervisor, of both together, and Python's.

use crate::clips::{SIZES, sized};
use crate::figures::{PEAK_MIB, Place};
use crate::names::{DRAWN, LOOP, WORKER};
use crate::peers::Peer;
use crate::requests::start;
use crate::rounds::Bench;
use crate::selection::Group;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::leftovers::descendants;
use bodyscript_tests::server::TestServer;
use procfs::process::Process;
use std::path::Path;

/// Peaks hardly differ between rounds.
const ROUNDS_MOST: usize = 3;
/// The file, and the value written to it, with which the kernel drops cached files.
const DROP_CACHES: (&str, &str) = ("/proc/sys/vm/drop_caches", "3");

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let group = Group::Memory;
    let rounds = bench.rounds.min(ROUNDS_MOST);
    let mut add = |case: &str, who: &str, bytes: f64| {
        bench.add(Place { group, case, who }, &[(PEAK_MIB, bytes / f64::from(1 << 20))]);
    };
    let mut notes = Vec::new();
    for size in SIZES {
        let (case, video) = (size.0, sized(size)?);
        for _ in 0..rounds {
            // Pages that every worker maps are then read and charged to the test worker at the start.
            forget_files().unwrap_or_else(|why| notes.push(format!("memory: {why:#}")));
            let server = TestServer::start(&["--workers", "1", "--standby", "0"])?;
            let peaks = peaks_of_job(&server, &video, &[])?;
            add(case, "supervisor and worker", peaks.together);
            add(case, WORKER, peaks.worker);
            add(case, "supervisor", peaks.supervisor);
            forget_files().unwrap_or_else(|why| notes.push(format!("memory: {why:#}")));
            add(
                case,
                "worker that reads every file anew",
                peaks_of_job(&server, &video, &[])?.worker,
            );
            server.stop()?;
        }
        for (who, script) in [(LOOP, "loop"), (DRAWN, "drawn")] {
            let name = video.to_str().context("a plain path")?;
            // A process has one peak, so there is a new one for each size.
            match Peer::python("mediapipe_loop.py", &[script]).and_then(|mut peer| peer.ask(name)) {
                Ok(cost) => add(case, who, cost.peak_bytes),
                Err(error) => notes.push(format!("memory, {case}, {who}: {error:#}")),
            }
        }
    }
    notes.dedup();
    notes.into_iter().for_each(|note| bench.note(note));
    for (case, ..) in SIZES {
        bench.compare(group, case, [WORKER, LOOP], &[PEAK_MIB]);
    }
    Ok(())
}

/// Drops the page cache, which needs root.
fn forget_files() -> Result<()> {
    nix::unistd::sync();
    let (path, what) = DROP_CACHES;
    std::fs::write(path, what).with_context(|| format!("warm page cache: {path} needs root"))
}

pub(crate) struct Peaks {
    pub(crate) worker: f64,
    supervisor: f64,
    together: f64,
}

/// Runs one job with these options and measures memory with each request for its status.
pub(crate) fn peaks_of_job(
    server: &TestServer,
    video: &Path,
    options: &[(&str, &str)],
) -> Result<Peaks> {
    let id = start(server, video, options)?;
    let mut together = 0;
    let status = loop {
        let all = [vec![server.pid()], descendants(server.pid())].concat();
        together = together.max(all.into_iter().filter_map(share_bytes).sum());
        let status = server.status(&id)?;
        if !status["completed_at"].is_null() {
            break status;
        }
    };
    ensure!(status["status"] == "completed", "{status}");
    let attempts = status["attempts"].as_array().into_iter().flatten();
    // The peak of a first attempt that ran out of memory is its cap.
    let worker = attempts.last().and_then(|last| last["peak_bytes"].as_f64()).context("a peak")?;
    let supervisor = Process::new(server.pid())?.status()?.vmhwm.context("its peak")? << 10;
    Ok(Peaks { worker, supervisor: supervisor as f64, together: together as f64 })
}

/// Memory of a process with its share of shared pages; none if it has exited.
fn share_bytes(pid: i32) -> Option<u64> {
    let rollup = Process::new(pid).ok()?.smaps_rollup().ok()?;
    let maps = rollup.memory_map_rollup.into_iter();
    maps.map(|map| map.extension.map.get("Pss").copied()).sum()
}
