//! A running service for one test, with its own port and state. It is stopped at the end of the test, which
//! fails if processes, cgroups or files are left.

use crate::{leftovers, programs};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::blocking::multipart::Form;
use reqwest::blocking::{Client, Response};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Between two checks of a condition that is awaited.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Longest wait for anything; far beyond what the slowest machine needs.
const WAIT_MAX: Duration = Duration::from_secs(180);
/// The variable that names the point at which a service dies.
pub const DIE_AT_FAILPOINT: &str = "DIE_AT_FAILPOINT";

/// A running service.
#[derive(Debug)]
pub struct TestServer {
    child: Child,
    base: String,
    /// Length of the log when this service started.
    log_before: u64,
    /// The address of the operator listener, once it is known; none if it is off.
    operators: OnceLock<Option<String>>,
    client: Client,
    folder: Arc<TempDir>,
}

impl TestServer {
    /// Starts a service with these flags (`--workers`, `1`, ...) and waits until it is ready.
    pub fn start(flags: &[&str]) -> Result<Self> {
        Self::start_in(Arc::new(tempfile::tempdir().context("no temporary folder")?), flags)
    }

    /// As [`TestServer::start`], with what an earlier service has left in its folder.
    pub fn start_in(folder: Arc<TempDir>, flags: &[&str]) -> Result<Self> {
        // The port was free a moment ago; if another process takes it, the start fails.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        Self::start_at([port, 0], folder, flags)
    }

