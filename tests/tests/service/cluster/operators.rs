//! What operators see and do of hosts that share a journal: doctor, the list of hosts, pausing, metrics, the monitor.

use crate::monitoring::{is_shared, watched};
use crate::responses::exposition;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::browser::{Browser, ColourScheme};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::cluster::checks::{await_completion, await_end_on, await_runner, runs};
use bodyscript_tests::ctl::{ctl, ctl_json};
use bodyscript_tests::database::Database;
use bodyscript_tests::polling::{ends, wait_until};
use bodyscript_tests::programs;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, start_fault_service};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::thread;

/// A shared store that `doctor` needs to be configured, of which these tests say nothing.
const STORE: [&str; 2] = ["--artefacts-url", "file:///tmp"];

/// The finding of `doctor` about the database: its state and its text.
fn journal_finding(flags: &[String]) -> Result<(String, String)> {
    let mut doctor = Command::new(programs::path("bodyscript")?);
    let output = doctor.args(["doctor", "--json"]).args(STORE).args(flags).output()?;
    let findings: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let findings = findings.as_array().context("findings")?;
    let journal = findings.iter().find(|finding| finding["what"] == "journal").context("none")?;
    let word =
        |key: &str| Ok::<_, anyhow::Error>(journal[key].as_str().context("text")?.to_owned());
    let (state, detail) = (word("state")?, word("detail")?);
    ensure!(state != "bad" || !output.status.success(), "doctor is content with: {detail}");
    Ok((state, detail))
}

/// The sessions that [`doctor_describes_the_database_and_the_hosts_in_it`] leaves open.
const SLEEPERS: &str = "FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(%'";

fn check_hidden_transaction(database: &Database, flags: &[String]) -> Result<()> {
    wait_until("a transaction is open", || {
        Ok(database.query(&format!("SELECT count(*) {SLEEPERS}"))? == "1")
    })?;
    let hidden = journal_finding(flags)?.1;
    ensure!(hidden.contains("only members of pg_read_all_stats see: 1"), "{hidden}");
    database.query("GRANT pg_read_all_stats TO bodyscript")?;
    let shown = journal_finding(flags)?.1;
    ensure!(!shown.contains("pg_read_all_stats"), "{shown}");
    Ok(())
}

#[test]
fn doctor_describes_the_database_and_the_hosts_in_it() -> Result<()> {
    let Some(mut cluster) = Cluster::start(2, &[])? else { return Ok(()) };
    let flags = cluster.database().flags();
    let (state, detail) = journal_finding(&flags)?;
    assert_eq!(state, "good", "{detail}");
    let version = cluster.query("SELECT max(version) FROM bodyscript.versions")?;
    let tables = format!("; tables of version {version}; hosts: a, b; the oldest open transaction");
    for words in ["PostgreSQL 15", &tables] {
        assert!(detail.contains(words), "{detail}");
    }
    assert!(!detail.contains("the clock of this host"), "they have the same clock: {detail}");

    // A transaction of another role, whose age the role of the services may not see until it is told to.
    let database = &*cluster.database();
    thread::scope(|scope| {
        let open = scope.spawn(|| database.query("SELECT pg_sleep(3600)"));
        let checked = check_hidden_transaction(database, &flags);
        database.query(&format!("SELECT pg_terminate_backend(pid) {SLEEPERS}"))?;
        let ended = open.join().expect("no panic");
        ensure!(ended.is_err(), "the transaction was not ended");
        checked
    })?;
    cluster.stop()
}

