//! Hosts of two versions share a journal while they are upgraded one after the other behind a load balancer.
//!
//! The earlier version is the one before the newest change of the tables; `make previous-version` builds it.

use crate::run_exclusively;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::balanced_users::Users;
use bodyscript_tests::cluster::{Cluster, MANY_JOBS, STOP_DELAY};
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::proxies::{Proxy, Setup};
use bodyscript_tests::{programs, report};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

const HOSTS: usize = 3;

const USERS: Users = Users { count: 4, jobs_min: 200 };

/// Jobs that hosts of both versions have had before the next is upgraded.
const JOBS_BETWEEN: usize = 40;

/// The version of the tables.
fn tables(cluster: &Cluster) -> Result<u32> {
    Ok(cluster.query("SELECT max(version) FROM bodyscript.versions")?.parse()?)
}

#[test]
#[ignore = "minutes to build the version before: part of make soak"]
fn hosts_are_upgraded_one_after_the_other_without_a_failed_request() -> Result<()> {
    let _exclusive = run_exclusively();
    let begun = Instant::now();
    let earlier = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/previous/build/debug");
    if !earlier.join("bodyscript").exists() {
        report::skipped("previous-version", "it is not built; run `make previous-version`");
        return Ok(());
    }
    let own = programs::path("bodyscript")?;
    let own = own.parent().context("a folder")?;
    let flags = [&MANY_JOBS[..], &[STOP_DELAY, "3"]].concat();
    let Some(mut cluster) = Cluster::start(HOSTS, &flags)? else { return Ok(()) };
    let urls: Vec<_> = (0..HOSTS).map(|host| cluster.host(host).url("")).collect();
    let newest = tables(&cluster)?;
    (0..HOSTS).try_for_each(|host| cluster.end(host))?;
    cluster.clear_database()?;
    (0..HOSTS).try_for_each(|host| cluster.start_again_as(host, &earlier))?;
    ensure!(tables(&cluster)? < newest, "the earlier version has the tables of this one");

    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let Some(proxy) = Proxy::start_before(Setup::HaproxyHostsOnce, &urls)? else { return Ok(()) };
    let jobs = USERS.work_during(&proxy, |done| {
        for host in 0..HOSTS {
            wait_until("both versions have had jobs", || {
                Ok(done.load(Ordering::Relaxed) >= (host + 1) * JOBS_BETWEEN)
            })?;
            cluster.end(host)?;
            cluster.start_again_as(host, own)?;
        }
        Ok(())
    });
    let jobs = jobs.with_context(|| cluster.logged_errors())?;
    assert_eq!(tables(&cluster)?, newest);
    for id in &jobs {
        for host in 0..HOSTS {
            let status = cluster.host(host).await_end(id)?;
            ensure!(status["status"] == "completed" && ends(&status) == ["done"], "{status}");
        }
    }
    report::print_line(&format!(
        "upgrade from tables of version {} to {newest}: {} jobs completed, no failed request; {} s",
        newest - 1,
        jobs.len(),
        begun.elapsed().as_secs()
    ));
    cluster.stop()
}
