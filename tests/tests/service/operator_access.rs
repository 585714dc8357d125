//! Access to the operators' paths: without a token on the operator listener, only with one on the public
//! listener.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::ctl::{ctl, ctl_json};
use bodyscript_tests::leftovers::is_alive;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::programs;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker, start_fault_service};
use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

const ADDRESSES: [&str; 6] =
    ["/api/jobs", "/monitor", "/api/monitor", "/metrics", "/api/metrics", "/health/memory"];

/// Paths that are public on both listeners.
const PUBLIC: [&str; 6] = ["/livez", "/readyz", "/health", "/", "/api", "/openapi.json"];

const TOKEN: &str = "correct-horse-battery";

/// Hosts that a request may name.
const HOSTS: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "127.0.0.1:8000",
    "127.0.0.1:8001",
    "[::1]",
    "evil.example",
    "operators.localhost",
];

/// Headers that proxies, browsers and attackers may send.
const HEADERS: [&[(&str, &str)]; 8] = [
    &[],
    &[("x-forwarded-for", "127.0.0.1")],
    &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")],
    &[("forwarded", "for=127.0.0.1;host=localhost")],
    &[("x-forwarded-host", "127.0.0.1:8001"), ("x-real-ip", "127.0.0.1")],
    &[("via", "1.1 localhost"), ("connection", "close")],
    &[("authorization", "Bearer nonsense"), ("origin", "http://127.0.0.1:8001")],
    &[("sec-fetch-site", "same-origin"), ("referer", "http://127.0.0.1:8001/monitor")],
];

/// `GET`, with these headers.
fn ask(server: &TestServer, url: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let request = server.client().get(url);
    Ok(headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .send()?)
}

fn token_file(folder: &Path) -> Result<String> {
    let path = folder.join("token");
    fs::write(&path, format!("{TOKEN}\n"))?;
    Ok(path.to_str().context("a plain path")?.to_owned())
}

/// The output of a start that must be refused.
fn refused(folder: &Path, flags: &[&str]) -> Result<String> {
    let path = folder.join("log");
    let log = File::create(&path)?;
    let mut service = Command::new(programs::path("bodyscript")?)
        .args(["serve", "--state-dir"])
        .arg(folder.join("state"))
        .args(flags)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let pid = service.id() as i32;
    let is_over = wait_until("the start is refused", || Ok(!is_alive(pid)));
    service.kill()?;
    let status = service.wait()?;
    let text = fs::read_to_string(&path)?;
    is_over.context(text.clone())?;
    ensure!(status.code() == Some(2), "{flags:?}: {status}: {text}");
    Ok(text)
}

#[test]
fn no_request_header_opens_operator_paths_on_the_public_listener() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start_fault_service(&[])?;
    let job = server.submit(&fault_video(folder.path(), "ok")?)?;
    server.await_end(&job)?;
    for address in ADDRESSES {
        for host in HOSTS {
            for others in HEADERS {
                let headers = [&[(HOST.as_str(), host)], others].concat();
                let answer = ask(&server, &server.url(address), &headers)?;
                let what = format!("{address} with {headers:?}");
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{what}");
                let body = answer.text()?;
                assert!(!body.contains(&job), "{what}");
                let problem: Value = serde_json::from_str(&body)?;
                assert_eq!(problem["code"], "operators_only", "{what}");
                let detail = problem["detail"].as_str().context("a detail")?;
                assert!(detail.contains("`operator_listen`"), "{detail}");
                assert!(detail.contains("`token_file`"), "{detail}");
            }
        }
        assert_eq!(server.operator_get(address)?.status(), StatusCode::OK, "{address}");
    }
    let list = server.operator_json("/api/jobs")?;
    assert_eq!(list["jobs"][0]["job_id"], job.as_str(), "operators see the job");
    for address in PUBLIC {
        assert_eq!(server.get(address)?.status(), StatusCode::OK, "{address}");
        assert_eq!(server.operator_get(address)?.status(), StatusCode::OK, "{address}");
    }
    Ok(())
}

