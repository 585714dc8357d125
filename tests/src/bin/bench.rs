//! Measures what the service promises on this machine and prints it as a Markdown table, each
//! figure beside its target. Built and run by `make bench`; asserts nothing.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::crowd::{Crowd, Hold, Way};
use bodyscript_tests::filled::fill;
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::orders::order;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::told::await_that;
use bodyscript_tests::{programs, recorded, report};
use jiff::Timestamp;
use procfs::process::Process;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Runs of a whole clip; the median counts.
const CLIP_RUNS: usize = 3;
const COLD_STARTS: usize = 10;
const OOM_KILLS: usize = 300;
const CANCELS: usize = 30;
const JOBS: usize = 10_000;
/// Connections one client holds on to while another asks.
const CROWD: usize = 1000;
const QUESTIONS: usize = 500;
/// Cap of the workers the kernel is to kill, in MiB.
const HOG_CAP: &str = "64MiB";

/// One line of the table.
struct Figure {
    what: String,
    measured: String,
    target: &'static str,
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut figures = Vec::new();
    speed(&folder, &mut figures)?;
    standby(&folder, &mut figures)?;
    deaths(&folder, &mut figures)?;
    many_jobs(&mut figures)?;
    crowds(&mut figures)?;
    println!("\n| what | measured | target |\n|---|---|---|");
    for Figure { what, measured, target } in figures {
        println!("| {what} | {measured} | {target} |");
    }
    Ok(())
}

fn note(figures: &mut Vec<Figure>, what: &str, measured: String, target: &'static str) {
    eprintln!("{what}: {measured}");
    figures.push(Figure { what: what.into(), measured, target });
}

/// The clip everything is measured on, and what it is called in the table.
fn clip(folder: &TempDir) -> Result<(PathBuf, &'static str)> {
    if let Some(path) = recorded::find("media/person_720p.mp4") {
        return Ok((path, "recorded, 1280x720, 230 frames"));
    }
    let path = folder.path().join("mannequin.mp4");
    Clip::new().size(1280, 720).frames(150).encode(&path)?;
    Ok((path, "mannequin, 1280x720, 150 frames"))
}

fn speed(folder: &TempDir, figures: &mut Vec<Figure>) -> Result<()> {
    let (video, name) = clip(folder)?;
    let server = TestServer::start(&["--workers", "1"])?;
    let mut peak = 0;
    for mode in ["static", "track", "ultra_fast"] {
        let mut rates = Vec::new();
        for _ in 0..CLIP_RUNS {
            let status = finish(&server, &video, mode)?;
            let attempt = &status["attempts"][0];
            let frames = number(&status["statistics"]["frames_processed"])? as f64;
            rates.push(frames * 1000.0 / number(&attempt["wall_ms"])? as f64);
            peak = peak.max(number(&attempt["peak_bytes"])?);
        }
        rates.sort_by(f64::total_cmp);
        let rate = format!("{:.1} frames/s", rates[rates.len() / 2]);
        note(figures, &format!("whole job, mode {mode} ({name})"), rate, "");
    }
    let short = folder.path().join("short.mp4");
    Clip::new().frames(1).encode(&short)?;
    let starts = (0..COLD_STARTS).map(|_| {
        let status = finish(&server, &short, "static")?;
        Ok(Duration::from_millis(number(&status["attempts"][0]["wall_ms"])?))
    });
    let starts = starts.collect::<Result<Vec<_>>>()?;
    note(figures, "cold start and one frame, median", spread(starts, 50), "");
    note(figures, "peak memory of a worker", mebibytes(peak), "");
    cancel(&server, &video, figures, "cancel of a working worker -> memory free, p99")?;
    let supervisor = Process::new(server.pid())?.status()?;
    let high = supervisor.vmhwm.context("a living process has memory")? * 1024;
    note(figures, "peak memory of the supervisor", mebibytes(high), "");
    server.stop()?;
    Ok(())
}

