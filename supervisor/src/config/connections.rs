//! Limits on connections, requests and event streams, per client and in total.

use crate::config::values::{DAY_S, Result, bytes, number, refused, seconds};
use crate::config::{HttpLimits, RawConfig};

/// Highest accepted value of the limits on connections.
const CONNECTIONS_LIMIT: u32 = 65_536;

/// 30 KiB in the default `stall_s_max` of 30 s: a phone with a bad connection sends that in a few
/// seconds, even if the connection is interrupted in between.
const BODY_RATE_BYTES_PER_S_MIN: u64 = 1024;

pub(crate) fn http(raw: &RawConfig) -> Result<HttpLimits> {
    let connections = number("connections_max", raw.connections_max, 512, 1..=CONNECTIONS_LIMIT)?;
    let streams = (raw.streams_max, 256);
    Ok(HttpLimits {
        connections_max: connections as usize,
        streams_max: fewer_streams(("streams_max", streams), ("connections_max", connections))?,
        header_max: seconds("header_s_max", raw.header_s_max, 15, 1..=3600)?,
        stall_max: seconds("stall_s_max", raw.stall_s_max, 30, 1..=3600)?,
        upload_max: seconds("upload_s_max", raw.upload_s_max, 600, 1..=DAY_S)?,
        body_rate_bytes_per_s_min: bytes(
            "body_rate_bytes_per_s_min",
            raw.body_rate_bytes_per_s_min,
            BODY_RATE_BYTES_PER_S_MIN,
            0,
        )?,
    })
}

/// Limits on connections and streams of one client.
pub(crate) fn of_client(raw: &RawConfig) -> Result<(usize, usize)> {
    let key = "client_connections_max";
    let connections = number(key, raw.client_connections_max, 64, 1..=CONNECTIONS_LIMIT)?;
    let streams = (raw.client_streams_max, 32);
    Ok((connections as usize, fewer_streams(("client_streams_max", streams), (key, connections))?))
}

/// A limit on streams below the limit on connections, so that requests always have a place.
fn fewer_streams(
    (key, (given, default)): (&'static str, (Option<u32>, u32)),
    (limit_key, limit): (&'static str, u32),
) -> Result<usize> {
    match given.unwrap_or(default.min(limit / 2)) {
        streams if streams < limit => Ok(streams as usize),
        streams => {
            let accepted = format!("less than {limit_key}, which is {limit}");
            Err(refused(key, streams, accepted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ByteCount, Config};

    fn refusal(text: &str) -> Option<String> {
        let raw: RawConfig = toml::from_str(text).expect("keys");
        Config::resolve(&raw).err().map(|error| error.to_string())
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
        let past = ByteCount(i64::MAX as u64 + 1);
        let raw = RawConfig { body_rate_bytes_per_s_min: Some(past), ..RawConfig::default() };
        let past = Config::resolve(&raw).expect_err("more than a file offset can be").to_string();
        assert!(past.starts_with("`body_rate_bytes_per_s_min` is"), "{past}");
    }

    #[test]
    fn streams_always_leave_a_place_for_requests() {
        let of = |connections| {
            let raw = RawConfig {
                connections_max: Some(connections),
                client_connections_max: Some(connections),
                ..RawConfig::default()
            };
            (http(&raw).expect("valid").streams_max, of_client(&raw).expect("valid").1)
        };
        assert_eq!([of(1), of(2), of(10), of(1000)], [(0, 0), (1, 1), (5, 5), (256, 32)]);
        let error = refusal("connections_max = 10\nstreams_max = 10").expect("none for requests");
        assert!(error.contains("less than connections_max, which is 10"), "{error}");
    }
}
