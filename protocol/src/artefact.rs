//! The files one job produces: their names on disk and on the wire, and their media types.

use serde::{Deserialize, Serialize};

/// One file a worker writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Artefact {
    /// The video with the skeleton drawn over it.
    Video,
    /// One row for every processed frame and landmark.
    Csv,
    /// The same data as a document, with the video's facts and the statistics.
    Json,
    /// One picture: the frame whose pose is the clearest.
    Thumbnail,
    /// The first seconds of the video, small.
    Preview,
    /// What the video was and how the run went.
    Metadata,
}

impl Artefact {
    /// Every artefact, in the order in which a worker inherits their descriptors.
    pub const ALL: [Self; 6] =
        [Self::Video, Self::Csv, Self::Json, Self::Thumbnail, Self::Preview, Self::Metadata];

    /// Name of the file, in a results folder and in a URL.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Video => "output.mp4",
            Self::Csv => "pose_data.csv",
            Self::Json => "pose_data.json",
            Self::Thumbnail => "thumbnail.jpg",
            Self::Preview => "preview.mp4",
            Self::Metadata => "metadata.json",
        }
    }

    /// Media type of the file (RFC 6838 names).
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Video | Self::Preview => "video/mp4",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json | Self::Metadata => "application/json",
            Self::Thumbnail => "image/jpeg",
        }
    }

    /// The artefact with this file name.
    pub fn from_file_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|artefact| artefact.file_name() == name)
    }
}
