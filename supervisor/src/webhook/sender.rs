//! Sends webhooks as configured: with the signing secret and the allowed networks.
//!
//! Built at start and at every reload before any setting changes, so that an invalid configuration
//! leaves the current one in effect.

use crate::config::WebhookConfig;
use crate::store::wall;
use crate::webhook::WebhookError;
use crate::webhook::address::{EgressPolicy, WebhookUrl};
use crate::webhook::post::{Post, PostError};
use crate::webhook::sign::Secret;
use ipnet::IpNet;
use std::sync::Arc;

/// Signs and sends webhooks.
#[derive(Debug)]
pub(crate) struct WebhookSender {
    secret: Secret,
    networks: Vec<IpNet>,
    post: Post,
}

impl WebhookSender {
    /// Reads the secret; none if webhooks are not configured.
    ///
    /// # Errors
    /// If the secret or the certificates of the host can't be used.
    pub(crate) fn open(config: &WebhookConfig) -> Result<Option<Arc<Self>>, WebhookError> {
        let Some(path) = &config.secret_file else { return Ok(None) };
        let networks = config.networks.clone();
        let post = Post::new(EgressPolicy::new(networks.clone()))?;
        Ok(Some(Arc::new(Self { secret: Secret::read(path)?, networks, post })))
    }

    /// Whether both have the same secret and networks.
    pub(crate) fn is_equivalent_to(&self, other: &Self) -> bool {
        self.secret == other.secret && self.networks == other.networks
    }

    /// Sends a webhook; returns the status of the response.
    pub(crate) async fn send(
        &self,
        name: &str,
        address: &WebhookUrl,
        body: &[u8],
    ) -> Result<u16, PostError> {
        let headers = self.secret.sign(name, wall().as_second(), body);
        self.post.send(address, &headers, body).await
    }
}
