//! Workers that are started before there is a job for them: each takes one job, in the same cage
//! and sandbox as any other, and none is ever in the way of a job.

use anyhow::{Context, Result, ensure};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::inherited;
use bodyscript_tests::ctl::order;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use bodyscript_tests::{programs, report};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::{MMapPath, Process};
use serde_json::Value;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn small_clip(folder: &TempDir) -> Result<PathBuf> {
    let path = folder.path().join("walker.mp4");
    Clip::new().size(320, 240).frames(8).encode(&path)?;
    Ok(path)
}

/// The worker that stands by once it is ready and is none of these.
fn standby(server: &TestServer, but: &[i64]) -> Result<i64> {
    let found = Cell::new(None);
    wait_until("a worker stands by", || {
        let status = order(&server.state_dir(), &["status"])?;
        let waiting = status["health"]["standby"].as_array().context("a list")?;
        ensure!(waiting.len() <= 1, "{waiting:?}");
        let ready = waiting.iter().filter(|worker| worker["is_ready"] == true);
        found.set(ready.filter_map(|worker| worker["pid"].as_i64()).find(|pid| !but.contains(pid)));
        Ok(found.get().is_some())
    })?;
    found.get().context("seen a moment ago")
}

/// The process of the only worker of a job, as its exit report tells it.
fn exited_worker(server: &TestServer, id: &str) -> Result<i64> {
    let log = server.log();
    let line = log.lines().find(|line| line.contains(" exit: ") && line.contains(id));
    let line = line.with_context(|| format!("no exit report of {id}: {log}"))?;
    let pid = line.split_once(" pid=").context("a process")?.1;
    Ok(pid.split(' ').next().context("a number")?.parse()?)
}

/// The files that a worker maps: its program, libraries and models.
fn mapped(worker: i64) -> Result<BTreeSet<PathBuf>> {
    let maps = Process::new(i32::try_from(worker)?)?.maps()?;
    let paths = maps.into_iter().filter_map(|map| match map.pathname {
        MMapPath::Path(path) => Some(path),
        _ => None,
    });
    Ok(paths.collect())
}

#[test]
fn workers_map_packed_models_and_stub_libraries() -> Result<()> {
    let program = programs::path("bodyscript-worker")?;
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/pose_detection.packed");
    if !packed.exists() || !program.with_file_name("libavfilter.so.8").exists() {
        report::skipped("worker-files", "`make build` has not put them beside the programs");
        return Ok(());
    }
    let server = TestServer::start(&["--workers", "1", "--standby", "1"])?;
    let files = mapped(standby(&server, &[])?)?;
    let named = |name: &str| files.iter().filter(|path| path.ends_with(name)).collect::<Vec<_>>();
    assert_eq!(named("pose_detection.packed").len(), 1, "{files:?}");
    assert_eq!(named("pose_landmark_full.packed").len(), 1, "{files:?}");
    for name in ["libavfilter.so.8", "libavformat.so.59"] {
        assert_eq!(named(name), [&program.with_file_name(name)]);
    }
    // One of those that only the real libavfilter brings.
    assert!(!files.iter().any(|path| path.to_string_lossy().contains("libass.so")), "{files:?}");
    server.stop()?;
    Ok(())
}

#[test]
fn a_pooled_worker_takes_the_next_job_and_is_replaced() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = small_clip(&folder)?;
    let server = TestServer::start(&["--workers", "1", "--standby", "1"])?;
    let first = standby(&server, &[])?;
    let served = server.await_end(&server.submit(&video)?)?;
    assert_eq!(ends(&served), ["done"], "{served}");
    let id = served["job_id"].as_str().context("an id")?;
    assert_eq!(exited_worker(&server, id)?, first);
    let second = standby(&server, &[first])?;
    let again = server.await_end(&server.submit(&video)?)?;
    assert_eq!(exited_worker(&server, again["job_id"].as_str().context("an id")?)?, second);

    let cold = TestServer::start(&["--workers", "1"])?;
    let usual = cold.await_end(&cold.submit(&video)?)?;
    assert_eq!(served["posture"], usual["posture"], "the sandbox is the same");
    cold.stop()?;
    // Looks that no worker is left, waiting or not.
    server.stop()?;
    Ok(())
}

/// Everything a job wrote, by file name, with its id taken out.
fn written(server: &TestServer, video: &Path) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let answer: Value = server.upload(video, &[("formats", "all")])?.json()?;
    let id = answer["job_id"].as_str().context("an id")?;
    let status = server.await_end(id)?;
    assert_eq!(ends(&status), ["done"], "{status}");
    let fetch = |artefact: Artefact| {
        let name = artefact.file_name();
        let answer = server.get(&format!("/api/serve/{id}/{name}"))?;
        ensure!(answer.status().is_success(), "{name}: {}", answer.status());
        let mut bytes = answer.bytes()?.to_vec();
        if let Ok(text) = std::str::from_utf8(&bytes) {
            bytes = text.replace(id, "").into_bytes();
        }
        Ok((name, bytes))
    };
    Artefact::ALL.into_iter().map(fetch).collect()
}

