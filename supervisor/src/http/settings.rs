//! What a reload of the configuration replaces, all at once.

use crate::config::Config;
use crate::http::access::Access;
use crate::http::middleware::clients::Clients;
use std::sync::Arc;

/// What of the service a new configuration changes, all at once.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The configuration.
    pub config: Arc<Config>,
    /// How operators are known.
    pub access: Access,
    /// How much each client asked.
    pub clients: Arc<Clients>,
    /// Why the latest new configuration was refused, if it was.
    pub reload_refused: Option<String>,
}
