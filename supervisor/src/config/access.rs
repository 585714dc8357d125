//! Settings of access control and of webhooks.

use crate::config::ClientLimits;
use crate::config::defaults::credential;
use crate::config::values::{Result, Values, refused};
use ipnet::IpNet;
use std::path::PathBuf;

/// Settings of access control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessConfig {
    /// File with the operator token.
    pub token_file: Option<PathBuf>,
    /// Origins whose pages may call the service from a browser; `*` allows all.
    pub cors_origins: Vec<String>,
    /// Limits per client.
    pub clients: ClientLimits,
}

/// Settings of webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookConfig {
    /// File with the secret that signs webhooks; without it webhooks are off.
    pub secret_file: Option<PathBuf>,
    /// Non-public networks that webhooks may reach, also without TLS.
    pub networks: Vec<IpNet>,
}

impl AccessConfig {
    pub(crate) fn read(values: &mut Values) -> Result<Self> {
        Ok(Self {
            token_file: values.file("token_file", || credential("token"))?,
            cors_origins: values.list("cors_origins", origin, String::clone)?,
            clients: ClientLimits::read(values)?,
        })
    }
}

impl WebhookConfig {
    pub(crate) fn read(values: &mut Values) -> Result<Self> {
        Ok(Self {
            secret_file: values.file("webhook_secret_file", || credential("webhook-secret"))?,
            networks: values.networks("webhook_networks")?,
        })
    }
}

fn origin(text: &str) -> Result<String> {
    let uri: Option<axum::http::Uri> = text.parse().ok();
    let is_origin = uri.is_some_and(|uri| {
        let scheme = uri.scheme_str().is_some_and(|scheme| ["http", "https"].contains(&scheme));
        scheme && uri.authority().is_some() && !text["https://".len()..].contains(['/', '?', '@'])
    });
    if text == "*" || is_origin {
        return Ok(text.to_owned());
    }
    Err(refused("cors_origins", text, "a list of origins such as https://example.org"))
}
