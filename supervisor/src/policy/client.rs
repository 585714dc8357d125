//! Who sent a request, as far as limits and fairness are concerned. The address of a request is determined in
//! `http::middleware::client_address`.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAddress {
    /// Programs on this host that connect without a proxy.
    ThisHost,
    /// An IPv4 address, or the first address of an IPv6 /64 network.
    Remote(IpAddr),
}
