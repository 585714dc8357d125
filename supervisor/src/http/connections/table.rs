//! The table of open connections: which are busy, and which idle one is closed to make room.
//!
//! Pure except for the tokens that signal a connection to close. It holds `connections_max`
//! connections and [`RESERVED`] more. At most `connections_max` of them may be busy with requests
//! and event streams, so that a connection for health checks is always available. If the table is
//! full, the longest idle connection is closed for a new one.

use crate::policy::client::ClientAddress;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use tokio_util::sync::CancellationToken;

/// Connections beyond `connections_max`, for health checks while all others are busy. A health
/// check takes milliseconds, so a few are enough.
pub(crate) const RESERVED: usize = 16;

/// Limits on all clients together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Maximum concurrent requests and streams.
    pub(crate) connections_max: usize,
    /// Maximum streams among them.
    pub(crate) streams_max: usize,
}

/// The limit that was reached, with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The limit per client.
    Client(usize),
    /// The limit on all clients together.
    All(usize),
}

/// What a busy connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Request,
    Stream,
    /// A health check beyond all limits.
    Reserved,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Busy(ClientAddress, Use),
}

#[derive(Debug)]
struct Entry {
    peer: ClientAddress,
    state: State,
    /// Sequence number of its last change of state.
    since: u64,
    closer: CancellationToken,
}

/// The connections of one peer address.
#[derive(Debug, Default)]
struct Peer {
    open: usize,
    /// Ids of idle connections, by the sequence number at which they became idle.
    idle: BTreeMap<u64, u64>,
}

/// Number of requests and streams in progress.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InUse {
    pub(crate) requests: usize,
    pub(crate) streams: usize,
}

impl InUse {
    fn all(self) -> usize {
        self.requests + self.streams
    }

    fn count(&mut self, purpose: Use) -> &mut usize {
        match purpose {
            Use::Stream => &mut self.streams,
            _ => &mut self.requests,
        }
    }
}

/// All connections of one listener.
#[derive(Debug)]
pub(crate) struct Table {
    capacity: Capacity,
    last_number: u64,
    open: HashMap<u64, Entry>,
    peers: HashMap<ClientAddress, Peer>,
    clients: HashMap<ClientAddress, InUse>,
    in_use: InUse,
    evicted: u64,
}

