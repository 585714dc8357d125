//! How people are detected.

use serde::{Deserialize, Serialize};

/// How poses are detected in the frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Follow the person from frame to frame; detect again only when the track is lost.
    #[default]
    Track,
    /// Each frame alone, best of 3 pictures.
    UltraFast,
    /// Each frame alone, best of 6 pictures.
    Fast,
    /// Each frame alone, 3 to 7 pictures depending on their scores.
    Smart,
    /// Each frame alone, best of all 10 pictures.
    Quality,
    /// Each frame alone, as it is.
    Static,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 6] =
        [Self::Track, Self::UltraFast, Self::Fast, Self::Smart, Self::Quality, Self::Static];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::UltraFast => "ultra_fast",
            Self::Fast => "fast",
            Self::Smart => "smart",
            Self::Quality => "quality",
            Self::Static => "static",
        }
    }
}
