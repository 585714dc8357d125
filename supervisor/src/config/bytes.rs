//! Byte counts with units, for [`crate::config::RawConfig`]: `31457280`, `30 MiB`, `1.5GB`.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct ByteCount(pub u64);

/// The text is not a number of bytes.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected a number of bytes, optionally with a unit: KiB, MiB, GiB, KB, MB or GB")]
pub(crate) struct NotAByteCount;

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl FromStr for ByteCount {
    type Err = NotAByteCount;

    fn from_str(text: &str) -> Result<Self, NotAByteCount> {
        let text = text.trim();
        if let Ok(bytes) = text.parse() {
            return Ok(Self(bytes));
        }
        let (number, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))
            .ok_or(NotAByteCount)?;
        if let Ok(count) = number.parse::<u64>() {
            return count.checked_mul(factor).map(Self).ok_or(NotAByteCount);
        }
        let plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let bytes = number.parse::<f64>().map_err(|_| NotAByteCount)? * factor as f64;
        if plain && bytes < u64::MAX as f64 { Ok(Self(bytes as u64)) } else { Err(NotAByteCount) }
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ByteCount(bytes) = *self;
        match UNITS[..3].iter().rev().find(|(_, factor)| bytes >= *factor) {
            Some((unit, factor)) if bytes % factor == 0 => write!(f, "{} {unit}", bytes / factor),
            Some((unit, factor)) => write!(f, "{:.1} {unit}", bytes as f64 / *factor as f64),
            None => write!(f, "{bytes} B"),
        }
    }
}

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ByteCount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes such as 31457280 or \"30 MiB\"")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteCount, E> {
                Ok(ByteCount(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteCount, E> {
                u64::try_from(bytes)
                    .map(ByteCount)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(bytes), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteCount, E> {
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn binary_and_decimal_units_differ() {
        let read = |text: &str| text.parse::<ByteCount>().map(|ByteCount(bytes)| bytes);
        assert_eq!(read("30 MiB"), Ok(31_457_280));
        assert_eq!(read("30MB"), Ok(30_000_000));
        assert_eq!(read("1.5 GiB"), Ok(1_610_612_736));
        for wrong in ["", "MiB", "-1", "1 MM", "inf GB", "99999999999 GiB", "1e30 GB"] {
            assert_eq!(read(wrong), Err(NotAByteCount), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whole_units_parse_back_from_text(count in 1u64..1024, unit in 0usize..3) {
            let bytes = ByteCount(count * UNITS[unit].1);
            prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
        }
    }
}
