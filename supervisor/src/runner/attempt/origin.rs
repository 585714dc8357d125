//! Which request something came from, so that log lines of one cause can be found together. Pure.
//!
//! A client may bring a name of its own (`X-Request-Id`) and that of a trace it takes part in
//! (`traceparent`, W3C Trace Context). Both are words of a client, taken only if they are plain.

use std::fmt::Write;

/// Longest name of a request that is taken, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Where something came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    request_id: Option<String>,
    trace_id: Option<String>,
}

impl Origin {
    /// Not known.
    pub const NONE: Self = Self { request_id: None, trace_id: None };

    /// The origin a request tells, with a name made up if it has none that will do.
    pub fn of(request_id: Option<&str>, traceparent: Option<&str>) -> Self {
        let given = request_id.filter(|name| is_plain(name)).map(str::to_owned);
        Self {
            request_id: Some(given.unwrap_or_else(random_name)),
            trace_id: traceparent.and_then(trace_id).map(str::to_owned),
        }
    }

    /// The origin as a journal has it, which has none of jobs of older versions.
    pub const fn recalled(request_id: Option<String>, trace_id: Option<String>) -> Self {
        Self { request_id, trace_id }
    }

    /// The name of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The trace it is part of.
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }
}

fn is_plain(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
}

fn random_name() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers once it has booted");
    bytes.iter().fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}").expect("a string takes it");
        name
    })
}

/// The trace of a `traceparent` (W3C Trace Context, 3.2): version, trace, parent and flags; later
/// versions may append more.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.trim().split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length: usize| {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        part.len() == length && part.bytes().all(digits)
    };
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let is_sound = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && is_hex(trace, 32)
        && !is_zero(trace)
        && is_hex(parent, 16)
        && !is_zero(parent)
        && is_hex(flags, 2);
    is_sound.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn plain_names_are_kept_and_others_replaced() {
        let long = "a".repeat(NAME_CHARS_MAX);
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
    fn a_trace_is_taken_from_what_the_standard_allows_alone() {
        let (parent, zero) = ("00f067aa0ba902b7", "0".repeat(32));
        for sound in [format!("00-{TRACE}-{parent}-01"), format!("cc-{TRACE}-{parent}-00-more")] {
            assert_eq!(trace_id(&sound), Some(TRACE), "{sound}");
        }
        for broken in [
            format!("00-{TRACE}-{parent}-01-more"),
            format!("ff-{TRACE}-{parent}-01"),
            format!("00-{zero}-{parent}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{parent}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{parent}"),
            String::new(),
        ] {
            assert_eq!(trace_id(&broken), None, "{broken}");
        }
    }
}
