//! How tall a person can be.

use super::Thousandths;

/// The least height of a person, in metres.
pub const HEIGHT_M_MIN: f64 = 0.5;
/// The greatest height of a person, in metres.
pub const HEIGHT_M_MAX: f64 = 2.5;

/// A height within the limits.
pub(super) fn height(text: &str) -> Option<Option<Thousandths>> {
    let height: Thousandths = text.parse().ok()?;
    (HEIGHT_M_MIN..=HEIGHT_M_MAX).contains(&height.to_f64()).then_some(Some(height))
}
