//! What a configuration gives notices: the secret they are signed with, and where they may go.
//!
//! Opened at a start and at every reload before anything changes, so that a fault in the new one
//! leaves the old in force.

use crate::config::WebhookConfig;
use crate::store::clock;
use crate::webhook::WebhookError;
use crate::webhook::address::{EgressPolicy, WebhookUrl};
use crate::webhook::post::{Post, PostError};
use crate::webhook::sign::Secret;
use ipnet::IpNet;
use std::sync::Arc;

/// Enough to tell somebody something.
#[derive(Debug)]
pub(crate) struct WebhookSender {
    secret: Secret,
    networks: Vec<IpNet>,
    post: Post,
}

impl WebhookSender {
    /// Reads the secret anew; nothing where none is configured.
    ///
    /// # Errors
    /// When the secret or the host's certificates cannot be used.
    pub(crate) fn open(config: &WebhookConfig) -> Result<Option<Arc<Self>>, WebhookError> {
        let Some(path) = &config.secret_file else { return Ok(None) };
        let networks = config.networks.clone();
        let post = Post::new(EgressPolicy::new(networks.clone()))?;
        Ok(Some(Arc::new(Self { secret: Secret::read(path)?, networks, post })))
    }

    /// Whether a notice sent by the other would be the same.
    pub(crate) fn are_those_of(&self, other: &Self) -> bool {
        self.secret == other.secret && self.networks == other.networks
    }

    /// Sends one notice; gives the status of the answer.
    pub(crate) async fn send(
        &self,
        name: &str,
        address: &WebhookUrl,
        body: &[u8],
    ) -> Result<u16, PostError> {
        let headers = self.secret.sign(name, clock::wall().as_second(), body);
        self.post.send(address, &headers, body).await
    }
}
