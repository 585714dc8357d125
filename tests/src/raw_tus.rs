//! Resumable uploads request by request, including requests that a correct client does not send.

use crate::server::TestServer;
use anyhow::{Context, Result, ensure};
use reqwest::blocking::{Body, RequestBuilder, Response};
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use std::io::Write;
use std::net::TcpStream;

/// The content type of a chunk.
pub const BYTES: &str = "application/offset+octet-stream";

/// A client that sends single requests of the protocol.
#[derive(Debug)]
pub struct RawTus<'a> {
    server: &'a TestServer,
}

impl<'a> RawTus<'a> {
    /// A client of this service.
    pub const fn of(server: &'a TestServer) -> Self {
        Self { server }
    }

    /// A request with these headers.
    pub fn ask(&self, method: Method, url: &str, headers: &[(&str, &str)]) -> RequestBuilder {
        let request = self.server.client().request(method, url).header("tus-resumable", "1.0.0");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }

    /// Asks to begin an upload; gives the response whatever it is.
    pub fn try_begin(&self, headers: &[(&str, &str)]) -> Result<Response> {
        Ok(self.ask(Method::POST, &self.server.url("/api/tus"), headers).send()?)
    }

    /// Begins an upload; gives its address.
    pub fn begin(&self, length: u64) -> Result<String> {
        let answer = self.try_begin(&[("upload-length", &length.to_string())])?;
        ensure!(answer.status() == StatusCode::CREATED, "{}", answer.status());
        ensure!(answer.headers().contains_key("upload-expires"), "no expiry");
        Ok(self.server.url(answer.headers()[LOCATION].to_str()?))
    }

    /// Sends the next bytes.
    pub fn add(&self, url: &str, offset: u64, bytes: impl Into<Body>) -> Result<Response> {
        let offset = offset.to_string();
        let headers = [("upload-offset", offset.as_str()), ("content-type", BYTES)];
        Ok(self.ask(Method::PATCH, url, &headers).body(bytes).send()?)
    }

    /// How many bytes the service has.
    pub fn offset(&self, url: &str) -> Result<u64> {
        let answer = self.ask(Method::HEAD, url, &[]).send()?;
        ensure!(answer.status() == StatusCode::OK, "{url}: {}", answer.status());
        ensure!(answer.headers()["cache-control"] == "no-store", "{url} may be stale");
        Ok(answer.headers()["upload-offset"].to_str()?.parse()?)
    }

    /// Sends the header of a PATCH at this offset over a new connection, and the first bytes of its body.
    pub fn half_patch(
        &self,
        url: &str,
        (offset, announced): (u64, usize),
        bytes: &[u8],
    ) -> Result<TcpStream> {
        let rest = url.strip_prefix("http://").context("an address")?;
        let (host, path) = rest.split_once('/').context("a path")?;
        let mut stream = TcpStream::connect(host)?;
        write!(
            stream,
            "PATCH /{path} HTTP/1.1\r\nHost: {host}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n\
             Content-Type: {BYTES}\r\nContent-Length: {announced}\r\nConnection: close\r\n\r\n"
        )?;
        stream.write_all(bytes)?;
        Ok(stream)
    }
}
