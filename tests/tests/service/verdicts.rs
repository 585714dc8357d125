//! The consequences of worker exits: verdicts, retries, budgets and refusals as clients and operators see
//! them. The worker is `fault_worker`, which does what the video says.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::leftovers::{cgroups_of, descendants, is_alive, orphans};
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use bodyscript_tests::{programs, report};
use nix::sys::signal::Signal;
use procfs::process::Process;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;
use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// Memory caps of a first attempt and of a retry, just enough for the fault worker.
const CAP: &str = "64MiB";
const RETRY_CAP: &str = "128MiB";

struct Faults {
    server: TestServer,
    folder: TempDir,
}

impl Faults {
    fn start(flags: &[&str]) -> Result<Self> {
        let program = programs::path("fault_worker")?;
        Self::of(&program, flags)
    }

    fn of(program: &Path, flags: &[&str]) -> Result<Self> {
        let mut all = vec!["--worker-program", program.to_str().context("a plain path")?];
        if !flags.contains(&"--worker-memory-bytes-max") {
            all.extend(["--worker-memory-bytes-max", CAP]);
            all.extend(["--worker-memory-retry-bytes-max", RETRY_CAP]);
        }
        all.extend(flags);
        Ok(Self { server: TestServer::start(&all)?, folder: tempfile::tempdir()? })
    }

    /// A video with these words.
    fn video(&self, script: &str) -> Result<PathBuf> {
        fault_video(self.folder.path(), script)
    }

    fn submit(&self, script: &str) -> Result<String> {
        self.server.submit(&self.video(script)?)
    }

    fn outcome(&self, script: &str) -> Result<Value> {
        self.server.await_end(&self.submit(script)?)
    }

    /// Whether workers are in cgroups, where the kernel's OOM killer enforces the cap.
    fn has_cgroup(&self) -> Result<bool> {
        let cage = self.server.json("/api")?["cage"].as_str().unwrap_or_default().to_owned();
        Ok(cage.starts_with("cgroup"))
    }
}

#[test]
fn a_worker_out_of_memory_is_retried_once_with_more() -> Result<()> {
    let faults = Faults::start(&[])?;
    let status = faults.outcome("touch:90 ok")?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(ends(&status), ["oom", "done"], "{status}");
    let attempts = status["attempts"].as_array().context("attempts")?;
    for (attempt, cap) in attempts.iter().zip([64 * MIB, 128 * MIB]) {
        assert_eq!(attempt["cap_bytes"], cap, "{status}");
        assert!(attempt["wall_ms"].is_u64(), "{status}");
        if faults.has_cgroup()? {
            let peak = attempt["peak_bytes"].as_u64().context("a peak")?;
            assert!((cap / 2..=cap).contains(&peak), "{status}");
        }
    }
    faults.server.stop()?;
    Ok(())
}

#[test]
fn a_video_too_large_for_both_caps_is_rejected_with_its_size() -> Result<()> {
    let faults = Faults::start(&[])?;
    let status = faults.outcome("touch:512 ok")?;
    assert_eq!(status["status"], "failed", "{status}");
    assert_eq!(ends(&status), ["oom", "oom"], "{status}");
    assert_eq!(status["error_code"], "out_of_memory");
    assert_eq!(
        status["error"],
        "The video needed more than 128 MiB of memory. It is 7680 × 4320 pixels. Send a smaller \
         copy."
    );
    assert_eq!(status["message"], status["error"]);
    faults.server.stop()?;
    Ok(())
}

#[test]
fn no_retry_is_promised_beyond_the_memory_budget() -> Result<()> {
    let faults = Faults::start(&["--memory-budget-bytes", "100MiB"])?;
    let status = faults.outcome("touch:512 ok")?;
    assert_eq!(ends(&status), ["oom"], "{status}");
    assert_eq!(status["error_code"], "out_of_memory");
    assert!(status["error"].as_str().context("a sentence")?.contains("more than 64 MiB"));
    faults.server.stop()?;
    Ok(())
}

#[test]
fn each_exit_reason_has_its_verdict() -> Result<()> {
    let flags = ["--worker-progress-s-max", "6", "--workers", "4", "--queue-max", "20"];
    let faults = Faults::start(&flags)?;
    let cases: [(&str, &str, &[&str]); 8] = [
        ("segv", "worker_crashed", &["crash", "crash"]),
        ("touch:40 sigkill", "worker_killed", &["killed"; 9]),
        ("exit:0", "worker_crashed", &["crash", "crash"]),
        ("sigsys", "sandbox_violation", &["sigsys"]),
        ("garbage", "worker_protocol", &["protocol"]),
        ("flood-stderr", "worker_protocol", &["protocol"]),
        ("progress:1 done silent", "deadline_exceeded", &["deadline"]),
        ("bad-input", "not_a_video", &["bad_input"]),
    ];
    let jobs = cases.map(|case| faults.submit(case.0));
    for ((script, code, expected), job) in cases.into_iter().zip(jobs) {
        let status = faults.server.await_end(&job?)?;
        assert_eq!(status["status"], "failed", "{script}: {status}");
        assert_eq!(status["error_code"], code, "{script}: {status}");
        assert_eq!(ends(&status), expected, "{script}: {status}");
        let sentence = status["error"].as_str().context("a sentence")?;
        assert!(sentence.ends_with('.') && sentence.len() > 30, "{script}: {sentence}");
    }
    let log = faults.server.stop()?;
    assert_eq!(log.matches("a worker attempted a forbidden system call").count(), 1, "{log}");
    assert!(!log.contains('\u{1b}'), "control characters of a worker are in the log");
    Ok(())
}

