//! A whole service of its own for one test: its own port, its own state, ended with the test.

use crate::programs;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::blocking::multipart::Form;
use reqwest::blocking::{Client, Response};
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Between two looks at something that is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest wait for anything; far beyond what the slowest machine needs.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running service.
#[derive(Debug)]
pub struct TestServer {
    child: Child,
    base: String,
    client: Client,
    state: TempDir,
}

impl TestServer {
    /// Starts a service with these flags (`--workers`, `1`, ...) and waits until it is ready.
    pub fn start(flags: &[&str]) -> Result<Self> {
        let state = tempfile::tempdir().context("no temporary folder")?;
        // Free a moment ago; that somebody else takes it in between shows as a failure to start.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let log = File::create(state.path().join("log"))?;
        let child = Command::new(programs::path("bodyscript")?)
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--state-dir"])
            .arg(state.path().join("state"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("bodyscript cannot be started")?;
        let client = Client::builder().timeout(PATIENCE).build()?;
        let mut server = Self { child, base: format!("http://127.0.0.1:{port}"), client, state };
        server.await_ready()?;
        Ok(server)
    }

    fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("the service ended with {status}: {}", self.log());
            }
            if self.get("/readyz").is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            sleep(LOOK_EVERY);
        }
        bail!("the service does not become ready: {}", self.log())
    }

    /// Everything the service has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state.path().join("log")).unwrap_or_default()
    }

    /// The service's process.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Where the service keeps its state.
    pub fn state_dir(&self) -> std::path::PathBuf {
        self.state.path().join("state")
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A client for requests this type has no method for.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Result<Response> {
        Ok(self.client.get(self.url(path)).send()?)
    }

    /// `GET` of a JSON document.
    pub fn json(&self, path: &str) -> Result<Value> {
        Ok(self.get(path)?.json()?)
    }

    /// Uploads a video with these form fields.
    pub fn upload(&self, video: &Path, fields: &[(&str, &str)]) -> Result<Response> {
        let mut form = Form::new();
        for (name, value) in fields {
            form = form.text((*name).to_owned(), (*value).to_owned());
        }
        let form = form.file("file", video)?;
        Ok(self.client.post(self.url("/api/upload")).multipart(form).send()?)
    }

    /// Uploads a video that must be accepted; gives the job's id.
    pub fn submit(&self, video: &Path) -> Result<String> {
        let answer = self.upload(video, &[])?;
        let (status, body) = (answer.status(), answer.text()?);
        ensure!(status == 202, "{status}: {body}");
        let accepted: Value = serde_json::from_str(&body)?;
        Ok(accepted["job_id"].as_str().context("no job id")?.to_owned())
    }

    /// The status of a job.
    pub fn status(&self, id: &str) -> Result<Value> {
        self.json(&format!("/api/status/{id}"))
    }

    /// Waits until the status of a job is as wished.
    pub fn await_status(&self, id: &str, wished: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status(id)?;
            if wished(&status) {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "still {status}; log: {}", self.log());
            sleep(LOOK_EVERY);
        }
    }

    /// Waits until a job is over.
    pub fn await_end(&self, id: &str) -> Result<Value> {
        self.await_status(id, |status| !status["completed_at"].is_null())
    }

    /// Asks the service to stop and waits for its end.
    pub fn stop(mut self) -> Result<String> {
        self.signal(Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the service ended with {status}: {}", self.log());
        Ok(self.log())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.pid()), signal)?)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.signal(Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}