#[test]
fn a_warm_up_leaves_no_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = small_clip(&folder)?;
    let server = TestServer::start(&["--workers", "1", "--standby", "1"])?;
    let worker = Process::new(i32::try_from(standby(&server, &[])?)?)?;
    // Its frames, its log and the way of the job's files: no model, and nothing of the rehearsal.
    let open = worker.fd()?.map(|file| Ok(file?.fd)).collect::<Result<BTreeSet<_>>>()?;
    assert_eq!(open, (0..=inherited::FILES_IN).collect());
    wait_until("the threads of its graphs end", || {
        // One may end between being listed and being looked at.
        let names = worker.tasks()?.filter_map(|task| Some(task.ok()?.stat().ok()?.comm));
        // GLib keeps one thread that starts others, from the first on.
        let names: BTreeSet<_> = names.collect();
        Ok(names.iter().all(|name| ["bodyscript-work", "pool-spawner"].contains(&name.as_str())))
    })?;

    let cold = TestServer::start(&["--workers", "1"])?;
    let (served, usual) = (written(&server, &video)?, written(&cold, &video)?);
    for (name, bytes) in &usual {
        assert!(served[name] == *bytes, "{name} is another after a rehearsal");
    }
    assert!(server.log().contains("is_standby=true"), "{}", server.log());
    cold.stop()?;
    server.stop()?;
    Ok(())
}

/// A service whose workers do this instead of their rehearsal.
fn rehearsing(how: &str, folder: &TempDir) -> Result<TestServer> {
    let program = folder.path().join("worker");
    std::fs::copy(programs::path("fault_worker")?, &program)?;
    std::fs::write(program.with_extension("rehearsal"), how)?;
    let program = program.to_str().context("a plain path")?;
    let cap = ["--worker-memory-bytes-max", "64MiB", "--worker-start-s-max", "1"];
    let workers = ["--workers", "1", "--standby", "1", "--worker-program", program];
    TestServer::start(&[&workers[..], &cap].concat())
}

#[test]
fn a_hanging_or_failed_warm_up_is_ended_and_affects_no_job() -> Result<()> {
    for how in ["hangs", "fails"] {
        let folder = tempfile::tempdir()?;
        let server = rehearsing(how, &folder)?;
        let crashes = || {
            let log = server.log();
            log.lines().filter(|line| line.contains(" exit: ") && line.contains("standby")).count()
        };
        // More in a row than open the breaker when it is jobs that cannot start.
        for dead in [0, 4] {
            wait_until("workers die", || Ok(crashes() >= dead))?;
            let ready = server.get("/readyz")?.status();
            assert!(ready.is_success(), "{how}: {ready} after {} crashes", crashes());
            let id = server.submit(&fault_video(folder.path(), "ok")?)?;
            let status = server.await_end(&id)?;
            assert_eq!(ends(&status), ["done"], "{how}: {status}");
        }
        let health = order(&server.state_dir(), &["status"])?;
        assert_ne!(health["health"]["standby"][0]["is_ready"], true, "{how}: {health}");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_dead_or_outdated_pooled_worker_is_replaced() -> Result<()> {
    let server = TestServer::start(&["--standby", "1"])?;
    let mut seen = vec![standby(&server, &[])?];
    for end in [Signal::SIGKILL, Signal::SIGTERM] {
        kill(Pid::from_raw(i32::try_from(seen[seen.len() - 1])?), end)?;
        seen.push(standby(&server, &seen)?);
    }
    for service in [Signal::SIGHUP, Signal::SIGUSR1] {
        server.signal(service)?;
        seen.push(standby(&server, &seen)?);
    }
    ensure!(server.get("/readyz")?.status().is_success(), "{}", server.log());
    server.stop()?;
    Ok(())
}

#[test]
fn a_pooled_worker_is_ended_when_a_job_needs_its_memory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = fault_worker()?;
    let server = TestServer::start(&[
        &program[0],
        &program[1],
        "--workers",
        "2",
        "--standby",
        "2",
        "--memory-budget-bytes",
        "192MiB",
        "--worker-memory-bytes-max",
        "64MiB",
        "--worker-memory-retry-bytes-max",
        "160MiB",
    ])?;
    // The retry takes nearly all of the budget, of which others stand by with a third each.
    let id = server.submit(&fault_video(folder.path(), "touch:100 ok")?)?;
    let status = server.await_end(&id)?;
    let attempts = status["attempts"].as_array().context("attempts")?;
    let caps: Vec<_> =
        attempts.iter().filter_map(|attempt| attempt["cap_bytes"].as_u64()).collect();
    assert_eq!(caps, [64 << 20, 160 << 20], "{status}");
    assert_eq!(attempts[1]["end"], "done", "{status}");
    server.stop()?;
    Ok(())
}
