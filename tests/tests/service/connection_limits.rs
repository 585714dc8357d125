//! One client with many connections: it gets what it may have, and nobody else goes without.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::connection_flood::{Behaviour, ConnectionFlood, Route};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::server::TestServer;
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
fn start_fault_service(flags: &[&str]) -> Result<TestServer> {
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

fn way(server: &TestServer, named: Option<&'static str>) -> Result<Route> {
    way_to(&server.url(""), named)
}

fn way_to(url: &str, named: Option<&'static str>) -> Result<Route> {
    let to = url.strip_prefix("http://").context("an address")?.parse()?;
    Ok(Route { to, from: None, named })
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
fn begin(way: &Route, request: &str, rest: &str) -> Result<(TcpStream, String)> {
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
    wait_until(&format!("{count} requests are under way"), || {
        Ok(metric(server, "requests_in_progress")? == count)
    })
}

/// Uploads of one client that began and do not go on; nothing else is under way.
fn busy(server: &TestServer, way: &Route, count: usize) -> Result<Vec<TcpStream>> {
    await_requests(server, 0)?;
    let lines = (0..count).map(|_| begin_upload(way)).collect::<Result<_>>()?;
    await_requests(server, count)?;
    Ok(lines)
}

/// One upload that does not go on, without a look whether it began.
fn begin_upload(way: &Route) -> Result<TcpStream> {
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
fn a_thousand_connections_of_one_client_do_not_block_others() -> Result<()> {
    let server = start_fault_service(&[])?;
    let job = lasting_job(&server)?;
    for (hold, is_reported) in [
        (Behaviour::Idle, "connections"),
        (Behaviour::Header, "connections"),
        (Behaviour::Body, "requests_in_progress"),
        // An answer is over for the table once the rest of it waits to be written.
        (Behaviour::Unread, "connections"),
        (Behaviour::Watch(job.clone()), "streams"),
    ] {
        for named in [Some("203.0.113.9"), None] {
            let attacker = way(&server, named)?;
            let crowd = ConnectionFlood::gather(attacker.clone(), hold.clone(), SIZE)?;
            if named.is_some() {
                let many = if is_reported == "connections" { 500 } else { 32 };
                wait_until("it has all that it can get", || {
                    Ok(metric(&server, is_reported)? >= many)
                })?;
            }
            let served = others_are_served(&server, &job, 10);
            served.with_context(|| format!("{hold:?} by {named:?}"))?;
            drop(crowd);
        }
    }
    ensure!(metric(&server, "connections_given_up_total")? > 0, "nothing had to make room");
    wait_until("everything is released", || {
        let names = ["requests_in_progress", "streams"];
        Ok(names.map(|name| metric(&server, name).ok()) == [Some(0), Some(0)])
    })
}

#[test]
fn without_client_limits_the_same_connections_block_others() -> Result<()> {
    let most = ["--client-connections-max", "65536", "--client-streams-max", "65535"];
    let server = start_fault_service(&[&most[..], &["--streams-max", "511"]].concat())?;
    let job = lasting_job(&server)?;
    let other = way(&server, OTHER)?;
    let crowd = ConnectionFlood::gather(way(&server, None)?, Behaviour::Body, SIZE)?;
    wait_until("another client is refused", || {
        let answer = other.ask("GET /api")?;
        Ok(answer.starts_with("HTTP/1.1 503") && answer.contains("overloaded"))
    })?;
    for path in HEALTH {
        let answer = other.ask(&format!("GET {path}"))?;
        ensure!(is_ok(&answer), "health needs no limits: {path}: {answer:?}");
    }
    drop(crowd);
    let watchers =
        ConnectionFlood::gather(way(&server, None)?, Behaviour::Watch(job.clone()), SIZE)?;
    wait_until("another client gets no stream", || {
        Ok(other.ask(&format!("HEAD /api/events/{job}"))?.starts_with("HTTP/1.1 429"))
    })?;
    drop(watchers);
    Ok(())
}

#[test]
fn concurrent_requests_of_one_client_are_limited() -> Result<()> {
    let server = start_fault_service(&["--client-connections-max", "2"])?;
    let (one, other) = (way(&server, Some("203.0.113.9"))?, way(&server, OTHER)?);
    let mut held = busy(&server, &one, 2)?;
    let refused = one.ask("GET /api")?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "one past the limit: {refused}");
    ensure!(refused.contains("too_many_connections") && refused.contains("retry-after: "));
    ensure!(refused.contains("connection: close"), "kept open it would ask for nothing: {refused}");
    ensure!(is_ok(&one.ask("GET /livez")?), "health is beyond the limit");
    ensure!(is_ok(&other.ask("GET /api")?), "somebody else");
    held.pop();
    wait_until("there is a place again", || Ok(is_ok(&one.ask("GET /api")?)))
}

#[test]
fn an_invalid_forwarded_address_counts_as_the_proxy_that_sent_it() -> Result<()> {
    let server = start_fault_service(&["--client-connections-max", "2"])?;
    let held = busy(&server, &way(&server, Some("203.0.113.9, unknown"))?, 2)?;
    let refused = way(&server, Some("203.0.113.10, _hidden"))?.ask("GET /api")?;
    ensure!(refused.starts_with("HTTP/1.1 429"), "another name that cannot be read: {refused}");
    ensure!(is_ok(&way(&server, Some("203.0.113.9"))?.ask("GET /api")?));
    ensure!(is_ok(&way(&server, None)?.ask("GET /api")?), "a program on this host");
    drop(held);
    Ok(())
}

#[test]
fn health_is_served_when_all_connections_are_in_use() -> Result<()> {
    let server =
        start_fault_service(&["--connections-max", "3", "--client-connections-max", "60"])?;
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
    wait_until("there is a place again", || Ok(is_ok(&other.ask("GET /api")?)))?;
    drop(idle);
    Ok(())
}

#[test]
fn event_streams_have_a_separate_limit() -> Result<()> {
    let server = start_fault_service(&["--client-streams-max", "1", "--streams-max", "2"])?;
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
    wait_until("there is room for a stream again", || {
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
fn a_direct_client_over_its_limit_loses_its_own_connections() -> Result<()> {
    in_a_network(|| {
        let server = start_fault_service(&[])?;
        let from = |last| -> Result<Route> {
            Ok(Route { from: Some(Ipv4Addr::new(192, 0, 2, last)), ..way(&server, None)? })
        };
        let (one, other) = (from(2)?, from(3)?);
        let crowd = ConnectionFlood::gather(one.clone(), Behaviour::Idle, SIZE)?;
        let connections = metric(&server, "connections")?;
        // Beside its own there is the one that asked for readiness.
        ensure!(connections <= 64 + 1, "{connections} connections");
        ensure!(is_ok(&one.ask("GET /api")?), "in place of its own longest idle one");
        ensure!(is_ok(&other.ask("GET /api")?), "somebody else");
        drop(crowd);
        wait_until("its connections are gone", || Ok(metric(&server, "connections")? <= 1))?;
        let held = busy(&server, &one, 64)?;
        ensure!(one.ask("GET /livez")?.is_empty(), "one past the limit, with all of them busy");
        ensure!(is_ok(&other.ask("GET /livez")?) && is_ok(&other.ask("GET /api")?));
        // Who is no proxy speaks for nobody else.
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
