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
    /// Properties of the video and statistics of the run.
    Metadata,
    /// An archive with one OpenPose document for every processed frame.
    OpenPose,
    /// One person's landmarks as marker trajectories for OpenSim.
    Trc,
    /// The table in columnar form.
    Parquet,
    /// One row of joint angles for every processed frame and person.
    Angles,
}

impl Artefact {
    /// Every artefact, in the order in which their files are passed to a worker.
    pub const ALL: [Self; 10] = [
        Self::Video,
        Self::Csv,
        Self::Json,
        Self::Thumbnail,
        Self::Preview,
        Self::Metadata,
        Self::OpenPose,
        Self::Trc,
        Self::Parquet,
        Self::Angles,
    ];

    /// The name by which it is requested.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Thumbnail => "thumbnail",
            Self::Preview => "preview",
            Self::Metadata => "metadata",
            Self::OpenPose => "openpose",
            Self::Trc => "trc",
            Self::Parquet => "parquet",
            Self::Angles => "angles",
        }
    }

    /// Name of the file, in a results folder and in a URL.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Video => "output.mp4",
            Self::Csv => "pose_data.csv",
            Self::Json => "pose_data.json",
            Self::Thumbnail => "thumbnail.jpg",
            Self::Preview => "preview.mp4",
            Self::Metadata => "metadata.json",
            Self::OpenPose => "openpose.zip",
            Self::Trc => "pose.trc",
            Self::Parquet => "pose_data.parquet",
            Self::Angles => "joint_angles.csv",
        }
    }

    /// Media type of the file (RFC 6838 names); TRC has none registered and is plain text.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Video | Self::Preview => "video/mp4",
            Self::Csv | Self::Angles => "text/csv; charset=utf-8",
            Self::Json | Self::Metadata => "application/json",
            Self::Thumbnail => "image/jpeg",
            Self::OpenPose => "application/zip",
            Self::Trc => "text/plain; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The artefact with this file name.
    pub fn from_file_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|artefact| artefact.file_name() == name)
    }

    /// The artefact of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|artefact| artefact.name() == name)
    }
}
