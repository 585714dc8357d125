//! One client with many connections: it gets no more than its limits, and other clients are served.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::connection_flood::{Behaviour, ConnectionFlood, Route};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::start_fault_service;
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

/// A service of the fault worker, with high limits on uploads and jobs.
fn start_unlimited_service(flags: &[&str]) -> Result<TestServer> {
    let limits = [
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
    start_fault_service(&[&limits, flags].concat())
}

fn route(server: &TestServer, named: Option<&'static str>) -> Result<Route> {
    route_to(&server.url(""), named)
}

fn route_to(url: &str, named: Option<&'static str>) -> Result<Route> {
    let to = url.strip_prefix("http://").context("an address")?.parse()?;
    Ok(Route { to, from: None, named })
}

/// A job that does not end by itself.
fn lasting_job(server: &TestServer) -> Result<String> {
    let request = server.client().put(server.url("/api/upload")).body("FAULT silent\n");
    let accepted: serde_json::Value = request.send()?.error_for_status()?.json()?;
    Ok(accepted["job_id"].as_str().context("an id")?.to_owned())
}

/// A value in `/metrics`.
pub(crate) fn metric(server: &TestServer, name: &str) -> Result<usize> {
    let text = server.operator_get("/metrics")?.text()?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("bodyscript_{name} ")));
    line.with_context(|| format!("no {name} in {text}"))?.parse().context("a number")
}

fn is_ok(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 202")
}

/// Sends a request and keeps the connection; gives the beginning of the status line.
fn begin(route: &Route, request: &str, rest: &str) -> Result<(TcpStream, String)> {
    let mut stream = route.connect()?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(format!("{}{rest}", route.head(request)).as_bytes())?;
    let mut first = [0; 12];
    stream.read_exact(&mut first)?;
    Ok((stream, String::from_utf8_lossy(&first).into_owned()))
}

/// Waits until this many requests are in progress. A response can arrive a moment before its request is
/// no longer counted.
fn await_requests(server: &TestServer, count: usize) -> Result<()> {
    wait_until(&format!("{count} requests are in progress"), || {
        Ok(metric(server, "requests_in_progress")? == count)
    })
}

/// Uploads of one client that begin and then stall; no other requests are in progress.
fn stalled_uploads(server: &TestServer, route: &Route, count: usize) -> Result<Vec<TcpStream>> {
    await_requests(server, 0)?;
    let streams = (0..count).map(|_| begin_upload(route)).collect::<Result<_>>()?;
    await_requests(server, count)?;
    Ok(streams)
}

/// One upload that stalls; does not check that it was accepted.
fn begin_upload(route: &Route) -> Result<TcpStream> {
    let mut stream = route.connect()?;
    let head = route.head("PUT /api/upload");
    stream.write_all(format!("{head}Content-Length: 100000\r\n\r\nF").as_bytes())?;
    Ok(stream)
}

/// Checks what a service offers to others while one client keeps all connections it gets.
fn others_are_served(server: &TestServer, job: &str, rounds: usize) -> Result<()> {
    let (this_host, other) = (route(server, None)?, route(server, OTHER)?);
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
    // On a new connection: idle ones give way meanwhile.
    let upload = reqwest::blocking::Client::new().put(server.url("/api/upload")).body("FAULT ok\n");
    let answer = upload.header("x-forwarded-for", "198.51.100.1").send()?;
    ensure!(answer.status() == 202, "{}", answer.text()?);
    Ok(())
}

#[test]
fn a_thousand_connections_of_one_client_do_not_block_others() -> Result<()> {
    let server = start_unlimited_service(&[])?;
    let job = lasting_job(&server)?;
    for (hold, is_reported) in [
        (Behaviour::Idle, "connections"),
        (Behaviour::Header, "connections"),
        (Behaviour::Body, "requests_in_progress"),
        // A response no longer counts as in progress once the rest of it is buffered.
        (Behaviour::Unread, "connections"),
        (Behaviour::Watch(job.clone()), "streams"),
    ] {
        for named in [Some("203.0.113.9"), None] {
            let attacker = route(&server, named)?;
            let flood = ConnectionFlood::start(attacker.clone(), hold.clone(), SIZE)?;
            if named.is_some() {
                let many = if is_reported == "connections" { 500 } else { 32 };
                wait_until("it has as many as its limits allow", || {
                    Ok(metric(&server, is_reported)? >= many)
                })?;
            }
            let served = others_are_served(&server, &job, 10);
            served.with_context(|| format!("{hold:?} by {named:?}"))?;
            drop(flood);
        }
    }
    ensure!(
        metric(&server, "connections_given_up_total")? > 0,
        "no connection was closed for another"
    );
    wait_until("everything is released", || {
        let names = ["requests_in_progress", "streams"];
        Ok(names.map(|name| metric(&server, name).ok()) == [Some(0), Some(0)])
    })
}

