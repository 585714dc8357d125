//! A start after the service was killed: every accepted job is recovered, and nothing else is left.

use anyhow::{Context, Result};
use bodyscript_tests::leftovers::{cgroups_of, is_alive};
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::prefilled_state::fill;
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker, holders, names};
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn start(flags: &[&str]) -> Result<TestServer> {
    let program = fault_worker()?;
    let all: Vec<_> = program.iter().map(String::as_str).chain(flags.iter().copied()).collect();
    TestServer::start(&all)
}

/// Kills the service and starts another in the same folder; gives the old process id and the new service.
fn killed(
    server: TestServer,
    flags: &[&str],
    meanwhile: impl Fn(&Path) -> Result<()>,
) -> Result<(i32, TestServer)> {
    let (pid, state) = (server.pid(), server.state_dir());
    let folder = server.kill()?;
    meanwhile(&state)?;
    let program = fault_worker()?;
    let all: Vec<_> = program.iter().map(String::as_str).chain(flags.iter().copied()).collect();
    Ok((pid, TestServer::start_in(folder, &all)?))
}

#[test]
fn jobs_in_every_state_survive_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (good, bad) = (fault_video(folder.path(), "ok")?, fault_video(folder.path(), "bad-input")?);
    let slow = fault_video(folder.path(), "progress:1 sleep:3000 ok")?;
    let server = start(&["--workers", "1"])?;
    let completed = server.submit(&good)?;
    let failed = server.submit(&bad)?;
    let before = [server.await_end(&completed)?, server.await_end(&failed)?];
    let running = server.submit(&slow)?;
    let waiting = [server.submit(&good)?, server.submit(&good)?];
    let cancelled = server.submit(&good)?;
    let cancel = server.url(&format!("/api/cancel/{cancelled}"));
    server.client().post(cancel).send()?.error_for_status()?;
    let removed = server.submit(&good)?;
    let remove = server.url(&format!("/api/cleanup/{removed}"));
    server.client().delete(remove).send()?.error_for_status()?;
    server.await_status(&running, |status| status["status"] == "processing")?;
    let (killed, server) = killed(server, &["--workers", "1"], |_| Ok(()))?;

    for before in &before {
        let id = before["job_id"].as_str().context("an id")?;
        let mut after = server.status(id)?;
        after["queue_total"] = before["queue_total"].clone();
        assert_eq!(&after, before, "the status changed");
    }
    let csv = format!("/api/serve/{completed}/pose_data.csv");
    assert!(server.get(&csv)?.text()?.starts_with("frame_id,"));
    assert_eq!(server.status(&cancelled)?["status"], "cancelled");
    assert_eq!(server.get(&format!("/api/status/{removed}"))?.status(), StatusCode::NOT_FOUND);
    for id in [&running].into_iter().chain(&waiting) {
        let status = server.await_end(id)?;
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(ends(&status), ["done"], "an attempt the service itself ended is not counted");
    }
    let order = |id| Ok::<_, anyhow::Error>(server.status(id)?["started_at"].to_string());
    assert!(order(&running)? <= order(&waiting[0])?, "started in another order");
    assert!(order(&waiting[0])? <= order(&waiting[1])?, "started in another order");
    check_files_and_processes(&server, killed)
}

/// After all jobs have ended: results of completed jobs and no other file, process or cgroup.
fn check_files_and_processes(server: &TestServer, killed: i32) -> Result<()> {
    let state = server.state_dir();
    let list = server.operator_json("/api/jobs")?;
    let jobs = list["jobs"].as_array().context("jobs")?;
    let of_state = |state: &str| -> BTreeSet<_> {
        let jobs = jobs.iter().filter(|job| job["status"] == state);
        jobs.filter_map(|job| Some(job["job_id"].as_str()?.to_owned())).collect()
    };
    wait_until("no attempts are left, and no uploads but of failed jobs", || {
        let failed = of_state("failed");
        Ok(names(&state, "spool")? == failed && names(&state, "jobs")?.is_empty())
    })?;
    assert_eq!(names(&state, "results")?, of_state("completed"));
    assert_eq!(holders(&state), [server.pid()].into());
    assert_eq!(cgroups_of(killed), Vec::<std::path::PathBuf>::new());
    Ok(())
}

