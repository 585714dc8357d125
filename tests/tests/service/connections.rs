//! One client with many connections: it gets what it may have, and nobody else goes without.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::crowd::{Crowd, Hold, Way};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::told::await_that;
use bodyscript_tests::traces::fault_worker;
use bodyscript_tests::{programs, report};
use nix::sched::{CloneFlags, unshare};
use procfs::process::{LimitValue, Process};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const SIZE: usize = 1000;
const HEALTH: [&str; 3] = ["/livez", "/readyz", "/health"];
const OTHER: Option<&str> = Some("198.51.100.1");

/// A service whose worker does what the video says, with room for uploads that never end.
fn obedient(flags: &[&str]) -> Result<TestServer> {
    let [flag, program] = fault_worker()?;
    let standing = [
        flag.as_str(),
        program.as_str(),
        "--workers",
        "1",
        "--queue-max",
        "10000",
        "--client-jobs-max",
        "10000",
        "--client-uploads-per-minute-max",
        "60000",
        "--worker-progress-s-max",
        "3600",
    ];
    TestServer::start(&[&standing, flags].concat())
}

fn way(server: &TestServer, named: Option<&'static str>) -> Result<Way> {
    way_to(&server.url(""), named)
}

fn way_to(url: &str, named: Option<&'static str>) -> Result<Way> {
    let to = url.strip_prefix("http://").context("an address")?.parse()?;
    Ok(Way { to, from: None, named })
}

/// A job that does not end by itself.
fn lasting_job(server: &TestServer) -> Result<String> {
    let request = server.client().put(server.url("/api/upload")).body("FAULT silent\n");
    let accepted: serde_json::Value = request.send()?.error_for_status()?.json()?;
    Ok(accepted["job_id"].as_str().context("an id")?.to_owned())
}

/// A number of `/metrics`.
fn metric(server: &TestServer, name: &str) -> Result<usize> {
    let text = server.operator_get("/metrics")?.text()?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("bodyscript_{name} ")));
    line.with_context(|| format!("no {name} in {text}"))?.parse().context("a number")
}

fn is_ok(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 202")
}

/// Asks and keeps the connection; gives its first line as soon as it is there.
fn begin(way: &Way, request: &str, rest: &str) -> Result<(TcpStream, String)> {
    let mut line = way.connect()?;
    line.set_read_timeout(Some(Duration::from_secs(60)))?;
    line.write_all(format!("{}{rest}", way.head(request)).as_bytes())?;
    let mut first = [0; 12];
    line.read_exact(&mut first)?;
    Ok((line, String::from_utf8_lossy(&first).into_owned()))
}

/// Waits until so many requests are under way. An answer can be there a moment before its request
/// is over.
fn await_requests(server: &TestServer, count: usize) -> Result<()> {
    await_that(&format!("{count} requests are under way"), || {
        Ok(metric(server, "requests_in_progress")? == count)
    })
}

/// Uploads of one client that began and do not go on; nothing else is under way.
fn busy(server: &TestServer, way: &Way, count: usize) -> Result<Vec<TcpStream>> {
    await_requests(server, 0)?;
    let lines = (0..count).map(|_| begin_upload(way)).collect::<Result<_>>()?;
    await_requests(server, count)?;
    Ok(lines)
}

/// One upload that does not go on, without a look whether it began.
fn begin_upload(way: &Way) -> Result<TcpStream> {
    let mut line = way.connect()?;
    let head = way.head("PUT /api/upload");
    line.write_all(format!("{head}Content-Length: 100000\r\n\r\nF").as_bytes())?;
    Ok(line)
}

/// Everything a service has to give while one client holds on to all it gets.
fn others_are_served(server: &TestServer, job: &str, rounds: usize) -> Result<()> {
    let (this_host, other) = (way(server, None)?, way(server, OTHER)?);
    for _ in 0..rounds {
        for path in HEALTH {
            let answer = this_host.ask(&format!("GET {path}"))?;
            ensure!(is_ok(&answer), "{path}: {answer:?}");
        }
        for path in ["/api", "/", &format!("/api/status/{job}")] {
            let answer = other.ask(&format!("GET {path}"))?;
            ensure!(is_ok(&answer), "{path}: {answer:?}");
        }
    }
    let (_, first) = begin(&other, &format!("GET /api/events/{job}"), "\r\n")?;
    ensure!(first == "HTTP/1.1 200", "a stream of events: {first}");
    let upload = server.client().put(server.url("/api/upload")).body("FAULT ok\n");
    let answer = upload.header("x-forwarded-for", "198.51.100.1").send()?;
    ensure!(answer.status() == 202, "{}", answer.text()?);
    Ok(())
}