#[test]
fn without_client_limits_the_same_connections_block_others() -> Result<()> {
    let most = ["--client-connections-max", "65536", "--client-streams-max", "65535"];
    let server = start_unlimited_service(&[&most[..], &["--streams-max", "511"]].concat())?;
    let job = lasting_job(&server)?;
    let other = route(&server, OTHER)?;
    let flood = ConnectionFlood::start(route(&server, None)?, Behaviour::Body, SIZE)?;
    wait_until("another client is refused", || {
        let answer = other.ask("GET /api")?;
        Ok(answer.starts_with("HTTP/1.1 503") && answer.contains("overloaded"))
    })?;
    for path in HEALTH {
        let answer = other.ask(&format!("GET {path}"))?;
        ensure!(is_ok(&answer), "health needs no limits: {path}: {answer:?}");
    }
    drop(flood);
    let watchers =
        ConnectionFlood::start(route(&server, None)?, Behaviour::Watch(job.clone()), SIZE)?;
    wait_until("another client gets no stream", || {
        Ok(other.ask(&format!("HEAD /api/events/{job}"))?.starts_with("HTTP/1.1 429"))
    })?;
    drop(watchers);
    Ok(())
}

#[test]
fn concurrent_requests_of_one_client_are_limited() -> Result<()> {
    let server = start_unlimited_service(&["--client-connections-max", "2"])?;
    let (one, other) = (route(&server, Some("203.0.113.9"))?, route(&server, OTHER)?);
    let mut held = stalled_uploads(&server, &one, 2)?;
    let refused = one.ask("GET /api")?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "one over the limit: {refused}");
    ensure!(refused.contains("too_many_connections") && refused.contains("retry-after: "));
    ensure!(
        refused.contains("connection: close"),
        "an open connection would use up its limit: {refused}"
    );
    ensure!(is_ok(&one.ask("GET /livez")?), "health is exempt from the limit");
    ensure!(is_ok(&other.ask("GET /api")?), "another client");
    held.pop();
    wait_until("a request is accepted again", || Ok(is_ok(&one.ask("GET /api")?)))
}

#[test]
fn an_invalid_forwarded_address_counts_as_the_proxy_that_sent_it() -> Result<()> {
    let server = start_unlimited_service(&["--client-connections-max", "2"])?;
    let held = stalled_uploads(&server, &route(&server, Some("203.0.113.9, unknown"))?, 2)?;
    let refused = route(&server, Some("203.0.113.10, _hidden"))?.ask("GET /api")?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "another invalid address: {refused}");
    ensure!(is_ok(&route(&server, Some("203.0.113.9"))?.ask("GET /api")?));
    ensure!(is_ok(&route(&server, None)?.ask("GET /api")?), "a program on this host");
    drop(held);
    Ok(())
}

#[test]
fn health_is_served_when_all_connections_are_in_use() -> Result<()> {
    let server =
        start_unlimited_service(&["--connections-max", "3", "--client-connections-max", "60"])?;
    let (one, other) = (route(&server, Some("203.0.113.9"))?, route(&server, OTHER)?);
    let mut held = stalled_uploads(&server, &one, 2)?;
    ensure!(is_ok(&other.ask("GET /api")?), "the last slot");
    await_requests(&server, 2)?;
    held.push(begin_upload(&one)?);
    await_requests(&server, 3)?;
    let refused = other.ask("GET /api")?;
    ensure!(refused.starts_with("HTTP/1.1 503") && refused.contains("\"overloaded\""), "{refused}");
    // Connections without a request do not use up a slot.
    let idle = (0..100).map(|_| other.connect()).collect::<Result<Vec<_>>>()?;
    for path in HEALTH {
        let answer = other.ask(&format!("GET {path}"))?;
        ensure!(is_ok(&answer), "{path}: {answer}");
        ensure!(answer.contains("connection: close"), "{path}: {answer}");
    }
    held.pop();
    wait_until("a request is accepted again", || Ok(is_ok(&other.ask("GET /api")?)))?;
    drop(idle);
    Ok(())
}

#[test]
fn event_streams_have_a_separate_limit() -> Result<()> {
    let server = start_unlimited_service(&["--client-streams-max", "1", "--streams-max", "2"])?;
    let job = lasting_job(&server)?;
    let stream = format!("GET /api/events/{job}");
    let (one, other) = (route(&server, Some("203.0.113.9"))?, route(&server, OTHER)?);
    let (first, status) = begin(&one, &stream, "\r\n")?;
    ensure!(status == "HTTP/1.1 200");
    let refused = one.ask(&stream)?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "one over the client's limit: {refused}");
    ensure!(refused.contains("too_many_streams") && refused.contains("retry-after: "));
    ensure!(is_ok(&one.ask("GET /api")?), "requests have a separate limit");
    let (_second, status) = begin(&other, &stream, "\r\n")?;
    ensure!(status == "HTTP/1.1 200");
    let third = route(&server, Some("203.0.113.11"))?;
    let refused = third.ask(&stream)?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "one over the total limit: {refused}");
    // Operators have separate limits, and so has each client among them.
    let operators = route_to(&server.operator_url("")?, None)?;
    let (_monitor, status) = begin(&operators, "GET /api/monitor", "\r\n")?;
    ensure!(status == "HTTP/1.1 200");
    let refused = operators.ask("GET /api/monitor")?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "one over the limit of this host: {refused}");
    drop(first);
    wait_until("a stream is accepted again", || {
        Ok(begin(&third, &stream, "\r\n")?.1 == "HTTP/1.1 200")
    })
}

