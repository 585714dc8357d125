//! The service behind reverse proxies, with the examples in `docs/proxies` and with a minimal configuration:
//! uploads, events, ranges, the refusal of operators' paths, and the identity of clients.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::proxies::{Proxy, Setup};
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, start_fault_service};
use reqwest::StatusCode;
use reqwest::blocking::multipart::{Form, Part};
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_RANGE, RANGE};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

const ADDRESSES: [&str; 6] =
    ["/api/jobs", "/monitor", "/api/monitor", "/metrics", "/api/metrics", "/health/memory"];

/// Longest wait for an answer.
const WAIT_MAX: Duration = Duration::from_secs(120);

const MIB: usize = 1 << 20;

const LIMITS_OFF: &str = "per-client limits are off";

/// A service of the fault worker where a client may have two jobs.
fn service() -> Result<TestServer> {
    start_fault_service(&["--workers", "1", "--client-jobs-max", "2"])
}

/// A client whose connections come from this address.
fn client(from: Option<IpAddr>) -> Result<Client> {
    Ok(Client::builder().timeout(WAIT_MAX).local_address(from).build()?)
}

/// An address of this host other than loopback, from which a remote client can be simulated.
fn other_address() -> Option<IpAddr> {
    // The address from which the kernel would send; nothing is sent.
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("198.51.100.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Uploads a video of this size for the fault worker.
fn upload(client: &Client, proxy: &Proxy, words: &str, bytes: usize) -> Result<Response> {
    let mut video = format!("FAULT {words}\n").into_bytes();
    video.resize(bytes, 0);
    let form = Form::new().part("file", Part::bytes(video).file_name("clip.mp4"));
    Ok(client.post(proxy.url("/api/upload")).multipart(form).send()?)
}

fn accepted(answer: Response) -> Result<String> {
    let (status, body) = (answer.status(), answer.text()?);
    ensure!(status == StatusCode::ACCEPTED, "{status}: {body}");
    let body: Value = serde_json::from_str(&body)?;
    Ok(body["job_id"].as_str().context("an id")?.to_owned())
}

/// Checks that operators' paths are refused through the proxy, whatever headers a request has.
fn operators_are_refused(server: &TestServer, proxy: &Proxy, job: &str) -> Result<()> {
    for address in ADDRESSES {
        for host in ["localhost", "127.0.0.1:8001", "evil.example"] {
            for (name, value) in [
                ("accept", "*/*"),
                ("x-forwarded-for", "127.0.0.1"),
                ("forwarded", "for=127.0.0.1;host=127.0.0.1:8001"),
                ("authorization", "Bearer nonsense"),
                ("connection", "x-forwarded-for, via, close"),
            ] {
                let request = server.client().get(proxy.url(address)).header("host", host);
                let answer = request.header(name, value).send()?;
                let what = format!("{address} at {host} with {name}: {value}");
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{what}");
                let body = answer.text()?;
                assert!(body.contains("operators_only") && !body.contains(job), "{what}: {body}");
            }
        }
        assert_eq!(server.operator_get(address)?.status(), StatusCode::OK, "{address}");
    }
    let list = server.operator_get("/api/jobs")?.text()?;
    assert!(list.contains(job), "the operator listener lists the job: {list}");
    Ok(())
}

/// Checks that the proxy forwards each event at once instead of buffering it: the stream of a pending job
/// changes when the running job is cancelled.
fn events_come_as_they_happen(server: &TestServer, proxy: &Proxy, before: &str) -> Result<()> {
    let client = client(None)?;
    let job = accepted(upload(&client, proxy, "progress:1 silent", 64)?)?;
    let stream = client.get(proxy.url(&format!("/api/events/{job}"))).send()?;
    let mut lines = BufReader::new(stream).lines();
    let mut await_state = |state: &str| loop {
        let data = lines.find_map(|line| Some(line.ok()?.strip_prefix("data:")?.to_owned()));
        let event: Value = serde_json::from_str(&data.with_context(|| format!("no {state}"))?)?;
        ensure!(event["job_id"] == job.as_str(), "{event}");
        if event["status"] == state {
            return Ok::<_, anyhow::Error>(());
        }
    };
    await_state("pending")?;
    for (job, state) in [(before, "processing"), (job.as_str(), "cancelled")] {
        let url = proxy.url(&format!("/api/cancel/{job}"));
        assert_eq!(server.client().post(url).send()?.status(), StatusCode::OK);
        await_state(state)?;
    }
    Ok(())
}

fn parts_of_results_are_served(server: &TestServer, proxy: &Proxy) -> Result<()> {
    let job = accepted(upload(&client(None)?, proxy, "ok", 64)?)?;
    server.await_end(&job)?;
    let path = format!("/api/serve/{job}/pose_data.csv");
    let complete = server.get(&path)?.bytes()?;
    let part = server.client().get(proxy.url(&path)).header(RANGE, "bytes=2-5").send()?;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 2-5/{}", complete.len()).as_str());
    assert_eq!(part.bytes()?, complete.slice(2..6));
    Ok(())
}

/// The status of the third job of a remote client that has two jobs; none, which is counted as a skip, where
/// this host has no other address.
fn third_job_of_one_client(proxy: &Proxy) -> Result<Option<StatusCode>> {
    let Some(address) = other_address() else {
        report::skipped("addresses", "limits on one client: no address but loopback here");
        return Ok(None);
    };
    let client = client(Some(address))?;
    for _ in 0..2 {
        accepted(upload(&client, proxy, "silent", 64)?)?;
    }
    Ok(Some(upload(&client, proxy, "silent", 64)?.status()))
}

/// Uses the service through a proxy with its example configuration.
fn check_proxy(setup: Setup) -> Result<()> {
    let server = service()?;
    let Some(proxy) = Proxy::start(setup, &server.url(""))? else { return Ok(()) };
    let near = client(None)?;
    let job = accepted(upload(&near, &proxy, "progress:1 silent", 20 * MIB)?)?;
    operators_are_refused(&server, &proxy, &job)?;
    events_come_as_they_happen(&server, &proxy, &job)?;
    parts_of_results_are_served(&server, &proxy)?;
    if let Some(status) = third_job_of_one_client(&proxy)? {
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "the proxy's client is counted");
        accepted(upload(&near, &proxy, "silent", 64)?).context("another client")?;
    }
    assert!(!server.log().contains(LIMITS_OFF), "{}", server.log());
    Ok(())
}

#[test]
fn nginx_reaches_the_service_and_no_operator_path() -> Result<()> {
    check_proxy(Setup::Nginx)
}

#[test]
fn haproxy_reaches_the_service_and_no_operator_path() -> Result<()> {
    check_proxy(Setup::Haproxy)
}

#[test]
fn caddy_reaches_the_service_and_no_operator_path() -> Result<()> {
    check_proxy(Setup::Caddy)
}

/// Limits on clients depend on the header in the examples; the refusal of operators' paths does not.
#[test]
fn an_unconfigured_nginx_reaches_no_operator_path_and_names_no_client() -> Result<()> {
    let server = service()?;
    let Some(proxy) = Proxy::start(Setup::BareNginx, &server.url(""))? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    assert!(!server.log().contains(LIMITS_OFF), "the warning is logged before an upload");
    let job = server.submit(&fault_video(folder.path(), "progress:1 silent")?)?;
    operators_are_refused(&server, &proxy, &job)?;
    events_come_as_they_happen(&server, &proxy, &job)?;
    if let Some(status) = third_job_of_one_client(&proxy)? {
        assert_eq!(status, StatusCode::ACCEPTED, "no client is counted");
    }
    accepted(upload(&client(None)?, &proxy, "silent", 64)?)?;
    let log = server.log();
    assert_eq!(log.matches(LIMITS_OFF).count(), 1, "{log}");
    assert!(log.contains("peer=127.0.0.1") && log.contains("`trusted_proxies`"), "{log}");
    Ok(())
}
