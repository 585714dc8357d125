//! Counts requests by method and status class.

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// Requests since the service started.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestCounter(Family<RequestLabel, Counter>);

/// Method and status of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabel {
    method: &'static str,
    /// Status class, such as `2xx`.
    status: &'static str,
}

impl RequestCounter {
    /// Counts one request.
    pub(crate) fn count(&self, method: &Method, status: StatusCode) {
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let method = known.into_iter().find(|name| method == *name).unwrap_or("other");
        let status = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.0.get_or_create(&RequestLabel { method, status }).inc();
    }

    /// The counters, for registration in a metrics registry.
    pub(crate) fn family(&self) -> Family<RequestLabel, Counter> {
        self.0.clone()
    }
}
