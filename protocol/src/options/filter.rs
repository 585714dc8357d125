//! How the movement of tracked people is filtered.

use serde::{Deserialize, Serialize};

/// How the movement of tracked people is filtered. In journals the values have the names of the
/// option `smoothing`, which was there first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Filter {
    /// While frames come in, from the frames before: jitter is damped, fast movement is followed.
    #[default]
    #[serde(rename = "on")]
    Live,
    /// Not at all: the models' output.
    #[serde(rename = "off")]
    None,
    /// Once all frames are known, from those before and after: outliers, gaps and swapped sides are
    /// corrected, and nothing lags behind.
    #[serde(rename = "offline")]
    Offline,
}

impl Filter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Live, Self::Offline];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Live => "live",
            Self::Offline => "offline",
        }
    }

    /// What happens while frames come in.
    pub const fn smoothing(self) -> Smoothing {
        match self {
            Self::Live => Smoothing::On,
            Self::None | Self::Offline => Smoothing::Off,
        }
    }
}

/// Whether the movement of a tracked person is smoothed while frames come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Smoothing {
    /// Jitter is filtered; fast movement is still followed.
    On,
    /// The models' output, unfiltered.
    Off,
}

impl Smoothing {
    /// Both.
    pub const ALL: [Self; 2] = [Self::On, Self::Off];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }

    /// The filter that this names.
    pub const fn filter(self) -> Filter {
        match self {
            Self::On => Filter::Live,
            Self::Off => Filter::None,
        }
    }
}
