//! Workers that are started before there is a job: each takes one job, in the same cage and sandbox as other
//! workers, and none delays or prevents a job.

use anyhow::{Context, Result, ensure};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::inherited;
use bodyscript_tests::ctl::ctl_json;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use bodyscript_tests::{programs, report};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use procfs::process::{MMapPath, Process};
use serde_json::Value;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn small_clip(folder: &TempDir) -> Result<PathBuf> {
    let path = folder.path().join("walker.mp4");
    Clip::new().size(320, 240).frames(8).encode(&path)?;
    Ok(path)
}

/// Waits for a ready pooled worker that is none of these.
fn pooled_worker(server: &TestServer, except: &[i64]) -> Result<i64> {
    let found = Cell::new(None);
    wait_until("a pooled worker is ready", || {
        let status = ctl_json(&server.state_dir(), &["status"])?;
        let waiting = status["health"]["standby"].as_array().context("a list")?;
        ensure!(waiting.len() <= 1, "{waiting:?}");
        let ready = waiting.iter().filter(|worker| worker["is_ready"] == true);
        found.set(
            ready.filter_map(|worker| worker["pid"].as_i64()).find(|pid| !except.contains(pid)),
        );
        Ok(found.get().is_some())
    })?;
    found.get().context("seen a moment ago")
}

/// The process of a job's only worker, from its exit report.
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
        report::skipped("worker-files", "they are missing; run `make build`");
        return Ok(());
    }
    let server = TestServer::start(&["--workers", "1", "--standby", "1"])?;
    let files = mapped(pooled_worker(&server, &[])?)?;
    let named = |name: &str| files.iter().filter(|path| path.ends_with(name)).collect::<Vec<_>>();
    assert_eq!(named("pose_detection.packed").len(), 1, "{files:?}");
    assert_eq!(named("pose_landmark_full.packed").len(), 1, "{files:?}");
    for name in ["libavfilter.so.8", "libavformat.so.59"] {
        assert_eq!(named(name), [&program.with_file_name(name)]);
    }
    // One of the libraries that only the real libavfilter loads.
    assert!(!files.iter().any(|path| path.to_string_lossy().contains("libass.so")), "{files:?}");
    server.stop()?;
    Ok(())
}

#[test]
fn a_pooled_worker_takes_the_next_job_and_is_replaced() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = small_clip(&folder)?;
    let server = TestServer::start(&["--workers", "1", "--standby", "1"])?;
    let first = pooled_worker(&server, &[])?;
    let served = server.await_end(&server.submit(&video)?)?;
    assert_eq!(ends(&served), ["done"], "{served}");
    let id = served["job_id"].as_str().context("an id")?;
    assert_eq!(exited_worker(&server, id)?, first);
    let second = pooled_worker(&server, &[first])?;
    let again = server.await_end(&server.submit(&video)?)?;
    assert_eq!(exited_worker(&server, again["job_id"].as_str().context("an id")?)?, second);

    let unpooled = TestServer::start(&["--workers", "1"])?;
    let usual = unpooled.await_end(&unpooled.submit(&video)?)?;
    assert_eq!(served["posture"], usual["posture"], "the sandbox is the same");
    unpooled.stop()?;
    // Checks that no worker is left.
    server.stop()?;
    Ok(())
}

/// Runs a job; gives the files it wrote by name, without its id.
fn artefacts(server: &TestServer, video: &Path) -> Result<BTreeMap<&'static str, Vec<u8>>> {
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
    let worker = Process::new(i32::try_from(pooled_worker(&server, &[])?)?)?;
    // Messages, log and the socket for the job's files: no model, and no file of the warm-up.
    let open = worker.fd()?.map(|file| Ok(file?.fd)).collect::<Result<BTreeSet<_>>>()?;
    assert_eq!(open, (0..=inherited::FILES_IN).collect());
    wait_until("the threads of its graphs end", || {
        // A thread may end after it is listed.
        let names = worker.tasks()?.filter_map(|task| Some(task.ok()?.stat().ok()?.comm));
        // GLib keeps one thread that starts others.
        let names: BTreeSet<_> = names.collect();
        Ok(names.iter().all(|name| ["bodyscript-work", "pool-spawner"].contains(&name.as_str())))
    })?;

    let unpooled = TestServer::start(&["--workers", "1"])?;
    let (served, usual) = (artefacts(&server, &video)?, artefacts(&unpooled, &video)?);
    for (name, bytes) in &usual {
        assert!(served[name] == *bytes, "{name} differs after a warm-up");
    }
    assert!(server.log().contains("is_standby=true"), "{}", server.log());
    unpooled.stop()?;
    server.stop()?;
    Ok(())
}

