//! A host that is about to publish is suspended, and continues once another has published: refused, and, in a control
//! that skips the comparison of revisions, published twice.

use crate::run_exclusively;
use anyhow::{Result, ensure};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{REFUSED, await_end_on, hosts_that_log};
use bodyscript_tests::leftovers::is_stopped;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::traces::fault_video;

/// In the log of a host that has published a job.
const PUBLISHED: &str = r#"state="completed""#;

/// How often the job was published, and what the late host has logged of it; none without database or store.
fn publish_late(variables: &[(&str, &str)]) -> Result<Option<(u32, Late)>> {
    let suspended = ("SUSPEND_AT_FAILPOINT", "publication_due");
    let hosts = Cluster::of(2, &["--workers", "1"]);
    let hosts = hosts.with_variables(0, &[suspended]).with_variables(0, variables);
    let Some(mut cluster) = hosts.start()? else { return Ok(None) };
    cluster.note_publications()?;
    let videos = tempfile::tempdir()?;
    // The other host is not there yet, so that it does not run the job first.
    cluster.end(1)?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), "ok")?)?;
    let pid = cluster.host(0).pid();
    wait_until("the host is about to publish", || Ok(is_stopped(pid)))?;
    cluster.start_again(1)?;
    let status = await_end_on(&cluster, 1, &id)?;
    ensure!(status["status"] == "completed", "{status}");

    cluster.resume(0)?;
    let logs = |words| hosts_that_log(&cluster, words, &id).contains(&0);
    wait_until("the late publication is answered", || Ok(logs(REFUSED) || logs(PUBLISHED)))?;
    let late = if logs(REFUSED) { Late::Refused } else { Late::Published };
    let publications = cluster.publications()?.get(&id).copied().unwrap_or(0);
    cluster.stop()?;
    Ok(Some((publications, late)))
}

/// What became of a late publication.
#[derive(Debug, PartialEq, Eq)]
enum Late {
    Refused,
    Published,
}

#[test]
fn a_late_publication_is_refused() -> Result<()> {
    let _exclusive = run_exclusively();
    let Some(seen) = publish_late(&[])? else { return Ok(()) };
    assert_eq!(seen, (1, Late::Refused));
    Ok(())
}

#[test]
fn without_the_comparison_of_revisions_a_job_is_published_twice() -> Result<()> {
    let _exclusive = run_exclusively();
    let skipped = ("SKIP_AT_FAILPOINT", "publication_compare");
    let Some(seen) = publish_late(&[skipped])? else { return Ok(()) };
    assert_eq!(seen, (2, Late::Published));
    Ok(())
}
