//! The service under load: jobs per second, uploads, time to the response, many jobs, many connections.

use crate::clips::small;
use crate::figures::{JOBS_PER_S, MB_PER_S, Metric, P50_MS, P99_MS, Place, WALL_MS, percentile};
use crate::names::{OURS, READY};
use crate::requests::put;
use crate::rounds::{Bench, Contender, Values};
use crate::selection::Group;
use crate::{crowds, ends};
use anyhow::{Context, Result, ensure};
use bodyscript_tests::prefilled_state::fill;
use bodyscript_tests::programs;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::start_fault_service;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const GROUP: Group = Group::Service;
/// Jobs of each turn, for each worker.
const JOBS_A_WORKER: usize = 4;
/// Frames of each of them.
const JOB_FRAMES: u32 = 60;
const UPLOAD_BYTES: usize = 24_000_000;
const UPLOADS: [usize; 2] = [1, 8];
/// Uploads whose responses are timed.
const ADMISSIONS: usize = 300;
/// Jobs in the journal of a service that starts.
const JOBS: usize = 10_000;
/// Limits high enough not to affect what is measured.
const NO_LIMITS: [&str; 6] = [
    "--queue-max",
    "10000",
    "--client-jobs-max",
    "10000",
    "--client-uploads-per-minute-max",
    "60000",
];

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    jobs(bench)?;
    uploads(bench)?;
    admissions(bench)?;
    many_jobs(bench)?;
    ends::measure(bench)?;
    crowds::measure(bench)
}

/// Takes values of this group.
pub(crate) fn add(bench: &mut Bench, case: &str, values: &[(Metric, f64)]) {
    bench.add(Place { group: GROUP, case, who: OURS }, values);
}

/// The 50th and the 99th percentile.
pub(crate) fn spread(times: &[Duration]) -> Values {
    let ms: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    let at = |percent| percentile(&ms, percent);
    [(P50_MS, at(50)), (P99_MS, at(99))]
        .into_iter()
        .filter_map(|(metric, value)| Some((metric, value?)))
        .collect()
}

/// Short jobs that arrive together, with as many workers as there are cores, and fewer.
fn jobs(bench: &mut Bench) -> Result<()> {
    let video = small(JOB_FRAMES)?;
    let cores = thread::available_parallelism()?.get();
    for workers in 1..=cores {
        let number = workers.to_string();
        let flags = [&NO_LIMITS[..], &["--workers", &number]].concat();
        let server = TestServer::start(&flags)?;
        let turn = || {
            let begun = Instant::now();
            let count = JOBS_A_WORKER * workers;
            let ids: Vec<_> = (0..count).map(|_| server.submit(&video)).collect::<Result<_>>()?;
            for id in &ids {
                let status = server.await_end(id)?;
                ensure!(status["status"] == "completed", "{status}");
            }
            Ok(vec![(JOBS_PER_S, count as f64 / begun.elapsed().as_secs_f64())])
        };
        let case = format!("320x240, {JOB_FRAMES} frames, {workers} of {cores} cores");
        bench.alternate((GROUP, &case), bench.rounds, vec![Contender::new(OURS, turn)]);
        server.stop()?;
    }
    Ok(())
}

/// Uploads of one size, one and several at a time, until the last response.
fn uploads(bench: &mut Bench) -> Result<()> {
    let server = start_fault_service(&NO_LIMITS)?;
    let mut body = b"FAULT ok\n".to_vec();
    body.resize(UPLOAD_BYTES, 0);
    for count in UPLOADS {
        let turn = || {
            let bodies = vec![body.clone(); count];
            let begun = Instant::now();
            let answers: Vec<Result<String>> = thread::scope(|scope| {
                let uploads = bodies.into_iter().map(|body| scope.spawn(|| put(&server, body)));
                let uploads: Vec<_> = uploads.collect();
                uploads.into_iter().map(|upload| upload.join().expect("no panic")).collect()
            });
            let wall = begun.elapsed().as_secs_f64();
            for id in answers {
                server.await_end(&id?)?;
            }
            Ok(vec![(MB_PER_S, (count * UPLOAD_BYTES) as f64 / 1e6 / wall)])
        };
        let case = format!("uploads of {} MB, {count} at a time", UPLOAD_BYTES / 1_000_000);
        bench.alternate((GROUP, &case), bench.rounds, vec![Contender::new(OURS, turn)]);
    }
    server.stop()?;
    Ok(())
}

/// The time from a small upload to its response, which includes storing the job on disk.
fn admissions(bench: &mut Bench) -> Result<()> {
    let server = start_fault_service(&NO_LIMITS)?;
    let mut times = Vec::new();
    let mut ids = Vec::new();
    for number in 0..ADMISSIONS {
        let begun = Instant::now();
        ids.push(put(&server, format!("FAULT ok\n{number}\n").into_bytes())?);
        times.push(begun.elapsed());
    }
    for id in &ids {
        server.await_end(id)?;
    }
    add(bench, &format!("{ADMISSIONS} uploads answered"), &spread(&times));
    server.stop()?;
    Ok(())
}

/// A start with many jobs in the journal, and what it costs to list them.
fn many_jobs(bench: &mut Bench) -> Result<()> {
    let folder = Arc::new(tempfile::tempdir()?);
    fill(&folder.path().join("state"), JOBS, "silent")?;
    let program = programs::path("fault_worker")?;
    let program = program.to_str().context("a plain path")?;
    let flags = ["--worker-program", program, "--workers", "1", "--queue-max", "2000"];
    let ms = |begun: Instant| [(WALL_MS, begun.elapsed().as_secs_f64() * 1e3)];
    let begun = Instant::now();
    let mut server = TestServer::launch(folder, &flags, None)?;
    ensure!(server.ready_or_exited()?, "{}", server.log());
    add(bench, READY, &ms(begun));
    for address in ["/api/jobs", "/api/metrics"] {
        let begun = Instant::now();
        server.operator_get(address)?.bytes()?;
        add(bench, &format!("a page of 1000 of them, {address}"), &ms(begun));
    }
    Ok(())
}
