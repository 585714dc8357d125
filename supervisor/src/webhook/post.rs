//! Sends one webhook over HTTP: resolves the host name, checks every address of it, and connects to
//! one of the checked addresses. Redirects are not followed.

use crate::tls;
use crate::webhook::WebhookError;
use crate::webhook::address::{EgressPolicy, WebhookUrl};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Time limit for a webhook, from name resolution to the response.
const RESPONSE_MAX: Duration = Duration::from_secs(15);

/// Why a webhook could not be sent.
#[derive(Debug, Error)]
pub(crate) enum PostError {
    #[error("no response within {} s", RESPONSE_MAX.as_secs())]
    TimedOut,
    #[error("cannot resolve the name: {0}")]
    Name(#[source] io::Error),
    #[error(
        "{0} is not public, and not in `webhook_networks` (without TLS it must be in that list)"
    )]
    Private(SocketAddr),
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    #[error("invalid HTTP response: {0}")]
    Http(#[from] hyper::Error),
    #[error("cannot build the request: {0}")]
    Request(#[from] hyper::http::Error),
}

/// The HTTP client for webhooks.
#[derive(Debug)]
pub(crate) struct Post {
    egress: EgressPolicy,
    tls: Arc<ClientConfig>,
}

impl Post {
    /// Trusts the certificates that the host trusts.
    pub(crate) fn new(egress: EgressPolicy) -> Result<Self, WebhookError> {
        Self::with_roots(tls::native_roots(), egress)
    }

    fn with_roots(roots: RootCertStore, egress: EgressPolicy) -> Result<Self, WebhookError> {
        let refused = |error: rustls::Error| WebhookError::Certificates(error.to_string());
        Ok(Self { egress, tls: Arc::new(tls::client(roots).map_err(refused)?) })
    }

    /// Sends a webhook; returns the status of the response.
    pub(crate) async fn send(
        &self,
        address: &WebhookUrl,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<u16, PostError> {
        let sent = timeout(RESPONSE_MAX, self.send_unlimited(address, headers, body));
        sent.await.unwrap_or(Err(PostError::TimedOut))
    }

    async fn send_unlimited(
        &self,
        address: &WebhookUrl,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<u16, PostError> {
        let mut request = Request::post(address.path())
            .header(HOST, address.authority())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("BodyScript/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body)))?;
        let stream = self.connect(address).await?;
        if !address.is_tls {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(address.host.clone())
            .map_err(|error| PostError::Connect(io::Error::other(error)))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        exchange(tls.connect(name, stream).await.map_err(PostError::Connect)?, request).await
    }

    /// Connects to an allowed address of the host. If any of its addresses is not allowed, the host
    /// is refused: its DNS records may be malicious.
    async fn connect(&self, address: &WebhookUrl) -> Result<TcpStream, PostError> {
        let found = lookup_host((address.host.as_str(), address.port)).await;
        let found: Vec<SocketAddr> = found.map_err(PostError::Name)?.collect();
        if let Some(private) =
            found.iter().find(|one| !self.egress.allows(one.ip(), address.is_tls))
        {
            return Err(PostError::Private(*private));
        }
        TcpStream::connect(&found[..]).await.map_err(PostError::Connect)
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<u16, PostError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends when `sender` is dropped; `sender` reports its errors as well.
    let connection = tokio::spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await;
    connection.abort();
    Ok(response?.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::process::{Command, Stdio};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    /// Generates a certificate for `localhost` and its key.
    fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (key, certificate) = (folder.path().join("key"), folder.path().join("certificate"));
        let generated = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        assert!(generated.expect("openssl is there").success());
        let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
        (certificate, PrivateKeyDer::from_pem_file(key).expect("a key"))
    }

    /// Responds to every request with 204, until the test ends.
    async fn listen() -> (u16, CertificateDer<'static>) {
        let (certificate, key) = certificate();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a valid certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("listens");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                // A client that does not trust the certificate fails the handshake.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        });
        (port, certificate)
    }

    #[tokio::test]
    async fn only_receivers_with_a_trusted_certificate_for_their_name_get_webhooks() {
        let (port, certificate) = listen().await;
        let local = || {
            EgressPolicy::new(vec![
                "127.0.0.0/8".parse().expect("a network"),
                "::1/128".parse().expect("a network"),
            ])
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a valid certificate");
        let with_roots = Post::with_roots(roots, local()).expect("works");
        let without_root = Post::new(local()).expect("works");
        let address = |host: &str| format!("https://{host}:{port}/").parse().expect("an address");
        let delivered = with_roots.send(&address("localhost"), &[], b"{}").await;
        assert_eq!(delivered.expect("trusted"), 204);
        for (post, host) in [(&without_root, "localhost"), (&with_roots, "127.0.0.1")] {
            let refused = post.send(&address(host), &[], b"{}").await;
            assert!(matches!(refused, Err(PostError::Connect(_))), "{host}: {refused:?}");
        }
    }
}
