//! Checks of single values. An error names the key, the value and what is accepted.

use crate::config::ConfigError;
use crate::config::bytes::ByteCount;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) type Result<T> = std::result::Result<T, ConfigError>;

pub(crate) const DAY_S: u32 = 24 * 3600;

pub(crate) fn refused(
    key: &'static str,
    value: impl Display,
    accepted: impl Into<String>,
) -> ConfigError {
    ConfigError::Refused { key, value: value.to_string(), accepted: accepted.into() }
}

pub(crate) fn number(
    key: &'static str,
    given: Option<u32>,
    default: u32,
    range: RangeInclusive<u32>,
) -> Result<u32> {
    let value = given.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    let accepted = format!("a whole number from {} to {}", range.start(), range.end());
    Err(refused(key, value, accepted))
}

pub(crate) fn seconds(
    key: &'static str,
    given: Option<u32>,
    default: u32,
    range: RangeInclusive<u32>,
) -> Result<Duration> {
    number(key, given, default, range).map(|s| Duration::from_secs(s.into()))
}

pub(crate) fn bytes(
    key: &'static str,
    given: Option<ByteCount>,
    default: u64,
    min: u64,
) -> Result<u64> {
    // TOML cannot represent larger numbers, and file offsets cannot reach them.
    let max = i64::MAX as u64;
    let ByteCount(value) = given.unwrap_or(ByteCount(default));
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(refused(key, value, format!("a number of bytes from {min} to {max}")))
}