#[test]
fn the_operator_listener_serves_this_host_and_no_proxied_requests() -> Result<()> {
    let server = start_fault_service(&[])?;
    for address in ADDRESSES {
        let url = server.operator_url(address)?;
        let status = |headers: &[(&str, &str)]| {
            Ok::<_, anyhow::Error>(ask(&server, &url, headers)?.status())
        };
        for here in ["localhost", "127.0.0.1:8001", "[::1]", "operators.localhost"] {
            assert_eq!(status(&[("host", here)])?, StatusCode::OK, "{address} as {here}");
        }
        // A page whose own name was made to resolve to 127.0.0.1.
        for name in ["evil.example", "evil.example:8001", "localhost.evil.example", "192.0.2.1"] {
            assert_eq!(status(&[("host", name)])?, StatusCode::FORBIDDEN, "{address} as {name}");
        }
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1"),
            ("x-forwarded-host", "localhost"),
            ("x-forwarded-proto", "http"),
            ("x-real-ip", "127.0.0.1"),
            ("via", "1.1 proxy"),
        ] {
            assert_eq!(status(&[(name, value)])?, StatusCode::FORBIDDEN, "{address} with {name}");
        }
        let nonsense = [(AUTHORIZATION.as_str(), "Bearer nonsense")];
        assert_eq!(status(&nonsense)?, StatusCode::OK, "{address}: no token is asked for");
    }
    Ok(())
}

#[test]
fn the_token_works_on_both_listeners_and_loopback_needs_none() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start_fault_service(&["--token-file", &token_file(folder.path())?])?;
    for address in ADDRESSES {
        let url = server.url(address);
        let shut = server.get(address)?;
        assert_eq!(shut.status(), StatusCode::UNAUTHORIZED, "{address}");
        assert_eq!(shut.headers().get_all(WWW_AUTHENTICATE).iter().count(), 2, "{address}");
        let wrong = server.client().get(&url).bearer_auth("correct-horse").send()?;
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED, "{address}");
        let open = server.client().get(&url).bearer_auth(TOKEN).send()?;
        assert_eq!(open.status(), StatusCode::OK, "{address}");
        let proxied = server.client().get(&url).header("x-forwarded-for", "203.0.113.9");
        let open = proxied.basic_auth("me", Some(TOKEN)).send()?;
        assert_eq!(open.status(), StatusCode::OK, "{address}");

        assert_eq!(server.operator_get(address)?.status(), StatusCode::OK, "{address}");
        let url = server.operator_url(address)?;
        let named = ask(&server, &url, &[("host", "evil.example")])?;
        assert_eq!(named.status(), StatusCode::UNAUTHORIZED, "{address}");
        let request = server.client().get(&url).header("x-forwarded-for", "203.0.113.9");
        let open = request.bearer_auth(TOKEN).send()?;
        assert_eq!(open.status(), StatusCode::OK, "{address}: through a proxy, with the token");
    }
    assert_eq!(server.get("/health")?.status(), StatusCode::OK, "a public path");
    assert!(!server.log().contains("correct-horse"), "the token is in the log");
    Ok(())
}

