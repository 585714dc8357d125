//! Compression, ranges and conditions of responses, and the metrics for Prometheus.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use flate2::read::GzDecoder;
use reqwest::Method;
use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    IF_RANGE, RANGE, VARY,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Sends a request that accepts gzip to the operator listener.
fn ask(
    server: &TestServer,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Response> {
    let request = server.client().request(method, server.operator_url(path)?);
    let request = request.header(ACCEPT_ENCODING, "gzip");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Ok(request.send()?)
}

#[test]
fn only_texts_are_compressed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("short.mp4");
    Clip::new().frames(30).encode(&video)?;
    let server = TestServer::start(&[])?;
    let job = server.submit(&video)?;
    assert_eq!(server.await_end(&job)?["status"], "completed");
    let file = |name: &str| format!("/api/serve/{job}/{name}");
    for path in ["/", "/docs", "/openapi.json", "/assets/app.js", "/metrics"]
        .map(String::from)
        .into_iter()
        .chain(["pose_data.csv", "pose_data.json"].map(file))
    {
        let plain = server.operator_get(&path)?;
        assert!(!plain.headers().contains_key(CONTENT_ENCODING), "{path}: gzip was not accepted");
        let plain = plain.bytes()?;
        let compressed = ask(&server, Method::GET, &path, &[])?;
        assert_eq!(compressed.headers()[CONTENT_ENCODING], "gzip", "{path}");
        let vary = compressed.headers().get_all(VARY);
        let varies = vary.iter().any(|value| value == "accept-encoding");
        assert!(varies, "{path}: {vary:?}");
        let compressed = compressed.bytes()?;
        assert!(
            compressed.len() < plain.len() / 2,
            "{path}: {} of {}",
            compressed.len(),
            plain.len()
        );
        let mut text = Vec::new();
        GzDecoder::new(&compressed[..]).read_to_end(&mut text)?;
        // Metrics change between two requests.
        assert!(path == "/metrics" || text == plain, "{path} differs");
    }
    for path in ["output.mp4", "thumbnail.jpg", "preview.mp4"].map(file) {
        let answer = ask(&server, Method::GET, &path, &[])?;
        assert!(!answer.headers().contains_key(CONTENT_ENCODING), "{path}");
        assert!(answer.headers().contains_key(CONTENT_LENGTH), "{path}");
    }
    let small = ask(&server, Method::GET, "/livez", &[])?;
    assert!(!small.headers().contains_key(CONTENT_ENCODING));
    Ok(())
}

#[test]
fn ranges_etags_and_head_requests_work_with_compression() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("short.mp4");
    Clip::new().frames(30).encode(&video)?;
    let server = TestServer::start(&[])?;
    let job = server.submit(&video)?;
    server.await_end(&job)?;
    let path = format!("/api/serve/{job}/pose_data.csv");
    let complete = server.get(&path)?;
    let strong = complete.headers()[ETAG].to_str()?.to_owned();
    let complete = complete.bytes()?;

    let part = ask(&server, Method::GET, &path, &[("range", "bytes=100-1999")])?;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert!(!part.headers().contains_key(CONTENT_ENCODING));
    assert_eq!(part.bytes()?, complete[100..2000]);
    let head = ask(&server, Method::HEAD, &path, &[])?;
    assert_eq!(head.headers()[CONTENT_LENGTH], complete.len().to_string().as_str());
    assert!(!head.headers().contains_key(CONTENT_ENCODING));

    let compressed = ask(&server, Method::GET, &path, &[])?;
    let weak = compressed.headers()[ETAG].to_str()?.to_owned();
    assert_eq!(weak, format!("W/{strong}"), "the tag of the compressed form is weak");
    assert!(!compressed.headers().contains_key("accept-ranges"));
    for tag in [&weak, &strong] {
        let again = ask(&server, Method::GET, &path, &[(IF_NONE_MATCH.as_str(), tag)])?;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{tag}");
    }
    // A weak tag does not identify bytes (RFC 9110, 13.1.5).
    for (tag, status) in [(&strong, StatusCode::PARTIAL_CONTENT), (&weak, StatusCode::OK)] {
        let headers = [(RANGE.as_str(), "bytes=0-9"), (IF_RANGE.as_str(), tag)];
        assert_eq!(ask(&server, Method::GET, &path, &headers)?.status(), status, "{tag}");
    }
    Ok(())
}

/// One metric family of an exposition: its type and its samples.
#[derive(Debug, Default)]
pub(crate) struct Family {
    kind: String,
    unit: String,
    pub(crate) samples: Vec<(String, f64)>,
}