/// The same short clip by turns with a worker that stands by and with a new one.
fn standby(folder: &TempDir, figures: &mut Vec<Figure>) -> Result<()> {
    let short = folder.path().join("short.mp4");
    let servers = ["1", "0"].map(|standby| TestServer::start(&["--standby", standby]));
    let [waiting, cold] = servers;
    let (waiting, cold) = (waiting?, cold?);
    let (mut prepared, mut new) = (Vec::new(), Vec::new());
    for _ in 0..COLD_STARTS {
        await_that("a worker stands by", || {
            let status = order(&waiting.state_dir(), &["status"])?;
            Ok(status["health"]["standby"][0]["is_ready"] == true)
        })?;
        for (server, times) in [(&waiting, &mut prepared), (&cold, &mut new)] {
            let status = finish(server, &short, "static")?;
            times.push(Duration::from_millis(number(&status["attempts"][0]["wall_ms"])?));
        }
    }
    note(figures, "one frame by a worker that stood by, median", spread(prepared, 50), "");
    note(figures, "the same by a new one, by turns, median", spread(new, 50), "");
    waiting.stop()?;
    cold.stop()?;
    Ok(())
}

fn finish(server: &TestServer, video: &Path, mode: &str) -> Result<Value> {
    let accepted: Value = server.upload(video, &[("mode", mode)])?.error_for_status()?.json()?;
    let status = server.await_end(accepted["job_id"].as_str().context("a job")?)?;
    ensure!(status["status"] == "completed", "{status}");
    Ok(status)
}

/// A start with many jobs in the journal, and what it costs to list them.
fn many_jobs(figures: &mut Vec<Figure>) -> Result<()> {
    let folder = Arc::new(tempfile::tempdir()?);
    fill(&folder.path().join("state"), JOBS, "silent")?;
    let program = programs::path("fault_worker")?;
    let program = program.to_str().context("a plain path")?;
    let flags = ["--worker-program", program, "--workers", "1", "--queue-max", "2000"];
    let begun = Instant::now();
    let mut server = TestServer::launch(folder, &flags, None)?;
    ensure!(server.ready_or_dead()?, "{}", server.log());
    let what = format!("ready with {JOBS} jobs in the journal");
    note(figures, &what, spread(vec![begun.elapsed()], 50), "2 s");
    for address in ["/api/jobs", "/api/metrics"] {
        let begun = Instant::now();
        server.operator_get(address)?.bytes()?;
        let what = format!("a page of 1000 of them, {address}");
        note(figures, &what, spread(vec![begun.elapsed()], 50), "");
    }
    Ok(())
}

/// What one client waits for an answer while another holds on to every connection it gets.
fn crowds(figures: &mut Vec<Figure>) -> Result<()> {
    let program = programs::path("fault_worker")?;
    let program = program.to_str().context("a plain path")?;
    let lasting = ["--queue-max", "10000", "--worker-progress-s-max", "3600"];
    let server = TestServer::start(&[&["--worker-program", program], &lasting[..]].concat())?;
    let watched = server.client().put(server.url("/api/upload")).body("FAULT silent\n");
    let accepted: Value = watched.send()?.error_for_status()?.json()?;
    let job = accepted["job_id"].as_str().context("a job")?.to_owned();
    let to = server.url("").strip_prefix("http://").context("an address")?.parse()?;
    let way = |named| Way { to, from: None, named };
    let holds = [
        ("no connection", None),
        ("idle connections", Some(Hold::Idle)),
        ("slow headers", Some(Hold::Header)),
        ("slow bodies", Some(Hold::Body)),
        ("unread answers", Some(Hold::Unread)),
        ("streams of events", Some(Hold::Watch(job))),
    ];
    for (what, hold) in holds {
        let crowd = hold.map(|hold| Crowd::gather(way(None), hold, CROWD)).transpose()?;
        let other = way(Some("198.51.100.1"));
        let mut times = Vec::new();
        for _ in 0..QUESTIONS {
            let begun = Instant::now();
            let answer = other.ask("GET /api")?;
            times.push(begun.elapsed());
            ensure!(answer.starts_with("HTTP/1.1 200"), "beside {what}: {answer}");
        }
        drop(crowd);
        let what = format!("another client's answer beside {CROWD} of one with {what}, p99");
        note(figures, &what, spread(times, 99), "100 ms");
    }
    server.stop()?;
    Ok(())
}