impl Table {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            last_number: 0,
            open: HashMap::new(),
            peers: HashMap::new(),
            clients: HashMap::new(),
            in_use: InUse::default(),
            evicted: 0,
        }
    }

    /// Whether a new connection requires closing another.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= self.capacity.connections_max + RESERVED
    }

    /// Adds a connection; `own_max` is the limit of its peer address, if any. At a limit, the
    /// longest idle connection is closed: of that address, or of all. Returns the id of the
    /// connection and the token that signals it to close.
    pub(crate) fn open(
        &mut self,
        peer: ClientAddress,
        own_max: Option<usize>,
    ) -> Result<(u64, CancellationToken), Limit> {
        let own = self.peers.get(&peer).map_or(0, |peer| peer.open);
        match own_max {
            Some(max) if own >= max && !self.evict_idle_of(peer) => return Err(Limit::Client(max)),
            _ => {}
        }
        if self.is_full() && !self.evict_idle() {
            return Err(Limit::All(self.capacity.connections_max));
        }
        let id = self.next_number();
        let closer = CancellationToken::new();
        let entry = Entry { peer, state: State::Idle, since: id, closer: closer.clone() };
        self.open.insert(id, entry);
        let peer = self.peers.entry(peer).or_default();
        peer.open += 1;
        peer.idle.insert(id, id);
        Ok((id, closer))
    }

    /// Closes the longest idle connection of the address with the most idle ones; returns whether
    /// there was one.
    pub(crate) fn evict_idle(&mut self) -> bool {
        let oldest = |peer: &Peer| peer.idle.first_key_value().map(|(since, _)| Reverse(*since));
        let most = self.peers.iter().max_by_key(|(_, peer)| (peer.idle.len(), oldest(peer)));
        match most.map(|(address, _)| *address) {
            Some(address) => self.evict_idle_of(address),
            None => false,
        }
    }

    fn evict_idle_of(&mut self, peer: ClientAddress) -> bool {
        let idle = self.peers.get(&peer).and_then(|peer| peer.idle.first_key_value());
        let Some(id) = idle.map(|(_, id)| *id) else { return false };
        if let Some(entry) = self.open.get(&id) {
            entry.closer.cancel();
        }
        self.close(id);
        self.evicted += 1;
        true
    }

    /// Counts a request of `client`. Returns the number to finish it with, or none if the
    /// connection has been closed meanwhile.
    pub(crate) fn begin(
        &mut self,
        id: u64,
        client: ClientAddress,
        own_max: usize,
    ) -> Result<Option<u64>, Limit> {
        let own = self.clients.get(&client).copied().unwrap_or_default();
        if own.all() >= own_max {
            return Err(Limit::Client(own_max));
        }
        if self.in_use.all() >= self.capacity.connections_max {
            return Err(Limit::All(self.capacity.connections_max));
        }
        Ok(self.become_busy(id, client, Use::Request))
    }

    /// Like [`Table::begin`], but without limits: for a health check, after which the connection
    /// is closed.
    pub(crate) fn begin_reserved(&mut self, id: u64, client: ClientAddress) -> Option<u64> {
        self.become_busy(id, client, Use::Reserved)
    }

    /// Counts the request as an event stream instead, within the limits on streams.
    pub(crate) fn become_stream(
        &mut self,
        id: u64,
        number: u64,
        own_max: usize,
    ) -> Result<(), Limit> {
        let Some(entry) = self.open.get_mut(&id).filter(|entry| entry.since == number) else {
            return Ok(());
        };
        let State::Busy(client, Use::Request) = entry.state else { return Ok(()) };
        let own = self.clients.entry(client).or_default();
        if own.streams >= own_max {
            return Err(Limit::Client(own_max));
        }
        if self.in_use.streams >= self.capacity.streams_max {
            return Err(Limit::All(self.capacity.streams_max));
        }
        for in_use in [own, &mut self.in_use] {
            in_use.requests -= 1;
            in_use.streams += 1;
        }
        entry.state = State::Busy(client, Use::Stream);
        Ok(())
    }

    /// Stops counting the request or stream with this number.
    pub(crate) fn finish(&mut self, id: u64, number: u64) {
        match self.open.get(&id) {
            Some(entry) if entry.since == number => self.become_idle(id),
            _ => {}
        }
    }

    /// Removes a connection that is closed or about to close.
    pub(crate) fn close(&mut self, id: u64) {
        let Some(entry) = self.open.remove(&id) else { return };
        if let State::Busy(client, purpose) = entry.state {
            self.release(client, purpose);
        }
        let peer = self.peers.entry(entry.peer).or_default();
        peer.idle.remove(&entry.since);
        peer.open -= 1;
        if peer.open == 0 {
            self.peers.remove(&entry.peer);
        }
    }

    /// Number of open connections.
    pub(crate) fn connections(&self) -> usize {
        self.open.len()
    }

    /// Requests and streams of all clients.
    pub(crate) fn in_use(&self) -> InUse {
        self.in_use
    }

    /// Number of idle connections closed so far to make room.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn become_busy(&mut self, id: u64, client: ClientAddress, purpose: Use) -> Option<u64> {
        // Requests on a connection are sequential, but `finish` of the previous one may come late.
        self.become_idle(id);
        let number = self.next_number();
        let entry = self.open.get_mut(&id)?;
        if let Some(peer) = self.peers.get_mut(&entry.peer) {
            peer.idle.remove(&entry.since);
        }
        (entry.state, entry.since) = (State::Busy(client, purpose), number);
        if purpose != Use::Reserved {
            self.clients.entry(client).or_default().requests += 1;
            self.in_use.requests += 1;
        }
        Some(number)
    }

    fn become_idle(&mut self, id: u64) {
        let since = self.next_number();
        let Some(entry) = self.open.get_mut(&id) else { return };
        let State::Busy(client, purpose) = entry.state else { return };
        (entry.state, entry.since) = (State::Idle, since);
        if let Some(peer) = self.peers.get_mut(&entry.peer) {
            peer.idle.insert(since, id);
        }
        self.release(client, purpose);
    }

    fn release(&mut self, client: ClientAddress, purpose: Use) {
        if purpose == Use::Reserved {
            return;
        }
        *self.in_use.count(purpose) -= 1;
        let own = self.clients.entry(client).or_default();
        *own.count(purpose) -= 1;
        if *own == InUse::default() {
            self.clients.remove(&client);
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
