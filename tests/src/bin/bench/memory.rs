//! Peak memory: of a worker by picture size, of the supervisor, of both together, and Python's.

use crate::clips::{SIZES, sized};
use crate::figures::{PEAK_MIB, Place};
use crate::names::{DRAWN, LOOP, WORKER};
use crate::peers::Peer;
use crate::rounds::Bench;
use crate::selection::Group;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::leftovers::descendants;
use bodyscript_tests::server::TestServer;
use procfs::process::Process;
use std::path::Path;

/// Peaks hardly differ between rounds.
const ROUNDS_MOST: usize = 3;
/// Where the kernel is told to forget cached files, and what.
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
            // The trial at the start then reads what every worker maps, and it counts as the trial's.
            forget_files().unwrap_or_else(|why| notes.push(format!("memory: {why:#}")));
            let server = TestServer::start(&["--workers", "1", "--standby", "0"])?;
            let peaks = watched(&server, &video)?;
            add(case, "supervisor and worker", peaks.together);
            add(case, WORKER, peaks.worker);
            add(case, "supervisor", peaks.supervisor);
            forget_files().unwrap_or_else(|why| notes.push(format!("memory: {why:#}")));
            add(case, "worker that reads every file anew", watched(&server, &video)?.worker);
            server.stop()?;
        }
        for (who, script) in [(LOOP, "loop"), (DRAWN, "drawn")] {
            let name = video.to_str().context("a plain path")?;
            // A process has one peak in its life: a new one for each size.
            match Peer::python("mediapipe_loop.py", &[script]).and_then(|mut it| it.ask(name)) {
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

/// Makes the page cache cold, which takes root.
fn forget_files() -> Result<()> {
    nix::unistd::sync();
    let (path, what) = DROP_CACHES;
    std::fs::write(path, what).with_context(|| format!("warm page cache: {path} takes root"))
}

struct Peaks {
    worker: f64,
    supervisor: f64,
    together: f64,
}

/// One job, looked at from outside as often as its status can be asked for.
fn watched(server: &TestServer, video: &Path) -> Result<Peaks> {
    let id = server.submit(video)?;
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
    // A first attempt that ran out of memory has its cap for a peak, and no more.
    let worker = attempts.last().and_then(|last| last["peak_bytes"].as_f64()).context("a peak")?;
    let supervisor = Process::new(server.pid())?.status()?.vmhwm.context("its peak")? << 10;
    Ok(Peaks { worker, supervisor: supervisor as f64, together: together as f64 })
}

/// A process's memory, of shared pages its share; none if it is gone.
fn share_bytes(pid: i32) -> Option<u64> {
    let rollup = Process::new(pid).ok()?.smaps_rollup().ok()?;
    let maps = rollup.memory_map_rollup.into_iter();
    maps.map(|map| map.extension.map.get("Pss").copied()).sum()
}
