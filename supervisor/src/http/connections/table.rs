//! The table of connections: how many are open, which serve a request, and which is given up.
//!
//! Pure but for the tokens that tell a connection to close. There is room for `connections_max`
//! connections and a few more. At most `connections_max` of them may serve requests and streams
//! of events, so that there is always one on which health checks are answered. A connection
//! without a request holds nobody off: the longest idle one makes room for a new one.

use crate::http::middleware::client_address::ClientAddress;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use tokio_util::sync::CancellationToken;

/// Connections beyond `connections_max`, for health checks while all others serve requests. A
/// health check is over within milliseconds, so a few serve many.
pub(crate) const RESERVED: usize = 16;

/// What all clients together may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Requests and streams at once.
    pub(crate) connections_max: usize,
    /// Streams among them.
    pub(crate) streams_max: usize,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The client's own.
    Client(usize),
    /// That of all clients together.
    All(usize),
}

/// What a connection is in use for.
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
    /// When it came into this state, as a number that only grows.
    since: u64,
    closer: CancellationToken,
}

/// The connections of one address.
#[derive(Debug, Default)]
struct Peer {
    open: usize,
    /// Those without a request, by when they became so.
    idle: BTreeMap<u64, u64>,
}

/// Requests and streams under way.
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
    last: u64,
    open: HashMap<u64, Entry>,
    peers: HashMap<ClientAddress, Peer>,
    clients: HashMap<ClientAddress, InUse>,
    in_use: InUse,
    given_up: u64,
}

impl Table {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            last: 0,
            open: HashMap::new(),
            peers: HashMap::new(),
            clients: HashMap::new(),
            in_use: InUse::default(),
            given_up: 0,
        }
    }

    /// Whether one more connection takes the place of another.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= self.capacity.connections_max + RESERVED
    }

    /// Enters a new connection; `own_max` is how many its address may have. Where there is no
    /// room the longest idle connection is given up, first among its own. Gives its number, and
    /// the token that will tell it to close.
    pub(crate) fn open(
        &mut self,
        peer: ClientAddress,
        own_max: Option<usize>,
    ) -> Result<(u64, CancellationToken), Limit> {
        let own = self.peers.get(&peer).map_or(0, |peer| peer.open);
        match own_max {
            Some(max) if own >= max && !self.give_up_of(peer) => return Err(Limit::Client(max)),
            _ => {}
        }
        if self.is_full() && !self.give_up() {
            return Err(Limit::All(self.capacity.connections_max));
        }
        let id = self.tick();
        let closer = CancellationToken::new();
        let entry = Entry { peer, state: State::Idle, since: id, closer: closer.clone() };
        self.open.insert(id, entry);
        let peer = self.peers.entry(peer).or_default();
        peer.open += 1;
        peer.idle.insert(id, id);
        Ok((id, closer))
    }

    /// Gives up the longest idle connection of whoever has most of them; tells whether there was
    /// one.
    pub(crate) fn give_up(&mut self) -> bool {
        let oldest = |peer: &Peer| peer.idle.first_key_value().map(|(since, _)| Reverse(*since));
        let most = self.peers.iter().max_by_key(|(_, peer)| (peer.idle.len(), oldest(peer)));
        match most.map(|(address, _)| *address) {
            Some(address) => self.give_up_of(address),
            None => false,
        }
    }

    fn give_up_of(&mut self, peer: ClientAddress) -> bool {
        let idle = self.peers.get(&peer).and_then(|peer| peer.idle.first_key_value());
        let Some(id) = idle.map(|(_, id)| *id) else { return false };
        if let Some(entry) = self.open.get(&id) {
            entry.closer.cancel();
        }
        self.close(id);
        self.given_up += 1;
        true
    }

    /// A request of `client` begins. Gives the number it ends with; nothing if the connection
    /// was given up meanwhile.
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

    /// As [`Table::begin`], whatever is in use: for a health check after which its connection
    /// closes.
    pub(crate) fn begin_reserved(&mut self, id: u64, client: ClientAddress) -> Option<u64> {
        self.become_busy(id, client, Use::Reserved)
    }

    /// The request becomes a stream of events, if there may be another.
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

    /// The request or stream that began with this number is over.
    pub(crate) fn finish(&mut self, id: u64, number: u64) {
        match self.open.get(&id) {
            Some(entry) if entry.since == number => self.become_idle(id),
            _ => {}
        }
    }

    /// The connection is closed, or will be at once.
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

    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.open.len()
    }

    /// What all clients use together.
    pub(crate) fn in_use(&self) -> InUse {
        self.in_use
    }

    /// Connections given up so far.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up
    }

    fn become_busy(&mut self, id: u64, client: ClientAddress, purpose: Use) -> Option<u64> {
        // One request follows the other, but the end of one may be told late.
        self.become_idle(id);
        let number = self.tick();
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
        let since = self.tick();
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

    fn tick(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