#[test]
fn doctor_says_what_to_do_about_a_database_that_cannot_be_used() -> Result<()> {
    let Some(mut database) = Database::start()? else { return Ok(()) };
    let flags = database.flags();
    let (state, detail) = journal_finding(&flags)?;
    assert!(state == "good" && detail.contains("; no tables yet"), "{detail}");
    assert_eq!(
        database.query("SELECT to_regnamespace('bodyscript')")?,
        "",
        "doctor changes nothing"
    );

    let folder = tempfile::tempdir()?;
    let wrong = folder.path().join("password");
    std::fs::write(&wrong, "wrong")?;
    let mut wrong_flags = flags.clone();
    *wrong_flags.last_mut().context("the file")? = wrong.to_string_lossy().into_owned();
    let (state, detail) = journal_finding(&wrong_flags)?;
    assert_eq!(state, "bad");
    for words in ["password authentication failed", "its password in `journal_password_file`"] {
        assert!(detail.contains(words), "{detail}");
    }
    let (state, detail) = journal_finding(&flags[..2])?;
    assert!(state == "bad" && detail.contains("; set `journal_password_file`"), "{detail}");

    database.suspend()?;
    let (state, detail) = journal_finding(&flags)?;
    assert!(state == "bad" && detail.contains("did not answer for"), "{detail}");
    database.stop()?;
    let (state, detail) = journal_finding(&flags)?;
    assert!(state == "bad" && detail.contains("cannot be connected to"), "{detail}");
    assert!(detail.contains("; start it, or correct host and port in `journal_url`"), "{detail}");
    Ok(())
}

/// The hosts as one of them lists them.
fn hosts(server: &TestServer) -> Result<Vec<Value>> {
    let listed = ctl_json(&server.state_dir(), &["hosts"])?;
    Ok(listed["shared_journal"]["hosts"].as_array().context("hosts")?.clone())
}

fn text_of(server: &TestServer, words: &[&str]) -> Result<String> {
    Ok(String::from_utf8(ctl(&server.state_dir(), words).output()?.stdout)?)
}

#[test]
fn every_host_lists_all_hosts_and_their_jobs() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "1"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), "progress:1 silent")?)?;
    let runner = await_runner(&cluster, &id)?;
    for host in 0..cluster.size() {
        let server = cluster.host(host);
        wait_until("the host lists both with their jobs", || {
            let listed = hosts(server)?;
            let seen: Vec<_> = listed
                .iter()
                .map(|one| {
                    (one["name"].as_str(), one["is_this"] == true, one["processing"].as_u64())
                })
                .collect();
            let jobs = |one| Some(u64::from(one == runner));
            Ok(seen == [(Some("a"), host == 0, jobs(0)), (Some("b"), host == 1, jobs(1))])
        })?;
        for one in hosts(server)? {
            assert_eq!(one["version"], env!("CARGO_PKG_VERSION"));
            assert!(one["memory_budget_bytes"].as_u64() > Some(0), "{one}");
        }
        let text = text_of(server, &["hosts"])?;
        let marked: Vec<_> = text.lines().filter(|line| line.ends_with("this host")).collect();
        assert_eq!(marked.len(), 1, "{text}");
        assert!(marked[0].starts_with(["a", "b"][host]) && text.lines().count() == 2, "{text}");
    }
    let alone = start_fault_service(&[])?;
    assert!(text_of(&alone, &["hosts"])?.contains("not shared"));
    assert_eq!(ctl_json(&alone.state_dir(), &["hosts"])?["shared_journal"], Value::Null);
    let cancel = cluster.host(0).url(&format!("/api/cancel/{id}"));
    cluster.host(0).client().post(cancel).send()?.error_for_status()?;
    cluster.stop()
}

/// Checks that a host refuses uploads because it is paused.
fn check_paused(server: &TestServer, video: &std::path::Path) -> Result<()> {
    let ready = server.get("/readyz")?;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json::<Value>()?["reason"], "the host is paused");
    let refused = server.upload(video, &[])?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    assert_eq!(refused.json::<Value>()?["code"], "paused");
    assert_eq!(server.get("/livez")?.status(), StatusCode::OK);
    Ok(())
}

