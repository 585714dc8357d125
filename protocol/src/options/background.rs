//! What the skeletons are drawn on.

use serde::{Deserialize, Serialize};

/// What the skeletons are drawn on in the videos and pictures of the results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Background {
    /// The frames of the video.
    #[default]
    Video,
    /// Black, so that nobody is recognised.
    Skeleton,
    /// White.
    SkeletonWhite,
}

impl Background {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Video, Self::Skeleton, Self::SkeletonWhite];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Skeleton => "skeleton",
            Self::SkeletonWhite => "skeleton_white",
        }
    }

    /// The colour in red, green and blue that replaces the frames.
    pub const fn colour(self) -> Option<[u8; 3]> {
        match self {
            Self::Video => None,
            Self::Skeleton => Some([0; 3]),
            Self::SkeletonWhite => Some([255; 3]),
        }
    }
}
