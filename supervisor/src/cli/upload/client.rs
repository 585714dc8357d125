//! HTTP requests to a service, with and without TLS.

use crate::cli::upload::error::{TransferError, UploadError};
use crate::policy::display_name::visible;
use crate::tls;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{RETRY_AFTER, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::error::Error;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// Longest time to connect.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Longest time for a response to begin, including the time to send a chunk.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(120);

/// Longest JSON document that is read.
const DOCUMENT_BYTES_MAX: usize = 4 << 20;

/// A client of one service.
#[derive(Debug)]
pub(crate) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
}

impl Client {
    /// A client of the service at this address.
    pub(crate) fn new(address: &str) -> Result<Self, UploadError> {
        let base = address.trim_end_matches('/').to_owned();
        let is_address = |uri: &Uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
                && uri.query().is_none()
        };
        if !base.parse::<Uri>().is_ok_and(|uri| is_address(&uri)) {
            return Err(UploadError::Address(visible(address)));
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        tcp.set_nodelay(true);
        let tls = tls::client(tls::native_roots()).map_err(UploadError::Certificates)?;
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = https.enable_http1().wrap_connector(tcp);
        Ok(Self { http: legacy::Client::builder(TokioExecutor::new()).build(connector), base })
    }

    /// The address of the service, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request to a path of the service; what is refused is an error.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Response<Incoming>, TransferError> {
        let request = self.request(method, path);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let request = request
            .body(Full::new(body))
            .map_err(|_| TransferError::NotUnderstood("its paths are not valid"))?;
        let response = timeout(SILENCE_MAX, self.http.request(request)).await;
        let response = response.map_err(|_| TransferError::Silent(SILENCE_MAX))?;
        let response = response.map_err(|error| unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    fn request(&self, method: Method, path: &str) -> Builder {
        let agent = concat!("BodyScript/", env!("CARGO_PKG_VERSION"));
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(USER_AGENT, agent)
    }

    /// A JSON document of the service.
    pub(crate) async fn document(&self, path: &str) -> Result<Value, TransferError> {
        let response = self.send(Method::GET, path, &[], Bytes::new()).await?;
        let bytes = read(response).await?;
        serde_json::from_slice(&bytes).map_err(|_| TransferError::NotUnderstood("it sends no JSON"))
    }
}

async fn read(response: Response<Incoming>) -> Result<Bytes, TransferError> {
    let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX).collect();
    let read = timeout(SILENCE_MAX, body).await.map_err(|_| TransferError::Silent(SILENCE_MAX))?;
    read.map(http_body_util::Collected::to_bytes)
        .map_err(|error| TransferError::Unreachable(error.to_string()))
}

/// What the service says about a request that it refuses.
async fn refusal(response: Response<Incoming>) -> TransferError {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let problem: Option<Value> =
        read(response).await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let text = |key: &str| Some(problem.as_ref()?[key].as_str()?.to_owned());
    let detail = text("detail").unwrap_or_else(|| format!("the service answers with {status}"));
    TransferError::Refused { status, code: text("code"), detail, retry_after }
}

/// No time cures a certificate that is not trusted.
fn unreachable(error: &legacy::Error) -> TransferError {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = source {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(error @ rustls::Error::InvalidCertificate(_)) = tls {
            return TransferError::Insecure(error.to_string());
        }
        source = error.source();
    }
    TransferError::Unreachable(cause(error))
}

/// The innermost cause, which says what went wrong.
fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_https_without_a_password() {
        for address in ["http://127.0.0.1:8000", "https://example.org/", "http://[::1]:1/prefix"] {
            let client = Client::new(address).expect("an address");
            assert_eq!(client.base(), address.trim_end_matches('/'));
        }
        for wrong in
            ["127.0.0.1:8000", "ftp://a", "http://", "http://u:p@a", "walk.mp4", "http://a/?b"]
        {
            assert!(matches!(Client::new(wrong), Err(UploadError::Address(_))), "{wrong}");
        }
    }
}
