//! The networks that find the landmarks of a person, by size. Their files are in the folder of the models.

use serde::{Deserialize, Serialize};

/// A landmark network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LandmarkModel {
    /// The smallest and fastest.
    Lite,
    /// The one of average size.
    #[default]
    Full,
    /// The largest, which is not part of the package.
    Heavy,
}

impl LandmarkModel {
    /// Every model, the smallest first.
    pub const ALL: [Self; 3] = [Self::Lite, Self::Full, Self::Heavy];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lite => "lite",
            Self::Full => "full",
            Self::Heavy => "heavy",
        }
    }

    /// The name of its ONNX file.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Lite => "pose_landmark_lite.onnx",
            Self::Full => "pose_landmark_full.onnx",
            Self::Heavy => "pose_landmark_heavy.onnx",
        }
    }
}