/// Runs in a separate network namespace, in which loopback has more addresses.
fn in_network_namespace(test: fn() -> Result<()>) -> Result<()> {
    let inside = thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            report::skipped("addresses", &format!("no network namespace: {error}"));
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
fn a_direct_client_over_its_limit_loses_its_own_connections() -> Result<()> {
    in_network_namespace(|| {
        let server = start_unlimited_service(&[])?;
        let from = |last| -> Result<Route> {
            Ok(Route { from: Some(Ipv4Addr::new(192, 0, 2, last)), ..route(&server, None)? })
        };
        let (one, other) = (from(2)?, from(3)?);
        let flood = ConnectionFlood::start(one.clone(), Behaviour::Idle, SIZE)?;
        let connections = metric(&server, "connections")?;
        // In addition to its own there is the one that asked for readiness.
        ensure!(connections <= 64 + 1, "{connections} connections");
        ensure!(is_ok(&one.ask("GET /api")?), "its own longest idle connection is closed");
        ensure!(is_ok(&other.ask("GET /api")?), "another client");
        drop(flood);
        wait_until("its connections are gone", || Ok(metric(&server, "connections")? <= 1))?;
        let held = stalled_uploads(&server, &one, 64)?;
        ensure!(one.ask("GET /livez")?.is_empty(), "one over the limit, with none of them idle");
        ensure!(is_ok(&other.ask("GET /livez")?) && is_ok(&other.ask("GET /api")?));
        // The header of a client that is no trusted proxy is ignored.
        let forged = Route { named: OTHER, ..one.clone() };
        ensure!(forged.ask("GET /livez")?.is_empty(), "a forged name");
        drop(held);
        wait_until("it is served again", || Ok(is_ok(&one.ask("GET /api")?)))
    })
}

#[test]
fn the_service_raises_its_file_limit_to_what_its_settings_need() -> Result<()> {
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
    let raised = wait_until("a socket and a file for each of 316 connections", || {
        Ok(matches!(limits()?.max_open_files.soft_limit, LimitValue::Value(632..)))
    });
    service.kill()?;
    service.wait()?;
    raised
}

#[test]
fn without_descriptors_a_connection_is_answered_with_503() -> Result<()> {
    let limits = ["--client-streams-max", "100", "--client-connections-max", "200"];
    let server = start_unlimited_service(&limits)?;
    let job = lasting_job(&server)?;
    server.await_status(&job, |status| status["status"] == "processing")?;
    let pid = server.pid().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, "--nofile=64:64"]).status()?;
    ensure!(limited.success(), "prlimit(1): {limited}");
    let route = route(&server, OTHER)?;
    // Streams are not closed to make room.
    let flood = ConnectionFlood::start(route.clone(), Behaviour::Watch(job), 80)?;
    wait_until("a connection is refused", || {
        let response = route.ask("GET /livez")?;
        Ok(response.starts_with("HTTP/1.1 503 ") && response.contains("\"overloaded\""))
    })?;
    drop(flood);
    wait_until("connections are served", || {
        Ok(route.ask("GET /livez")?.starts_with("HTTP/1.1 200 "))
    })
}

#[test]
fn a_thousand_uploads_in_progress_take_little_memory() -> Result<()> {
    let flags = ["--connections-max", "1100", "--client-connections-max", "1100"];
    let server = start_unlimited_service(&[&flags[..], &["--stall-s-max", "600"]].concat())?;
    rlimit::increase_nofile_limit(SIZE as u64 + 1024)?;
    let route = route(&server, OTHER)?;
    let before = metric(&server, "supervisor_resident_bytes")?;
    let head = route.head("PUT /api/upload");
    let begin = |_| {
        let mut stream = route.connect()?;
        stream.write_all(format!("{head}Content-Length: 1000000\r\n\r\nF").as_bytes())?;
        Ok::<_, anyhow::Error>(stream)
    };
    let mut uploads = (0..SIZE).map(begin).collect::<Result<Vec<_>>>()?;
    wait_until("all are in progress", || Ok(metric(&server, "uploads")? == SIZE))?;
    let mut grown = metric(&server, "supervisor_resident_bytes")?.saturating_sub(before);
    // While they send as well.
    for _ in 0..3 {
        for stream in &mut uploads {
            stream.write_all(&[b'a'; 100_000])?;
        }
        let now = metric(&server, "supervisor_resident_bytes")?;
        grown = grown.max(now.saturating_sub(before));
    }
    report::print_line(&format!("{SIZE} uploads in progress: {} KiB each", grown / SIZE / 1024));
    ensure!(grown <= SIZE * 40 * 1024, "{grown} bytes for {SIZE} uploads");
    Ok(())
}
