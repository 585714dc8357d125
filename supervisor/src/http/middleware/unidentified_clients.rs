//! Says in the log, once, that limits on one client do not work for uploads that a proxy passes on
//! without naming their client.
//!
//! From this host a proxy and a program of the host look the same, so the line for loopback says
//! only what holds for both. It is said when an upload begins, and not for each page or probe.

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

/// What was said already.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    not_at_all: AtomicBool,
    as_the_proxy: AtomicBool,
}

/// How the client of an upload is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// As itself.
    Alone,
    /// Not at all: the request comes from this host and names nobody.
    NotAtAll,
    /// With everybody else the proxy speaks for.
    AsTheProxy,
}

/// For addresses at which uploads begin.
pub(crate) async fn notice(
    State((live, said)): State<(LiveService, Arc<Reported>)>,
    request: Request,
    next: Next,
) -> Response {
    let is_public = request.extensions().get() == Some(&Listener::Public);
    let begins = [Method::POST, Method::PUT].contains(request.method());
    if let (true, true, Some(Peer(peer))) = (is_public, begins, request.extensions().get()) {
        let peer = peer.ip().to_canonical();
        let config = live.settings.borrow().config.clone();
        said.tell(peer, counted(peer, request.headers(), &config.access.clients.trusted_proxies));
    }
    next.run(request).await
}

fn counted(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Counted {
    let is_trusted = is_trusted(peer, proxies);
    match is_trusted && headers.contains_key("x-forwarded-for") {
        false if peer.is_loopback() => Counted::NotAtAll,
        false if is_trusted => Counted::AsTheProxy,
        _ => Counted::Alone,
    }
}

impl Reported {
    fn tell(&self, peer: IpAddr, counted: Counted) {
        let is_news = |said: &AtomicBool| !said.swap(true, Ordering::Relaxed);
        match counted {
            Counted::NotAtAll if is_news(&self.not_at_all) => tracing::info!(
                %peer,
                "per-client limits are off for uploads from this address: no proxy in \
                 `trusted_proxies` names the client in X-Forwarded-For; configure the proxy to \
                 send it (docs/proxies)"
            ),
            Counted::AsTheProxy if is_news(&self.as_the_proxy) => tracing::warn!(
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
    fn a_client_is_counted_alone_where_a_trusted_proxy_names_one_or_it_calls_itself() {
        let proxies = ["127.0.0.0/8", "10.0.0.0/8"].map(|network| network.parse().expect("one"));
        let mut named = HeaderMap::new();
        named.insert("x-forwarded-for", "203.0.113.9".parse().expect("a value"));
        let counted = |peer: &str, headers, proxies: &[IpNet]| {
            super::counted(peer.parse().expect("an address"), headers, proxies)
        };
        let unnamed = HeaderMap::new();
        for (peer, of_unnamed) in [
            ("127.0.0.1", Counted::NotAtAll),
            ("10.0.0.1", Counted::AsTheProxy),
            ("192.0.2.1", Counted::Alone),
        ] {
            assert_eq!(counted(peer, &unnamed, &proxies), of_unnamed, "{peer}");
            assert_eq!(counted(peer, &named, &proxies), Counted::Alone, "{peer}");
        }
        assert_eq!(counted("127.0.0.1", &named, &[]), Counted::NotAtAll, "nobody is believed");
    }
}
