//! Limits on connections, requests and event streams, per client and in total.

use crate::config::values::{Result, Values, refused};
use ipnet::IpNet;
use std::time::Duration;

/// Limits on connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpLimits {
    /// Concurrent requests and event streams, each on its own connection.
    pub connections_max: usize,
    /// Concurrent event streams, which are part of `connections_max`.
    pub streams_max: usize,
    /// Time from the opening of a connection, or the end of a request, to the end of a header.
    pub header_max: Duration,
    /// Maximum pause within a body, in either direction.
    pub stall_max: Duration,
    /// Maximum time of an upload.
    pub upload_max: Duration,
    /// Minimum transfer rate of a body, in either direction; 0 is none.
    pub body_rate_bytes_per_s_min: u64,
}

/// Limits per client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientLimits {
    /// Uploads started per minute.
    pub uploads_per_minute_max: u32,
    /// Unfinished jobs and uploads in progress.
    pub jobs_max: usize,
    /// Concurrent requests and event streams, and open connections unless it is a trusted proxy.
    pub connections_max: usize,
    /// Concurrent event streams, which are part of `connections_max`.
    pub streams_max: usize,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
}

impl HttpLimits {
    pub(crate) fn read(values: &mut Values) -> Result<Self> {
        Ok(Self {
            connections_max: values.count("connections_max")?,
            streams_max: fewer_streams(values, "streams_max", "connections_max")?,
            header_max: values.seconds("header_s_max")?,
            stall_max: values.seconds("stall_s_max")?,
            upload_max: values.seconds("upload_s_max")?,
            body_rate_bytes_per_s_min: values.bytes("body_rate_bytes_per_s_min")?,
        })
    }
}

impl ClientLimits {
    pub(crate) fn read(values: &mut Values) -> Result<Self> {
        Ok(Self {
            uploads_per_minute_max: values.number("client_uploads_per_minute_max")?,
            jobs_max: values.count("client_jobs_max")?,
            connections_max: values.count("client_connections_max")?,
            streams_max: fewer_streams(values, "client_streams_max", "client_connections_max")?,
            trusted_proxies: values.networks("trusted_proxies")?,
        })
    }
}

/// A limit on streams below the limit on connections, so that requests always have a place.
fn fewer_streams(
    values: &mut Values,
    key: &'static str,
    connections_key: &'static str,
) -> Result<usize> {
    let connections = values.number(connections_key)?;
    values.limit_default(key, connections / 2);
    match values.number(key)? {
        streams if streams < connections => Ok(streams as usize),
        streams => {
            let accepted = format!("less than {connections_key}, which is {connections}");
            Err(refused(key, streams, accepted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RawConfig};

    fn refusal(text: &str) -> Option<String> {
        Config::resolve(RawConfig::of(text)).err().map(|error| error.to_string())
    }

    #[test]
    fn each_limit_is_accepted_at_its_bounds_and_refused_beyond_them() {
        for (key, most) in [
            ("connections_max", 65_536),
            ("client_connections_max", 65_536),
            ("streams_max", 511),
            ("client_streams_max", 63),
        ] {
            let least = u32::from(!key.contains("streams"));
            for accepted in [least, most] {
                assert_eq!(refusal(&format!("{key} = {accepted}")), None);
            }
            let past = refusal(&format!("{key} = {}", most + 1)).expect("one too many");
            assert!(past.starts_with(&format!("`{key}` is {}; expected", most + 1)), "{past}");
        }
        for key in ["connections_max", "client_connections_max"] {
            let none = refusal(&format!("{key} = 0")).expect("none at all");
            assert!(none.starts_with(&format!("`{key}` is 0; expected")), "{none}");
        }
        assert_eq!(refusal("body_rate_bytes_per_s_min = 0"), None, "no minimum rate");
        assert_eq!(refusal(&format!("body_rate_bytes_per_s_min = {}", i64::MAX)), None);
        let past = format!("body_rate_bytes_per_s_min = \"{}\"", i64::MAX as u64 + 1);
        let past = refusal(&past).expect("more than a file offset can be");
        assert!(past.starts_with("`body_rate_bytes_per_s_min` is"), "{past}");
    }

    #[test]
    fn streams_always_leave_a_place_for_requests() {
        let of = |connections| {
            let keys = ["connections_max", "client_connections_max"];
            let text = keys.map(|key| format!("{key} = {connections}\n")).concat();
            let mut values = Values::new(RawConfig::of(&text));
            let limits = HttpLimits::read(&mut values).expect("valid");
            let of_client = ClientLimits::read(&mut values).expect("valid");
            (limits.streams_max, of_client.streams_max)
        };
        assert_eq!([of(1), of(2), of(10), of(1000)], [(0, 0), (1, 1), (5, 5), (256, 32)]);
        let error = refusal("connections_max = 10\nstreams_max = 10").expect("none for requests");
        assert!(error.contains("less than connections_max, which is 10"), "{error}");
    }
}
