//! What a decoding graph has found in a file until its track is read, and the error if there is none.
//! Kept by `source`.

use super::error::VideoError;
use super::formats::Container;
use super::probe::too_small;

/// What the graph has found so far.
#[derive(Default)]
pub(super) struct Discovery {
    /// The container.
    pub(super) container: Option<&'static Container>,
    /// Its tracks.
    pub(super) tracks: u32,
    /// The codec of the first track of pictures that cannot be decoded.
    pub(super) unsupported: Option<String>,
    /// The size of an unsupported track, if it is under the least one.
    pub(super) too_small: Option<[u32; 2]>,
    /// Whether a track is read.
    pub(super) has_track: bool,
    /// Whether that track has any data.
    pub(super) has_data: bool,
}

impl Discovery {
    /// The error for a container without a supported video track.
    pub(super) fn no_track(&self) -> VideoError {
        match (self.too_small, &self.unsupported) {
            (Some(size), _) => too_small(size),
            (None, Some(codec)) => VideoError::UnsupportedCodec(codec.clone()),
            (None, None) => {
                VideoError::NoVideoTrack(self.container.map_or("a file", |c| c.media_type).into())
            }
        }
    }
}
