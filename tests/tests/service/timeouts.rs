//! Clients that are slow, send too much or never finish: each is disconnected, and others are served
//! meanwhile.

use crate::connection_limits::metric;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::connection_flood::Route;
use bodyscript_tests::polling::{ids, wait_until};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, names, start_fault_service};
use reqwest::StatusCode;
use reqwest::blocking::Client;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

/// Longest wait for a connection to be closed; far beyond the deadlines of these tests.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A service of the fault worker with deadlines of one second.
fn start_impatient_service(flags: &[&str]) -> Result<TestServer> {
    let deadlines = ["--header-s-max", "1", "--stall-s-max", "1", "--upload-s-max", "3"];
    start_fault_service(&[&deadlines[..], flags].concat())
}

/// A connection without a request.
fn connect(server: &TestServer) -> Result<TcpStream> {
    let url = server.url("");
    let stream = TcpStream::connect(url.strip_prefix("http://").context("an address")?)?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    Ok(stream)
}

/// Everything the service sends until it closes the connection.
fn read_to_close(mut stream: TcpStream) -> Result<String> {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        // Its kernel resets the connection if it closes it with unread data.
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error).context("the connection is never closed"),
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn is_served(server: &TestServer) -> Result<()> {
    // On a connection of its own: the service closes idle ones at any moment.
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
    ensure!(client.get(server.url("/livez")).send()?.status() == StatusCode::OK);
    Ok(())
}

/// Sends byte after byte, each within the allowed pause, until the connection is closed.
fn send_slowly(mut stream: TcpStream, server: &TestServer) -> Result<String> {
    loop {
        if stream.write_all(b"x").is_err() {
            return read_to_close(stream);
        }
        is_served(server)?;
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        let text = stream.peek(&mut [0]);
        stream.set_read_timeout(Some(WAIT_MAX))?;
        if !matches!(text, Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()))
        {
            return read_to_close(stream);
        }
    }
}

#[test]
fn a_missing_request_header_times_out() -> Result<()> {
    let server = start_impatient_service(&[])?;
    let silent: Vec<_> = (0..50).map(|_| connect(&server)).collect::<Result<_>>()?;
    let mut half = connect(&server)?;
    half.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")?;
    let mut slow = connect(&server)?;
    slow.write_all(b"GET /livez HTTP/1.1\r\nx-slow: ")?;
    is_served(&server)?;
    let text = send_slowly(slow, &server)?;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    for stream in silent.into_iter().chain([half]) {
        let text = read_to_close(stream)?;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    }
    is_served(&server)
}

#[test]
fn an_idle_connection_is_closed() -> Result<()> {
    let server = start_impatient_service(&[])?;
    let mut stream = connect(&server)?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let text = read_to_close(stream)?;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("ok\n"), "{text}");
    Ok(())
}

#[test]
fn a_stalled_or_slow_body_is_refused() -> Result<()> {
    let server = start_impatient_service(&[])?;
    let begin = |stream: &mut TcpStream| {
        stream.write_all(
            b"PUT /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nFAULT",
        )
    };
    let mut still = connect(&server)?;
    begin(&mut still)?;
    let mut creeping = connect(&server)?;
    begin(&mut creeping)?;
    let text = send_slowly(creeping, &server)?;
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("upload_too_slow"), "{text}");
    let text = read_to_close(still)?;
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("upload_stalled"), "{text}");
    let left = std::fs::read_dir(server.state_dir().join("spool"))?.count();
    assert_eq!(left, 0, "their files are removed");
    is_served(&server)
}

#[test]
fn a_client_that_leaves_while_its_upload_is_synced_leaves_no_video() -> Result<()> {
    const CLIENTS: usize = 200;
    let flags = ["--client-uploads-per-minute-max", "60000", "--queue-max", "1000"];
    let server = start_fault_service(&flags)?;
    for client in 0..CLIENTS {
        let video = format!("FAULT ok\n{client}\n");
        let length = video.len();
        let head =
            format!("PUT /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}");
        // The connection is closed at once, while the service receives, syncs or submits the video.
        connect(&server)?.write_all(format!("{head}\r\n\r\n{video}").as_bytes())?;
    }
    // One that waits for its response, after all of them.
    let folder = tempfile::tempdir()?;
    server.await_end(&server.submit(&fault_video(folder.path(), "ok")?)?)?;
    // The service may still process some of them, so all has to hold at the same time. The one connection is that of this
    // test.
    wait_until("no upload is in progress, all jobs are completed and no video is left", || {
        if metric(&server, "connections")? > 1 || metric(&server, "uploads")? > 0 {
            return Ok(false);
        }
        let jobs = server.jobs()?;
        let completed = ids(&jobs, |job| job["status"] == "completed");
        let has_left = !names(&server.state_dir(), "spool")?.is_empty();
        Ok(completed == ids(&jobs, |_| true) && !has_left)
    })?;
    is_served(&server)
}

