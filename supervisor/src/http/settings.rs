//! The part of the service that a reload of the configuration replaces.

use crate::config::Config;
use crate::http::access::Access;
use crate::http::middleware::clients::Clients;
use std::sync::Arc;

/// Settings that a reload replaces together.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The configuration.
    pub config: Arc<Config>,
    /// How operators are authenticated.
    pub access: Access,
    /// Upload and job limits per client.
    pub clients: Arc<Clients>,
    /// Why the last reload failed, if it did.
    pub reload_refused: Option<String>,
}