#[test]
fn a_start_removes_files_of_no_job() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let deaf = fault_video(folder.path(), "deaf progress:1 silent")?;
    let server = start(&[])?;
    let id = server.submit(&deaf)?;
    let status = server.await_status(&id, |status| !status["worker"]["pid"].is_null())?;
    let worker = status["worker"]["pid"].as_i64().context("a process id")?;
    let state = server.state_dir();
    let orphan = "0123456789abcdef0123456789abcdef";
    std::fs::write(state.join(format!("spool/{orphan}")), "x")?;
    std::fs::write(state.join(format!("spool/{orphan}.part")), "x")?;
    std::fs::create_dir_all(state.join(format!("jobs/{orphan}/attempt-1")))?;
    std::fs::create_dir_all(state.join(format!("results/{orphan}")))?;
    let (killed, server) = killed(server, &[], |_| Ok(()))?;
    let state = server.state_dir();
    for place in ["spool", "jobs", "results"] {
        let left = names(&state, place)?;
        assert!(!left.iter().any(|name| name.starts_with(orphan)), "{place}: {left:?}");
    }
    // Results are set aside instead, because they may belong to a user.
    let aside = names(&state, "set-aside")?.pop_first().context("set aside")?;
    assert_eq!(names(&state, &format!("set-aside/{aside}"))?, ["results".to_owned()].into());
    assert_eq!(names(&state, &format!("set-aside/{aside}/results"))?, [orphan.to_owned()].into());
    wait_until("the worker is gone with its supervisor", || Ok(!is_alive(worker as i32)))?;
    assert_eq!(cgroups_of(killed), Vec::<std::path::PathBuf>::new());
    let cancel = server.url(&format!("/api/cancel/{id}"));
    server.client().post(cancel).send()?.error_for_status()?;
    Ok(())
}

#[test]
fn a_damaged_journal_is_set_aside_and_the_service_starts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = fault_video(folder.path(), "ok")?;
    let server = start(&[])?;
    let lost = server.submit(&good)?;
    server.await_end(&lost)?;
    let (_, server) = killed(server, &[], |state| {
        std::fs::write(state.join("journal.db"), "not a journal")?;
        // Otherwise the log would restore the journal.
        Ok(std::fs::remove_file(state.join("journal.db-wal"))?)
    })?;
    let log = server.log();
    let reported = log.lines().find(|line| line.contains("the journal was lost"));
    let reported = reported.context("the loss is not logged")?;
    assert!(
        reported.contains("file is not a database") && reported.contains("results (1)"),
        "{reported}"
    );
    let aside = names(&server.state_dir(), "set-aside")?;
    assert_eq!(aside.len(), 1);
    let folder = server.state_dir().join("set-aside").join(aside.first().context("one")?);
    assert!(folder.join("journal.db").exists() && folder.join("results").join(&lost).exists());
    assert_eq!(server.get(&format!("/api/status/{lost}"))?.status(), StatusCode::NOT_FOUND);
    let id = server.submit(&good)?;
    assert_eq!(server.await_end(&id)?["status"], "completed");
    Ok(())
}

