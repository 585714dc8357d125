//! How much one client may ask: uploads a minute, unfinished jobs at once.
//!
//! Who a client is says `client_address`. Programs on this very host are not limited: they share
//! one address. Nothing of this survives a restart, and nothing need: limits are per minute or
//! per job.

use crate::config::ClientLimits;
use crate::http::middleware::client_address::{ClientAddress, Peer};
use crate::http::problem::ApiError;
use crate::policy::job::JobId;
use axum::http::HeaderMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Clients remembered before those that ask for nothing are forgotten.
const CLIENTS_KEPT_MAX: usize = 4096;

const MINUTE: Duration = Duration::from_secs(60);

/// What is known of one client.
#[derive(Debug, Default)]
struct Client {
    /// When its uploads so far would be done at the steady pace (GCRA, ITU-T I.371).
    paid_until: Option<Instant>,
    /// Uploads under way.
    open: usize,
    /// Jobs that may be unfinished, resumable uploads among them.
    jobs: Vec<JobId>,
}

/// All clients.
#[derive(Debug)]
pub(crate) struct Clients {
    limits: ClientLimits,
    known: Mutex<HashMap<IpAddr, Client>>,
}

/// One upload of one client; over when dropped.
#[derive(Debug)]
pub(crate) struct ClientPermit {
    clients: Arc<Clients>,
    client: Option<IpAddr>,
}

impl Clients {
    /// None yet.
    pub(crate) fn new(limits: ClientLimits) -> Arc<Self> {
        Arc::new(Self { limits, known: Mutex::default() })
    }

    /// Admits an upload of this client, or explains the refusal.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: Option<IpAddr>,
    ) -> Result<ClientPermit, ApiError> {
        if let Some(client) = client {
            self.with(client, |known| known.enter(&self.limits, Instant::now()))?;
        }
        Ok(ClientPermit { clients: Arc::clone(self), client })
    }

    /// The client to count a request for; none for a program on this host.
    pub(crate) fn client(&self, peer: Option<Peer>, headers: &HeaderMap) -> Option<IpAddr> {
        let Peer(peer) = peer?;
        match ClientAddress::of_request(peer.ip(), headers, &self.limits.trusted_proxies) {
            ClientAddress::ThisHost => None,
            ClientAddress::Remote(address) => Some(address),
        }
    }

    /// A job of this client is finished and no longer counts.
    pub(crate) fn forget(&self, client: IpAddr, job: JobId) {
        self.with(client, |known| known.jobs.retain(|other| *other != job));
    }

    /// The jobs of a client that is at its limit; none below it. Those that are finished are to be forgotten.
    pub(crate) fn jobs_at_limit(&self, client: IpAddr) -> Vec<JobId> {
        self.with(client, |known| match self.limits.jobs_max {
            max if known.open + known.jobs.len() < max => Vec::new(),
            _ => known.jobs.clone(),
        })
    }

    fn with<T>(&self, client: IpAddr, act: impl FnOnce(&mut Client) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CLIENTS_KEPT_MAX && !known.contains_key(&client) {
            let now = Instant::now();
            known.retain(|_, client| !client.is_idle(now));
        }
        act(known.entry(client).or_default())
    }
}

impl Client {
    fn enter(&mut self, limits: &ClientLimits, now: Instant) -> Result<(), ApiError> {
        if self.open + self.jobs.len() >= limits.jobs_max {
            return Err(ApiError::TooManyJobs { jobs_max: limits.jobs_max });
        }
        let per_minute_max = limits.uploads_per_minute_max;
        let price = MINUTE / per_minute_max;
        let paid_until = self.paid_until.map_or(now, |until| until.max(now)) + price;
        let ahead = paid_until - now;
        if ahead > MINUTE {
            let retry_after =
                Duration::from_secs((ahead - MINUTE).as_millis().div_ceil(1000) as u64);
            return Err(ApiError::TooManyUploads { per_minute_max, retry_after });
        }
        self.paid_until = Some(paid_until);
        self.open += 1;
        Ok(())
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.open == 0 && self.jobs.is_empty() && self.paid_until.is_none_or(|until| until <= now)
    }
}

impl ClientPermit {
    /// The upload became a job, or will.
    pub(crate) fn became(&self, job: JobId) {
        if let Some(client) = self.client {
            self.clients.with(client, |known| known.jobs.push(job));
        }
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        if let Some(client) = self.client {
            self.clients.with(client, |known| known.open = known.open.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(uploads_per_minute_max: u32, jobs_max: usize) -> ClientLimits {
        let trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        let (connections_max, streams_max) = (64, 32);
        ClientLimits {
            uploads_per_minute_max,
            jobs_max,
            connections_max,
            streams_max,
            trusted_proxies,
        }
    }

    #[test]
    fn the_last_upload_of_a_minute_is_taken_and_one_more_waits_its_turn() {
        let (limits, now) = (limits(4, 100), Instant::now());
        let mut client = Client::default();
        for n in 0..4 {
            assert!(client.enter(&limits, now).is_ok(), "upload {n}");
        }
        let Err(ApiError::TooManyUploads { retry_after, .. }) = client.enter(&limits, now) else {
            panic!("a fifth upload within a minute")
        };
        assert_eq!(retry_after, Duration::from_secs(15));
        assert!(client.enter(&limits, now + retry_after).is_ok());
        assert!(client.enter(&limits, now + retry_after).is_err());
    }

    #[test]
    fn jobs_and_uploads_under_way_count_together() {
        let limits = limits(1000, 3);
        let mut client = Client { jobs: vec![JobId::random()], ..Client::default() };
        assert!(client.enter(&limits, Instant::now()).is_ok());
        assert!(client.enter(&limits, Instant::now()).is_ok());
        let refusal = client.enter(&limits, Instant::now());
        assert!(matches!(refusal, Err(ApiError::TooManyJobs { jobs_max: 3 })), "{refusal:?}");
    }

    #[test]
    fn a_flood_of_addresses_leaves_no_trace() {
        let clients = Clients::new(limits(6000, 10));
        for n in 0..3 * CLIENTS_KEPT_MAX as u32 {
            clients.with(IpAddr::from(n.to_be_bytes()), |_| {});
        }
        let known = clients.known.lock().expect("not poisoned").len();
        assert!(known <= CLIENTS_KEPT_MAX, "{known} clients are kept");
    }
}
