//! Operator commands: signals to a running service and to its workers, and commands over its control
//! socket.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::ctl::{ctl, ctl_json};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::polling::ends;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker, names};
use bodyscript_tests::{programs, report};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const NOBODY: u32 = 65_534;

struct Harness {
    server: TestServer,
    folder: TempDir,
    config: PathBuf,
}

impl Harness {
    /// A service of the fault worker, with this configuration file.
    fn start(config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("bodyscript.toml");
        fs::write(&path, config)?;
        let server = TestServer::start(&flags(&fault_worker()?, &path))?;
        Ok(Self { server, folder, config: path })
    }

    fn submit(&self, words: &str) -> Result<String> {
        self.server.submit(&fault_video(self.folder.path(), words)?)
    }

    /// A running job and the process of its worker.
    fn running(&self, words: &str) -> Result<(String, i32)> {
        let id = self.submit(words)?;
        let pid = worker(&self.server, &id)?;
        Ok((id, pid))
    }

    fn cancel(&self, id: &str) -> Result<()> {
        let url = self.server.url(&format!("/api/cancel/{id}"));
        self.server.client().post(url).send()?.error_for_status()?;
        Ok(())
    }

    fn ctl(&self, words: &[&str]) -> Result<Output> {
        ctl(&self.server.state_dir(), words).output().context("bodyscript cannot be run")
    }

    /// The result of a command, as JSON.
    fn ctl_json(&self, words: &[&str]) -> Result<Value> {
        ctl_json(&self.server.state_dir(), words)
    }

    /// The message of a command that must be refused.
    fn refused(&self, words: &[&str]) -> Result<String> {
        let output = self.ctl(words)?;
        ensure!(!output.status.success(), "{words:?} succeeded");
        Ok(String::from_utf8(output.stderr)?)
    }
}

fn flags<'a>(program: &'a [String; 2], config: &'a Path) -> [&'a str; 4] {
    [&program[0], &program[1], "--config", config.to_str().expect("a plain path")]
}

fn worker(server: &TestServer, id: &str) -> Result<i32> {
    let status = server.await_status(id, |status| {
        status["current_frame"].as_u64() > Some(0) && !status["worker"]["pid"].is_null()
    })?;
    Ok(status["worker"]["pid"].as_i64().context("a process")? as i32)
}

#[test]
fn a_stop_finishes_running_jobs_and_refuses_new_ones() -> Result<()> {
    let harness = Harness::start("workers = 1")?;
    let (running, _) = harness.running("progress:1 sleep:1500 ok")?;
    let waiting = harness.submit("ok")?;
    harness.server.signal(Signal::SIGTERM)?;
    harness.server.await_log("waiting for running jobs")?;
    let refused = harness.server.upload(&fault_video(harness.folder.path(), "ok")?, &[])?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    assert_eq!(refused.json::<Value>()?["code"], "stopping");
    let Harness { server, folder, config } = harness;
    let state = server.ended()?;
    let results = names(&state.path().join("state"), "results")?;
    assert_eq!(results, [running.clone()].into(), "only the running job completes");
    let server = TestServer::start_in(state, &flags(&fault_worker()?, &config))?;
    assert_eq!(ends(&server.status(&running)?), ["done"]);
    assert_eq!(ends(&server.await_end(&waiting)?), ["done"]);
    drop(folder);
    server.stop()?;
    Ok(())
}

#[test]
fn a_second_signal_or_the_deadline_requeues_running_jobs() -> Result<()> {
    let mut harness = Harness::start("drain_s_max = 3600")?;
    let (id, _) = harness.running("progress:1 silent")?;
    harness.server.signal(Signal::SIGINT)?;
    harness.server.await_log("waiting for running jobs")?;
    harness.server.signal(Signal::SIGTERM)?;
    for ended in [["shutdown"].as_slice(), &["shutdown", "shutdown"]] {
        let Harness { server, folder, config } = harness;
        let state = server.ended()?;
        fs::write(&config, "drain_s_max = 0")?;
        let server = TestServer::start_in(state, &flags(&fault_worker()?, &config))?;
        harness = Harness { server, folder, config };
        worker(&harness.server, &id)?;
        assert_eq!(ends(&harness.server.status(&id)?), ended);
        if ended.len() == 1 {
            harness.server.signal(Signal::SIGTERM)?;
        }
    }
    harness.cancel(&id)?;
    harness.server.stop()?;
    Ok(())
}

#[test]
fn a_worker_restart_ends_the_attempts_as_operator() -> Result<()> {
    let harness = Harness::start("workers = 2")?;
    let jobs = [harness.running("progress:1 silent")?, harness.running("deaf progress:1 silent")?];
    harness.server.signal(Signal::SIGUSR1)?;
    for (id, before) in &jobs {
        let status = harness.server.await_status(id, |status| {
            status["attempts"].as_array().is_some_and(|all| all.len() == 1)
        })?;
        assert_eq!(ends(&status), ["operator"], "{status}");
        assert_ne!(worker(&harness.server, id)?, *before);
        harness.cancel(id)?;
    }
    assert_eq!(harness.ctl_json(&["restart-workers"])?["workers"], 0);
    harness.server.stop()?;
    Ok(())
}