/// A service whose pooled workers do this instead of their warm-up.
fn start_with_warm_up(how: &str, folder: &TempDir) -> Result<TestServer> {
    let program = folder.path().join("worker");
    std::fs::copy(programs::path("fault_worker")?, &program)?;
    std::fs::write(program.with_extension("warm-up"), how)?;
    let program = program.to_str().context("a plain path")?;
    let cap = ["--worker-memory-bytes-max", "64MiB", "--worker-start-s-max", "1"];
    let workers = ["--workers", "1", "--standby", "1", "--worker-program", program];
    TestServer::start(&[&workers[..], &cap].concat())
}

#[test]
fn a_hanging_or_failed_warm_up_is_ended_and_affects_no_job() -> Result<()> {
    for how in ["hangs", "fails"] {
        let folder = tempfile::tempdir()?;
        let server = start_with_warm_up(how, &folder)?;
        let crashes = || {
            let log = server.log();
            log.lines().filter(|line| line.contains(" exit: ") && line.contains("standby")).count()
        };
        // More consecutive failures than open the breaker when workers of jobs cannot start.
        for exits in [0, 4] {
            wait_until("workers exit", || Ok(crashes() >= exits))?;
            let ready = server.get("/readyz")?.status();
            assert!(ready.is_success(), "{how}: {ready} after {} crashes", crashes());
            let id = server.submit(&fault_video(folder.path(), "ok")?)?;
            let status = server.await_end(&id)?;
            assert_eq!(ends(&status), ["done"], "{how}: {status}");
        }
        let health = ctl_json(&server.state_dir(), &["status"])?;
        assert_ne!(health["health"]["standby"][0]["is_ready"], true, "{how}: {health}");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_dead_or_outdated_pooled_worker_is_replaced() -> Result<()> {
    let server = TestServer::start(&["--standby", "1"])?;
    let mut seen = vec![pooled_worker(&server, &[])?];
    for end in [Signal::SIGKILL, Signal::SIGTERM] {
        kill(Pid::from_raw(i32::try_from(seen[seen.len() - 1])?), end)?;
        seen.push(pooled_worker(&server, &seen)?);
    }
    for service in [Signal::SIGHUP, Signal::SIGUSR1] {
        server.signal(service)?;
        seen.push(pooled_worker(&server, &seen)?);
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
    // The retry takes nearly all of the budget, of which each pooled worker has reserved a third.
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

/// Kills a process as the user "nobody"; gives whether that is permitted.
fn kill_as_nobody(pid: i64) -> Result<bool> {
    const NOBODY: u32 = 65_534;
    let mut command = Command::new("kill");
    command.args(["-KILL", &pid.to_string()]).uid(NOBODY).gid(NOBODY).stderr(Stdio::null());
    Ok(command.status().context("kill(1)")?.success())
}

#[test]
fn workers_of_root_are_users_of_their_own_that_no_other_program_may_kill() -> Result<()> {
    if !geteuid().is_root() {
        report::skipped("root", "the users of workers: only root gives them away");
        return Ok(());
    }
    let server = TestServer::start(&["--standby", "1"])?;
    let first = pooled_worker(&server, &[])?;
    let user = |pid: i64| Ok::<_, anyhow::Error>(Process::new(i32::try_from(pid)?)?.status()?.ruid);
    let first_user = user(first)?;
    ensure!((66_000..=66_999).contains(&first_user), "user {first_user}");
    ensure!(!kill_as_nobody(first)?, "another program killed a worker");
    kill(Pid::from_raw(i32::try_from(first)?), Signal::SIGKILL)?;
    let second = pooled_worker(&server, &[first])?;
    assert_ne!(user(second)?, first_user);
    server.stop()?;
    // With one user for all of them, the same is possible.
    let shared = TestServer::start(&["--standby", "1", "--worker-user-ids", "65534"])?;
    let pid = pooled_worker(&shared, &[])?;
    ensure!(user(pid)? == 65_534 && kill_as_nobody(pid)?, "the probe has no effect");
    pooled_worker(&shared, &[pid])?;
    shared.stop()?;
    Ok(())
}
