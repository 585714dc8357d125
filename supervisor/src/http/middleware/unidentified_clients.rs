//! Logs once that per-client limits do not work for uploads that a proxy forwards without
//! `X-Forwarded-For`.
//!
//! A proxy on this host can't be distinguished from a local program, so the message for loopback
//! addresses is correct for both. Only uploads are checked, not page loads or health checks.

use crate::http::access::Listener;
use crate::http::middleware::client_address::{Peer, is_trusted};
use crate::http::service::LiveService;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The messages that were already logged.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    exempt: AtomicBool,
    shared: AtomicBool,
}

/// How per-client limits apply to an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    /// The client has a count of its own.
    Separate,
    /// Not counted: the request comes from this host and names no client.
    Exempt,
    /// Counted together with all other clients of the proxy.
    Shared,
}

/// Checks requests that start an upload.
pub(crate) async fn report_unidentified(
    State((live, reported)): State<(LiveService, Arc<Reported>)>,
    request: Request,
    next: Next,
) -> Response {
    let is_public = request.extensions().get() == Some(&Listener::Public);
    let starts_upload = [Method::POST, Method::PUT].contains(request.method());
    if let (true, true, Some(Peer(peer))) = (is_public, starts_upload, request.extensions().get()) {
        let peer = peer.ip().to_canonical();
        let config = live.settings.borrow().config.clone();
        reported.report(
            peer,
            counting(peer, request.headers(), &config.access.clients.trusted_proxies),
        );
    }
    next.run(request).await
}

fn counting(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Counting {
    let is_trusted = is_trusted(peer, proxies);
    match is_trusted && headers.contains_key("x-forwarded-for") {
        false if peer.is_loopback() => Counting::Exempt,
        false if is_trusted => Counting::Shared,
        _ => Counting::Separate,
    }
}

impl Reported {
    fn report(&self, peer: IpAddr, counting: Counting) {
        let is_first = |logged: &AtomicBool| !logged.swap(true, Ordering::Relaxed);
        match counting {
            Counting::Exempt if is_first(&self.exempt) => tracing::info!(
                %peer,
                "per-client limits are off for uploads from this address: no proxy in \
                 `trusted_proxies` names the client in X-Forwarded-For; configure the proxy to \
                 send it (docs/proxies)"
            ),
            Counting::Shared if is_first(&self.shared) => tracing::warn!(
                %peer,
                "all clients of this proxy count as one: it is in `trusted_proxies` but sends no \
                 X-Forwarded-For; configure it to send the header (docs/proxies)"
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_counted_separately_if_it_connects_directly_or_a_trusted_proxy_names_it() {
        let proxies = ["127.0.0.0/8", "10.0.0.0/8"].map(|network| network.parse().expect("one"));
        let mut named = HeaderMap::new();
        named.insert("x-forwarded-for", "203.0.113.9".parse().expect("a value"));
        let counting = |peer: &str, headers, proxies: &[IpNet]| {
            super::counting(peer.parse().expect("an address"), headers, proxies)
        };
        let unnamed = HeaderMap::new();
        for (peer, expected) in [
            ("127.0.0.1", Counting::Exempt),
            ("10.0.0.1", Counting::Shared),
            ("192.0.2.1", Counting::Separate),
        ] {
            assert_eq!(counting(peer, &unnamed, &proxies), expected, "{peer}");
            assert_eq!(counting(peer, &named, &proxies), Counting::Separate, "{peer}");
        }
        assert_eq!(counting("127.0.0.1", &named, &[]), Counting::Exempt, "no proxy is trusted");
    }
}