/// Parses an exposition in the format of OpenMetrics 1.0.0, and checks the names.
pub(crate) fn exposition(text: &str) -> Result<BTreeMap<String, Family>> {
    let body = text.strip_suffix("# EOF\n").context("no end")?;
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    for line in body.lines() {
        if let Some(reported) = line.strip_prefix("# ") {
            let mut words = reported.splitn(3, ' ');
            let (what, name) = (words.next().context("a word")?, words.next().context("a name")?);
            let rest = words.next().context("a value")?;
            if name != current {
                ensure!(!families.contains_key(name), "{name} is described twice");
                current = name.to_owned();
            }
            let family = families.entry(current.clone()).or_default();
            match what {
                "TYPE" => family.kind = rest.into(),
                "UNIT" => family.unit = rest.into(),
                "HELP" => ensure!(rest.ends_with('.'), "{line}"),
                _ => anyhow::bail!("unknown line: {line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
        let family = families.get_mut(&current).with_context(|| line.to_owned())?;
        let plain = name.split('{').next().unwrap_or_default();
        let suffix =
            plain.strip_prefix(&current).with_context(|| format!("{line} in {current}"))?;
        let allowed: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_count", "_sum"],
            "gauge" => &[""],
            "info" => &["_info"],
            kind => anyhow::bail!("{current} is a {kind}"),
        };
        ensure!(allowed.contains(&suffix), "{line} of a {}", family.kind);
        family.samples.push((name.to_owned(), value.parse().with_context(|| line.to_owned())?));
    }
    for (name, family) in &families {
        ensure!(name.starts_with("bodyscript_"), "{name}");
        ensure!(name.ends_with(&family.unit), "{name} in {}", family.unit);
    }
    Ok(families)
}

/// Parses an exposition in the Prometheus text format 0.0.4, in which each family has help and a type.
fn text_exposition(text: &str) -> Result<BTreeMap<String, f64>> {
    let mut samples = BTreeMap::new();
    let (mut family, mut kind) = ("", "");
    for line in text.lines() {
        let whole = || line.to_owned();
        if let Some(described) = line.strip_prefix("# HELP ") {
            let (name, help) = described.split_once(' ').with_context(whole)?;
            ensure!(help.ends_with('.') && name != family, "{line}");
            (family, kind) = (name, "");
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, reported) = typed.split_once(' ').with_context(whole)?;
            ensure!(name == family && kind.is_empty(), "{line} in {family}");
            kind = reported;
        } else {
            let (sample, value) = line.rsplit_once(' ').with_context(whole)?;
            let plain = sample.split('{').next().unwrap_or_default();
            let suffix = plain.strip_prefix(family).with_context(whole)?;
            let allowed: &[&str] = match kind {
                "counter" | "gauge" => &[""],
                "histogram" => &["_bucket", "_count", "_sum"],
                kind => anyhow::bail!("{line} of a {kind}"),
            };
            ensure!(allowed.contains(&suffix), "{line} of a {kind}");
            ensure!((kind == "counter") == family.ends_with("_total"), "{line} of a {kind}");
            samples.insert(sample.to_owned(), value.parse().with_context(whole)?);
        }
    }
    Ok(samples)
}

#[test]
fn prometheus_metrics_are_valid_and_count() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [flag, program] = fault_worker()?;
    let server = TestServer::start(&[&flag, &program])?;
    for words in ["ok", "ok", "segv", "bad-input"] {
        server.await_end(&server.submit(&fault_video(folder.path(), words)?)?)?;
    }
    server.client().request(Method::from_bytes(b"BREW")?, server.url("/pot")).send()?;
    let answer = server.operator_get("/metrics")?;
    let kind = answer.headers()[CONTENT_TYPE].to_str()?.to_owned();
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let families = exposition(&answer.text()?)?;
    let value = |sample: &str| {
        let mut all = families.values().flat_map(|family| &family.samples);
        all.find(|(name, _)| name == sample).map(|(_, value)| *value)
    };
    for (sample, expected) in [
        ("bodyscript_attempts_total{end=\"done\"}", 2.0),
        ("bodyscript_attempts_total{end=\"crash\"}", 2.0),
        ("bodyscript_attempts_total{end=\"bad_input\"}", 1.0),
        ("bodyscript_attempt_seconds_count", 5.0),
        ("bodyscript_jobs{state=\"completed\"}", 2.0),
        ("bodyscript_jobs{state=\"failed\"}", 2.0),
        ("bodyscript_ready", 1.0),
        ("bodyscript_http_requests_total{method=\"POST\",status=\"2xx\"}", 4.0),
        ("bodyscript_http_requests_total{method=\"other\",status=\"4xx\"}", 1.0),
    ] {
        assert_eq!(value(sample), Some(expected), "{sample} in {families:#?}");
    }
    let accept = "application/openmetrics-text;q=0.1, text/plain;version=0.0.4";
    let plain = ask(&server, Method::GET, "/metrics", &[(ACCEPT.as_str(), accept)])?;
    assert_eq!(plain.headers()[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    let vary: Vec<_> = plain.headers().get_all(VARY).iter().collect();
    assert!(vary.iter().any(|vary| *vary == "accept"), "{vary:?}");
    let mut text = String::new();
    GzDecoder::new(&plain.bytes()?[..]).read_to_string(&mut text)?;
    let samples = text_exposition(&text)?;
    assert_eq!(samples["bodyscript_attempts_total{end=\"crash\"}"], 2.0);
    let names = families.values().flat_map(|family| family.samples.iter().map(|(name, _)| name));
    assert_eq!(samples.keys().collect::<BTreeSet<_>>(), names.collect(), "the same in both");
    assert!(value("bodyscript_supervisor_resident_bytes") > Some(1e6), "{families:#?}");
    assert!(value("bodyscript_start_time_seconds") > Some(1.7e9), "{families:#?}");
    Ok(())
}
