//! Decimal numbers with up to three places, as whole thousandths: exact, and equal if they read equal.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// Decimal places.
const PLACES: usize = 3;
const ONE: u32 = 1000;

/// A number of thousandths.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Thousandths(u32);

impl Thousandths {
    /// The number one.
    pub const ONE: Self = Self(ONE);

    /// So many thousandths.
    pub const fn new(thousandths: u32) -> Self {
        Self(thousandths)
    }

    /// The number in thousandths.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number.
    pub fn to_f64(self) -> f64 {
        f64::from(self.0) / f64::from(ONE)
    }

    /// The duration of so many seconds.
    pub const fn seconds(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_f64().fmt(f)
    }
}

impl FromStr for Thousandths {
    type Err = NotThousandths;

    fn from_str(text: &str) -> Result<Self, NotThousandths> {
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_decimal = !whole.is_empty() && (1..=PLACES).contains(&places.len());
        if !is_decimal || !is_digits(whole) || !is_digits(places) {
            return Err(NotThousandths);
        }
        let thousandths = format!("{whole}{places:0<PLACES$}").parse();
        thousandths.map(Self).map_err(|_| NotThousandths)
    }
}

/// A text that is no such number, or too large a one.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected a number with up to three decimal places, such as 1.5")]
pub struct NotThousandths;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_three_places_are_read_and_printed_exactly() {
        for (text, thousandths, printed) in [
            ("0", 0, "0"),
            ("1.5", 1500, "1.5"),
            ("1.500", 1500, "1.5"),
            ("0.001", 1, "0.001"),
            ("007", 7000, "7"),
            ("86400", 86_400_000, "86400"),
            ("4294967.295", u32::MAX, "4294967.295"),
        ] {
            let read: Thousandths = text.parse().expect("a number");
            assert_eq!((read.get(), read.to_string()), (thousandths, printed.into()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in [
            "",
            ".",
            "1.",
            ".5",
            "1.2345",
            "-1",
            "+1",
            "1e3",
            "NaN",
            "1,5",
            "1.5.0",
            " 1",
            "4294967.296",
            "99999999999999999999",
            "１",
        ] {
            assert_eq!(wrong.parse::<Thousandths>(), Err(NotThousandths), "{wrong:?}");
        }
    }
}
