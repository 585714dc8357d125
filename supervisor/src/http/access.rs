//! Operator authentication: by the token, or by a local request to the operator listener.
//!
//! Built at start and at each reload; `middleware::operators_only` checks every request for an
//! operator endpoint. A job id grants access to that job only.
//!
//! A client controls every header of its request, and behind a reverse proxy all requests come
//! from this host. Only the listener that accepted the connection can't be forged, so the public
//! listener accepts nothing but the token.
//!
//! On the operator listener a request is local if the listener is bound to a loopback address, the
//! `Host` of the request is a loopback address or name, and no proxy header is present. The check
//! of `Host` blocks DNS rebinding (a foreign name that resolves to 127.0.0.1); the check of proxy
//! headers blocks a proxy that is configured with the wrong port.

use crate::config::Config;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Minimum length of a token. For comparison: 128 bits in base64 are 22 characters.
const TOKEN_CHARACTERS_MIN: usize = 16;

/// Why operator access can't be set up as configured.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The token file can't be read.
    #[error("`token_file`: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The token is too short.
    #[error(
        "`token_file`: the token in {} is shorter than {TOKEN_CHARACTERS_MIN} characters; \
         generate one with `openssl rand -base64 32`", .0.display()
    )]
    Short(PathBuf),
    /// The operator listener is reachable from other hosts, but no token is configured.
    #[error(
        "`operator_listen` is {0}, which other hosts can reach, but `token_file` is not set; set \
         it, or use a loopback address such as 127.0.0.1:8001"
    )]
    Exposed(SocketAddr),
}

/// The token of operators. Stored and compared as a digest, so that the time of a comparison
/// depends neither on its length nor on the number of matching characters.
#[derive(Clone)]
pub(crate) struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Reads the token from a file, without surrounding white space.
    pub(crate) fn read(path: &Path) -> Result<Self, AccessError> {
        let text =
            fs::read(path).map_err(|source| AccessError::Read { path: path.to_owned(), source })?;
        match text.trim_ascii() {
            token if token.len() < TOKEN_CHARACTERS_MIN => Err(AccessError::Short(path.into())),
            token => Ok(Self(Sha256::digest(token).into())),
        }
    }

    fn matches(&self, secret: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        self.0.ct_eq(&digest).into()
    }
}

/// How operators are authenticated.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// The token, which is accepted on both listeners.
    token: Option<Token>,
    /// Whether local requests to the operator listener need no token.
    local: Local,
}

/// Whether the operator listener is reachable from this host only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Local {
    /// It is bound to a loopback address.
    Yes,
    /// Other hosts can reach it, or it is disabled.
    No,
}

/// The listener that accepted a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The listener for clients.
    #[default]
    Public,
    /// The listener for operators.
    Operators,
}

/// Why a request is denied operator access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// A token is configured, and the request has no valid one.
    Token,
    /// No token is configured, and the request is not known to be local.
    NotLocal,
}

/// The parts of a request that decide about operator access.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Requester<'a> {
    /// The listener that accepted it.
    pub listener: Listener,
    /// The `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// The host the request addresses.
    pub host: Option<&'a str>,
    /// Whether a proxy forwarded it.
    pub forwarded: Forwarded,
}

/// Whether a request has a header that proxies add.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// It has none.
    #[default]
    No,
    /// It has at least one.
    Yes,
}

impl Access {
    /// Builds the access rules; `operators` is the address of the operator listener, if enabled.
    ///
    /// # Errors
    /// If the token can't be read or is too short, or one is required and not configured.
    pub(crate) fn open(
        config: &Config,
        operators: Option<SocketAddr>,
    ) -> Result<Self, AccessError> {
        let token = config.access.token_file.as_deref().map(Token::read).transpose()?;
        let local = match operators {
            Some(address) if address.ip().to_canonical().is_loopback() => Local::Yes,
            Some(address) if token.is_none() => return Err(AccessError::Exposed(address)),
            _ => Local::No,
        };
        Ok(Self { token, local })
    }

    /// Whether no request can get operator access.
    pub(crate) fn denies_all(&self) -> bool {
        self.token.is_none() && self.local == Local::No
    }

    /// Checks whether a request gets operator access.
    pub(crate) fn check(&self, requester: &Requester<'_>) -> Result<(), Denied> {
        let is_local = self.local == Local::Yes
            && requester.listener == Listener::Operators
            && requester.forwarded == Forwarded::No
            && requester.host.is_some_and(is_loopback);
        match &self.token {
            _ if is_local => Ok(()),
            Some(token) => match requester.authorization.and_then(secret) {
                Some(secret) if token.matches(&secret) => Ok(()),
                _ => Err(Denied::Token),
            },
            None => Err(Denied::NotLocal),
        }
    }
}

