//! Requests by the rules of RFC 9110 and 9112: the host, the origin, ranges and conditions, and refusals
//! before the body is sent.

use anyhow::{Context, Result};
use bodyscript_tests::raw_tus::{BYTES, RawTus};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, start_fault_service};
use reqwest::blocking::Response;
use reqwest::blocking::multipart::{Form, Part};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, IF_MATCH, ORIGIN, RANGE,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

const CLOSE: &str = "Connection: close\r\n";

/// The response to these bytes, up to the end of the connection or to `100 Continue`.
fn answer(server: &TestServer, request: &str) -> Result<String> {
    answer_at(&server.url(""), request)
}

fn answer_at(url: &str, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").context("an address")?)?;
    stream.write_all(request.as_bytes())?;
    let (mut text, mut some) = (Vec::new(), [0; 4096]);
    while !text.starts_with(b"HTTP/1.1 100 ") {
        match stream.read(&mut some)? {
            0 => break,
            bytes => text.extend_from_slice(&some[..bytes]),
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn an_http_1_1_request_needs_exactly_one_host() -> Result<()> {
    let server = start_fault_service(&[])?;
    let status = |version: &str, headers: &str| {
        let text = answer(&server, &format!("GET /livez HTTP/{version}\r\n{headers}{CLOSE}\r\n"))?;
        Ok::<_, anyhow::Error>((text[9..12].to_owned(), text.contains("\"invalid_header\"")))
    };
    assert_eq!(status("1.1", "Host: a.example\r\n")?, ("200".into(), false));
    assert_eq!(status("1.0", "")?, ("200".into(), false), "HTTP/1.0 has no Host");
    assert_eq!(status("1.1", "")?, ("400".into(), true));
    assert_eq!(status("1.1", "Host: a.example\r\nHost: b.example\r\n")?, ("400".into(), true));
    // The host of an absolute address overrides the header, for operators too.
    for (address, code) in [("http://localhost", "200"), ("http://evil.example", "403")] {
        let request = format!("GET {address}/api/jobs HTTP/1.1\r\nHost: localhost\r\n{CLOSE}\r\n");
        let text = answer_at(&server.operator_url("")?, &request)?;
        assert_eq!(text[9..12], *code, "{address}");
        assert_eq!(answer(&server, &request)?[9..12], *"403", "{address} on the public listener");
    }
    Ok(())
}

#[test]
fn the_end_of_a_body_is_unambiguous() -> Result<()> {
    let server = start_fault_service(&[])?;
    let send = |headers: &str, body: &str| {
        let head = "PUT /api/upload HTTP/1.1\r\nHost: localhost\r\n";
        let smuggled = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{CLOSE}\r\n");
        answer(&server, &format!("{head}{headers}\r\n{body}{smuggled}"))
    };
    let plain = "FAULT ok\n";
    let chunked = "9\r\nFAULT ok\n\r\n0\r\n\r\n";
    // The same length twice is that length. Beside a transfer coding a length is void, and nothing is read
    // after the body (RFC 9112, 6.3).
    for (headers, body, responses) in [
        ("Content-Length: 9\r\n", plain, 2),
        ("Content-Length: 9\r\nContent-Length: 9\r\n", plain, 2),
        ("Transfer-Encoding: chunked\r\n", chunked, 2),
        ("transfer-encoding: CHUNKED\r\n", chunked, 2),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunked, 1),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", chunked, 1),
    ] {
        let text = send(headers, body)?;
        assert!(text.starts_with("HTTP/1.1 202 "), "{headers}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), responses, "{headers}: {text}");
    }
    let jobs = server.operator_json("/api/jobs")?["total"].clone();
    for (headers, body) in [
        ("Content-Length: 9, 9\r\n", plain),
        ("Content-Length: +9\r\n", plain),
        ("Content-Length: 4\r\nContent-Length: 9\r\n", plain),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked),
        ("Transfer-Encoding: chunked, chunked\r\n", chunked),
        ("Transfer-Encoding: gzip, chunked\r\n", chunked),
        ("Transfer-Encoding: chunked, identity\r\n", chunked),
    ] {
        let refused = send(headers, body)?;
        assert!(refused.starts_with("HTTP/1.1 400 "), "{headers}: {refused}");
        assert_eq!(refused.matches("HTTP/1.1 ").count(), 1, "{headers}: {refused}");
    }
    assert_eq!(server.operator_json("/api/jobs")?["total"], jobs, "they created no job");
    Ok(())
}

#[test]
fn what_a_form_has_before_its_fields_is_bounded() -> Result<()> {
    let server = start_fault_service(&[])?;
    let send = |form: &str| {
        let head = "POST /api/upload HTTP/1.1\r\nHost: localhost\r\n\
                    Content-Type: multipart/form-data; boundary=X\r\n";
        answer(&server, &format!("{head}Content-Length: {}\r\n{CLOSE}\r\n{form}", form.len()))
    };
    let field = |header: &str, content: &str| {
        format!("--X\r\nContent-Disposition: form-data; {header}\r\n\r\n{content}\r\n")
    };
    let video = field("name=\"file\"; filename=\"a.mp4\"", "FAULT ok\n");
    let (small, large) = ("a".repeat(8 * 1024), "a".repeat(1 << 20));
    for form in [
        format!("{video}--X--"),
        format!("{}{video}--X--\r\n{small}", field("name=\"name\"", &small.repeat(4))),
        format!("{}{video}--X--", field(&format!("name=\"name\"; title=\"{small}\""), "")),
    ] {
        let text = send(&form)?;
        assert!(text.starts_with("HTTP/1.1 202 "), "{text}");
    }
    for form in [
        format!("{large}{video}--X--"),
        format!("{}{video}--X--", field(&format!("name=\"note\"; title=\"{large}\""), "")),
        format!("{}{video}--X--", field(&format!("name=\"{large}\""), "")),
        format!("--X\r\n{}{video}--X--", "a: b\r\n".repeat(100_000)),
    ] {
        let text = send(&form)?;
        assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
        assert!(text.contains("\"form_too_large\""), "{text}");
    }
    Ok(())
}

/// RFC 9112, 2.2: a line may end without its carriage return, but a carriage return does not end one.
#[test]
fn a_line_ends_with_a_line_feed() -> Result<()> {
    let server = start_fault_service(&[])?;
    let bare = answer(&server, "GET /livez HTTP/1.1\nHost: localhost\nConnection: close\n\n")?;
    assert!(bare.starts_with("HTTP/1.1 200 "), "{bare}");
    for headers in ["X-A: a\rX-B: b\r\n", "X-A: a\r\n b\r\n", "X-A: a\0b\r\n"] {
        let text = answer(
            &server,
            &format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{headers}{CLOSE}\r\n"),
        )?;
        assert!(text.starts_with("HTTP/1.1 400 "), "{headers:?}: {text}");
    }
    let chunks = "Transfer-Encoding: chunked\r\n\r\n9\nFAULT ok\n\n0\n\n";
    let text = answer(
        &server,
        &format!("PUT /api/upload HTTP/1.1\r\nHost: localhost\r\n{CLOSE}{chunks}"),
    )?;
    assert!(text.starts_with("HTTP/1.1 400 "), "in a chunked body: {text}");
    Ok(())
}

#[test]
fn a_video_that_is_too_large_is_refused_before_it_is_sent() -> Result<()> {
    let server = start_fault_service(&["--upload-bytes-max", "100000"])?;
    let ask = |bytes: u32| {
        let head = "PUT /api/upload HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n";
        answer(&server, &format!("{head}Content-Length: {bytes}\r\n{CLOSE}\r\n"))
    };
    assert!(ask(100_000)?.starts_with("HTTP/1.1 100 "), "the body may be sent");
    let refused = ask(100_001)?;
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    Ok(())
}

#[test]
fn encoded_uploads_are_refused_in_every_way_of_uploading() -> Result<()> {
    let server = start_fault_service(&[])?;
    let (client, tus) = (server.client(), RawTus::of(&server));
    let [upload, resumable] = ["/api/upload", "/api/tus"].map(|path| server.url(path));
    let begun = tus.begin(9)?;
    let video = Part::bytes(b"FAULT ok\n".as_slice()).file_name("a.mp4");
    for request in [
        client.post(&upload).multipart(Form::new().part("file", video)),
        client.put(&upload).body("FAULT ok\n"),
        tus.ask(Method::POST, &resumable, &[("upload-length", "9")]),
        tus.ask(Method::PATCH, &begun, &[("upload-offset", "0"), ("content-type", BYTES)])
            .body("FAULT ok\n"),
    ] {
        let refused = request.header(CONTENT_ENCODING, "gzip").send()?;
        assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{}", refused.url());
        assert_eq!(refused.headers()[ACCEPT_ENCODING], "identity", "{}", refused.url());
        assert_eq!(refused.json::<Value>()?["code"], "unsupported_content_coding");
    }
    assert_eq!(tus.offset(&begun)?, 0, "nothing of the refused request is stored");
    let plain = client.put(&upload).header(CONTENT_ENCODING, "identity").body("FAULT ok\n");
    assert_eq!(plain.send()?.status(), StatusCode::ACCEPTED);
    Ok(())
}

/// The explanation of an upload that was refused for the name of an option.
fn unknown_name(answer: Response) -> Result<String> {
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let problem: Value = answer.json()?;
    assert_eq!(problem["code"], "invalid_field", "{problem}");
    Ok(problem["detail"].as_str().context("a detail")?.to_owned())
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = fault_video(folder.path(), "ok")?;
    let server = start_fault_service(&[])?;
    let field = unknown_name(server.upload(&video, &[("intervall", "2")])?)?;
    assert!(field.contains("`intervall`") && field.contains("`interval`"), "{field}");
    let other = unknown_name(server.upload(&video, &[("tempo", "2")])?)?;
    assert!(other.contains("`tempo`") && other.contains("/docs"), "{other}");
    let form = Form::new().file("video", &video)?;
    let file = server.client().post(server.url("/api/upload")).multipart(form).send()?;
    let file = unknown_name(file)?;
    assert!(file.contains("`video`") && file.contains("`file`"), "{file}");
    let query = server.client().put(server.url("/api/upload?modes=fast")).body("FAULT ok\n");
    let query = unknown_name(query.send()?)?;
    assert!(query.contains("`modes`") && query.contains("`mode`"), "{query}");
    let file = server.client().put(server.url("/api/upload?file=a.mp4")).body("FAULT ok\n");
    let file = unknown_name(file.send()?)?;
    assert!(!file.contains("mean `file`"), "{file}");
    let metadata = [("upload-length", "9"), ("upload-metadata", "modes ZmFzdA==")];
    let metadata = unknown_name(RawTus::of(&server).try_begin(&metadata)?)?;
    assert!(metadata.contains("`modes`") && metadata.contains("`mode`"), "{metadata}");
    assert_eq!(server.operator_json("/api/jobs")?["total"], 0, "they created no job");

    let told_by_libraries = [("_charset_", "utf-8"), ("name", "a.mp4"), ("type", "video/mp4")];
    assert_eq!(server.upload(&video, &told_by_libraries)?.status(), StatusCode::ACCEPTED);
    Ok(())
}

#[test]
fn invalid_ranges_are_ignored() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start_fault_service(&[])?;
    let job = server.submit(&fault_video(folder.path(), "ok")?)?;
    assert_eq!(server.await_end(&job)?["status"], "completed");
    let url = server.url(&format!("/api/serve/{job}/pose_data.csv"));
    let ask = |method: Method, range: &str| {
        Ok::<_, anyhow::Error>(
            server.client().request(method, &url).header(RANGE, range).send()?.status(),
        )
    };
    for range in ["lines=0-1", "bytes=abc", "bytes=2-1", "bytes", "bytes=0-1,", "bytes=-"] {
        assert_eq!(ask(Method::GET, range)?, StatusCode::OK, "{range}");
    }
    assert_eq!(ask(Method::GET, "bytes=0-1")?, StatusCode::PARTIAL_CONTENT);
    for range in ["bytes=999999-", "bytes=99999999999999999999-", "bytes=-0"] {
        assert_eq!(ask(Method::GET, range)?, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
    }
    let whole = server.client().get(&url).send()?.bytes()?;
    for range in
        ["bytes=-99999999999", "bytes=-99999999999999999999", "bytes=0-99999999999999999999"]
    {
        let answer = server.client().get(&url).header(RANGE, range).send()?;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(answer.bytes()?, whole, "{range}");
    }
    assert_eq!(ask(Method::GET, "bytes=+0-1")?, StatusCode::OK, "no number");
    assert_eq!(ask(Method::HEAD, "bytes=0-1")?, StatusCode::OK, "ranges are for GET");

    let other = server.client().get(&url).header(IF_MATCH, "\"other\"").send()?;
    assert_eq!(other.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(other.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(other.json::<Value>()?["code"], "condition_failed");
    Ok(())
}

#[test]
fn cross_origin_pages_cannot_change_state() -> Result<()> {
    let allowed = "https://a.example";
    let server = start_fault_service(&["--cors-origins", allowed])?;
    let upload = |origin: &str, site: &str| {
        let headers = [(ORIGIN.as_str(), origin), ("sec-fetch-site", site)];
        let mut map = HeaderMap::new();
        for (name, value) in headers.into_iter().filter(|(_, value)| !value.is_empty()) {
            map.insert(name.parse::<reqwest::header::HeaderName>()?, value.parse()?);
        }
        let request = server.client().put(server.url("/api/upload")).headers(map);
        Ok::<_, anyhow::Error>(request.body("FAULT ok\n").send()?)
    };
    for (origin, site) in [
        ("", ""),
        ("", "none"),
        ("https://behind.a.proxy.example", "same-origin"),
        (allowed, "cross-site"),
    ] {
        assert_eq!(upload(origin, site)?.status(), StatusCode::ACCEPTED, "{origin} {site}");
    }
    let jobs = server.operator_json("/api/jobs")?["total"].clone();
    for (origin, site) in [
        ("https://b.example", "cross-site"),
        ("null", "CROSS-SITE"),
        ("http://x", "same-site"),
        ("", "other"),
    ] {
        let refused = upload(origin, site)?;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{origin} {site}");
        assert_eq!(refused.json::<Value>()?["code"], "other_origin");
    }
    assert_eq!(server.operator_json("/api/jobs")?["total"], jobs, "they created no job");
    Ok(())
}
