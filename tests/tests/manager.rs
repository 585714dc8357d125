//! What the service and a service manager tell each other: an inherited socket, readiness, signs of
//! life, a reload, the end (sd_listen_fds(3), sd_notify(3)). The test plays the manager.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::{programs, remains};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for a word; far beyond what the slowest machine needs.
const PATIENCE: Duration = Duration::from_secs(180);

struct Manager {
    service: Child,
    words: UnixDatagram,
    address: SocketAddr,
    _folder: TempDir,
}

impl Manager {
    /// Starts the service with a socket that is open already.
    fn start() -> Result<Self> {
        remains::adopt()?;
        let folder = tempfile::tempdir()?;
        let notify = folder.path().join("notify");
        let words = UnixDatagram::bind(&notify)?;
        words.set_read_timeout(Some(PATIENCE))?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        // The shell puts the socket where the first one belongs, and knows its own process.
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ WATCHDOG_PID=$$ exec \"$0\" \"$@\"";
        let service = Command::new("sh")
            .args(["-c", script])
            .arg(programs::path("bodyscript")?)
            .args(["serve", "--state-dir"])
            .arg(folder.path().join("state"))
            .args(["--listen", "192.0.2.1:1"])
            .env("LISTEN_FDS", "1")
            .env("NOTIFY_SOCKET", &notify)
            .env("WATCHDOG_USEC", "600000000")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { service, words, address, _folder: folder })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.service.id() as i32), signal)?)
    }

    /// Waits for a word and gives all that was said up to it, one line each.
    fn hear(&self, word: &str) -> Result<Vec<String>> {
        let mut heard = Vec::new();
        loop {
            let mut said = [0; 4096];
            let length =
                self.words.recv(&mut said).with_context(|| format!("{word}: {heard:?}"))?;
            heard.extend(String::from_utf8_lossy(&said[..length]).lines().map(str::to_owned));
            if heard.iter().any(|line| line == word) {
                return Ok(heard);
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
fn a_service_manager_is_told_what_it_needs_to_know() -> Result<()> {
    let mut manager = Manager::start()?;
    // Asked before the service is there: the manager's socket holds the line.
    let mut early = TcpStream::connect(manager.address)?;
    early.set_read_timeout(Some(PATIENCE))?;
    early.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    manager.hear("READY=1")?;
    let mut answer = String::new();
    early.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let alive = manager.hear("WATCHDOG=1")?;
    let status = alive.iter().find_map(|line| line.strip_prefix("STATUS="));
    let status = status.context("a status line")?;
    assert!(status.starts_with("0 running, 0 queued, 0/"), "{status}");

    manager.signal(Signal::SIGHUP)?;
    let reload = manager.hear("RELOADING=1")?;
    ensure!(reload.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reload:?}");
    manager.hear("READY=1")?;

    manager.signal(Signal::SIGTERM)?;
    manager.hear("STOPPING=1")?;
    assert!(manager.service.wait()?.success());
    assert_eq!(remains::strays(), Vec::<String>::new());
    Ok(())
}
