//! Who counts as an operator: a holder of the token, else who calls from this very host.
//!
//! Made once at the start, asked by `http` before it shows anything that is not one job's own.
//! A job's id is the key to that job's data and opens nothing else.
//!
//! Without a token, "from this host" means that the service listens on a loopback address, that
//! the request names such an address as its `Host`, and that no proxy says it passed it on. The
//! second keeps out pages of strangers that had their own name resolve to 127.0.0.1 (DNS
//! rebinding), the third a reverse proxy that makes everybody look local.

use crate::config::Config;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Fewest characters of a token: 128 bits in base64 are 22.
const TOKEN_CHARACTERS_MIN: usize = 16;

/// Why the token cannot be used: the operator's to mend.
#[derive(Debug, Error)]
pub enum AccessError {
    /// Its file.
    #[error("`token_file`: {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its length.
    #[error(
        "`token_file`: the token in {} is shorter than {TOKEN_CHARACTERS_MIN} characters; \
         make one with `openssl rand -base64 32`", .0.display()
    )]
    Short(PathBuf),
}

/// A secret that operators send. Kept and compared as a digest, so that neither its length nor
/// its first characters show in how long a comparison takes.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// The content of a file, without the white space around it.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        let text =
            fs::read(path).map_err(|source| AccessError::Read { path: path.to_owned(), source })?;
        match text.trim_ascii() {
            token if token.len() < TOKEN_CHARACTERS_MIN => Err(AccessError::Short(path.into())),
            token => Ok(Self(Sha256::digest(token).into())),
        }
    }

    fn is(&self, word: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(word).into();
        self.0.ct_eq(&digest).into()
    }
}

/// How an operator is known.
#[derive(Debug, Clone)]
pub enum Access {
    /// By the token, wherever the request comes from.
    Token(Token),
    /// By calling from this host.
    Local,
    /// Not at all: the service is reachable from elsewhere and has no token.
    Nobody,
}

/// Why a request is not an operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It has no valid token.
    Token,
    /// It does not come from this host, or there is no telling.
    Elsewhere,
}

/// What a request says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visit<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// `Host`.
    pub host: Option<&'a str>,
    /// Whether a proxy passed it on (`Forwarded`, `X-Forwarded-For`).
    pub passed_on: PassedOn,
}

/// Whether a request came through a proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PassedOn {
    /// Nothing says so.
    #[default]
    No,
    /// A header says so.
    Yes,
}

impl Access {
    /// As configured, for a service that listens on `address`.
    ///
    /// # Errors
    /// When the token cannot be read or is too short.
    pub fn open(config: &Config, address: SocketAddr) -> Result<Self, AccessError> {
        match &config.access.token_file {
            Some(path) => Token::read(path).map(Self::Token),
            None if address.ip().is_loopback() => Ok(Self::Local),
            None => Ok(Self::Nobody),
        }
    }

    /// Whether a request is an operator's.
    pub fn check(&self, visit: &Visit<'_>) -> Result<(), Denied> {
        match self {
            Self::Token(token) => match visit.authorization.and_then(secret) {
                Some(word) if token.is(&word) => Ok(()),
                _ => Err(Denied::Token),
            },
            Self::Local if visit.passed_on == PassedOn::Yes => Err(Denied::Elsewhere),
            Self::Local if visit.host.is_some_and(is_loopback) => Ok(()),
            Self::Local | Self::Nobody => Err(Denied::Elsewhere),
        }
    }
}

/// The secret in an `Authorization`: a bearer token (RFC 6750), or the password of the basic
/// scheme (RFC 7617), which browsers ask for and repeat by themselves.
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

/// Whether a `Host` names this host to itself (RFC 6761, 6.3).
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

    fn token() -> Access {
        Access::Token(Token(Sha256::digest(b"0123456789abcdef").into()))
    }

    fn with(authorization: &str) -> Result<(), Denied> {
        let authorization = Some(authorization.as_bytes());
        token().check(&Visit { authorization, host: Some("localhost"), ..Visit::default() })
    }

    #[test]
    fn the_token_opens_and_nothing_else_does() {
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
        assert_eq!(token().check(&Visit::default()), Err(Denied::Token));
    }

    #[test]
    fn without_a_token_only_this_host_is_let_in() {
        let from = |host, passed_on| {
            Access::Local.check(&Visit { host: Some(host), passed_on, authorization: None })
        };
        for host in ["localhost:8000", "127.0.0.1", "[::1]:80", "127.9.9.9:1", "LOCALHOST."] {
            assert_eq!(from(host, PassedOn::No), Ok(()), "{host}");
            assert_eq!(from(host, PassedOn::Yes), Err(Denied::Elsewhere), "{host}");
        }
        for host in ["evil.example:8000", "localhost.evil.example", "10.0.0.1", "", "[::2]"] {
            assert_eq!(from(host, PassedOn::No), Err(Denied::Elsewhere), "{host}");
        }
        assert_eq!(Access::Local.check(&Visit::default()), Err(Denied::Elsewhere), "no Host");
        let here = Visit { host: Some("localhost"), ..Visit::default() };
        assert_eq!(Access::Nobody.check(&here), Err(Denied::Elsewhere));
    }

    #[test]
    fn a_token_is_long_enough_or_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        fs::write(&path, "0123456789abcde\n").expect("writes");
        assert!(matches!(Token::read(&path), Err(AccessError::Short(_))));
        fs::write(&path, "  0123456789abcdef\n").expect("writes");
        let token = Token::read(&path).expect("long enough");
        assert!(token.is(b"0123456789abcdef"));
        assert_eq!(format!("{token:?}"), "Token(..)");
        let nowhere = folder.path().join("nothing");
        assert!(matches!(Token::read(&nowhere), Err(AccessError::Read { .. })));
    }
}