#[test]
fn an_unresponsive_cancelled_worker_is_gone_before_the_response() -> Result<()> {
    let faults = Faults::start(&[])?;
    let id = faults.submit("deaf leak-child touch:16 silent")?;
    let running = faults.server.await_status(&id, |status| !status["posture"].is_null())?;
    let pid = running["worker"]["pid"].as_i64().context("a process id")? as i32;
    let url = faults.server.url(&format!("/api/cancel/{id}"));
    let answer: Value = faults.server.client().post(url).send()?.error_for_status()?.json()?;
    assert_eq!(ends(&answer), ["cancelled"], "{answer}");
    assert!(!is_alive(pid), "the worker is still there");
    assert_eq!(descendants(faults.server.pid()), Vec::<i32>::new(), "its child is still there");
    assert_eq!(faults.server.operator_json("/health/memory")?["reserved_bytes"], 0);
    faults.server.stop()?;
    Ok(())
}

#[test]
fn the_caps_of_all_workers_never_exceed_the_budget() -> Result<()> {
    // Two first attempts fit into the budget, or one retry alone.
    let faults =
        Faults::start(&["--memory-budget-bytes", "150MiB", "--workers", "4", "--queue-max", "20"])?;
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(faults.submit(if n % 2 == 0 {
            "sleep:200 ok"
        } else {
            "touch:90 sleep:200 ok"
        })?);
    }
    let most = Cell::new(0);
    wait_until("all jobs have ended", || {
        let report = faults.server.operator_json("/health/memory")?;
        let reserved = report["reserved_bytes"].as_u64().context("a number")?;
        assert_eq!(report["budget_bytes"], 150 * MIB);
        assert!(reserved <= 150 * MIB, "{report}");
        assert!(descendants(faults.server.pid()).len() <= 2, "{report}");
        most.set(most.get().max(reserved));
        Ok(report["jobs"]["pending"] == 0 && report["jobs"]["processing"] == 0)
    })?;
    assert!(most.get() > 0, "no attempt was observed");
    for id in ids {
        let status = faults.server.status(&id)?;
        assert_eq!(status["status"], "completed", "{status}");
    }
    faults.server.stop()?;
    Ok(())
}

/// Fills the queue of a service with one worker and one slot; gives its `Retry-After`.
fn retry_after(faults: &Faults) -> Result<u64> {
    let running = faults.submit("silent")?;
    faults.server.await_status(&running, |status| status["status"] == "processing")?;
    let waiting = faults.submit("silent")?;
    let refused = faults.server.upload(&faults.video("ok")?, &[])?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let wait = refused.headers()[RETRY_AFTER].to_str()?.parse()?;
    for id in [waiting, running] {
        let url = faults.server.url(&format!("/api/cancel/{id}"));
        faults.server.client().post(url).send()?.error_for_status()?;
    }
    Ok(wait)
}

#[test]
fn retry_after_is_estimated_from_previous_jobs() -> Result<()> {
    let faults = Faults::start(&["--workers", "1", "--queue-max", "1"])?;
    let guess = retry_after(&faults)?;
    for _ in 0..12 {
        assert_eq!(faults.outcome("ok")?["status"], "completed");
    }
    let measured = retry_after(&faults)?;
    assert!(measured < guess, "{guess} s before, {measured} s after twelve quick jobs");
    faults.server.stop()?;
    Ok(())
}

#[test]
fn a_host_that_cannot_spawn_workers_reports_it_and_recovers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (program, moved) = (folder.path().join("worker"), folder.path().join("moved"));
    std::fs::copy(programs::path("fault_worker")?, &program)?;
    let faults = Faults::of(&program, &["--workers", "1"])?;
    std::fs::rename(&program, &moved)?;
    let mut last = String::new();
    for _ in 0..3 {
        last = faults.submit("ok")?;
    }
    let broken = OnceCell::new();
    wait_until("the service is not ready", || {
        let answer = faults.server.get("/readyz")?;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            let _ = broken.set(answer.json::<Value>()?);
        }
        Ok(broken.get().is_some())
    })?;
    let broken = broken.into_inner().context("an answer")?;
    assert_eq!(broken["reason"], "workers cannot be started", "{broken}");
    assert_eq!(faults.server.get("/livez")?.status(), StatusCode::OK);
    std::fs::rename(&moved, &program)?;
    let status = faults.server.await_end(&last)?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(faults.server.get("/readyz")?.status(), StatusCode::OK);
    faults.server.stop()?;
    Ok(())
}