#[test]
fn signals_from_outside_restart_a_job_a_limited_number_of_times_and_block_no_content() -> Result<()>
{
    let harness = Harness::start("workers = 1")?;
    let (id, pid) = harness.running("progress:1 silent")?;
    kill(Pid::from_raw(pid), Signal::SIGTERM)?;
    let status = harness.server.await_status(&id, |status| !ends(status).is_empty())?;
    assert_eq!(ends(&status), ["operator"], "{status}");
    assert_ne!(worker(&harness.server, &id)?, pid);
    harness.cancel(&id)?;
    for (words, end) in [("sigterm", "operator"), ("sigkill", "killed")] {
        let video = fault_video(harness.folder.path(), words)?;
        // It is not known who sent the signal, so the content is not blocked.
        for _ in 0..2 {
            let status = harness.server.await_end(&harness.server.submit(&video)?)?;
            assert_eq!(status["error_code"], "worker_killed", "{status}");
            assert_eq!(ends(&status), [end; 9]);
        }
    }
    harness.server.stop()?;
    Ok(())
}

#[test]
fn a_real_worker_is_restarted_by_sigterm_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walker.mp4");
    Clip::new().size(320, 240).frames(120).encode(&video)?;
    let server = TestServer::start(&["--workers", "1"])?;
    let id = server.submit(&video)?;
    kill(Pid::from_raw(worker(&server, &id)?), Signal::SIGTERM)?;
    let status = server.await_end(&id)?;
    assert_eq!((ends(&status), &status["status"]), (vec!["operator", "done"], &"completed".into()));
    server.stop()?;
    Ok(())
}

