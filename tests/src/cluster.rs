//! Hosts on one machine: services with a state folder each that share a database and a store. Each can be killed,
//! suspended, cut off and started again.

mod builder;
pub mod checks;
mod namespaces;
pub mod publications;

use crate::database::Database;
use crate::faulty_link::FaultyLink;
use crate::object_server::ObjectServer;
use crate::polling::wait_until;
use crate::programs;
use crate::server::{DIE_AT_FAILPOINT, TestServer};
use anyhow::{Context, Result, ensure};
pub use builder::ClusterBuilder;
use namespaces::{Bridge, Namespace, run_in};
use nix::sys::signal::Signal;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// After how long without a sign of life a host loses its jobs to others. Far longer than a host of tests is slow.
pub const LEASE: Duration = Duration::from_secs(3);

/// Flags of a host that accepts as many jobs as a test uploads.
pub const MANY_JOBS: [&str; 6] =
    ["--workers", "2", "--queue-max", "1000", "--client-uploads-per-minute-max", "60000"];

/// The flag for how long a host that stops goes on accepting requests.
pub const STOP_DELAY: &str = "--stop-delay-s";

/// Some hosts, and what they share. The fields are dropped in this order: a service needs both to stop in order.
#[derive(Debug)]
pub struct Cluster {
    hosts: Vec<Host>,
    database: Database,
    store: ObjectServer,
    /// Has the credentials of the store.
    folder: TempDir,
    /// Of hosts in network namespaces.
    bridge: Option<Bridge>,
}

/// A host, whose service may be killed.
#[derive(Debug)]
struct Host {
    server: Option<TestServer>,
    folder: Arc<TempDir>,
    ports: [u16; 2],
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    /// To the database and to the store, if it reaches them through links.
    links: Option<Links>,
    namespace: Option<Namespace>,
}

/// The links from a host to what it shares with others.
#[derive(Debug)]
struct Links {
    database: FaultyLink,
    store: FaultyLink,
}

impl Cluster {
    /// Hosts with the fault worker and these flags, to be started.
    pub fn of(hosts: usize, flags: &[&str]) -> ClusterBuilder {
        ClusterBuilder::new(hosts, flags)
    }

    /// Starts hosts with the fault worker and these flags; none, which counts as a skip, where there is no database or
    /// no store.
    pub fn start(hosts: usize, flags: &[&str]) -> Result<Option<Self>> {
        Self::of(hosts, flags).start()
    }

    /// How many hosts there are, killed ones included.
    pub fn size(&self) -> usize {
        self.hosts.len()
    }

    /// The service of a host.
    ///
    /// # Panics
    /// If it is killed.
    pub fn host(&self, host: usize) -> &TestServer {
        self.hosts[host].server.as_ref().expect("the host is not killed")
    }

    /// Everything a host has logged, killed or not.
    pub fn log(&self, host: usize) -> String {
        fs::read_to_string(self.hosts[host].folder.path().join("log")).unwrap_or_default()
    }

    /// Kills the service of a host with SIGKILL.
    pub fn kill(&mut self, host: usize) -> Result<()> {
        let server = self.hosts[host].server.take().context("the host is killed already")?;
        server.kill().map(drop)
    }

    /// Stops the service of a host as an operator does, who would start another version.
    pub fn end(&mut self, host: usize) -> Result<()> {
        let server = self.hosts[host].server.take().context("the host is killed already")?;
        server.signal(Signal::SIGTERM)?;
        server.ended().map(drop)
    }

    /// Starts the service of a killed host at the same addresses, with what it has left in its folder.
    pub fn start_again(&mut self, host: usize) -> Result<()> {
        self.start_again_with(host, &[])
    }

    /// As [`Cluster::start_again`]; the service dies at this failpoint.
    pub fn start_again_until(&mut self, host: usize, failpoint: &str) -> Result<()> {
        self.start_again_with(host, &[(DIE_AT_FAILPOINT, failpoint)])
    }

    /// As [`Cluster::start_again`], with these variables besides those of the host.
    pub fn start_again_with(&mut self, host: usize, variables: &[(&str, &str)]) -> Result<()> {
        self.hosts[host].start_again(&programs::path("bodyscript")?, variables)
    }

    /// As [`Cluster::start_again`], with the programs in this folder, which may be of another version.
    pub fn start_again_as(&mut self, host: usize, programs: &Path) -> Result<()> {
        let worker = programs.join("fault_worker").to_string_lossy().into_owned();
        let flags = &mut self.hosts[host].flags;
        let at = flags.iter().position(|flag| flag == "--worker-program").context("a worker")?;
        flags[at + 1] = worker;
        self.hosts[host].start_again(&programs.join("bodyscript"), &[])
    }