#[test]
fn a_start_without_a_required_layer_fails_and_names_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let has_v2 = groups_in_v2();
    let mut cases = vec![
        (vec!["--worker-program", "/bin/false"], "the test worker failed to start"),
        (vec!["--worker-program", "/nowhere/worker"], "/nowhere/worker"),
    ];
    if has_v2 {
        report::skipped(
            "no-cgroup-v2",
            "a start that requires it must fail, but this host may provide it",
        );
    } else {
        cases.push((vec!["--cage-required", "v2"], "cage.required = \"v2\""));
    }
    for (flags, sign) in cases {
        let output = Command::new(programs::path("bodyscript")?)
            .args(["serve", "--listen", "127.0.0.1:0", "--operator-listen", "off", "--state-dir"])
            .arg(folder.path().join("state"))
            .args(&flags)
            .output()?;
        assert!(!output.status.success(), "{flags:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(sign), "{flags:?}: {text}");
    }
    assert_eq!(orphans(), Vec::<String>::new());
    Ok(())
}

/// Whether this host has the memory controller in its unified hierarchy.
fn groups_in_v2() -> bool {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].iter().any(|root| {
        std::fs::read_to_string(format!("{root}/cgroup.controllers"))
            .is_ok_and(|controllers| controllers.split_whitespace().any(|name| name == "memory"))
    })
}

#[test]
fn a_killed_service_leaves_no_worker_and_the_next_start_sweeps_its_cages() -> Result<()> {
    let faults = Faults::start(&[])?;
    let id = faults.submit("deaf touch:16 silent")?;
    let running = faults.server.await_status(&id, |status| !status["posture"].is_null())?;
    let worker = running["worker"]["pid"].as_i64().context("a process id")? as i32;
    let (killed, is_caged) = (faults.server.pid(), faults.has_cgroup()?);
    assert_eq!(!cgroups_of(killed).is_empty(), is_caged);
    let folder = faults.server.kill()?;
    while is_alive(worker) {
        std::thread::yield_now();
    }
    let program = programs::path("fault_worker")?;
    let program = program.to_str().context("a plain path")?;
    let next = TestServer::start_in(folder, &["--worker-program", program])?;
    assert_eq!(cgroups_of(killed), Vec::<PathBuf>::new());
    drop(next);
    Ok(())
}

#[test]
fn the_status_reports_the_sandbox_of_a_real_worker() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walker.mp4");
    Clip::new().size(160, 120).frames(3).encode(&video)?;
    let server = TestServer::start(&[])?;
    let status = server.await_end(&server.submit(&video)?)?;
    assert_eq!(status["status"], "completed", "{status}");
    let layers = status["posture"].as_array().context("the sandbox")?;
    let state = |name: &str| {
        let layer = layers.iter().find(|layer| layer["layer"] == name);
        layer.map(|layer| layer["state"].as_str().unwrap_or_default())
    };
    for required in ["rlimits", "descriptors", "no_new_privs", "capabilities", "seccomp"] {
        assert_eq!(state(required), Some("active"), "{required}: {status}");
    }
    for optional in ["namespaces", "landlock"] {
        assert!(matches!(state(optional), Some("active" | "unavailable")), "{optional}: {status}");
    }
    server.stop()?;
    Ok(())
}

#[test]
fn a_supervisor_that_did_not_run_for_a_while_blames_no_video() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = fault_worker()?;
    let flags = ["--workers", "4", "--worker-progress-s-max", "2", "--worker-grace-ms-max", "500"];
    let server = TestServer::start(&[&[program[0].as_str(), &program[1]], &flags[..]].concat())?;
    // Each reports progress in time, for longer than the deadline.
    let words = format!("{} ok", "progress:1 sleep:500 ".repeat(8));
    let submit = |_| server.submit(&fault_video(folder.path(), &words)?);
    let jobs = (0..4).map(submit).collect::<Result<Vec<_>>>()?;
    let worker = |job: &String| {
        let status =
            server.await_status(job, |status| status["current_frame"].as_u64() > Some(0))?;
        Ok(status["worker"]["pid"].as_i64().context("a process")? as i32)
    };
    let workers = jobs.iter().map(worker).collect::<Result<Vec<i32>>>()?;
    server.signal(Signal::SIGSTOP)?;
    let ended = wait_until("the workers have exited", || {
        let state = |pid: &i32| Ok::<_, anyhow::Error>(Process::new(*pid)?.stat()?.state);
        Ok(workers.iter().map(state).collect::<Result<Vec<_>>>()?.iter().all(|state| *state == 'Z'))
    });
    server.signal(Signal::SIGCONT)?;
    ended?;
    for job in &jobs {
        let status = server.await_end(job)?;
        assert_eq!(
            (ends(&status), &status["status"]),
            (vec!["done"], &"completed".into()),
            "{status}"
        );
    }
    server.stop()?;
    Ok(())
}