#[test]
fn a_paused_host_leaves_its_jobs_to_others_until_it_resumes() -> Result<()> {
    let Some(cluster) = Cluster::start(2, &["--workers", "1"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let running =
        cluster.host(0).submit(&fault_video(videos.path(), "progress:1 sleep:3000 ok")?)?;
    let paused = await_runner(&cluster, &running)?;
    let (other, server) = (1 - paused, cluster.host(paused));
    // Its only worker is busy, so it starts none of these before it is paused.
    let video = fault_video(videos.path(), "ok")?;
    let waiting = (0..3).map(|_| server.submit(&video)).collect::<Result<Vec<_>>>()?;
    assert_eq!(ctl_json(&server.state_dir(), &["pause"])?["running"], 1);
    check_paused(server, &video)?;
    assert_eq!(ends(&await_end_on(&cluster, paused, &running)?), ["done"], "it finishes there");
    let later = cluster.host(other).submit(&video)?;
    for id in waiting.iter().chain([&later]) {
        await_completion(&cluster, id)?;
        assert_eq!((runs(&cluster, paused, id), runs(&cluster, other, id)), (0, 1));
    }
    assert_eq!((runs(&cluster, paused, &running), runs(&cluster, other, &running)), (1, 0));

    assert_eq!(ctl_json(&server.state_dir(), &["resume"])?["reason"], Value::Null);
    assert_eq!(server.get("/readyz")?.status(), StatusCode::OK);
    ctl_json(&cluster.host(other).state_dir(), &["pause"])?;
    let id = server.submit(&video)?;
    await_completion(&cluster, &id)?;
    assert_eq!((runs(&cluster, paused, &id), runs(&cluster, other, &id)), (1, 0));
    cluster.stop()
}

#[test]
fn a_paused_host_without_others_keeps_its_jobs_until_it_resumes() -> Result<()> {
    let videos = tempfile::tempdir()?;
    let server = start_fault_service(&["--workers", "1"])?;
    let running = server.submit(&fault_video(videos.path(), "progress:1 sleep:500 ok")?)?;
    server.await_status(&running, |status| status["current_frame"].as_u64() > Some(0))?;
    let video = fault_video(videos.path(), "ok")?;
    let waiting = server.submit(&video)?;
    let text = text_of(&server, &["pause"])?;
    assert!(text.contains("1 running finish. Jobs that wait are run once it resumes."), "{text}");
    check_paused(&server, &video)?;
    assert_eq!(ends(&server.await_end(&running)?), ["done"]);
    // Else it would have been started when the worker was free, before the end was told.
    assert_eq!(server.status(&waiting)?["status"], "pending");
    assert_eq!(text_of(&server, &["resume"])?, "Accepting uploads.\n");
    assert_eq!(ends(&server.await_end(&waiting)?), ["done"]);
    server.stop()?;
    Ok(())
}

/// The samples of `/metrics`, by name and labels.
fn samples(server: &TestServer) -> Result<BTreeMap<String, f64>> {
    let families = exposition(&server.operator_get("/metrics")?.text()?)?;
    Ok(families.into_values().flat_map(|family| family.samples).collect())
}

fn sample(server: &TestServer, name: &str) -> Result<Option<f64>> {
    Ok(samples(server)?.get(&format!("bodyscript_{name}")).copied())
}

#[test]
fn metrics_count_what_hosts_take_from_each_other() -> Result<()> {
    let Some(mut cluster) = Cluster::start(2, &["--workers", "1"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), "progress:1 sleep:4000 ok")?)?;
    let runner = await_runner(&cluster, &id)?;
    let other = 1 - runner;
    assert_eq!(sample(cluster.host(runner), "claims_total")?, Some(1.0));
    // The end of its attempt comes after the other host has run the job.
    cluster.suspend(runner)?;
    await_end_on(&cluster, other, &id)?;
    wait_until("the takeover is counted", || {
        Ok(sample(cluster.host(other), "takeovers_total")? == Some(1.0))
    })?;
    assert_eq!(sample(cluster.host(other), "claims_total")?, Some(1.0));
    cluster.resume(runner)?;
    wait_until("the late end is counted", || {
        Ok(sample(cluster.host(runner), "ends_refused_total")? == Some(1.0))
    })?;
    assert_eq!(sample(cluster.host(runner), "takeovers_total")?, Some(0.0));
    cluster.kill(runner)?;
    wait_until("one host is left", || Ok(sample(cluster.host(other), "hosts")? == Some(1.0)))?;

    let shown = samples(cluster.host(other))?;
    for (name, is_expected) in [
        ("journal_reachable", (|value| value == 1.0) as fn(f64) -> bool),
        ("journal_latency_seconds", |value| value > 0.0),
        ("store_latency_seconds", |value| value > 0.0),
        ("claims_refused_total", |value| value >= 0.0),
    ] {
        let value = shown.get(&format!("bodyscript_{name}"));
        assert!(value.copied().is_some_and(is_expected), "{name} is {value:?} in {shown:?}");
    }
    let served: BTreeSet<_> = shown.keys().filter_map(|name| name.split('{').next()).collect();
    assert_eq!(watched(), served);
    let report = cluster.host(other).operator_json("/api/metrics")?;
    let shared = &report["shared_journal"];
    let id = shared["host_id"].as_str().context("an id")?;
    let name = shared["host_name"].as_str().context("a name")?;
    assert_eq!(
        shown.get(&format!("bodyscript_host_info{{name=\"{name}\",id=\"{id}\"}}")),
        Some(&1.0)
    );
    for metric in ["host_jobs", "host_memory_budget_bytes", "host_beat_age_seconds"] {
        let labelled = format!("bodyscript_{metric}{{host=\"{name}\",id=\"{id}\"}}");
        assert!(shown.contains_key(&labelled), "{labelled} in {shown:?}");
    }
    assert_eq!((&shared["takeovers"], &shared["is_reachable"]), (&1.into(), &true.into()));

    cluster.database().stop()?;
    let server = cluster.host(other);
    wait_until("the outage shows", || Ok(sample(server, "journal_reachable")? == Some(0.0)))?;
    cluster.database().start_again()?;
    cluster.stop()
}

#[test]
fn one_of_the_other_hosts_counts_the_takeover_from_a_killed_one() -> Result<()> {
    let Some(mut cluster) = Cluster::start(3, &["--workers", "1"])? else { return Ok(()) };
    let videos = tempfile::tempdir()?;
    let id = cluster.host(0).submit(&fault_video(videos.path(), "progress:1 sleep:5000 ok")?)?;
    let killed = await_runner(&cluster, &id)?;
    cluster.kill(killed)?;
    let others: Vec<_> = (0..cluster.size()).filter(|host| *host != killed).collect();
    let sum = |name: &str| {
        let values = others.iter().map(|host| sample(cluster.host(*host), name));
        Ok::<_, anyhow::Error>(
            values.collect::<Result<Vec<_>>>()?.into_iter().flatten().sum::<f64>(),
        )
    };
    for host in &others {
        assert_eq!(ends(&await_end_on(&cluster, *host, &id)?), ["done"]);
    }
    // The journal has answered all of these before it told of the end.
    assert_eq!((sum("takeovers_total")?, sum("claims_total")?), (1.0, 1.0));
    cluster.stop()
}

#[test]
fn metrics_of_a_host_of_its_own_have_nothing_of_others() -> Result<()> {
    let server = start_fault_service(&[])?;
    let names: Vec<_> = samples(&server)?.into_keys().collect();
    let found = names.iter().filter(|name| is_shared(name));
    assert_eq!(found.collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(server.operator_json("/api/metrics")?["shared_journal"], Value::Null);
    Ok(())
}

#[test]
fn the_monitor_shows_the_hosts_if_there_are_several() -> Result<()> {
    let Some(browser) = Browser::start()? else { return Ok(()) };
    let Some(cluster) = Cluster::start(2, &[])? else { return Ok(()) };
    browser.visit(&cluster.host(1).operator_url("/monitor")?)?;
    browser.wait("document.querySelectorAll('#hosts tr').length === 2")?;
    browser.wait("!document.querySelector('#hosts-panel').hidden")?;
    let own = browser.text("#hosts tr:nth-child(2) td")?;
    assert_eq!(own, "b this host");
    assert!(browser.text("#journal-text")?.starts_with("The shared journal answers in "));
    browser.screenshot("monitor-hosts-light", 1280, ColourScheme::Light)?;
    browser.screenshot("monitor-hosts-phone-dark", 390, ColourScheme::Dark)?;
    assert_eq!(browser.accessibility_faults()?, Vec::<String>::new());
    let alone = start_fault_service(&[])?;
    browser.visit(&alone.operator_url("/monitor")?)?;
    browser.wait("document.querySelector('#link').textContent === 'Live'")?;
    assert_eq!(browser.run("return document.querySelector('#hosts-panel').hidden")?, true);
    cluster.stop()
}
