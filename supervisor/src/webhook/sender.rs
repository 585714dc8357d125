//! Sends webhooks as configured: with the signing secrets and the allowed networks.
//!
//! Built at start and at every reload before any setting changes, so that an invalid configuration
//! leaves the current one in effect.

use crate::config::WebhookConfig;
use crate::store::wall;
use crate::webhook::WebhookError;
use crate::webhook::address::{EgressPolicy, WebhookUrl};
use crate::webhook::post::{Post, PostError};
use crate::webhook::sign::Secrets;
use std::sync::Arc;

/// Signs and sends webhooks.
#[derive(Debug)]
pub(crate) struct WebhookSender {
    secrets: Secrets,
    egress: EgressPolicy,
    post: Post,
}

impl WebhookSender {
    /// Reads the secrets; none if webhooks are not configured.
    ///
    /// # Errors
    /// If the secrets or the certificates of the host can't be used.
    pub(crate) fn open(config: &WebhookConfig) -> Result<Option<Arc<Self>>, WebhookError> {
        let Some(path) = &config.secret_file else { return Ok(None) };
        let egress = EgressPolicy::new(config.networks.clone());
        let post = Post::new(egress.clone())?;
        Ok(Some(Arc::new(Self { secrets: Secrets::read(path)?, egress, post })))
    }

    /// Whether both have the same secrets and networks.
    pub(crate) fn is_equivalent_to(&self, other: &Self) -> bool {
        self.secrets == other.secrets && self.egress == other.egress
    }

    /// Whether webhooks may be sent to this URL, as far as it tells without resolving a name.
    pub(crate) fn may_send_to(&self, url: &WebhookUrl) -> bool {
        url.literal_address().is_none_or(|ip| self.egress.allows(ip, url.is_tls))
    }

    /// Sends a webhook; returns the status of the response.
    pub(crate) async fn send(
        &self,
        name: &str,
        address: &WebhookUrl,
        body: &[u8],
    ) -> Result<u16, PostError> {
        let headers = self.secrets.sign(name, wall().as_second(), body);
        self.post.send(address, &headers, body).await
    }
}
