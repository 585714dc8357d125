//! The interface to a service manager: inherited sockets, readiness, watchdog, reload and stop
//! (sd_listen_fds(3), sd_notify(3)). The test acts as the manager.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::STOP_DELAY;
use bodyscript_tests::ctl::ctl_json;
use bodyscript_tests::database::Database;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::{leftovers, programs};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::StatusCode;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for a notification; far beyond what the slowest machine needs.
const WAIT_MAX: Duration = Duration::from_secs(180);

struct Manager {
    service: Child,
    notifications: UnixDatagram,
    /// The address of each socket that was passed.
    addresses: Vec<SocketAddr>,
    /// Their names in `/proc/self/fd`.
    sockets: Vec<PathBuf>,
    folder: TempDir,
}

impl Manager {
    /// Starts the service with up to two sockets that are open already, one for each name.
    fn start(names: &[&str], flags: &[&str]) -> Result<Self> {
        leftovers::become_subreaper()?;
        let folder = tempfile::tempdir()?;
        let notify = folder.path().join("notify");
        let notifications = UnixDatagram::bind(&notify)?;
        notifications.set_read_timeout(Some(WAIT_MAX))?;
        let mut listeners = Vec::new();
        for _ in names {
            listeners.push(TcpListener::bind(("127.0.0.1", 0))?);
        }
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let link = |listener: &TcpListener| {
            fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd()))
        };
        let sockets = listeners.iter().map(link).collect::<Result<_, _>>()?;
        let mut passed = listeners.into_iter().map(|socket| Stdio::from(OwnedFd::from(socket)));
        // The shell moves the sockets to the agreed descriptors and knows its process id.
        let script =
            "exec 3<&0 4<&1 </dev/null >&2; LISTEN_PID=$$ WATCHDOG_PID=$$ exec \"$0\" \"$@\"";
        let service = Command::new("sh")
            .args(["-c", script])
            .arg(programs::path("bodyscript")?)
            .args(["serve", "--state-dir"])
            .arg(folder.path().join("state"))
            .args(["--listen", "192.0.2.1:1"])
            .args(flags)
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            .env("NOTIFY_SOCKET", &notify)
            .env("WATCHDOG_USEC", "600000000")
            .stdin(passed.next().unwrap_or_else(Stdio::null))
            .stdout(passed.next().unwrap_or_else(Stdio::null))
            .stderr(File::create(folder.path().join("log"))?)
            .spawn()?;
        Ok(Self { service, notifications, addresses, sockets, folder })
    }

    /// The status of a request to one of the sockets.
    fn status(&self, socket: usize, path: &str) -> Result<StatusCode> {
        let url = format!("http://{}{path}", self.addresses[socket]);
        Ok(reqwest::blocking::get(url)?.status())
    }

    /// Which of the sockets a process has open.
    fn open_in(&self, process: i32) -> Result<Vec<bool>> {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"))?.flatten();
        let links: Vec<_> = descriptors.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
        Ok(self.sockets.iter().map(|socket| links.contains(socket)).collect())
    }

    /// The log of a start that must be refused.
    fn refusal(mut self) -> Result<String> {
        let service = self.service.id() as i32;
        wait_until("the start is refused", || Ok(!leftovers::is_alive(service)))?;
        let status = self.service.wait()?;
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        ensure!(status.code() == Some(2), "{status}: {log}");
        Ok(log)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.service.id() as i32), signal)?)
    }

    /// Waits for a notification; gives all lines up to it.
    fn await_notification(&self, expected: &str) -> Result<Vec<String>> {
        let mut received = Vec::new();
        loop {
            let mut text = [0; 4096];
            let length = self
                .notifications
                .recv(&mut text)
                .with_context(|| format!("{expected}: {received:?}"))?;
            received.extend(String::from_utf8_lossy(&text[..length]).lines().map(str::to_owned));
            if received.iter().any(|line| line == expected) {
                return Ok(received);
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

#[test]
fn the_service_manager_gets_all_notifications() -> Result<()> {
    let mut manager = Manager::start(&["unknown"], &["--operator-listen", "127.0.0.1:0"])?;
    // A request before the service accepts connections waits in the socket's backlog.
    let mut early = TcpStream::connect(manager.addresses[0])?;
    early.set_read_timeout(Some(WAIT_MAX))?;
    early.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    manager.await_notification("READY=1")?;
    let mut answer = String::new();
    early.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let alive = manager.await_notification("WATCHDOG=1")?;
    let status = alive.iter().find_map(|line| line.strip_prefix("STATUS="));
    let status = status.context("a status line")?;
    assert!(status.starts_with("0 running, 0 queued, 0/"), "{status}");

    manager.signal(Signal::SIGHUP)?;
    let reload = manager.await_notification("RELOADING=1")?;
    ensure!(reload.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reload:?}");
    manager.await_notification("READY=1")?;

    manager.signal(Signal::SIGTERM)?;
    manager.await_notification("STOPPING=1")?;
    assert!(manager.service.wait()?.success());
    assert_eq!(leftovers::orphans(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_start_that_waits_for_the_database_asks_the_service_manager_for_time() -> Result<()> {
    let Some(mut database) = Database::start()? else { return Ok(()) };
    database.stop()?;
    let journal = database.flags();
    let store = tempfile::tempdir()?;
    let store = format!("file://{}", store.path().display());
    let mut flags = vec!["--operator-listen", "127.0.0.1:0", "--artefacts-url", &store];
    flags.extend([STOP_DELAY, "0"]);
    flags.extend(journal.iter().map(String::as_str));
    let mut manager = Manager::start(&["unknown"], &flags)?;
    let waiting = manager.await_notification("EXTEND_TIMEOUT_USEC=60000000")?;
    let status = "STATUS=waiting for the database of journal_url".to_owned();
    ensure!(waiting.contains(&status), "{waiting:?}");
    database.start_again()?;
    manager.await_notification("READY=1")?;
    manager.signal(Signal::SIGTERM)?;
    assert!(manager.service.wait()?.success());
    Ok(())
}

#[test]
fn the_socket_named_operator_is_the_operator_listener_and_workers_inherit_none() -> Result<()> {
    // The name decides, not the order; the configured addresses are ignored.
    let flags = ["--operator-listen", "192.0.2.1:2", "--standby", "1"];
    let mut manager = Manager::start(&["operator", "bodyscript.socket"], &flags)?;
    manager.await_notification("READY=1")?;
    for (socket, status) in [(0, StatusCode::OK), (1, StatusCode::FORBIDDEN)] {
        assert_eq!(manager.status(socket, "/api/jobs")?, status, "{socket}");
        assert_eq!(manager.status(socket, "/livez")?, StatusCode::OK, "{socket}");
    }
    let state = manager.folder.path().join("state");
    let reported = ctl_json(&state, &["status"])?;
    assert_eq!(reported["operator_listen"], manager.addresses[0].to_string());
    assert_eq!(reported["listen"], manager.addresses[1].to_string());

    let standby =
        || Ok::<_, anyhow::Error>(ctl_json(&state, &["status"])?["health"]["standby"][0].take());
    wait_until("a pooled worker is ready", || Ok(standby()?["is_ready"] == true))?;
    let worker = standby()?["pid"].as_i64().context("a process")? as i32;
    assert_eq!(manager.open_in(worker)?, [false, false], "a worker has the sockets");
    assert_eq!(
        manager.open_in(manager.service.id() as i32)?,
        [true, true],
        "the service has the sockets"
    );
    manager.signal(Signal::SIGTERM)?;
    assert!(manager.service.wait()?.success());
    Ok(())
}

#[test]
fn contradictory_inherited_sockets_are_refused() -> Result<()> {
    let on = ["--operator-listen", "127.0.0.1:0"];
    let text = Manager::start(&["bodyscript.socket", "another"], &on)?.refusal()?;
    assert!(text.contains("FileDescriptorName=operator"), "{text}");
    let text = Manager::start(&["operator", "operator"], &on)?.refusal()?;
    assert!(text.contains("two sockets were passed for the operator listener"), "{text}");
    let off = ["--operator-listen", "off"];
    let text = Manager::start(&["bodyscript.socket", "operator"], &off)?.refusal()?;
    assert!(text.contains("`operator_listen` is off"), "{text}");
    Ok(())
}
