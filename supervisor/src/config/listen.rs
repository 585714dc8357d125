//! Parses the addresses of both listeners, and checks that they do not collide.
//!
//! Whether the operator listener needs a token is decided by [`crate::http::access`] from the
//! actual address.

use crate::config::ConfigError;
use crate::config::values::refused;
use std::net::SocketAddr;

const PUBLIC: &str = "127.0.0.1:8000";
const OPERATORS: &str = "127.0.0.1:8001";

/// The value for no operator listener.
const OFF: &str = "off";

/// The address of the public listener.
pub(crate) fn public(given: Option<&str>) -> Result<SocketAddr, ConfigError> {
    let text = given.unwrap_or(PUBLIC);
    text.parse().map_err(|_| {
        refused("listen", text, "an IP address and a port, such as 127.0.0.1:8000 or [::]:8000")
    })
}

/// The address of the operator listener; `None` if it is off.
pub(crate) fn operators(
    given: Option<&str>,
    public: SocketAddr,
) -> Result<Option<SocketAddr>, ConfigError> {
    let key = "operator_listen";
    let text = given.unwrap_or(OPERATORS);
    if text == OFF {
        return Ok(None);
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        let accepted = format!("an IP address and a port, such as {OPERATORS}, or {OFF}");
        return Err(refused(key, text, accepted));
    };
    if collide(address, public) {
        let accepted =
            format!("an address or port other than `listen`, which is {public}, or {OFF}");
        return Err(refused(key, text, accepted));
    }
    Ok(Some(address))
}

/// Whether two listeners would collide. Port 0 is a different free port each time.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (is_any || one.ip() == other.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(
        listen: Option<&str>,
        operators: Option<&str>,
    ) -> Result<Option<SocketAddr>, ConfigError> {
        super::operators(operators, public(listen)?)
    }

    #[test]
    fn the_operator_listener_is_on_loopback_unless_it_is_off() {
        let address = both(None, None).expect("the default").expect("not off");
        assert_eq!(address.to_string(), "127.0.0.1:8001");
        assert_eq!(both(None, Some("off")).expect("a value"), None);
        assert!(both(Some("127.0.0.1:0"), Some("127.0.0.1:0")).is_ok(), "two free ports");
        assert!(both(Some("127.0.0.2:8001"), None).is_ok(), "another address");
    }

    #[test]
    fn colliding_addresses_are_refused_with_both_keys() {
        for (listen, operators) in [
            (None, Some("127.0.0.1:8000")),
            (Some("127.0.0.1:8001"), None),
            (Some("0.0.0.0:8001"), None),
            (Some("[::]:9"), Some("127.0.0.1:9")),
            (Some("127.0.0.1:9"), Some("0.0.0.0:9")),
        ] {
            let error = both(listen, operators).expect_err("the same").to_string();
            assert!(error.contains("`operator_listen`") && error.contains("`listen`"), "{error}");
        }
    }

    #[test]
    fn an_invalid_address_is_refused_with_an_example() {
        for wrong in ["", "8001", "localhost:8001", "127.0.0.1", "Off", "none"] {
            let error = both(None, Some(wrong)).expect_err("no address").to_string();
            assert!(error.contains("127.0.0.1:8001, or off"), "{error}");
        }
    }
}
