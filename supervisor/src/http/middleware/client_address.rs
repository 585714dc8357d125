//! The client address of a request, by which limits are counted.
//!
//! A client is an IPv4 address or an IPv6 /64 network (RFC 6177: the allocation of one
//! subscriber). Behind trusted proxies it is the last address in `X-Forwarded-For` that is not a
//! trusted proxy. An invalid entry ends the search: the proxy that added it counts as the client,
//! because entries before it are not trustworthy. All programs on this host are one client.

use crate::policy::client::ClientAddress;
use axum::http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The address of the peer of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl ClientAddress {
    /// The peer of a connection as a client, even if it is a proxy.
    pub(crate) fn of_peer(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            local if local.is_loopback() => Self::ThisHost,
            remote => Self::Remote(network(remote)),
        }
    }

    /// The client of a request, according to the trusted proxies.
    pub(crate) fn of_request(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let lists = headers.get_all("x-forwarded-for").iter().rev();
        let mut hops = lists.flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b','));
        let mut client = peer.to_canonical();
        while is_trusted(client, trusted) {
            match hops.next().map(address) {
                None => return Self::of_peer(client),
                // The header is present, so the request is forwarded: even a proxy on this host
                // is then not counted as a local program.
                Some(None) => return Self::Remote(network(client)),
                Some(Some(hop)) => client = hop,
            }
        }
        Self::of_peer(client)
    }
}

/// Whether an address belongs to a trusted proxy.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// Parses an entry of `X-Forwarded-For`. Some proxies append the port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(peer: &str, forwarded: &[&[u8]]) -> String {
        let trusted: Vec<IpNet> = ["127.0.0.0/8", "::1/128", "10.0.0.0/8"]
            .map(|network| network.parse().expect("a network"))
            .into();
        let mut headers = HeaderMap::new();
        for list in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(list).expect("a value"));
        }
        let peer = peer.parse().expect("an address");
        match ClientAddress::of_request(peer, &headers, &trusted) {
            ClientAddress::ThisHost => "this host".into(),
            ClientAddress::Remote(address) => address.to_string(),
        }
    }

    #[test]
    fn only_trusted_proxies_determine_the_client() {
        assert_eq!(client("127.0.0.1", &[]), "this host");
        assert_eq!(client("127.9.9.9", &[]), "this host");
        assert_eq!(client("::1", &[]), "this host");
        assert_eq!(client("192.0.2.7", &[]), "192.0.2.7");
        // The header of an untrusted peer is ignored.
        assert_eq!(client("192.0.2.7", &[b"198.51.100.1"]), "192.0.2.7");
        assert_eq!(client("127.0.0.1", &[b"198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            client("127.0.0.1", &[b"203.0.113.1, 198.51.100.1", b"10.0.0.2"]),
            "198.51.100.1"
        );
        assert_eq!(client("::ffff:192.0.2.7", &[]), "192.0.2.7");
        assert_eq!(client("2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::");
        assert_eq!(client("127.0.0.1", &[b"2001:db8:1:2:3:4:5:6"]), "2001:db8:1:2::");
    }

    #[test]
    fn forwarded_addresses_may_have_ports() {
        assert_eq!(client("127.0.0.1", &[b"198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(client("127.0.0.1", &[b"[2001:db8::1]:4711"]), "2001:db8::");
        assert_eq!(client("127.0.0.1", &[b"[2001:db8::1]"]), "2001:db8::");
    }

    #[test]
    fn an_invalid_entry_makes_the_proxy_that_added_it_the_client() {
        for invalid in [&b"unknown"[..], b"", b"198.51.100.1;", b"\xff\xfe", b"_hidden"] {
            let mut list = b"203.0.113.1, ".to_vec();
            list.extend_from_slice(invalid);
            assert_eq!(client("10.0.0.2", &[&list]), "10.0.0.2", "{invalid:?}");
            // A forwarded request does not count as one of this host.
            assert_eq!(client("127.0.0.1", &[&list]), "127.0.0.1", "{invalid:?}");
            list.extend_from_slice(b", 10.0.0.3");
            assert_eq!(client("127.0.0.1", &[&list]), "10.0.0.3", "{invalid:?}");
        }
    }
}
