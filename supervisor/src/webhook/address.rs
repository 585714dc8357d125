//! The URLs and addresses to which webhooks may be sent: public addresses over TLS, and the
//! networks in `webhook_networks`. Pure.
//!
//! Prevents clients from reaching internal networks through the service (server-side request
//! forgery, CWE-918).

use axum::http::Uri;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use thiserror::Error;

/// A webhook URL from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookUrl {
    uri: Uri,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

/// The text is no valid webhook URL.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected a URL such as https://example.org/notices, without user name and password")]
pub(crate) struct InvalidWebhookUrl;

impl FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidWebhookUrl)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(InvalidWebhookUrl),
        };
        let authority = uri.authority().ok_or(InvalidWebhookUrl)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(InvalidWebhookUrl);
        }
        // A port beyond 65535 is none to `Uri`, which would leave the default.
        let has_port = !authority.as_str().ends_with(authority.host());
        if has_port && authority.port_u16().is_none() {
            return Err(InvalidWebhookUrl);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { uri, host, port, is_tls })
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl WebhookUrl {
    /// The address, if the host is one and no name: in the usual forms, or in those that resolvers take for one (a
    /// single number, parts in octal or hexadecimal).
    pub(crate) fn literal_address(&self) -> Option<IpAddr> {
        let without_zone = self.host.split('%').next()?;
        let address = without_zone.parse().ok();
        address.or_else(|| numeric_v4(&self.host).map(IpAddr::V4))
    }

    /// The path and query.
    pub(crate) fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    /// The host and port, as written in the URL.
    pub(crate) fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }
}

/// An IPv4 address as one to four numbers, the last of which fills the rest (inet_aton; IPv4 parser of the URL standard).
fn numeric_v4(host: &str) -> Option<Ipv4Addr> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let parts: Option<Vec<u64>> = host.split('.').map(number).collect();
    let (last, first) = parts.as_deref()?.split_last()?;
    let bytes_left = 4_usize.checked_sub(first.len()).filter(|bytes| *bytes > 0)?;
    if *last >= 1 << (8 * bytes_left) {
        return None;
    }
    let mut octets = (*last as u32).to_be_bytes();
    for (octet, part) in octets.iter_mut().zip(first) {
        *octet = u8::try_from(*part).ok()?;
    }
    Some(octets.into())
}

/// A number in decimal, octal (`0...`) or hexadecimal (`0x...`).
fn number(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(""), _) | (None, Some("")) => return Some(0),
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) => (digits, 8),
        (None, None) => (lower.as_str(), 10),
    };
    // `from_str_radix` would accept a sign.
    let is_number = digits.bytes().all(|digit| digit.is_ascii_alphanumeric());
    is_number.then(|| u64::from_str_radix(digits, radix).ok())?
}

/// Decides to which addresses webhooks may be sent; contains the allowed networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EgressPolicy(Vec<IpNet>);

impl EgressPolicy {
    pub(crate) const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether a webhook may be sent to this address.
    pub(crate) fn allows(&self, ip: IpAddr, is_tls: bool) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip)) || (is_tls && is_public(ip))
    }
}

/// Whether an address is globally reachable (IANA special-purpose address registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

/// Global unicast, except for reserved ranges and ranges that embed an IPv4 address.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        [0x2001, b, ..] if b < 0x200 || b == 0xdb8 => false,
        [0x3fff, b, ..] if b < 0x1000 => false,
        [0x2002, ..] => false,
        [a, ..] => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_with_credentials_or_other_schemes_are_refused() {
        let parse = |text: &str| text.parse::<WebhookUrl>();
        let plain = parse("https://example.org/a?b=c").expect("valid");
        assert_eq!((plain.host.as_str(), plain.port, plain.is_tls), ("example.org", 443, true));
        assert_eq!(plain.path(), "/a?b=c");
        let local = parse("http://[::1]:8080").expect("valid");
        assert_eq!((local.host.as_str(), local.port, local.path()), ("::1", 8080, "/"));
        let malformed =
            ["", "example.org", "ftp://a/", "https://", "https://me@a/", "/a", "http://a b/"];
        let without_port = ["https://a:99999/", "https://a:/", "https://[::1]:99999/"];
        for wrong in malformed.into_iter().chain(without_port) {
            assert_eq!(parse(wrong), Err(InvalidWebhookUrl), "{wrong}");
        }
    }

    #[test]
    fn literal_addresses_are_known_in_every_form_that_resolvers_take() {
        let of = |host: &str| {
            let url: WebhookUrl = format!("https://{host}:8443/a").parse().expect(host);
            url.literal_address().map(|ip| ip.to_canonical().to_string())
        };
        for host in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0X7F.1",
            "0177.0.0.01",
            "017700000001",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
        ] {
            assert_eq!(of(host).as_deref(), Some("127.0.0.1"), "{host}");
        }
        assert_eq!(of("0").as_deref(), Some("0.0.0.0"));
        assert_eq!(of("8.8.8.8").as_deref(), Some("8.8.8.8"));
        assert_eq!(of("[2606:4700::1111]").as_deref(), Some("2606:4700::1111"));
        for name in [
            "a.example",
            "1.2.3.4.5",
            "256.0.0.1",
            "4294967296",
            "127.0.0.1.example",
            "0xg",
            "08.1",
            "1..2",
        ] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn only_public_addresses_and_configured_networks_are_allowed() {
        let public_only = EgressPolicy::default();
        let allows = |ip: &str| public_only.allows(ip.parse().expect("an address"), true);
        for ip in ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "2a00:1450:4001::1", "1.1.1.1"] {
            assert!(allows(ip), "{ip}");
            assert!(
                !public_only.allows(ip.parse().expect("an address"), false),
                "{ip} without TLS"
            );
        }
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "::7f00:1",
            "fec0::1",
        ] {
            assert!(!allows(ip), "{ip}");
        }
        let internal = EgressPolicy::new(vec!["10.1.0.0/16".parse().expect("a network")]);
        let allows = |ip: &str| internal.allows(ip.parse().expect("an address"), false);
        assert!(allows("10.1.2.3") && allows("::ffff:10.1.2.3"));
        assert!(!allows("10.2.2.3") && !allows("127.0.0.1"));
    }
}