/// Deaths by the kernel's hand and by the client's wish, one after the other.
fn deaths(folder: &TempDir, figures: &mut Vec<Figure>) -> Result<()> {
    let program = programs::path("fault_worker")?;
    let server = TestServer::start(&[
        "--worker-program",
        program.to_str().context("a plain path")?,
        "--workers",
        "1",
        "--queue-max",
        "1000",
        "--worker-memory-bytes-max",
        HOG_CAP,
        "--worker-memory-retry-bytes-max",
        HOG_CAP,
    ])?;
    if server.json("/api")?["cage"].as_str().is_some_and(|cage| cage.starts_with("cgroup")) {
        oom_kills(&server, folder, figures)?;
    } else {
        report::skipped("kernel OOM kills: this host gives no cgroup to this user");
    }
    let deaf = folder.path().join("deaf.mp4");
    std::fs::write(&deaf, "FAULT deaf touch:48 progress:1 silent\n")?;
    cancel(&server, &deaf, figures, "cancel of a worker that does not listen, p99")?;
    server.stop()?;
    Ok(())
}

/// One worker fills its memory after the other. Each logs the time before each MiB it touches, so
/// that its last time is that of its death and its first that of its slot's new use.
fn oom_kills(server: &TestServer, folder: &TempDir, figures: &mut Vec<Figure>) -> Result<()> {
    let hog = folder.path().join("hog.mp4");
    let submit = |n| {
        // Each of a content of its own: the same is not executed again and again.
        std::fs::write(&hog, format!("FAULT hog\n{n}\n"))?;
        server.submit(&hog)
    };
    let jobs: Vec<_> = (0..OOM_KILLS).map(submit).collect::<Result<_>>()?;
    let mut told = Vec::new();
    for job in &jobs {
        let status = server.await_end(job)?;
        ensure!(status["attempts"][0]["end"] == "oom", "{status}");
        let at: Timestamp = status["completed_at"].as_str().context("a time")?.parse()?;
        told.push(at.as_nanosecond());
    }
    let lives = lives(&server.log());
    let life = |job: &String| lives.get(job).copied().context("a hog that logged nothing");
    let mut changes = Vec::new();
    let mut reuses = Vec::new();
    for (n, job) in jobs.iter().enumerate() {
        let (_, died) = life(job)?;
        changes.push(nanoseconds(told[n] - died));
        if let Some(next) = jobs.get(n + 1) {
            reuses.push(nanoseconds(life(next)?.0 - died));
        }
    }
    let kills = format!("{OOM_KILLS} OOM kills");
    let what = format!("kernel kill -> state change, p50 ({kills})");
    note(figures, &what, spread(changes.clone(), 50), "");
    note(figures, "kernel kill -> state change, p99", spread(changes, 99), "100 ms");
    note(figures, "kernel kill -> next worker at work, p50", spread(reuses.clone(), 50), "");
    note(figures, "kernel kill -> next worker at work, p99", spread(reuses, 99), "250 ms");
    Ok(())
}

/// First and last time each job's worker logged, in nanoseconds since 1970.
fn lives(log: &str) -> HashMap<String, (i128, i128)> {
    let mut lives: HashMap<String, (i128, i128)> = HashMap::new();
    for line in log.lines() {
        let word = |before: &str| {
            let rest = line.split_once(before)?.1;
            rest.split([' ', '"']).next()
        };
        let time = word(" at ").and_then(|time| time.parse().ok());
        if let (true, Some(time), Some(job)) = (line.contains("touched"), time, word("job=\"")) {
            let life = lives.entry(job.to_owned()).or_insert((time, time));
            *life = (life.0.min(time), life.1.max(time));
        }
    }
    lives
}

/// From the wish to the answer, which comes once the worker is gone and its memory is free.
fn cancel(server: &TestServer, video: &Path, figures: &mut Vec<Figure>, what: &str) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..CANCELS {
        let id = server.submit(video)?;
        server.await_status(&id, |status| status["current_frame"].as_u64() > Some(0))?;
        let url = server.url(&format!("/api/cancel/{id}"));
        let begun = Instant::now();
        server.client().post(url).send()?.error_for_status()?;
        times.push(begun.elapsed());
        let reserved = &server.operator_json("/health/memory")?["reserved_bytes"];
        ensure!(*reserved == 0, "{reserved} bytes are still reserved");
    }
    note(figures, what, spread(times, 99), "1 s");
    Ok(())
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("{value} is no number"))
}

/// The clocks of a log line and of a state have their own roundings.
fn nanoseconds(time: i128) -> Duration {
    Duration::from_nanos(time.max(0) as u64)
}

/// The given percentile.
fn spread(mut times: Vec<Duration>, percent: usize) -> String {
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).clamp(1, times.len());
    format!("{:.1} ms", times[rank - 1].as_secs_f64() * 1000.0)
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