/// The secret in an `Authorization` header: a bearer token (RFC 6750), or the password of the
/// basic scheme (RFC 7617), which browsers prompt for and resend.
fn secret(authorization: &[u8]) -> Option<Vec<u8>> {
    let space = authorization.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = authorization.split_at(space);
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// Whether a `Host` is a loopback address or a `localhost` name (RFC 6761, 6.3).
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
    bare.parse::<IpAddr>().map_or_else(
        |_| name == "localhost" || name.ends_with(".localhost"),
        |address| address.is_loopback(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    const TOKEN: &[u8] = b"0123456789abcdef";

    fn access(local: Local, token: Option<&[u8]>) -> Access {
        Access { token: token.map(|token| Token(Sha256::digest(token).into())), local }
    }

    fn with(authorization: &str) -> Result<(), Denied> {
        let authorization = Some(authorization.as_bytes());
        let requester =
            Requester { authorization, host: Some("localhost"), ..Requester::default() };
        access(Local::Yes, Some(TOKEN)).check(&requester)
    }

    #[test]
    fn the_public_listener_accepts_only_the_token() {
        assert_eq!(with("Bearer 0123456789abcdef"), Ok(()));
        assert_eq!(with("bearer  0123456789abcdef "), Ok(()));
        assert_eq!(with(&format!("Basic {}", STANDARD.encode("me:0123456789abcdef"))), Ok(()));
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer ",
            "Bearer",
            "0123456789abcdef",
            "Digest 0123456789abcdef",
            "Basic 0123456789abcdef",
            &format!("Basic {}", STANDARD.encode("0123456789abcdef")),
        ] {
            assert_eq!(with(wrong), Err(Denied::Token), "{wrong:?}");
        }
        let anonymous = Requester { host: Some("localhost"), ..Requester::default() };
        assert_eq!(access(Local::Yes, Some(TOKEN)).check(&anonymous), Err(Denied::Token));
        assert_eq!(access(Local::Yes, None).check(&anonymous), Err(Denied::NotLocal));
        assert!(access(Local::No, None).denies_all());
        assert!(!access(Local::No, Some(TOKEN)).denies_all());
    }

    #[test]
    fn the_operator_listener_accepts_local_requests_and_the_token_only() {
        let listener = Listener::Operators;
        for (token, denied) in [(None, Denied::NotLocal), (Some(TOKEN), Denied::Token)] {
            let access = access(Local::Yes, token);
            let from = |host, forwarded| {
                access.check(&Requester {
                    listener,
                    host: Some(host),
                    forwarded,
                    authorization: None,
                })
            };
            for host in ["localhost:8001", "127.0.0.1", "[::1]:80", "127.9.9.9:1", "LOCALHOST."] {
                assert_eq!(from(host, Forwarded::No), Ok(()), "{host}");
                assert_eq!(from(host, Forwarded::Yes), Err(denied), "{host}");
            }
            for host in ["evil.example:8001", "localhost.evil.example", "10.0.0.1", "", "[::2]"] {
                assert_eq!(from(host, Forwarded::No), Err(denied), "{host}");
            }
            assert_eq!(access.check(&Requester { listener, ..Requester::default() }), Err(denied));
        }
        // A request through a proxy is accepted with the token.
        let authorization = Some(b"Bearer 0123456789abcdef".as_slice());
        let forwarded = Forwarded::Yes;
        let requester = Requester { listener, authorization, forwarded, host: Some("a.example") };
        assert_eq!(access(Local::Yes, Some(TOKEN)).check(&requester), Ok(()));
        let local = Requester { listener, host: Some("localhost"), ..Requester::default() };
        assert_eq!(access(Local::No, Some(TOKEN)).check(&local), Err(Denied::Token));
    }

    #[test]
    fn an_operator_listener_reachable_from_other_hosts_requires_a_token() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        fs::write(&path, TOKEN).expect("writes");
        let mut config = Config::resolve(RawConfig::default()).expect("valid");
        let mut open = |token_file: Option<&Path>, operators: &str| {
            config.access.token_file = token_file.map(Path::to_owned);
            Access::open(&config, Some(operators.parse().expect("an address")))
        };
        for reachable in ["0.0.0.0:8001", "192.0.2.1:8001", "[::]:8001"] {
            let error = open(None, reachable).expect_err("exposed").to_string();
            for part in [reachable, "`operator_listen`", "`token_file`"] {
                assert!(error.contains(part), "{error}");
            }
            assert_eq!(open(Some(&path), reachable).expect("a token").local, Local::No);
        }
        for local in ["127.0.0.1:8001", "[::1]:8001", "[::ffff:127.0.0.1]:8001"] {
            assert_eq!(open(None, local).expect("local only").local, Local::Yes, "{local}");
        }
    }

    #[test]
    fn short_or_unreadable_tokens_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        fs::write(&path, "0123456789abcde\n").expect("writes");
        assert!(matches!(Token::read(&path), Err(AccessError::Short(_))));
        fs::write(&path, "  0123456789abcdef\n").expect("writes");
        let token = Token::read(&path).expect("long enough");
        assert!(token.matches(b"0123456789abcdef"));
        assert_eq!(format!("{token:?}"), "Token(..)");
        let nowhere = folder.path().join("nothing");
        assert!(matches!(Token::read(&nowhere), Err(AccessError::Read { .. })));
    }
}