    /// Forgets all jobs and hosts, as if no version had ever used the database. No host may run.
    pub fn clear_database(&self) -> Result<()> {
        ensure!(self.hosts.iter().all(|host| host.server.is_none()), "a host still runs");
        self.query("DROP SCHEMA bodyscript CASCADE").map(drop)
    }

    /// Stops a service without ending it. Its workers go on.
    pub fn suspend(&self, host: usize) -> Result<()> {
        self.host(host).signal(Signal::SIGSTOP)
    }

    /// Continues it.
    pub fn resume(&self, host: usize) -> Result<()> {
        self.host(host).signal(Signal::SIGCONT)
    }

    /// Lets a host reach neither the database nor the store. It does not notice but by their silence.
    pub fn cut_off(&self, host: usize) -> Result<()> {
        if let Some(bridge) = &self.bridge {
            return bridge.cut_off(host);
        }
        let links = self.links(host)?;
        links.database.hold();
        links.store.hold();
        Ok(())
    }

    /// Ends that.
    pub fn rejoin(&self, host: usize) -> Result<()> {
        if let Some(bridge) = &self.bridge {
            return bridge.rejoin(host);
        }
        let links = self.links(host)?;
        links.database.release();
        links.store.release();
        Ok(())
    }

    /// Waits until the others take a host for lost.
    pub fn await_loss(&self, host: usize) -> Result<()> {
        let row = format!("SELECT name FROM bodyscript.hosts WHERE name = '{}'", host_name(host));
        wait_until("the host is taken for lost", || Ok(self.query(&row)?.is_empty()))
    }

    /// The link from a host to the database.
    pub fn database_link(&self, host: usize) -> Result<&FaultyLink> {
        Ok(&self.links(host)?.database)
    }

    /// The link from a host to the store.
    pub fn store_link(&self, host: usize) -> Result<&FaultyLink> {
        Ok(&self.links(host)?.store)
    }

    fn links(&self, host: usize) -> Result<&Links> {
        self.hosts[host].links.as_ref().context("the host has links")
    }

    /// Does something in the network of a host. A client that is made there reaches its service even while it is cut
    /// off.
    pub fn in_network_of<T: Send>(
        &self,
        host: usize,
        action: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        run_in(self.hosts[host].namespace.as_ref(), action)
    }

    /// Where the hosts are, for a report.
    pub fn network(&self) -> &'static str {
        if self.bridge.is_some() { "in network namespaces" } else { "on loopback" }
    }

    /// Crashes the database, and starts it again.
    pub fn crash_database(&mut self) -> Result<()> {
        self.database.crash()?;
        let namespace = self.bridge.as_ref().map(Bridge::namespace);
        run_in(namespace, || self.database.start_again())
    }

    /// The database that they share.
    pub fn database(&mut self) -> &mut Database {
        &mut self.database
    }

    /// What the database answers to a statement.
    pub fn query(&self, sql: &str) -> Result<String> {
        self.database.query(sql)
    }

    /// The store that they share.
    pub fn store(&self) -> &ObjectServer {
        &self.store
    }

    /// What all hosts have logged as errors, for the message of a failed test.
    pub fn logged_errors(&self) -> String {
        let log = |host: &Host| std::fs::read_to_string(host.folder.path().join("log"));
        let logs = self.hosts.iter().filter_map(|host| log(host).ok()).collect::<String>();
        logs.lines().filter(|line| line.contains("ERROR")).collect::<Vec<_>>().join("\n")
    }

    /// Stops all services, and checks what each leaves.
    pub fn stop(mut self) -> Result<()> {
        for server in self.hosts.iter_mut().filter_map(|host| host.server.take()) {
            server.stop()?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    /// Continues all that a failed test has left suspended: it would not end.
    fn drop(&mut self) {
        let _ = self.database.resume();
        for host in 0..self.size() {
            let _ = self.rejoin(host);
            if let Some(server) = &self.hosts[host].server {
                let _ = server.signal(Signal::SIGCONT);
            }
        }
    }
}

/// The name of a host for operators.
fn host_name(host: usize) -> char {
    ('a'..='z').nth(host).expect("few hosts")
}

impl Host {
    fn start_again(&mut self, program: &Path, variables: &[(&str, &str)]) -> Result<()> {
        ensure!(self.server.is_none(), "the host still runs");
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        let own = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let variables: Vec<_> = own.chain(variables.iter().copied()).collect();
        let folder = Arc::clone(&self.folder);
        let start = || TestServer::start_program(program, (self.ports, folder), &flags, &variables);
        self.server = Some(run_in(self.namespace.as_ref(), start)?);
        Ok(())
    }
}