#[test]
fn off_loopback_the_operator_listener_requires_a_token() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let beyond = ["--listen", "127.0.0.1:0", "--operator-listen", "0.0.0.0:0"];
    let text = refused(folder.path(), &beyond)?;
    assert!(text.contains("`operator_listen`") && text.contains("`token_file`"), "{text}");
    let check = |flags: &[&str]| {
        let mut bodyscript = Command::new(programs::path("bodyscript")?);
        let output = bodyscript.args(["config", "check"]).args(flags).output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok::<_, anyhow::Error>((output.status.success(), text))
    };
    let (is_sound, text) = check(&beyond)?;
    assert!(!is_sound && text.contains("`operator_listen`"), "{text}");
    let token = token_file(folder.path())?;
    let (is_sound, text) = check(&[&beyond[..], &["--token-file", &token]].concat())?;
    assert!(is_sound, "{text}");
    let server = start_fault_service(&["--operator-listen", "0.0.0.0:0", "--token-file", &token])?;
    let reported = ctl_json(&server.state_dir(), &["status"])?;
    let reported = reported["operator_listen"].as_str().context("an address")?;
    let port = reported.strip_prefix("0.0.0.0:").context("any address")?;
    for address in ADDRESSES {
        let url = format!("http://127.0.0.1:{port}{address}");
        assert_eq!(ask(&server, &url, &[])?.status(), StatusCode::UNAUTHORIZED, "{address}");
        let open = server.client().get(&url).bearer_auth(TOKEN).send()?;
        assert_eq!(open.status(), StatusCode::OK, "{address}");
    }
    Ok(())
}

#[test]
fn a_failed_bind_names_the_address() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let taken = taken.local_addr().map(|address| (taken, address.to_string()))?;
    let text = refused(folder.path(), &["--listen", "127.0.0.1:0", "--operator-listen", &taken.1])?;
    assert!(text.contains("`operator_listen`") && text.contains(&taken.1), "{text}");
    let text = refused(folder.path(), &["--listen", &taken.1, "--operator-listen", "off"])?;
    assert!(text.contains("`listen`: cannot listen on"), "{text}");
    let text = refused(folder.path(), &["--listen", &taken.1, "--operator-listen", &taken.1])?;
    assert!(text.contains("`operator_listen` is") && text.contains("`listen`"), "{text}");
    Ok(())
}

#[test]
fn the_operator_address_is_in_the_log_and_in_ctl_status() -> Result<()> {
    let server = start_fault_service(&[])?;
    let address = server.operator_url("")?.replace("http://", "");
    assert!(!address.ends_with(":0"), "{address}");
    let log = server.log();
    assert_eq!(log.matches("listening for operators").count(), 1, "{log}");
    let reported = ctl_json(&server.state_dir(), &["status"])?;
    assert_eq!(reported["operator_listen"], address.as_str());
    assert_eq!(reported["listen"], server.url("").replace("http://", ""));
    let words = String::from_utf8(ctl(&server.state_dir(), &["status"]).output()?.stdout)?;
    assert!(words.contains(&format!("operator listener on {address}.")), "{words}");
    Ok(())
}

#[test]
fn without_an_operator_listener_only_the_token_grants_access() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("bodyscript.toml");
    fs::write(&config, "")?;
    let [flag, program] = fault_worker()?;
    let config_flag = config.to_str().context("a plain path")?;
    let off = ["--operator-listen", "off", "--config", config_flag, &flag, &program];
    let mut server = TestServer::launch(std::sync::Arc::new(tempfile::tempdir()?), &off, None)?;
    ensure!(server.ready_or_exited()?, "{}", server.log());
    assert!(server.log().contains("`token_file` is not set"), "{}", server.log());
    assert_eq!(ctl_json(&server.state_dir(), &["status"])?["operator_listen"], Value::Null);
    for address in ADDRESSES {
        assert_eq!(server.get(address)?.status(), StatusCode::FORBIDDEN, "{address}");
    }
    // A reload applies the token but not the addresses.
    let token = token_file(folder.path())?;
    fs::write(&config, format!("token_file = \"{token}\"\nlisten = \"127.0.0.1:9\""))?;
    let reloaded = ctl_json(&server.state_dir(), &["reload"])?;
    assert_eq!(reloaded["applied"], serde_json::json!(["token_file"]));
    wait_until("the token is accepted", || {
        let open = server.client().get(server.url("/api/jobs")).bearer_auth(TOKEN).send()?;
        Ok(open.status() == StatusCode::OK)
    })?;
    Ok(())
}
