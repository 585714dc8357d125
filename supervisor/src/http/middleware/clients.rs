//! Limits per client: uploads per minute and unfinished jobs.
//!
//! Clients are identified by `client_address`. Programs on this host are not limited, because they
//! share one address. The state is not persistent; a restart resets the limits.

use crate::config::ClientLimits;
use crate::http::middleware::client_address::Peer;
use crate::http::problem::ApiError;
use crate::policy::client::ClientAddress;
use crate::policy::job::JobId;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Number of clients from which idle ones are dropped.
const CLIENTS_KEPT_MAX: usize = 4096;

const MINUTE: Duration = Duration::from_secs(60);

/// The usage of one client.
#[derive(Debug, Default)]
struct Client {
    /// Theoretical arrival time of its next upload at the steady rate (GCRA, ITU-T I.371).
    next_arrival: Option<Instant>,
    /// Uploads in progress.
    uploads: usize,
    /// Jobs and resumable uploads that may be unfinished.
    jobs: Vec<JobId>,
}

/// The usage of all clients.
#[derive(Debug)]
pub(crate) struct Clients {
    limits: ClientLimits,
    usage: Mutex<HashMap<IpAddr, Client>>,
}

/// An upload in progress of a client; it counts until dropped.
#[derive(Debug)]
pub(crate) struct ClientPermit {
    clients: Arc<Clients>,
    client: ClientAddress,
}

impl Clients {
    /// Starts without any usage.
    pub(crate) fn new(limits: ClientLimits) -> Arc<Self> {
        Arc::new(Self { limits, usage: Mutex::default() })
    }

    /// Counts an upload of this client, or refuses it.
    pub(crate) fn admit(self: &Arc<Self>, client: ClientAddress) -> Result<ClientPermit, ApiError> {
        if let ClientAddress::Remote(client) = client {
            self.update(client, |usage| usage.admit(&self.limits, Instant::now()))?;
        }
        Ok(ClientPermit { clients: Arc::clone(self), client })
    }

    /// Adds what is left of the client's uploads per minute to a response (draft-ietf-httpapi-ratelimit-headers). Nothing for
    /// clients without that limit.
    pub(crate) fn add_quota(&self, client: ClientAddress, headers: &mut HeaderMap) {
        let ClientAddress::Remote(client) = client else { return };
        let max = self.limits.uploads_per_minute_max;
        let (left, full_after) = self.update(client, |usage| usage.quota(max, Instant::now()));
        let window = MINUTE.as_secs();
        let seconds = full_after.as_millis().div_ceil(1000);
        for (name, value) in [
            ("ratelimit-policy", format!("\"uploads\";q={max};w={window}")),
            ("ratelimit", format!("\"uploads\";r={left};t={seconds}")),
        ] {
            let value = HeaderValue::try_from(value).expect("letters and digits");
            headers.insert(HeaderName::from_static(name), value);
        }
    }

    /// The client that a request counts for.
    pub(crate) fn client(&self, peer: Option<Peer>, headers: &HeaderMap) -> ClientAddress {
        peer.map_or(ClientAddress::ThisHost, |Peer(peer)| {
            ClientAddress::of_request(peer.ip(), headers, &self.limits.trusted_proxies)
        })
    }

    /// Stops counting a finished job of this client.
    pub(crate) fn forget(&self, client: ClientAddress, job: JobId) {
        if let ClientAddress::Remote(client) = client {
            self.update(client, |usage| usage.jobs.retain(|other| *other != job));
        }
    }

    /// The jobs of a client at its limit, empty below it. The caller removes finished ones with
    /// [`Self::forget`].
    pub(crate) fn jobs_at_limit(&self, client: ClientAddress) -> Vec<JobId> {
        let ClientAddress::Remote(client) = client else { return Vec::new() };
        self.update(client, |usage| match self.limits.jobs_max {
            max if usage.uploads + usage.jobs.len() < max => Vec::new(),
            _ => usage.jobs.clone(),
        })
    }