#[test]
fn a_reload_applies_a_valid_configuration_and_refuses_an_invalid_one() -> Result<()> {
    let harness = Harness::start("workers = 1")?;
    let upload = || harness.server.upload(&fault_video(harness.folder.path(), "ok")?, &[]);
    assert_eq!(upload()?.status(), StatusCode::ACCEPTED);
    fs::write(&harness.config, "workers = 3\nupload_bytes_max = 5\nlog = \"warn\"")?;
    harness.server.signal(Signal::SIGHUP)?;
    harness.server.await_log("configuration reloaded")?;
    let log = harness.server.log();
    let line =
        log.lines().find(|line| line.contains("configuration reloaded")).context("a line")?;
    assert!(line.contains(r#"applied=["upload_bytes_max", "workers"]"#), "{line}");
    assert!(line.contains(r#"at_next_start=["log"]"#), "{line}");
    assert_eq!(upload()?.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(harness.server.json("/api")?["limits"]["upload_bytes_max"], 5);

    fs::write(&harness.config, "workers = 0")?;
    harness.server.signal(Signal::SIGHUP)?;
    harness.server.await_log("reload failed")?;
    assert_eq!(harness.server.json("/health")?["reload_refused"], true);
    let why = harness.ctl_json(&["status"])?["reload_refused"].to_string();
    assert!(why.contains("`workers` is 0"), "{why}");
    assert_eq!(
        upload()?.status(),
        StatusCode::PAYLOAD_TOO_LARGE,
        "the old configuration stays in use"
    );

    fs::write(&harness.config, "")?;
    let reloaded = harness.ctl_json(&["reload"])?;
    assert_eq!(reloaded["applied"], serde_json::json!(["upload_bytes_max", "workers"]));
    assert_eq!(harness.server.json("/health")?["reload_refused"], false);
    assert_eq!(upload()?.status(), StatusCode::ACCEPTED);
    harness.server.stop()?;
    Ok(())
}

#[test]
fn the_monitor_uses_a_reloaded_configuration() -> Result<()> {
    let harness = Harness::start("queue_max = 4\ndisk_free_bytes_min = 5")?;
    let events = BufReader::new(harness.server.operator_get("/api/monitor")?);
    let limits = events.lines().map_while(Result::ok).filter_map(|line| {
        let now: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
        Some([now["queue_max"].as_u64()?, now["disk_free_bytes_min"].as_u64()?])
    });
    let mut limits = limits.peekable();
    assert_eq!(limits.peek(), Some(&[4, 5]));
    fs::write(&harness.config, "queue_max = 7\ndisk_free_bytes_min = 8")?;
    harness.ctl_json(&["reload"])?;
    assert_eq!(limits.take(10).find(|limits| *limits != [4, 5]), Some([7, 8]));
    Ok(())
}

#[test]
fn the_state_is_reported_in_the_log_and_over_the_control_socket() -> Result<()> {
    let harness = Harness::start("workers = 1")?;
    let (running, pid) = harness.running("progress:1 silent")?;
    let waiting = harness.submit("ok")?;
    harness.server.signal(Signal::SIGUSR2)?;
    harness.server.await_log("state of the service")?;
    for id in [&running, &waiting] {
        let log = harness.server.log();
        let line = log.lines().find(|line| line.contains("state of a job") && line.contains(id));
        assert!(line.is_some(), "no line of {id}: {log}");
    }
    let state = harness.ctl_json(&["status"])?;
    assert_eq!(state["processing"][0]["worker"]["pid"], pid);
    assert_eq!(state["pending"][0]["job_id"], waiting);
    let reported = String::from_utf8(harness.ctl(&["status"])?.stdout)?;
    assert!(
        reported.contains("1 running, 1 queued") && reported.contains(&pid.to_string()),
        "{reported}"
    );
    assert_eq!(harness.ctl_json(&["cancel", &running])?["status"], "cancelled");
    harness.server.await_end(&waiting)?;
    assert!(harness.refused(&["cancel", &waiting])?.contains("already completed"));
    assert!(harness.refused(&["cancel", "nonsense"])?.contains("not the id of a job"));
    let state = harness.server.state_dir();
    harness.ctl_json(&["drain"])?;
    harness.server.ended()?;
    assert!(!state.join("control.sock").exists());
    Ok(())
}

#[test]
fn an_operator_can_retry_a_failed_job() -> Result<()> {
    let small = "worker_memory_bytes_max = \"64MiB\"\nworker_memory_retry_bytes_max = \"64MiB\"";
    let harness = Harness::start(small)?;
    let video = fault_video(harness.folder.path(), "touch:90 ok")?;
    let ids = [harness.server.submit(&video)?, harness.server.submit(&video)?];
    let third = {
        ids.iter().try_for_each(|id| harness.server.await_end(id).map(drop))?;
        harness.server.submit(&video)?
    };
    let status = harness.server.await_end(&third)?;
    assert_eq!(status["error_code"], "known_to_fail", "{status}");
    let state = harness.server.kill()?;
    let server = TestServer::start_in(state, &flags(&fault_worker()?, &harness.config))?;
    let harness = Harness { server, folder: harness.folder, config: harness.config };
    fs::write(&harness.config, small.replace("64", "128"))?;
    harness.ctl_json(&["reload"])?;
    assert_eq!(harness.ctl_json(&["retry", &third])?["status"], "pending");
    assert_eq!(harness.server.await_end(&third)?["status"], "completed");
    let again = harness.refused(&["retry", &third])?;
    assert!(again.contains("only failed jobs"), "{again}");

    // The monitor asks over HTTP.
    let path = format!("/api/retry/{}", ids[0]);
    let url = harness.server.operator_url(&path)?;
    let retry = |url: &str| harness.server.client().post(url).send();
    let retried: Value = retry(&url)?.error_for_status()?.json()?;
    assert_eq!(retried["status"], "pending", "{retried}");
    assert_eq!(harness.server.await_end(&ids[0])?["status"], "completed");
    let refusal: Value = retry(&url)?.json()?;
    assert_eq!((&refusal["status"], &refusal["code"]), (&409.into(), &"not_failed".into()));
    let refusal: Value = retry(&harness.server.url(&path))?.json()?;
    assert_eq!(refusal["code"], "operators_only");
    let log = String::from_utf8(harness.ctl(&["log", &third])?.stdout)?;
    for words in ["retried by an operator", "exit:", "end=done"] {
        assert!(log.contains(words), "no `{words}` in {log}");
    }
    assert!(!log.contains(&ids[0]), "of one job only: {log}");
    let unknown = harness.refused(&["log", &"0".repeat(32)])?;
    assert!(unknown.contains("not found"), "{unknown}");
    harness.server.stop()?;
    Ok(())
}

#[test]
fn other_users_cannot_use_the_control_socket() -> Result<()> {
    let harness = Harness::start("")?;
    let state = harness.server.state_dir();
    let socket = state.join("control.sock");
    assert_eq!(fs::metadata(&socket)?.permissions().mode() & 0o777, 0o600);
    if !geteuid().is_root() {
        report::skipped("root", "commands of another user: only root can become one");
        return Ok(());
    }
    // With these permissions, only the peer credentials from the kernel distinguish the user.
    let program = harness.folder.path().join("bodyscript");
    fs::copy(programs::path("bodyscript")?, &program)?;
    for path in
        [harness.folder.path(), &program, state.parent().context("a folder")?, &state, &socket]
    {
        fs::set_permissions(path, Permissions::from_mode(0o777))?;
    }
    let status = || {
        let mut command = Command::new(&program);
        command.args(["ctl", "status", "--state-dir"]).arg(&state);
        command
    };
    let other_user = status().uid(NOBODY).gid(NOBODY).output()?;
    let text = String::from_utf8_lossy(&other_user.stderr);
    assert!(text.contains("only root and the user of the service"), "{text}");
    assert!(status().output()?.status.success(), "root is refused");
    harness.server.stop()?;
    Ok(())
}