    /// As [`TestServer::start_in`], but without waiting: the service may exit before it is ready, at
    /// this failpoint if there is one.
    pub fn launch(folder: Arc<TempDir>, flags: &[&str], failpoint: Option<&str>) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let failpoint = failpoint.map(|name| (DIE_AT_FAILPOINT, name));
        let program = programs::path("bodyscript")?;
        Self::launch_program(&program, ([port, 0], folder), flags, failpoint.as_slice())
    }

    /// As [`TestServer::start_in`], on these ports: the public one and the operators'.
    pub fn start_at(ports: [u16; 2], folder: Arc<TempDir>, flags: &[&str]) -> Result<Self> {
        Self::start_program(&programs::path("bodyscript")?, (ports, folder), flags, &[])
    }

    /// As [`TestServer::start_at`], with this program, which may be of another version, and these variables.
    pub fn start_program(
        program: &Path,
        (ports, folder): ([u16; 2], Arc<TempDir>),
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let mut server = Self::launch_program(program, (ports, folder), flags, variables)?;
        server.await_ready()?;
        Ok(server)
    }

    /// On these ports: the public one and the operators', which may be 0. A flag of the test
    /// overrides the latter.
    fn launch_program(
        program: &Path,
        ([port, operators], folder): ([u16; 2], Arc<TempDir>),
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        leftovers::become_subreaper()?;
        let log = File::options().create(true).append(true).open(folder.path().join("log"))?;
        let log_before = log.metadata()?.len();
        let temporary = folder.path().join("tmp");
        std::fs::create_dir_all(&temporary)?;
        let own = ["--operator-listen".to_owned(), format!("127.0.0.1:{operators}")];
        let own = if flags.contains(&"--operator-listen") { &[][..] } else { &own[..] };
        let child = Command::new(program)
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--state-dir"])
            .arg(folder.path().join("state"))
            .args(own)
            .args(flags)
            .env("TMPDIR", temporary)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("bodyscript cannot be started")?;
        let client = Client::builder().timeout(WAIT_MAX).build()?;
        let base = format!("http://127.0.0.1:{port}");
        let is_off = flags.windows(2).any(|flag| flag == ["--operator-listen", "off"]);
        let operators = if is_off { OnceLock::from(None) } else { OnceLock::new() };
        Ok(Self { child, base, log_before, operators, client, folder })
    }

    fn await_ready(&mut self) -> Result<()> {
        let is_ready = self.ready_or_exited()?;
        ensure!(is_ready, "the service ended with {:?}: {}", self.child.try_wait()?, self.log());
        Ok(())
    }

    /// Waits until the service is ready or has exited; gives whether it is ready.
    pub fn ready_or_exited(&mut self) -> Result<bool> {
        let deadline = Instant::now() + WAIT_MAX;
        while Instant::now() < deadline {
            if self.get("/readyz").is_ok_and(|answer| answer.status().is_success()) {
                return Ok(true);
            }
            if self.is_over()? {
                return Ok(false);
            }
            sleep(POLL_INTERVAL / 5);
        }
        bail!("the service neither becomes ready nor exits: {}", self.log())
    }

    /// Whether the service has ended.
    pub fn is_over(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The exit status of a service that has ended by itself.
    pub fn exit_code(&mut self) -> Result<Option<i32>> {
        Ok(self.child.try_wait()?.and_then(|status| status.code()))
    }

    /// Everything the service has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The service's process.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Where the service keeps its state.
    pub fn state_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address of a path on the operator listener, which the service logs.
    pub fn operator_url(&self, path: &str) -> Result<String> {
        if self.operators.get().is_none() {
            let _ = self.operators.set(Some(self.await_operators()?));
        }
        let base = self.operators.get().and_then(Option::as_ref);
        Ok(format!("{}{path}", base.context("the operators' listener is off")?))
    }

    fn await_operators(&self) -> Result<String> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let log = self.log();
            let own = log.get(self.log_before as usize..).unwrap_or_default();
            let mut lines = own.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) = lines.find(|line| line.contains("listening for operators")) {
                let mut words = line.split([' ', '"', '=', '\n']);
                let address = words.find_map(|word| word.parse::<SocketAddr>().ok());
                return Ok(format!("http://127.0.0.1:{}", address.context("an address")?.port()));
            }
            let may_come = leftovers::is_alive(self.pid()) && Instant::now() < deadline;
            ensure!(may_come, "no operators' listener: {log}");
            sleep(POLL_INTERVAL);
        }
    }

    /// The ports on which it listens: the public one and the operators'.
    pub fn ports(&self) -> Result<[u16; 2]> {
        Ok([port(&self.base)?, port(&self.operator_url("")?)?])
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

    /// `GET` on the operator listener.
    pub fn operator_get(&self, path: &str) -> Result<Response> {
        Ok(self.client.get(self.operator_url(path)?).send()?)
    }

    /// `GET` of a JSON document on the operator listener.
    pub fn operator_json(&self, path: &str) -> Result<Value> {
        Ok(self.operator_get(path)?.json()?)
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

    /// Waits until the log contains this text.
    pub fn await_log(&self, words: &str) -> Result<()> {
        let deadline = Instant::now() + WAIT_MAX;
        while !self.log().contains(words) {
            ensure!(Instant::now() < deadline, "no `{words}` in the log: {}", self.log());
            sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Waits until the status of a job matches.
    pub fn await_status(&self, id: &str, is_expected: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let status = self.status(id)?;
            if is_expected(&status) {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "still {status}; log: {}", self.log());
            sleep(POLL_INTERVAL);
        }
    }

    /// The list of all jobs, from all its pages.
    pub fn jobs(&self) -> Result<Value> {
        let mut all = self.operator_json("/api/jobs")?;
        while let Some(next) = all["next"].as_str().map(str::to_owned) {
            let mut page = self.operator_json(&next)?;
            let jobs = page["jobs"].as_array_mut().context("jobs")?;
            all["jobs"].as_array_mut().context("jobs")?.append(jobs);
            all["next"] = page["next"].take();
        }
        Ok(all)
    }

    /// Waits until a job has ended.
    pub fn await_end(&self, id: &str) -> Result<Value> {
        self.await_status(id, |status| !status["completed_at"].is_null())
    }

    /// Asks the service to stop, waits for its exit and checks that nothing is left; gives the log.
    pub fn stop(mut self) -> Result<String> {
        let left = self.allowed_leftovers();
        self.signal(Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the service ended with {status}: {}", self.log());
        self.check_leftovers(left)?;
        Ok(self.log())
    }

    /// Kills the service with SIGKILL; gives its folder, in which the next can start.
    pub fn kill(mut self) -> Result<Arc<TempDir>> {
        self.signal(Signal::SIGKILL)?;
        self.child.wait()?;
        Ok(Arc::clone(&self.folder))
    }

    /// Kills the service with SIGKILL and starts it again at the same addresses.
    pub fn restart(self, flags: &[&str]) -> Result<Self> {
        self.restart_after(flags, || Ok(()))
    }

    /// As [`TestServer::restart`], with an action while no service runs.
    pub fn restart_after(self, flags: &[&str], pause: impl FnOnce() -> Result<()>) -> Result<Self> {
        let ports = self.ports()?;
        let folder = self.kill()?;
        pause()?;
        Self::start_at(ports, folder, flags)
    }

    /// Waits for the exit of a service that was asked to stop, which must succeed; gives its folder, in
    /// which the next can start.
    pub fn ended(mut self) -> Result<Arc<TempDir>> {
        let status = self.child.wait()?;
        ensure!(status.success(), "the service ended with {status}: {}", self.log());
        Ok(Arc::clone(&self.folder))
    }

    /// Sends the service a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.pid()), signal)?)
    }

    /// The names that may be in `spool` and in `jobs`: of unfinished jobs, and the videos of failed
    /// ones. None if the service does not respond.
    fn allowed_leftovers(&self) -> Option<[(&'static str, BTreeSet<String>); 2]> {
        let list = self.jobs().ok()?;
        let jobs = list["jobs"].as_array()?;
        let ids = |matches: fn(&Value) -> bool| {
            let jobs = jobs.iter().filter(|job| matches(job));
            jobs.filter_map(|job| Some(job["job_id"].as_str()?.to_owned())).collect()
        };
        let unfinished: fn(&Value) -> bool = |job| job["completed_at"].is_null();
        Some([
            ("spool", ids(|job| job["completed_at"].is_null() || job["status"] == "failed")),
            ("jobs", ids(unfinished)),
        ])
    }

    /// After the exit: no process, no cgroup, no temporary file, and no upload or attempt of a job that has
    /// ended (except the video of a failed one).
    fn check_leftovers(
        &self,
        allowed_leftovers: Option<[(&str, BTreeSet<String>); 2]>,
    ) -> Result<()> {
        let deadline = Instant::now() + WAIT_MAX;
        // Workers of another test's killed service are children of this process until they exit.
        while !leftovers::orphans().is_empty() {
            ensure!(Instant::now() < deadline, "processes are left: {:?}", leftovers::orphans());
            sleep(POLL_INTERVAL);
        }
        let groups = leftovers::cgroups_of(self.pid());
        ensure!(groups.is_empty(), "cgroups are left: {groups:?}; log: {}", self.log());
        let temporary = names_in(&self.folder.path().join("tmp"))?;
        ensure!(temporary.is_empty(), "temporary files are left: {temporary:?}");
        for (place, allowed_leftovers) in allowed_leftovers.into_iter().flatten() {
            let mut left = names_in(&self.state_dir().join(place))?;
            left.retain(|name| !allowed_leftovers.contains(name));
            ensure!(left.is_empty(), "left in {place}: {left:?}; log: {}", self.log());
        }
        Ok(())
    }
}

fn port(base: &str) -> Result<u16> {
    base.rsplit(':').next().and_then(|port| port.parse().ok()).context("a port")
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let names = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name()));
    names.map(|name| Ok(name?.to_string_lossy().into_owned())).collect()
}

impl Drop for TestServer {
    /// Stops a service that the test has not stopped, and checks what is left unless the test failed.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let left = self.allowed_leftovers();
        // The first signal lets jobs finish, the second ends them; two sent at once would be merged.
        while matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.signal(Signal::SIGTERM);
            sleep(POLL_INTERVAL);
        }
        if !std::thread::panicking() {
            self.check_leftovers(left).expect("nothing is left of a service");
        }
    }
}
