//! Sends one notice: the name is resolved, every address it has is checked, and the connection
//! goes to one of those that were checked. No redirect is followed.

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

/// How long an address may take to answer, from the resolving of its name on.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Why a notice did not arrive.
#[derive(Debug, Error)]
pub(crate) enum PostError {
    #[error("no response within {} s", ANSWER_MAX.as_secs())]
    Late,
    #[error("cannot resolve the name: {0}")]
    Name(#[source] io::Error),
    #[error("{0} is not public, and `webhook_networks` does not name it (without TLS it has to)")]
    Private(SocketAddr),
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    #[error("invalid HTTP response: {0}")]
    Http(#[from] hyper::Error),
    #[error("cannot build the request: {0}")]
    Request(#[from] hyper::http::Error),
}

/// What sends notices.
#[derive(Debug)]
pub(crate) struct Post {
    allowed: EgressPolicy,
    tls: Arc<ClientConfig>,
}

impl Post {
    /// Trusts whom the host trusts.
    pub(crate) fn new(allowed: EgressPolicy) -> Result<Self, WebhookError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::trusting(roots, allowed)
    }

    fn trusting(roots: RootCertStore, allowed: EgressPolicy) -> Result<Self, WebhookError> {
        let refused = |error: rustls::Error| WebhookError::Certificates(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { allowed, tls: Arc::new(tls) })
    }

    /// Sends one; gives the status of the answer.
    pub(crate) async fn send(
        &self,
        address: &WebhookUrl,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<u16, PostError> {
        let whole = timeout(ANSWER_MAX, self.try_to_send(address, headers, body));
        whole.await.unwrap_or(Err(PostError::Late))
    }

    async fn try_to_send(
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

    /// A connection to an address that may be reached. A name with one that may not is refused
    /// as a whole: whoever serves it means no good.
    async fn connect(&self, address: &WebhookUrl) -> Result<TcpStream, PostError> {
        let found = lookup_host((address.host.as_str(), address.port)).await;
        let found: Vec<SocketAddr> = found.map_err(PostError::Name)?.collect();
        if let Some(private) =
            found.iter().find(|one| !self.allowed.allows(one.ip(), address.is_tls))
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
    // Ends with its sender; what it has to say of that is told to the sender as well.
    let connection = tokio::spawn(async move { drop(connection.await) });
    let answer = sender.send_request(request).await;
    connection.abort();
    Ok(answer?.status().as_u16())
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

    /// A certificate for `localhost`, made for this test, and its key.
    fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (key, certificate) = (folder.path().join("key"), folder.path().join("certificate"));
        let made = Command::new("openssl")
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
        assert!(made.expect("openssl is there").success());
        let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
        (certificate, PrivateKeyDer::from_pem_file(key).expect("a key"))
    }

    /// Answers every request with 204, until the test ends.
    async fn listen() -> (u16, CertificateDer<'static>) {
        let (certificate, key) = certificate();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a sound certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("listens");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                // Who does not trust it does not get that far.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 Taken\r\n\r\n").await;
            }
        });
        (port, certificate)
    }

    #[tokio::test]
    async fn only_who_proves_its_name_is_told() {
        let (port, certificate) = listen().await;
        let here = || {
            EgressPolicy::new(vec![
                "127.0.0.0/8".parse().expect("a network"),
                "::1/128".parse().expect("a network"),
            ])
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a sound certificate");
        let trusting = Post::trusting(roots, here()).expect("works");
        let strange = Post::new(here()).expect("works");
        let address = |host: &str| format!("https://{host}:{port}/").parse().expect("an address");
        let told = trusting.send(&address("localhost"), &[], b"{}").await;
        assert_eq!(told.expect("trusted"), 204);
        for (post, host) in [(&strange, "localhost"), (&trusting, "127.0.0.1")] {
            let refused = post.send(&address(host), &[], b"{}").await;
            assert!(matches!(refused, Err(PostError::Connect(_))), "{host}: {refused:?}");
        }
    }
}
