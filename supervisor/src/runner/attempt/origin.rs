//! The request that caused something, so that all its log lines can be found. Pure.
//!
//! A client may send its own request id (`X-Request-Id`) and trace (`traceparent`, W3C Trace
//! Context). Both are untrusted and used only if they consist of harmless characters.

use std::fmt::Write;

/// Longest accepted request id, in characters.
const ID_CHARS_MAX: usize = 64;

/// The request that caused something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    request_id: Option<String>,
    trace_id: Option<String>,
}

impl Origin {
    /// Unknown.
    pub const NONE: Self = Self { request_id: None, trace_id: None };

    /// From the headers of a request; generates a request id if none is acceptable.
    pub fn of(request_id: Option<&str>, traceparent: Option<&str>) -> Self {
        let given = request_id.filter(|name| is_plain(name)).map(str::to_owned);
        Self {
            request_id: Some(given.unwrap_or_else(random_id)),
            trace_id: traceparent.and_then(trace_id).map(str::to_owned),
        }
    }

    /// From the journal; older versions did not store it.
    pub const fn from_journal(request_id: Option<String>, trace_id: Option<String>) -> Self {
        Self { request_id, trace_id }
    }

    /// The request id.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The trace id.
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }
}

fn is_plain(name: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
}

fn random_id() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers once it has booted");
    bytes.iter().fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}").expect("writing to a string cannot fail");
        name
    })
}

/// The trace id of a `traceparent` (W3C Trace Context, 3.2): version, trace, parent and flags;
/// later versions may append more.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.trim().split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length: usize| {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        part.len() == length && part.bytes().all(digits)
    };
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && is_hex(trace, 32)
        && !is_zero(trace)
        && is_hex(parent, 16)
        && !is_zero(parent)
        && is_hex(flags, 2);
    is_valid.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn plain_request_ids_are_kept_and_others_replaced() {
        let long = "a".repeat(ID_CHARS_MAX);
        for name in ["7", "req-1.2:3/a_b+c=", &long] {
            assert_eq!(Origin::of(Some(name), None).request_id(), Some(name));
        }
        for name in ["", "a b", "a\"b", "caf\u{e9}", "\u{1b}[2J", &format!("{long}a")] {
            let made = Origin::of(Some(name), None);
            assert_ne!(made.request_id(), Some(name));
            assert_eq!(made.request_id().map(str::len), Some(32));
        }
        assert_ne!(Origin::of(None, None), Origin::of(None, None));
    }

    #[test]
    fn only_a_valid_traceparent_yields_a_trace_id() {
        let (parent, zero) = ("00f067aa0ba902b7", "0".repeat(32));
        for valid in [format!("00-{TRACE}-{parent}-01"), format!("cc-{TRACE}-{parent}-00-more")] {
            assert_eq!(trace_id(&valid), Some(TRACE), "{valid}");
        }
        for invalid in [
            format!("00-{TRACE}-{parent}-01-more"),
            format!("ff-{TRACE}-{parent}-01"),
            format!("00-{zero}-{parent}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{parent}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{parent}"),
            String::new(),
        ] {
            assert_eq!(trace_id(&invalid), None, "{invalid}");
        }
    }
}
