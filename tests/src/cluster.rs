//! Hosts on one machine: services with a state folder each that share a database and a store. Each can be killed,
//! suspended and started again.

use crate::database::Database;
use crate::object_server::ObjectServer;
use crate::server::TestServer;
use crate::traces::fault_worker;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// After how long without a sign of life a host loses its jobs to others. Far longer than a host of tests is slow.
pub const LEASE: Duration = Duration::from_secs(3);

/// How often each host reads what others have changed.
const POLL: Duration = Duration::from_millis(100);

/// The flag for how long a host that stops goes on accepting requests.
pub const STOP_DELAY: &str = "--stop-delay-s";

/// Some hosts, and what they share. The fields are dropped in this order: a service needs both to stop in order.
#[derive(Debug)]
pub struct Cluster {
    hosts: Vec<Host>,
    database: Database,
    store: ObjectServer,
    /// Has the credentials of the store.
    _folder: TempDir,
}

/// A host, whose service may be killed.
#[derive(Debug)]
struct Host {
    server: Option<TestServer>,
    folder: Arc<TempDir>,
    ports: [u16; 2],
    flags: Vec<String>,
}

impl Cluster {
    /// Starts hosts with the fault worker and these flags; none, which counts as a skip, where there is no database or
    /// no store.
    pub fn start(hosts: usize, flags: &[&str]) -> Result<Option<Self>> {
        let Some(database) = Database::start()? else { return Ok(None) };
        let Some(store) = ObjectServer::start()? else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        let mut shared = [
            database.flags(),
            store.flags(folder.path())?,
            fault_worker()?.to_vec(),
            vec!["--lease-s".into(), LEASE.as_secs().to_string()],
            vec!["--journal-poll-ms".into(), POLL.as_millis().to_string()],
            flags.iter().copied().map(String::from).collect(),
        ]
        .concat();
        // No load balancer has to notice that a test ends.
        if !flags.contains(&STOP_DELAY) {
            shared.extend([STOP_DELAY.to_owned(), "0".to_owned()]);
        }
        let mut cluster = Self { hosts: Vec::new(), database, store, _folder: folder };
        for name in ('a'..='z').take(hosts) {
            let mut flags = shared.clone();
            flags.extend(["--host-name".to_owned(), name.to_string()]);
            cluster.hosts.push(Host::start(flags)?);
        }
        Ok(Some(cluster))
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
        self.hosts[host].start_again(TestServer::start_at)
    }

    /// As [`Cluster::start_again`]; the service dies at this failpoint.
    pub fn start_again_until(&mut self, host: usize, failpoint: &str) -> Result<()> {
        self.hosts[host].start_again(|ports, folder, flags| {
            TestServer::start_until(ports, folder, flags, failpoint)
        })
    }

    /// As [`Cluster::start_again`], with the programs in this folder, which may be of another version.
    pub fn start_again_as(&mut self, host: usize, programs: &Path) -> Result<()> {
        let worker = programs.join("fault_worker").to_string_lossy().into_owned();
        let flags = &mut self.hosts[host].flags;
        let at = flags.iter().position(|flag| flag == "--worker-program").context("a worker")?;
        flags[at + 1] = worker;
        self.hosts[host].start_again(|ports, folder, flags| {
            TestServer::start_program(&programs.join("bodyscript"), ports, folder, flags)
        })
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
        for server in self.hosts.iter().filter_map(|host| host.server.as_ref()) {
            let _ = server.signal(Signal::SIGCONT);
        }
    }
}

impl Host {
    fn start(flags: Vec<String>) -> Result<Self> {
        let folder = Arc::new(tempfile::tempdir()?);
        let strs: Vec<_> = flags.iter().map(String::as_str).collect();
        let server = TestServer::start_in(Arc::clone(&folder), &strs)?;
        let ports = server.ports()?;
        Ok(Self { server: Some(server), folder, ports, flags })
    }

    fn start_again(
        &mut self,
        start: impl FnOnce([u16; 2], Arc<TempDir>, &[&str]) -> Result<TestServer>,
    ) -> Result<()> {
        ensure!(self.server.is_none(), "the host still runs");
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        self.server = Some(start(self.ports, Arc::clone(&self.folder), &flags)?);
        Ok(())
    }
}