#[test]
fn a_client_that_reads_nothing_is_disconnected() -> Result<()> {
    let server = start_impatient_service(&["--connections-max", "2"])?;
    let mut stream = connect(&server)?;
    // More responses than the buffers hold; a write that times out shows that they are full in both
    // directions.
    stream.set_write_timeout(Some(Duration::from_millis(500)))?;
    let questions = b"GET /docs HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    while stream.write_all(&questions).is_ok() {}
    is_served(&server)?;
    let text = read_to_close(stream)?;
    let complete = text.matches("HTTP/1.1 200").count();
    assert!(complete > 0 && !text.ends_with("</html>\n"), "cut after {complete} responses");
    is_served(&server)
}

#[test]
fn a_slow_body_is_refused_long_before_its_deadline() -> Result<()> {
    let flags =
        |rate| ["--stall-s-max", "1", "--upload-s-max", "4", "--body-rate-bytes-per-s-min", rate];
    for (rate, why) in
        [("1024", "slower than 1024 bytes per second"), ("0", "took longer than 4 s")]
    {
        let server = start_fault_service(&flags(rate))?;
        let mut stream = connect(&server)?;
        let head = "PUT /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
        stream.write_all(head.as_bytes())?;
        let text = send_slowly(stream, &server)?;
        assert!(text.starts_with("HTTP/1.1 408") && text.contains("upload_too_slow"), "{text}");
        assert!(text.contains(why), "{text}");
    }
    Ok(())
}

#[test]
fn a_client_that_reads_too_slowly_is_disconnected() -> Result<()> {
    const ANSWERS: usize = 200;
    for (rate, is_cut) in [("100000000", true), ("0", false)] {
        let server =
            TestServer::start(&["--stall-s-max", "1", "--body-rate-bytes-per-s-min", rate])?;
        let to = server.url("").strip_prefix("http://").context("an address")?.parse()?;
        let mut stream = Route { to, from: None, named: None }.connect()?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        let question = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n";
        stream.write_all(format!("{question}\r\n").repeat(ANSWERS - 1).as_bytes())?;
        stream.write_all(format!("{question}Connection: close\r\n\r\n").as_bytes())?;
        let (mut text, mut some) = (Vec::new(), [0; 64 << 10]);
        // Something now and then, so that no single pause is too long.
        while let Ok(bytes @ 1..) = stream.read(&mut some) {
            text.extend_from_slice(&some[..bytes]);
            sleep(Duration::from_millis(10));
        }
        let begun = String::from_utf8_lossy(&text).matches("HTTP/1.1 200").count();
        assert_eq!(begun < ANSWERS, is_cut, "at {rate} bytes a second {begun} answers came");
    }
    Ok(())
}

#[test]
fn size_and_number_of_headers_are_limited() -> Result<()> {
    let server = start_impatient_service(&[])?;
    for (name, headers, status) in [
        ("few", "x-a: b\r\n".repeat(50), "200"),
        ("long", format!("x-a: {}\r\n", "b".repeat(31 * 1024)), "200"),
        ("large", format!("x-a: {}\r\n", "b".repeat(64 * 1024)), "431"),
        ("many", "x-a: b\r\n".repeat(200), "431"),
    ] {
        let mut stream = connect(&server)?;
        let asked =
            format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        // The service may refuse it before it has read everything.
        let _ = stream.write_all(asked.as_bytes());
        let text = read_to_close(stream)?;
        // Unread data of a large header makes the kernel discard the response.
        let is_lost = name == "large" && text.is_empty();
        assert!(is_lost || text.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {text}");
        is_served(&server)?;
    }
    // A header that never ends reaches the limit on its size.
    let mut endless = connect(&server)?;
    endless.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")?;
    while endless.write_all(&b"x-a: b\r\n".repeat(100)).is_ok() {
        sleep(Duration::from_millis(1));
    }
    is_served(&server)
}
