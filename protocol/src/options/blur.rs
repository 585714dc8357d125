//! What is made unrecognisable in the videos and pictures of the results.

use serde::{Deserialize, Serialize};

/// What is made unrecognisable in the videos and pictures of the results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blur {
    /// Nothing.
    #[default]
    None,
    /// The head of each person, whether the results are of that person or not.
    Faces,
}

impl Blur {
    /// Both.
    pub const ALL: [Self; 2] = [Self::None, Self::Faces];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Faces => "faces",
        }
    }
}
