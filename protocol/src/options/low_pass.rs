//! How the filter that knows all frames removes noise.

use serde::{Deserialize, Serialize};

/// How `filter=offline` removes noise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LowPass {
    /// A Butterworth filter of order 4 at 6 Hz, forwards and backwards.
    #[default]
    Butterworth,
    /// The cubic polynomial that fits the values of a quarter of a second best.
    SavitzkyGolay,
}

impl LowPass {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Butterworth, Self::SavitzkyGolay];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Butterworth => "butterworth",
            Self::SavitzkyGolay => "savitzky_golay",
        }
    }
}
