//! A database that is away for long: the attempts go on, and no host takes another for lost.

use crate::run_exclusively;
use anyhow::{Result, ensure};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{
    LOSS, TAKEOVER, await_completion, await_ready, lines_with, runs,
};
use bodyscript_tests::report;
use bodyscript_tests::traces::fault_video;
use std::thread::sleep;
use std::time::{Duration, Instant};

const OUTAGE: Duration = Duration::from_secs(60);

/// Seconds that jobs take: some end during the outage, some after it.
const JOBS_S: [usize; 6] = [20, 20, 40, 40, 80, 80];

/// A video whose worker works for so long, with a frame now and then: a silent one would be stopped.
fn words(seconds: usize) -> String {
    format!("progress:1 {}ok", "sleep:20000 progress:1 ".repeat(seconds / 20))
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn a_minute_without_the_database_ends_no_attempt_and_loses_no_host() -> Result<()> {
    let _exclusive = run_exclusively();
    let Some(mut cluster) = Cluster::start(3, &["--workers", "2"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let submit = |seconds| cluster.host(0).submit(&fault_video(videos.path(), &words(seconds))?);
    let jobs = JOBS_S.into_iter().map(submit).collect::<Result<Vec<_>>>()?;
    for id in &jobs {
        cluster.host(0).await_status(id, |status| status["current_frame"].as_u64() > Some(0))?;
    }
    cluster.database().stop()?;
    sleep(OUTAGE);
    cluster.database().start_again()?;
    let back = Instant::now();
    for host in 0..cluster.size() {
        await_ready(cluster.host(host))?;
    }
    let ready = back.elapsed();
    for id in &jobs {
        await_completion(&cluster, id)?;
        let runs: usize = (0..cluster.size()).map(|host| runs(&cluster, host, id)).sum();
        ensure!(runs == 1, "{id} was run {runs} times");
    }
    let lost = lines_with(&cluster, LOSS) + lines_with(&cluster, TAKEOVER);
    cluster.stop()?;
    report::print_line(&format!(
        "{} s without the database, {} attempts under way: all hosts ready after {} ms, {lost} hosts or jobs lost",
        OUTAGE.as_secs(),
        jobs.len(),
        ready.as_millis()
    ));
    ensure!(lost == 0, "{lost} lines tell of lost hosts");
    Ok(())
}
