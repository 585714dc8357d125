//! What is special about a cluster and its hosts, and their start.

use super::namespaces::{Bridge, Namespace, run_in};
use super::{Cluster, Host, LEASE, Links, STOP_DELAY, host_name};
use crate::database::Database;
use crate::faulty_link::FaultyLink;
use crate::object_server::ObjectServer;
use crate::programs;
use crate::traces::fault_worker;
use anyhow::Result;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// How often each host reads what others have changed.
const POLL: Duration = Duration::from_millis(100);

/// How a host reaches what it shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Direct,
    Links,
    /// A namespace for each host, or links where there can be none.
    Namespaces,
}

/// Hosts that are not started yet.
#[derive(Debug)]
pub struct ClusterBuilder {
    flags: Vec<String>,
    network: Network,
    workers: Workers,
    hosts: Vec<HostSetup>,
}

/// The workers of all hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Workers {
    Faulty,
    Real,
}

/// What is special about a host.
#[derive(Debug, Default)]
struct HostSetup {
    variables: Vec<(String, String)>,
    folder: Option<Arc<TempDir>>,
}

impl ClusterBuilder {
    pub(super) fn new(hosts: usize, flags: &[&str]) -> Self {
        Self {
            flags: flags.iter().copied().map(String::from).collect(),
            network: Network::Direct,
            workers: Workers::Faulty,
            hosts: (0..hosts).map(|_| HostSetup::default()).collect(),
        }
    }

    /// Lets hosts reach database and store through links, which can be held and delayed.
    pub fn with_links(mut self) -> Self {
        self.network = Network::Links;
        self
    }

    /// Lets hosts be cut off: each is in a network namespace, or reaches database and store through links where there
    /// can be none, which counts as a skip.
    pub fn with_partitions(mut self) -> Self {
        self.network = Network::Namespaces;
        self
    }

    /// Uses the real worker.
    pub fn with_real_workers(mut self) -> Self {
        self.workers = Workers::Real;
        self
    }

    /// Starts a host with these variables.
    pub fn with_variables(mut self, host: usize, variables: &[(&str, &str)]) -> Self {
        let pairs = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        self.hosts[host].variables.extend(pairs);
        self
    }

    /// Starts a host in this folder, whose `state` may be on a disk of its own.
    pub fn with_folder(mut self, host: usize, folder: Arc<TempDir>) -> Self {
        self.hosts[host].folder = Some(folder);
        self
    }

    /// Starts all hosts; none, which counts as a skip, where there is no database or no store.
    pub fn start(self) -> Result<Option<Cluster>> {
        let bridge = match self.network {
            Network::Namespaces => Bridge::start(self.hosts.len()),
            Network::Direct | Network::Links => None,
        };
        let Some(mut cluster) = Cluster::without_hosts(bridge)? else { return Ok(None) };
        let program = match self.workers {
            Workers::Faulty => fault_worker()?.to_vec(),
            Workers::Real => Vec::new(),
        };
        let lease = ["--lease-s".to_owned(), LEASE.as_secs().to_string()];
        let poll = ["--journal-poll-ms".to_owned(), POLL.as_millis().to_string()];
        // No load balancer has to notice that a test ends.
        let delay = match self.flags.iter().any(|flag| flag == STOP_DELAY) {
            true => Vec::new(),
            false => vec![STOP_DELAY.to_owned(), "0".to_owned()],
        };
        let common = [&program[..], &lease, &poll, &self.flags, &delay].concat();
        for (host, setup) in self.hosts.into_iter().enumerate() {
            let namespace = cluster.bridge.as_ref().map(|bridge| bridge.host(host).clone());
            let links = match (self.network, &namespace) {
                (Network::Direct, _) | (_, Some(_)) => None,
                (Network::Links | Network::Namespaces, None) => Some(Links::of(&cluster)?),
            };
            let name = ["--host-name".to_owned(), host_name(host).to_string()];
            let flags = [&cluster.shared_flags(links.as_ref())?[..], &common, &name].concat();
            cluster.hosts.push(Host::start(setup, flags, (links, namespace))?);
        }
        Ok(Some(cluster))
    }
}

impl Links {
    fn of(cluster: &Cluster) -> Result<Self> {
        Ok(Self {
            database: FaultyLink::to_address(cluster.database.address())?,
            store: FaultyLink::to_address(cluster.store.address())?,
        })
    }
}

impl Cluster {
    /// What hosts share, in the network of the bridge if there is one.
    fn without_hosts(bridge: Option<Bridge>) -> Result<Option<Self>> {
        let namespace = bridge.as_ref().map(Bridge::namespace);
        let address = namespace.map_or(Ipv4Addr::LOCALHOST, |_| Bridge::ADDRESS);
        let Some(database) = run_in(namespace, || Database::start_at(address))? else {
            return Ok(None);
        };
        let Some(store) = run_in(namespace, || ObjectServer::start_at(address))? else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        Ok(Some(Self { hosts: Vec::new(), database, store, folder, bridge }))
    }

    /// The flags of a host that name what it shares.
    fn shared_flags(&self, links: Option<&Links>) -> Result<Vec<String>> {
        let (database, store) = match links {
            Some(links) => (links.database.address(), links.store.address()),
            None => (self.database.address(), self.store.address()),
        };
        let store = self.store.flags_at(store, self.folder.path())?;
        Ok([self.database.flags_at(database), store].concat())
    }
}

impl Host {
    fn start(
        HostSetup { variables, folder }: HostSetup,
        flags: Vec<String>,
        (links, namespace): (Option<Links>, Option<Namespace>),
    ) -> Result<Self> {
        let folder = folder.map_or_else(|| tempfile::tempdir().map(Arc::new), Ok)?;
        // The port was free a moment ago; if another process takes it, the start fails.
        let free = || Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port());
        let ports = [run_in(namespace.as_ref(), free)?, 0];
        let mut host = Self { server: None, folder, ports, flags, variables, links, namespace };
        host.start_again(&programs::path("bodyscript")?, &[])?;
        let server = host.server.as_ref().expect("it was just started");
        host.ports = server.ports()?;
        Ok(host)
    }
}