#[test]
fn a_thousand_connections_of_one_client_keep_nobody_out() -> Result<()> {
    let server = obedient(&[])?;
    let job = lasting_job(&server)?;
    for (hold, is_told) in [
        (Hold::Idle, "connections"),
        (Hold::Header, "connections"),
        (Hold::Body, "requests_in_progress"),
        // An answer is over for the table once the rest of it waits to be written.
        (Hold::Unread, "connections"),
        (Hold::Watch(job.clone()), "streams"),
    ] {
        for named in [Some("203.0.113.9"), None] {
            let attacker = way(&server, named)?;
            let crowd = Crowd::gather(attacker.clone(), hold.clone(), SIZE)?;
            if named.is_some() {
                let many = if is_told == "connections" { 500 } else { 32 };
                await_that("it has all that it can get", || Ok(metric(&server, is_told)? >= many))?;
            }
            let served = others_are_served(&server, &job, 10);
            served.with_context(|| format!("{hold:?} by {named:?}"))?;
            drop(crowd);
        }
    }
    ensure!(metric(&server, "connections_given_up_total")? > 0, "nothing had to make room");
    await_that("everything is released", || {
        let names = ["requests_in_progress", "streams"];
        Ok(names.map(|name| metric(&server, name).ok()) == [Some(0), Some(0)])
    })
}

#[test]
fn without_limits_for_each_client_the_same_keeps_others_out() -> Result<()> {
    let most = ["--client-connections-max", "65536", "--client-streams-max", "65535"];
    let server = obedient(&[&most[..], &["--streams-max", "511"]].concat())?;
    let job = lasting_job(&server)?;
    let other = way(&server, OTHER)?;
    let crowd = Crowd::gather(way(&server, None)?, Hold::Body, SIZE)?;
    await_that("another client is refused", || {
        let answer = other.ask("GET /api")?;
        Ok(answer.starts_with("HTTP/1.1 503") && answer.contains("overloaded"))
    })?;
    for path in HEALTH {
        let answer = other.ask(&format!("GET {path}"))?;
        ensure!(is_ok(&answer), "health needs no limits: {path}: {answer:?}");
    }
    drop(crowd);
    let watchers = Crowd::gather(way(&server, None)?, Hold::Watch(job.clone()), SIZE)?;
    await_that("another client gets no stream", || {
        Ok(other.ask(&format!("HEAD /api/events/{job}"))?.starts_with("HTTP/1.1 429"))
    })?;
    drop(watchers);
    Ok(())
}

#[test]
fn requests_of_one_client_have_a_limit() -> Result<()> {
    let server = obedient(&["--client-connections-max", "2"])?;
    let (one, other) = (way(&server, Some("203.0.113.9"))?, way(&server, OTHER)?);
    let mut held = busy(&server, &one, 2)?;
    let refused = one.ask("GET /api")?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "one past the limit: {refused}");
    ensure!(refused.contains("too_many_connections") && refused.contains("retry-after: "));
    ensure!(refused.contains("connection: close"), "kept open it would ask for nothing: {refused}");
    ensure!(is_ok(&one.ask("GET /livez")?), "health is beyond the limit");
    ensure!(is_ok(&other.ask("GET /api")?), "somebody else");
    held.pop();
    await_that("there is a place again", || Ok(is_ok(&one.ask("GET /api")?)))
}

#[test]
fn who_cannot_be_told_apart_behind_a_proxy_is_who_wrote_the_entry() -> Result<()> {
    let server = obedient(&["--client-connections-max", "2"])?;
    let held = busy(&server, &way(&server, Some("203.0.113.9, unknown"))?, 2)?;
    let refused = way(&server, Some("203.0.113.10, _hidden"))?.ask("GET /api")?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "another name that cannot be read: {refused}");
    ensure!(is_ok(&way(&server, Some("203.0.113.9"))?.ask("GET /api")?));
    ensure!(is_ok(&way(&server, None)?.ask("GET /api")?), "a program on this host");
    drop(held);
    Ok(())
}

#[test]
fn when_all_places_are_taken_health_is_still_told() -> Result<()> {
    let server = obedient(&["--connections-max", "3", "--client-connections-max", "60"])?;
    let (one, other) = (way(&server, Some("203.0.113.9"))?, way(&server, OTHER)?);
    let mut held = busy(&server, &one, 2)?;
    ensure!(is_ok(&other.ask("GET /api")?), "the last place");
    await_requests(&server, 2)?;
    held.push(begin_upload(&one)?);
    await_requests(&server, 3)?;
    let refused = other.ask("GET /api")?;
    ensure!(refused.starts_with("HTTP/1.1 503") && refused.contains("\"overloaded\""), "{refused}");
    // Connections on which nothing is asked take no place that counts.
    let idle = (0..100).map(|_| other.connect()).collect::<Result<Vec<_>>>()?;
    for path in HEALTH {
        let answer = other.ask(&format!("GET {path}"))?;
        ensure!(is_ok(&answer), "{path}: {answer}");
        ensure!(answer.contains("connection: close"), "{path}: {answer}");
    }
    held.pop();
    await_that("there is a place again", || Ok(is_ok(&other.ask("GET /api")?)))?;
    drop(idle);
    Ok(())
}

