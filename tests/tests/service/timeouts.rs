//! Clients that take their time, ask for too much or never come to the point: each is sent away,
//! and others are served meanwhile.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::connection_flood::Route;
use bodyscript_tests::programs;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::fault_worker;
use reqwest::StatusCode;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

/// Longest wait for an end that must come; far beyond the deadlines of these tests.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A service whose worker does what the video says, and whose own deadlines are a second each.
fn hurried(flags: &[&str]) -> Result<TestServer> {
    let program = programs::path("fault_worker")?;
    let program = program.to_str().context("a path in UTF-8")?;
    let deadlines = ["--header-s-max", "1", "--stall-s-max", "1", "--upload-s-max", "3"];
    TestServer::start(&[&["--worker-program", program], &deadlines[..], flags].concat())
}

/// A connection of which nobody knows what it is for.
fn connect(server: &TestServer) -> Result<TcpStream> {
    let url = server.url("");
    let line = TcpStream::connect(url.strip_prefix("http://").context("an address")?)?;
    line.set_read_timeout(Some(WAIT_MAX))?;
    Ok(line)
}

/// Everything the service says until it ends the connection.
fn last_words(mut line: TcpStream) -> Result<String> {
    let mut text = Vec::new();
    match line.read_to_end(&mut text) {
        // What we had sent and it had not read makes its kernel say so rather than end quietly.
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error).context("the connection is never ended"),
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn is_served(server: &TestServer) -> Result<()> {
    ensure!(server.get("/livez")?.status() == StatusCode::OK);
    Ok(())
}

/// Sends byte after byte, each well within any pause that is allowed, until nobody listens.
fn drip(mut line: TcpStream, server: &TestServer) -> Result<String> {
    loop {
        if line.write_all(b"x").is_err() {
            return last_words(line);
        }
        is_served(server)?;
        line.set_read_timeout(Some(Duration::from_millis(100)))?;
        let text = line.peek(&mut [0]);
        line.set_read_timeout(Some(WAIT_MAX))?;
        if !matches!(text, Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()))
        {
            return last_words(line);
        }
    }
}

#[test]
fn a_missing_request_header_times_out() -> Result<()> {
    let server = hurried(&[])?;
    let silent: Vec<_> = (0..50).map(|_| connect(&server)).collect::<Result<_>>()?;
    let mut half = connect(&server)?;
    half.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")?;
    let mut dripping = connect(&server)?;
    dripping.write_all(b"GET /livez HTTP/1.1\r\nx-drip: ")?;
    is_served(&server)?;
    let text = drip(dripping, &server)?;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    for line in silent.into_iter().chain([half]) {
        let text = last_words(line)?;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    }
    is_served(&server)
}

#[test]
fn an_idle_connection_is_closed() -> Result<()> {
    let server = hurried(&[])?;
    let mut line = connect(&server)?;
    line.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let text = last_words(line)?;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("ok\n"), "{text}");
    Ok(())
}

#[test]
fn a_stalled_or_slow_body_is_refused() -> Result<()> {
    let server = hurried(&[])?;
    let begin = |line: &mut TcpStream| {
        line.write_all(
            b"PUT /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nFAULT",
        )
    };
    let mut still = connect(&server)?;
    begin(&mut still)?;
    let mut creeping = connect(&server)?;
    begin(&mut creeping)?;
    let text = drip(creeping, &server)?;
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("upload_too_slow"), "{text}");
    let text = last_words(still)?;
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("upload_stalled"), "{text}");
    let left = std::fs::read_dir(server.state_dir().join("spool"))?.count();
    assert_eq!(left, 0, "nothing is kept of them");
    is_served(&server)
}

#[test]
fn a_client_that_reads_nothing_is_disconnected() -> Result<()> {
    let server = hurried(&["--connections-max", "2"])?;
    let mut line = connect(&server)?;
    // More answers than the buffers on the way hold; a write that would block says that they
    // are full, at either end.
    line.set_write_timeout(Some(Duration::from_millis(500)))?;
    let questions = b"GET /docs HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    while line.write_all(&questions).is_ok() {}
    is_served(&server)?;
    let text = last_words(line)?;
    let whole = text.matches("HTTP/1.1 200").count();
    assert!(whole > 0 && !text.ends_with("</html>\n"), "cut after {whole} answers");
    is_served(&server)
}

#[test]
fn a_slow_body_is_refused_long_before_its_deadline() -> Result<()> {
    let flags =
        |rate| ["--stall-s-max", "1", "--upload-s-max", "4", "--body-rate-bytes-per-s-min", rate];
    for (rate, why) in
        [("1024", "slower than 1024 bytes per second"), ("0", "took longer than 4 s")]
    {
        let [flag, program] = fault_worker()?;
        let server = TestServer::start(&[&[&*flag, &*program], &flags(rate)[..]].concat())?;
        let mut line = connect(&server)?;
        let head = "PUT /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
        line.write_all(head.as_bytes())?;
        let text = drip(line, &server)?;
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
        let mut line = Route { to, from: None, named: None }.connect()?;
        line.set_read_timeout(Some(WAIT_MAX))?;
        let question = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n";
        line.write_all(format!("{question}\r\n").repeat(ANSWERS - 1).as_bytes())?;
        line.write_all(format!("{question}Connection: close\r\n\r\n").as_bytes())?;
        let (mut text, mut some) = (Vec::new(), [0; 64 << 10]);
        // Something now and then, so that no single pause is too long.
        while let Ok(bytes @ 1..) = line.read(&mut some) {
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
    let server = hurried(&[])?;
    for (name, headers, status) in [
        ("few", "x-a: b\r\n".repeat(50), "200"),
        ("long", format!("x-a: {}\r\n", "b".repeat(31 * 1024)), "200"),
        ("large", format!("x-a: {}\r\n", "b".repeat(64 * 1024)), "431"),
        ("many", "x-a: b\r\n".repeat(200), "431"),
    ] {
        let mut line = connect(&server)?;
        let asked =
            format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        // It need not be read to the end to be refused.
        let _ = line.write_all(asked.as_bytes());
        let text = last_words(line)?;
        // What is left unread of a large one makes the kernel take the answer back.
        let is_lost = name == "large" && text.is_empty();
        assert!(is_lost || text.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {text}");
        is_served(&server)?;
    }
    // Whoever never ends a header meets the limit on its size.
    let mut endless = connect(&server)?;
    endless.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")?;
    while endless.write_all(&b"x-a: b\r\n".repeat(100)).is_ok() {
        sleep(Duration::from_millis(1));
    }
    is_served(&server)
}
