//! Who counts as an operator: a holder of the token, or whoever calls the operators' listener from
//! this very host.
//!
//! Made at the start and at each reload, asked by `http` before it shows anything that is not one
//! job's own. A job's id is the key to that job's data and opens nothing else.
//!
//! Which listener a request came by is the one thing nobody else can write: behind a reverse proxy
//! every request of a stranger comes from this host and may name it as its `Host`. So nothing a
//! request says of itself opens anything on the public listener but the token.
//!
//! On the operators' listener, "from this host" means that it listens on a loopback address, that
//! the request names such an address as its `Host`, and that no proxy says it passed it on. The
//! second keeps out pages of strangers that had their own name resolve to 127.0.0.1 (DNS
//! rebinding), the third a proxy that was led to the wrong port.

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
    #[error("`token_file`: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its length.
    #[error(
        "`token_file`: the token in {} is shorter than {TOKEN_CHARACTERS_MIN} characters; \
         generate one with `openssl rand -base64 32`", .0.display()
    )]
    Short(PathBuf),
    /// Others could reach the operators' listener, and nothing would tell operators from them.
    #[error(
        "`operator_listen` is {0}, which other hosts can reach, but `token_file` is not set; set \
         it, or use a loopback address such as 127.0.0.1:8001"
    )]
    Exposed(SocketAddr),
}

/// A secret that operators send. Kept and compared as a digest, so that neither its length nor
/// its first characters show in how long a comparison takes.
#[derive(Clone)]
pub(crate) struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// The content of a file, without the white space around it.
    pub(crate) fn read(path: &Path) -> Result<Self, AccessError> {
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

/// How operators are known.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// What they may send on either listener.
    token: Option<Token>,
    /// Whether the operators' listener takes calls from this host without it.
    local: Local,
}

/// Whether callers of the operators' listener are on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Local {
    /// It listens on a loopback address.
    Yes,
    /// Others reach it, or there is none.
    No,
}

/// Which of the service's two listeners a request came by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The one for everybody.
    #[default]
    Public,
    /// The one for operators.
    Operators,
}

/// Why a request is not an operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It has no valid token.
    Token,
    /// It does not come from this host, or there is no telling.
    Elsewhere,
}

/// What a request says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Requester<'a> {
    /// Where it came in.
    pub listener: Listener,
    /// `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// `Host`.
    pub host: Option<&'a str>,
    /// Whether a proxy says that it passed it on.
    pub passed_on: Forwarded,
}

/// Whether a request came through a proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// Nothing says so.
    #[default]
    No,
    /// A header says so.
    Yes,
}

impl Access {
    /// As configured, with the operators' listener at `operators`, if there is one.
    ///
    /// # Errors
    /// When the token cannot be read or is too short, or there must be one and is none.
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

    /// Whether no request can be an operator's.
    pub(crate) fn is_impossible(&self) -> bool {
        self.token.is_none() && self.local == Local::No
    }

    /// Whether a request is an operator's.
    pub(crate) fn check(&self, visit: &Requester<'_>) -> Result<(), Denied> {
        let is_here = self.local == Local::Yes
            && visit.listener == Listener::Operators
            && visit.passed_on == Forwarded::No
            && visit.host.is_some_and(is_loopback);
        match &self.token {
            _ if is_here => Ok(()),
            Some(token) => match visit.authorization.and_then(secret) {
                Some(word) if token.is(&word) => Ok(()),
                _ => Err(Denied::Token),
            },
            None => Err(Denied::Elsewhere),
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
    use crate::config::RawConfig;

    const TOKEN: &[u8] = b"0123456789abcdef";

    fn access(local: Local, token: Option<&[u8]>) -> Access {
        Access { token: token.map(|token| Token(Sha256::digest(token).into())), local }
    }

    fn with(authorization: &str) -> Result<(), Denied> {
        let authorization = Some(authorization.as_bytes());
        let visit = Requester { authorization, host: Some("localhost"), ..Requester::default() };
        access(Local::Yes, Some(TOKEN)).check(&visit)
    }

    #[test]
    fn the_token_opens_the_public_listener_and_nothing_else_does() {
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
        let silent = Requester { host: Some("localhost"), ..Requester::default() };
        assert_eq!(access(Local::Yes, Some(TOKEN)).check(&silent), Err(Denied::Token));
        assert_eq!(access(Local::Yes, None).check(&silent), Err(Denied::Elsewhere));
        assert!(access(Local::No, None).is_impossible());
        assert!(!access(Local::No, Some(TOKEN)).is_impossible());
    }

    #[test]
    fn the_operators_listener_takes_this_host_at_its_word_and_nobody_else() {
        let listener = Listener::Operators;
        for (token, denied) in [(None, Denied::Elsewhere), (Some(TOKEN), Denied::Token)] {
            let access = access(Local::Yes, token);
            let from = |host, passed_on| {
                access.check(&Requester {
                    listener,
                    host: Some(host),
                    passed_on,
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
        // A proxy of one's own may well bring the token.
        let authorization = Some(b"Bearer 0123456789abcdef".as_slice());
        let passed_on = Forwarded::Yes;
        let visit = Requester { listener, authorization, passed_on, host: Some("a.example") };
        assert_eq!(access(Local::Yes, Some(TOKEN)).check(&visit), Ok(()));
        let here = Requester { listener, host: Some("localhost"), ..Requester::default() };
        assert_eq!(access(Local::No, Some(TOKEN)).check(&here), Err(Denied::Token));
    }

    #[test]
    fn a_listener_that_others_reach_takes_a_token_to_open() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        fs::write(&path, TOKEN).expect("writes");
        let mut config = Config::resolve(&RawConfig::default()).expect("sound");
        let mut open = |token_file: Option<&Path>, operators: &str| {
            config.access.token_file = token_file.map(Path::to_owned);
            Access::open(&config, Some(operators.parse().expect("an address")))
        };
        for beyond in ["0.0.0.0:8001", "192.0.2.1:8001", "[::]:8001"] {
            let error = open(None, beyond).expect_err("exposed").to_string();
            for word in [beyond, "`operator_listen`", "`token_file`"] {
                assert!(error.contains(word), "{error}");
            }
            assert_eq!(open(Some(&path), beyond).expect("a token").local, Local::No);
        }
        for here in ["127.0.0.1:8001", "[::1]:8001", "[::ffff:127.0.0.1]:8001"] {
            assert_eq!(open(None, here).expect("nobody else").local, Local::Yes, "{here}");
        }
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