#[test]
fn streams_have_a_quota_of_their_own() -> Result<()> {
    let server = obedient(&["--client-streams-max", "1", "--streams-max", "2"])?;
    let job = lasting_job(&server)?;
    let stream = format!("GET /api/events/{job}");
    let (one, other) = (way(&server, Some("203.0.113.9"))?, way(&server, OTHER)?);
    let (first, status) = begin(&one, &stream, "\r\n")?;
    ensure!(status == "HTTP/1.1 200");
    let refused = one.ask(&stream)?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "one past the client's: {refused}");
    ensure!(refused.contains("too_many_streams") && refused.contains("retry-after: "));
    ensure!(is_ok(&one.ask("GET /api")?), "requests have places of their own");
    let (_second, status) = begin(&other, &stream, "\r\n")?;
    ensure!(status == "HTTP/1.1 200");
    let third = way(&server, Some("203.0.113.11"))?;
    let refused = third.ask(&stream)?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "one past all: {refused}");
    // Operators have places of their own, and this host a quota there.
    let operators = way_to(&server.operator_url("")?, None)?;
    let (_monitor, status) = begin(&operators, "GET /api/monitor", "\r\n")?;
    ensure!(status == "HTTP/1.1 200");
    let refused = operators.ask("GET /api/monitor")?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "one past this host's: {refused}");
    drop(first);
    await_that("there is room for a stream again", || {
        Ok(begin(&third, &stream, "\r\n")?.1 == "HTTP/1.1 200")
    })
}

/// Runs in a network of its own, in which this host has further addresses.
fn in_a_network(test: fn() -> Result<()>) -> Result<()> {
    let inside = thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            report::skipped("addresses", &format!("no network of their own: {error}"));
            return Ok(());
        }
        for words in
            ["link set lo up", "address add 192.0.2.2/32 dev lo", "address add 192.0.2.3/32 dev lo"]
        {
            let done = Command::new("ip").args(words.split(' ')).status().context("ip(8)")?;
            ensure!(done.success(), "ip {words}: {done}");
        }
        test()
    });
    inside.join().expect("the test's own thread")
}

#[test]
fn who_connects_directly_loses_its_own_connections() -> Result<()> {
    in_a_network(|| {
        let server = obedient(&[])?;
        let from = |last| -> Result<Way> {
            Ok(Way { from: Some(Ipv4Addr::new(192, 0, 2, last)), ..way(&server, None)? })
        };
        let (one, other) = (from(2)?, from(3)?);
        let crowd = Crowd::gather(one.clone(), Hold::Idle, SIZE)?;
        let connections = metric(&server, "connections")?;
        // Beside its own there is the one that asked for readiness.
        ensure!(connections <= 64 + 1, "{connections} connections");
        ensure!(is_ok(&one.ask("GET /api")?), "in place of its own longest idle one");
        ensure!(is_ok(&other.ask("GET /api")?), "somebody else");
        drop(crowd);
        await_that("its connections are gone", || Ok(metric(&server, "connections")? <= 1))?;
        let held = busy(&server, &one, 64)?;
        ensure!(one.ask("GET /livez")?.is_empty(), "one past the limit, with all of them busy");
        ensure!(is_ok(&other.ask("GET /livez")?) && is_ok(&other.ask("GET /api")?));
        // Who is no proxy speaks for nobody else.
        let forged = Way { named: OTHER, ..one.clone() };
        ensure!(forged.ask("GET /livez")?.is_empty(), "a forged name");
        drop(held);
        await_that("it is served again", || Ok(is_ok(&one.ask("GET /api")?)))
    })
}

#[test]
fn a_service_may_have_as_many_files_open_as_its_limits_take() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut service = Command::new("prlimit")
        .arg("--nofile=256:")
        .arg(programs::path("bodyscript")?)
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--operator-listen",
            "off",
            "--connections-max",
            "300",
            "--state-dir",
        ])
        .arg(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .context("prlimit(1)")?;
    let limits = || Ok::<_, anyhow::Error>(Process::new(service.id() as i32)?.limits()?);
    let raised = await_that("a socket and a file for each of 316 connections", || {
        Ok(matches!(limits()?.max_open_files.soft_limit, LimitValue::Value(632..)))
    });
    service.kill()?;
    service.wait()?;
    raised
}
