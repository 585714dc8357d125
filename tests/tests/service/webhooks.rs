//! Webhooks: signed, retried until accepted, kept over a restart, and sent to private addresses only if the
//! operator allows them.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bodyscript_tests::programs;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const SECRET: &[u8] = b"a secret of more than 24 bytes";

/// A received webhook.
pub(crate) struct Webhook {
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Webhook {
    pub(crate) fn json(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// Whether it is signed with the secret.
    pub(crate) fn is_signed(&self) -> Result<bool> {
        self.is_signed_with(SECRET)
    }

    fn is_signed_with(&self, secret: &[u8]) -> Result<bool> {
        let header = |name: &str| self.headers.get(name).with_context(|| format!("no {name}"));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret)?;
        mac.update(header("webhook-id")?.as_bytes());
        mac.update(b".");
        mac.update(header("webhook-timestamp")?.as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        Ok(header("webhook-signature")?.split(' ').any(|signature| signature == expected))
    }
}

/// A listener for webhooks, and its address.
pub(crate) fn listen() -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("http://localhost:{}/webhook?by=post", listener.local_addr()?.port());
    Ok((listener, url))
}

/// Receives the next webhook and responds with this status.
pub(crate) fn receive(listener: &TcpListener, status: &str) -> Result<Webhook> {
    let (stream, _) = listener.accept()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    ensure!(line.starts_with("POST /webhook?by=post HTTP/1.1"), "{line}");
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").context("a length")?.parse()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    write!(reader.get_mut(), "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")?;
    Ok(Webhook { headers, body })
}

fn secret(folder: &TempDir) -> Result<PathBuf> {
    let path = folder.path().join("secret");
    std::fs::write(&path, SECRET)?;
    Ok(path)
}

/// Flags of a service that may send webhooks to this host.
pub(crate) fn flags(folder: &TempDir) -> Result<Vec<String>> {
    let [flag, program] = fault_worker()?;
    let secret = secret(folder)?.to_string_lossy().into_owned();
    let networks = ["--webhook-networks".into(), "127.0.0.0/8,::1".into()];
    Ok([flag, program, "--webhook-secret-file".into(), secret]
        .into_iter()
        .chain(networks)
        .collect())
}

fn start(flags: &[String]) -> Result<TestServer> {
    TestServer::start(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(crate) fn submit(
    server: &TestServer,
    folder: &TempDir,
    words: &str,
    url: &str,
) -> Result<String> {
    let video = fault_video(folder.path(), words)?;
    let answer = server.upload(&video, &[("webhook_url", url)])?;
    let (status, answer) = (answer.status(), answer.json::<Value>()?);
    ensure!(status == 202, "{answer}");
    Ok(answer["job_id"].as_str().context("an id")?.to_owned())
}

/// The number of undelivered webhooks.
fn undelivered(server: &TestServer) -> Result<usize> {
    Ok(std::fs::read_dir(server.state_dir().join("webhooks"))?.count())
}

#[test]
fn a_webhook_is_signed_and_retried_until_accepted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(&flags(&folder)?)?;
    let (listener, url) = listen()?;
    let failed = submit(&server, &folder, "bad-input", &url)?;
    let first = receive(&listener, "500 Internal Server Error")?;
    assert!(first.is_signed()?, "{:?}", first.headers);
    let reported = first.json()?;
    assert_eq!(
        (&reported["type"], &reported["data"]["job_id"]),
        (&"job.failed".into(), &failed.as_str().into())
    );
    assert_eq!(reported["data"]["error_code"], "not_a_video");
    assert_eq!(first.headers["content-type"], "application/json");

    let again = receive(&listener, "204 No Content")?;
    assert!(again.is_signed()?);
    assert_eq!(again.headers["webhook-id"], first.headers["webhook-id"]);
    let mut forged = again;
    forged.body.push(b' ');
    assert!(!forged.is_signed()?, "the signature of another body is accepted");

    let done = submit(&server, &folder, "ok", &url)?;
    let reported = receive(&listener, "200 OK")?.json()?;
    assert_eq!(
        (&reported["type"], &reported["data"]["job_id"]),
        (&"job.completed".into(), &done.as_str().into())
    );
    assert!(reported["data"]["urls"]["csv"].is_string(), "{reported}");
    while undelivered(&server)? > 0 {
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn pending_webhooks_survive_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flags = flags(&folder)?;
    let server = start(&flags)?;
    // No listener there yet.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}/webhook?by=post");
    let job = submit(&server, &folder, "ok", &url)?;
    server.await_end(&job)?;
    let mut listener = None;
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let unfinished = server.state_dir().join("webhooks").join(format!("{job}.json.new"));
    let server = server.restart_after(&flags, || {
        // As a crash during a write leaves it.
        std::fs::write(&unfinished, "{")?;
        listener = Some(TcpListener::bind(("127.0.0.1", port))?);
        Ok(())
    })?;
    let webhook = receive(&listener.context("a listener")?, "200 OK")?;
    assert!(webhook.is_signed()?);
    assert_eq!(webhook.json()?["data"]["job_id"], job.as_str());
    while undelivered(&server)? > 0 {
        std::thread::yield_now();
    }
    Ok(())
}

/// Reloads the configuration; gives the message if it is refused.
fn reload(server: &TestServer) -> Result<Option<String>> {
    let mut ctl = Command::new(programs::path("bodyscript")?);
    let output = ctl.args(["ctl", "reload", "--state-dir"]).arg(server.state_dir()).output()?;
    let refusal = String::from_utf8(output.stderr)?;
    Ok((!output.status.success()).then_some(refusal))
}

#[test]
fn a_reload_changes_the_webhook_secret_and_allowed_networks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [flag, program] = fault_worker()?;
    let (secret, config) = (secret(&folder)?, folder.path().join("bodyscript.toml"));
    let key = format!("webhook_secret_file = {secret:?}\n");
    std::fs::write(&config, &key)?;
    let path = config.to_str().context("a plain path")?;
    let server = TestServer::start(&[&flag, &program, "--config", path])?;
    let (listener, url) = listen()?;
    let job = submit(&server, &folder, "ok", &url)?;
    server.await_log("is not public")?;

    let fresh = b"another secret of 24 bytes and more";
    std::fs::write(&secret, fresh)?;
    std::fs::write(&config, format!("{key}webhook_networks = [\"127.0.0.0/8\", \"::1\"]\n"))?;
    assert_eq!(reload(&server)?, None);
    let webhook = receive(&listener, "200 OK")?;
    assert_eq!(webhook.json()?["data"]["job_id"], job.as_str(), "the pending webhook is delivered");
    assert!(webhook.is_signed_with(fresh)? && !webhook.is_signed()?);

    std::fs::write(&secret, "short")?;
    let refusal = reload(&server)?.context("a bad secret is accepted")?;
    assert!(refusal.contains("`webhook_secret_file`") && refusal.contains("24"), "{refusal}");
    assert_eq!(server.json("/health")?["reload_refused"], true);
    submit(&server, &folder, "ok", &url)?;
    assert!(receive(&listener, "200 OK")?.is_signed_with(fresh)?, "the old secret stays in use");

    std::fs::write(&secret, [fresh.as_slice(), SECRET].join(&b'\n'))?;
    assert_eq!(reload(&server)?, None);
    submit(&server, &folder, "ok", &url)?;
    let webhook = receive(&listener, "200 OK")?;
    assert!(webhook.is_signed_with(fresh)? && webhook.is_signed()?, "{:?}", webhook.headers);

    std::fs::write(&config, "")?;
    assert_eq!(reload(&server)?, None);
    let video = fault_video(folder.path(), "ok")?;
    let refused = server.upload(&video, &[("webhook_url", &url)])?;
    assert_eq!(refused.json::<Value>()?["code"], "webhooks_off");
    Ok(())
}

#[test]
fn pending_webhooks_wait_while_webhooks_are_off() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [flag, program] = fault_worker()?;
    let (secret, config) = (secret(&folder)?, folder.path().join("bodyscript.toml"));
    let on = format!(
        "webhook_secret_file = {secret:?}\nwebhook_networks = [\"127.0.0.0/8\", \"::1\"]\n"
    );
    std::fs::write(&config, &on)?;
    let path = config.to_str().context("a plain path")?;
    let server = TestServer::start(&[&flag, &program, "--config", path])?;
    let (listener, url) = listen()?;
    let job = submit(&server, &folder, "progress:1 sleep:1000 ok", &url)?;
    std::fs::write(&config, "")?;
    assert_eq!(reload(&server)?, None);
    server.await_end(&job)?;
    listener.set_nonblocking(true)?;
    let connection = listener.accept().map_err(|error| error.kind());
    assert!(matches!(connection, Err(std::io::ErrorKind::WouldBlock)), "{connection:?}");
    assert_eq!(undelivered(&server)?, 1);

    listener.set_nonblocking(false)?;
    std::fs::write(&config, &on)?;
    assert_eq!(reload(&server)?, None);
    assert!(receive(&listener, "200 OK")?.is_signed()?);
    Ok(())
}

#[test]
fn private_addresses_and_unconfigured_webhooks_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [flag, program] = fault_worker()?;
    let secret = secret(&folder)?.to_string_lossy().into_owned();
    let without_networks =
        start(&[flag.clone(), program.clone(), "--webhook-secret-file".into(), secret])?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let video = fault_video(folder.path(), "ok")?;
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "2130706433", "0x7f.1"] {
        let url = format!("https://{host}:{port}/");
        let refused = without_networks.upload(&video, &[("webhook_url", &url)])?;
        assert_eq!(refused.json::<Value>()?["code"], "webhook_address", "{url}");
    }
    assert_eq!(without_networks.operator_json("/api/jobs")?["total"], 0);
    // What a name means is known when the webhook is sent.
    let job = submit(&without_networks, &folder, "ok", &format!("https://localhost:{port}/"))?;
    let is_reported = |line: &str| line.contains(&job) && line.contains("is not public");
    while !without_networks.log().lines().any(is_reported) {
        std::thread::yield_now();
    }
    let connection = listener.accept().map_err(|error| error.kind());
    assert!(matches!(connection, Err(std::io::ErrorKind::WouldBlock)), "{connection:?}");
    let too_long = format!("https://a.example/{}", "p".repeat(2048));
    for url in ["ftp://a/", too_long.as_str()] {
        let wrong: Value = without_networks.upload(&video, &[("webhook_url", url)])?.json()?;
        assert_eq!(wrong["code"], "invalid_field", "{wrong}");
        let detail = wrong["detail"].as_str().context("a detail")?;
        assert!(detail.contains("2048 bytes"), "{detail}");
    }

    let without = start(&[flag, program])?;
    let refused = without.upload(&video, &[("webhook_url", "https://example.org/")])?;
    assert_eq!(refused.json::<Value>()?["code"], "webhooks_off");
    assert_eq!(without.operator_json("/api/jobs")?["total"], 0);
    Ok(())
}
