//! Network namespaces for hosts, which a bridge joins with what they share. They have no names and belong to this
//! process alone, so the machine's own network is not touched, tests do not meet in them, and nothing is left of a test
//! that is killed.

use crate::report;
use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::{Command, id};
use std::sync::Arc;
use std::thread;

/// Does something in a namespace, if there is one. Processes and HTTP clients that it starts stay in it.
pub(super) fn run_in<T: Send>(
    namespace: Option<&Namespace>,
    action: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    match namespace {
        Some(namespace) => namespace.run(action),
        None => action(),
    }
}

/// A network namespace. The kernel keeps it as long as this or a process in it exists.
#[derive(Debug, Clone)]
pub(super) struct Namespace(Arc<File>);

impl Namespace {
    /// One with nothing but loopback.
    fn new() -> Result<Self> {
        let file = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("no network namespace")?;
            Ok(File::open("/proc/thread-self/ns/net")?)
        })?;
        let namespace = Self(Arc::new(file));
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    fn run<T: Send>(&self, action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread(|| {
            setns(&*self.0, CloneFlags::CLONE_NEWNET)?;
            action()
        })
    }

    /// Where other processes find it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", id(), self.0.as_raw_fd())
    }

    fn ip(&self, words: &str) -> Result<()> {
        let output = self.run(|| Ok(Command::new("ip").args(words.split(' ')).output()?));
        let output = output.context("ip(8)")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ip {words}: {}", error.trim());
        Ok(())
    }
}

/// A thread is in a namespace by itself. That of the caller stays where it is.
fn on_a_thread<T: Send>(action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(action).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

/// A bridge in a namespace of its own, for what the hosts share, and the namespaces of the hosts.
#[derive(Debug)]
pub(super) struct Bridge {
    namespace: Namespace,
    hosts: Vec<Namespace>,
}

impl Bridge {
    /// Where hosts reach what they share: an address that no network outside of tests has (RFC 2544).
    pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

    /// A bridge that joins so many hosts; none, which counts as a skip, where there can be no namespaces.
    pub(super) fn start(hosts: usize) -> Option<Self> {
        let reason = |error| format!("{error:#}; no host has a network of its own");
        let skip = |error| report::skipped("network-namespaces", &reason(error));
        Self::new(hosts).map_err(skip).ok()
    }

    fn new(hosts: usize) -> Result<Self> {
        let namespace = Namespace::new()?;
        namespace.ip("link add bridge type bridge")?;
        namespace.ip(&format!("address add {}/24 dev bridge", Self::ADDRESS))?;
        namespace.ip("link set bridge up")?;
        let mut bridge = Self { namespace, hosts: Vec::new() };
        (0..hosts).try_for_each(|_| bridge.join())?;
        Ok(bridge)
    }

    /// Joins one more host to it, by a pair of virtual Ethernet devices.
    fn join(&mut self) -> Result<()> {
        let (host, joined) = (Namespace::new()?, self.hosts.len());
        let port = port(joined);
        let peer = format!("peer name eth0 netns {}", host.path());
        self.namespace.ip(&format!("link add {port} type veth {peer}"))?;
        self.namespace.ip(&format!("link set {port} master bridge up"))?;
        host.ip(&format!("address add 198.18.0.{}/24 dev eth0", 2 + joined))?;
        host.ip("link set eth0 up")?;
        self.hosts.push(host);
        Ok(())
    }

    /// Of what the hosts share.
    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Of a host.
    pub(super) fn host(&self, host: usize) -> &Namespace {
        &self.hosts[host]
    }

    /// Loses all packets from and to a host.
    pub(super) fn cut_off(&self, host: usize) -> Result<()> {
        self.namespace.ip(&format!("link set {} down", port(host)))
    }

    /// Ends that.
    pub(super) fn rejoin(&self, host: usize) -> Result<()> {
        self.namespace.ip(&format!("link set {} up", port(host)))
    }
}

/// The device of a host at the bridge.
fn port(host: usize) -> String {
    format!("port{host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::polling::wait_until;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    #[test]
    fn a_host_reaches_the_bridge_unless_it_is_cut_off() -> Result<()> {
        let Some(bridge) = Bridge::start(2) else { return Ok(()) };
        let bind = || Ok(TcpListener::bind((Bridge::ADDRESS, 0))?);
        let listener = run_in(Some(bridge.namespace()), bind)?;
        let address = listener.local_addr()?;
        let connect = || Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok());
        let reaches = |host| run_in(Some(bridge.host(host)), connect);
        // The kernel may take a second to notice that a device is up.
        wait_until("both hosts reach it", || Ok(reaches(0)? && reaches(1)?))?;
        bridge.cut_off(0)?;
        assert!(!reaches(0)? && reaches(1)?);
        bridge.rejoin(0)?;
        wait_until("the host is back", || reaches(0))
    }
}
