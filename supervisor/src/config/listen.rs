//! Parses the addresses of both listeners, and checks that they do not collide.
//!
//! Whether the operator listener needs a token is decided by [`crate::http::access`] from the
//! actual address.

use crate::config::ConfigError;
use crate::config::values::{Values, refused};
use std::fmt;
use std::net::SocketAddr;

/// The value for no operator listener.
const OFF: &str = "off";

/// The address of the public listener.
pub(crate) fn public(values: &mut Values) -> Result<SocketAddr, ConfigError> {
    let accepted = "an IP address and a port, such as 127.0.0.1:8000 or [::]:8000";
    let key = "listen";
    values.text(key, |text| text.parse().map_err(|_| refused(key, text, accepted)))
}

/// The address of the operator listener; `None` if it is off.
pub(crate) fn operators(
    values: &mut Values,
    public: SocketAddr,
) -> Result<Option<SocketAddr>, ConfigError> {
    let key = "operator_listen";
    let parse = |text: &str| match text.parse::<SocketAddr>() {
        _ if text == OFF => Ok(OperatorListener(None)),
        Ok(address) if collide(address, public) => {
            let accepted =
                format!("an address or port other than `listen`, which is {public}, or {OFF}");
            Err(refused(key, text, accepted))
        }
        Ok(address) => Ok(OperatorListener(Some(address))),
        Err(_) => {
            let accepted = format!("an IP address and a port, such as 127.0.0.1:8001, or {OFF}");
            Err(refused(key, text, accepted))
        }
    };
    values.text(key, parse).map(|OperatorListener(address)| address)
}

struct OperatorListener(Option<SocketAddr>);

impl fmt::Display for OperatorListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str(OFF),
        }
    }
}

/// Whether two listeners would collide. Port 0 is a different free port each time.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (is_any || one.ip() == other.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn both(
        listen: Option<&str>,
        operators: Option<&str>,
    ) -> Result<Option<SocketAddr>, ConfigError> {
        let keys = [("listen", listen), ("operator_listen", operators)];
        let given = keys.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let text: String = given.map(|(key, value)| format!("{key} = {value:?}\n")).collect();
        let mut values = Values::new(RawConfig::of(&text));
        let public = public(&mut values)?;
        super::operators(&mut values, public)
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