    fn update<T>(&self, client: IpAddr, change: impl FnOnce(&mut Client) -> T) -> T {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        if usage.len() >= CLIENTS_KEPT_MAX && !usage.contains_key(&client) {
            let now = Instant::now();
            usage.retain(|_, client| !client.is_idle(now));
        }
        change(usage.entry(client).or_default())
    }
}

impl Client {
    fn admit(&mut self, limits: &ClientLimits, now: Instant) -> Result<(), ApiError> {
        if self.uploads + self.jobs.len() >= limits.jobs_max {
            return Err(ApiError::TooManyJobs { jobs_max: limits.jobs_max });
        }
        let per_minute_max = limits.uploads_per_minute_max;
        let interval = MINUTE / per_minute_max;
        let next_arrival = self.next_arrival.map_or(now, |time| time.max(now)) + interval;
        let ahead = next_arrival - now;
        if ahead > MINUTE {
            let retry_after =
                Duration::from_secs((ahead - MINUTE).as_millis().div_ceil(1000) as u64);
            return Err(ApiError::TooManyUploads { per_minute_max, retry_after });
        }
        self.next_arrival = Some(next_arrival);
        self.uploads += 1;
        Ok(())
    }

    /// How many uploads are left now, and when all are again.
    fn quota(&self, per_minute_max: u32, now: Instant) -> (u128, Duration) {
        let ahead =
            self.next_arrival.map_or(Duration::ZERO, |time| time.saturating_duration_since(now));
        let interval = MINUTE / per_minute_max;
        let left = MINUTE.saturating_sub(ahead).as_nanos() / interval.as_nanos();
        (left.min(per_minute_max.into()), ahead)
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.uploads == 0
            && self.jobs.is_empty()
            && self.next_arrival.is_none_or(|time| time <= now)
    }
}

impl ClientPermit {
    /// Counts the job that the upload becomes.
    pub(crate) fn add_job(&self, job: JobId) {
        if let ClientAddress::Remote(client) = self.client {
            self.clients.update(client, |usage| usage.jobs.push(job));
        }
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        if let ClientAddress::Remote(client) = self.client {
            self.clients.update(client, |usage| usage.uploads = usage.uploads.saturating_sub(1));
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
    fn one_upload_above_the_rate_is_refused_until_retry_after() {
        let (limits, now) = (limits(4, 100), Instant::now());
        let mut client = Client::default();
        assert_eq!(client.quota(4, now), (4, Duration::ZERO));
        for n in 0..4 {
            assert!(client.admit(&limits, now).is_ok(), "upload {n}");
            let full_after = Duration::from_secs(15 * (n + 1));
            assert_eq!(client.quota(4, now), (3 - u128::from(n), full_after));
        }
        let Err(ApiError::TooManyUploads { retry_after, .. }) = client.admit(&limits, now) else {
            panic!("a fifth upload within a minute")
        };
        assert_eq!(retry_after, Duration::from_secs(15));
        assert_eq!(client.quota(4, now + retry_after / 2).0, 0);
        assert_eq!(client.quota(4, now + retry_after).0, 1);
        assert!(client.admit(&limits, now + retry_after).is_ok());
        assert!(client.admit(&limits, now + retry_after).is_err());
    }

    #[test]
    fn jobs_and_uploads_in_progress_share_one_limit() {
        let limits = limits(1000, 3);
        let mut client = Client { jobs: vec![JobId::random()], ..Client::default() };
        assert!(client.admit(&limits, Instant::now()).is_ok());
        assert!(client.admit(&limits, Instant::now()).is_ok());
        let refusal = client.admit(&limits, Instant::now());
        assert!(matches!(refusal, Err(ApiError::TooManyJobs { jobs_max: 3 })), "{refusal:?}");
    }

    #[test]
    fn idle_clients_are_dropped_above_the_maximum() {
        let clients = Clients::new(limits(6000, 10));
        for n in 0..3 * CLIENTS_KEPT_MAX as u32 {
            clients.update(IpAddr::from(n.to_be_bytes()), |_| {});
        }
        let kept = clients.usage.lock().expect("not poisoned").len();
        assert!(kept <= CLIENTS_KEPT_MAX, "{kept} clients are kept");
    }
}
