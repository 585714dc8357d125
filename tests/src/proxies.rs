//! A reverse proxy for one test on loopback: nginx, HAProxy or Caddy from Debian's packages, as
//! `make proxy-tools` unpacks them, with the example in `docs/proxies`.

use crate::report;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::blocking::Client;
use std::env::consts::ARCH;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything; far beyond what the slowest machine needs.
const WAIT_MAX: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The service's address in the examples.
const SERVICE: &str = "127.0.0.1:8000";

/// The addresses of the hosts in the example for several.
const HOSTS: [&str; 3] = ["10.0.0.11:8000", "10.0.0.12:8000", "10.0.0.13:8000"];

/// Which proxy, with which configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// nginx with the example.
    Nginx,
    /// nginx with `proxy_pass` and nothing else, as in a first attempt.
    BareNginx,
    /// HAProxy with the example.
    Haproxy,
    /// HAProxy with the example for several hosts.
    HaproxyHosts,
    /// The same, but for the lines that send a request to another host.
    HaproxyHostsOnce,
    /// Caddy with the example.
    Caddy,
}

impl Setup {
    const fn program(self) -> &'static str {
        match self {
            Self::Nginx | Self::BareNginx => "usr/sbin/nginx",
            Self::Haproxy | Self::HaproxyHosts | Self::HaproxyHostsOnce => "usr/sbin/haproxy",
            Self::Caddy => "usr/bin/caddy",
        }
    }

    /// The site, with a port on loopback and the addresses of the services under test.
    fn site(self, port: u16, services: &[&str]) -> Result<String> {
        let here = format!("127.0.0.1:{port}");
        let bare =
            format!("server {{ listen {here}; location / {{ proxy_pass http://{SERVICE}; }} }}");
        let examples: &[&str] = match self {
            Self::HaproxyHosts | Self::HaproxyHostsOnce => &HOSTS,
            _ => &[SERVICE],
        };
        ensure!(examples.len() == services.len(), "the example is for {} services", examples.len());
        let (text, listen, here) = match self {
            Self::BareNginx => return Ok(bare.replace(SERVICE, services[0])),
            Self::Nginx => (example("nginx.conf")?, "listen 80;", format!("listen {here};")),
            Self::Haproxy => (example("haproxy.cfg")?, "bind :80", format!("bind {here}")),
            Self::HaproxyHosts => {
                (example("haproxy-hosts.cfg")?, "bind :80", format!("bind {here}"))
            }
            Self::HaproxyHostsOnce => {
                let text = example("haproxy-hosts.cfg")?;
                ensure!(
                    text.contains("retries 3\n"),
                    "the example does not say how often it tries"
                );
                (text.replace("retries 3\n", "retries 0\n"), "bind :80", format!("bind {here}"))
            }
            Self::Caddy => {
                (example("Caddyfile")?, "bodyscript.example.org {", format!("http://:{port} {{"))
            }
        };
        let places = [(listen, here.as_str())];
        let places =
            places.into_iter().chain(examples.iter().copied().zip(services.iter().copied()));
        places.into_iter().try_fold(text, |text, (place, ours)| {
            ensure!(text.matches(place).count() == 1, "the example does not say `{place}` once");
            Ok(text.replace(place, ours))
        })
    }

    /// The main configuration file around a site.
    fn main_file(self, site: &str, folder: &Path) -> String {
        let folder = folder.display();
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        match self {
            Self::Nginx | Self::BareNginx => {
                let folders =
                    folders.map(|name| format!("{name}_temp_path {folder}/{name};")).join(" ");
                format!(
                    "daemon off; user root; pid {folder}/pid; error_log {folder}/log;\n\
                     events {{}}\nhttp {{ access_log off; {folders}\n{site}\n}}\n"
                )
            }
            Self::Haproxy | Self::HaproxyHosts | Self::HaproxyHostsOnce => {
                format!("global\n    maxconn 100\n{site}")
            }
            Self::Caddy => {
                format!("{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}}\n{site}")
            }
        }
    }

    fn arguments(self, file: &str) -> Vec<&str> {
        match self {
            Self::Nginx | Self::BareNginx => vec!["-c", file],
            Self::Haproxy | Self::HaproxyHosts | Self::HaproxyHostsOnce => vec!["-db", "-f", file],
            Self::Caddy => vec!["run", "--adapter", "caddyfile", "--config", file],
        }
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    base: String,
    folder: TempDir,
}

impl Proxy {
    /// Starts one in front of a service; none, which is counted as a skip, where its program is missing.
    pub fn start(setup: Setup, service: &str) -> Result<Option<Self>> {
        Self::start_before(setup, &[service])
    }

    /// As [`Proxy::start`], in front of several.
    pub fn start_before(setup: Setup, services: &[&str]) -> Result<Option<Self>> {
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/proxies");
        let program = unpacked.join(setup.program());
        if !program.exists() {
            let program = program.display();
            report::skipped("proxies", &format!("no {program}; run `make proxy-tools`"));
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        // The port was free a moment ago; if another process takes it, the start fails.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let services = services.iter().map(|url| url.strip_prefix("http://").context("an address"));
        let services = services.collect::<Result<Vec<_>>>()?;
        let file = folder.path().join("config");
        fs::write(&file, setup.main_file(&setup.site(port, &services)?, folder.path()))?;
        let log = File::create(folder.path().join("output"))?;
        let child = Command::new(&program)
            .args(setup.arguments(file.to_str().context("a plain path")?))
            .env("LD_LIBRARY_PATH", unpacked.join(format!("usr/lib/{ARCH}-linux-gnu")))
            .envs(["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|name| (name, folder.path())))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let mut proxy = Self { child, base: format!("http://127.0.0.1:{port}"), folder };
        proxy.await_service()?;
        Ok(Some(proxy))
    }

    fn await_service(&mut self) -> Result<()> {
        let client = Client::builder().timeout(WAIT_MAX).build()?;
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let answer = client.get(self.url("/livez")).send();
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            let is_over = self.child.try_wait()?;
            if is_over.is_some() || Instant::now() > deadline {
                let output = fs::read_to_string(self.folder.path().join("output"))?;
                bail!("the proxy does not reach the service ({is_over:?}): {output}");
            }
            sleep(POLL_INTERVAL);
        }
    }

    /// The address of a path, through the proxy.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Not SIGKILL, which would leave the child processes of nginx.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

fn example(name: &str) -> Result<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/proxies").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}