#[test]
fn missing_results_are_not_listed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = fault_video(folder.path(), "ok")?;
    let server = start(&["--workers", "1"])?;
    let id = server.submit(&good)?;
    server.await_end(&id)?;
    let slow = fault_video(folder.path(), "silent")?;
    let running = server.submit(&slow)?;
    let without_upload = server.submit(&good)?;
    server.await_status(&running, |status| status["status"] == "processing")?;
    let (_, server) = killed(server, &["--workers", "1"], |state| {
        std::fs::remove_dir_all(state.join("results").join(&id))?;
        Ok(std::fs::remove_file(state.join("spool").join(&without_upload))?)
    })?;
    assert_eq!(server.get(&format!("/api/status/{id}"))?.status(), StatusCode::NOT_FOUND);
    let status = server.status(&without_upload)?;
    assert_eq!(status["error_code"], "upload_lost", "{status}");
    Ok(())
}

/// The longest response time of requests that are sent without a pause meanwhile.
fn longest_wait(server: &TestServer, meanwhile: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let (url, is_over) = (server.url("/readyz"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let requests = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                server.client().get(&url).send()?.text()?;
                longest = longest.max(begun.elapsed());
            }
            Ok(longest)
        });
        let done = meanwhile();
        is_over.store(true, Ordering::Relaxed);
        let longest = requests.join().ok().context("the thread of the requests failed")?;
        done.and(longest)
    })
}

#[test]
fn ten_thousand_jobs_are_recovered_and_listed_in_pages() -> Result<()> {
    const JOBS: usize = 10_000;
    let folder = Arc::new(tempfile::tempdir()?);
    let states = fill(&folder.path().join("state"), JOBS, "silent")?;
    let program = fault_worker()?;
    let config = folder.path().join("bodyscript.toml");
    std::fs::write(&config, "")?;
    let path = config.to_str().context("a plain path")?;
    let flags =
        [&program[0], &program[1], "--workers", "1", "--queue-max", "2000", "--config", path];
    let begun = Instant::now();
    let mut server = TestServer::launch(folder, &flags, None)?;
    assert!(server.ready_or_exited()?, "{}", server.log());
    let ready = begun.elapsed();

    let list = server.jobs()?;
    let reported: BTreeMap<String, &str> = list["jobs"]
        .as_array()
        .context("jobs")?
        .iter()
        .filter_map(|job| Some((job["job_id"].as_str()?.to_owned(), job["status"].as_str()?)))
        .collect();
    assert_eq!((list["total"].as_u64(), reported.len()), (Some(JOBS as u64), JOBS));
    let is_as_before = |id: &String, before: &str| match reported[id] {
        "pending" | "processing" => matches!(before, "pending" | "processing"),
        now => now == before,
    };
    assert!(
        states.iter().all(|(id, before)| reported.contains_key(id) && is_as_before(id, before))
    );
    assert_eq!(reported.values().filter(|state| **state == "processing").count(), 1);

    let mut sizes = Vec::new();
    let wait = longest_wait(&server, || {
        for address in ["/api/jobs", "/api/metrics", "/api/jobs?offset=9500"] {
            let begun = Instant::now();
            let bytes = server.operator_get(address)?.bytes()?.len();
            sizes.push(format!("{address} {} KiB in {:?}", bytes / 1024, begun.elapsed()));
        }
        Ok(())
    })?;
    let numbers = server.operator_json("/api/metrics?limit=10")?;
    assert_eq!(numbers["averages"]["completed"], JOBS * 6 / 10);
    assert_eq!(
        (&numbers["total"], numbers["jobs"].as_array().map(Vec::len)),
        (&JOBS.into(), Some(10))
    );
    std::fs::write(&config, "result_ttl_s = 1\npressure_ttl_s = 1")?;
    let expiry = longest_wait(&server, || {
        server.signal(Signal::SIGHUP)?;
        wait_until("all ended jobs are gone", || {
            Ok(server.operator_json("/api/jobs?limit=1")?["total"] == JOBS / 10)
        })
    })?;
    report::print_line(&format!(
        "{JOBS} jobs in the journal: ready after {ready:?}; {}; other responses took at most {wait:?}, \
         and {expiry:?} while {} expired",
        sizes.join(", "),
        JOBS * 9 / 10
    ));
    Ok(())
}
