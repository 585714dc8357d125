//! What is read of a file's own headers before GStreamer reads it, because its demuxers of 1.22 lack
//! it, or fail at numbers that other players correct. Called by `source`.

use super::corrected_file::Corrections;
use super::error::VideoError;
use super::mp4::structure::{self, StructureError};
use super::mp4::{Framing, Track, Tracks, durations, index};
use super::orientation::{TrackOrientations, track_number};
use super::transport_stream;
use gstreamer as gst;
use std::fs::File;
use std::io;

/// Zeros after the end of a file whose pictures begin with start codes. The last picture of a file that is cut off
/// can be decoded as far as it is there, but the demuxer reads only complete samples.
const TAIL_BYTES: u64 = 1 << 20;

/// The facts of a file.
#[derive(Default)]
pub(super) struct FileFacts {
    /// The orientations of its tracks.
    pub(super) orientations: TrackOrientations,
    /// Whether it has the index of an MP4.
    pub(super) has_index: bool,
    /// The tracks in that index.
    tracks: Tracks,
}

impl FileFacts {
    /// Reads the facts, and what the demuxer has to be given in place of the file's own bytes.
    pub(super) fn read(file: &File) -> Result<(Self, Corrections), VideoError> {
        structure::check(file).map_err(|error| match error {
            StructureError::Read(error) => VideoError::Read(error),
            fault => VideoError::Damaged(fault.to_string()),
        })?;
        if index::lacks_index_for_fragments(file).map_err(VideoError::Read)? {
            return Err(VideoError::Damaged("fragments without an index".into()));
        }
        Self::of(file).map_err(VideoError::Read)
    }

    fn of(file: &File) -> io::Result<(Self, Corrections)> {
        let tracks = Tracks::of(file)?;
        let corrections = match transport_stream::correction(file)? {
            Some(correction) => correction,
            None => Corrections {
                patches: durations::corrections(&tracks)
                    .into_iter()
                    .chain(tracks.entry_types())
                    .collect(),
                tail_bytes: if tracks.have_start_codes() { TAIL_BYTES } else { 0 },
                ..Corrections::default()
            },
        };
        let has_index = index::is_present(file)?;
        let orientations = TrackOrientations::of(file)?;
        Ok((Self { orientations, has_index, tracks }, corrections))
    }

    /// Whether the track at this pad has an edit list, which states the presented part of its media.
    pub(super) fn has_edits(&self, pad: &gst::Pad) -> bool {
        self.track(pad).is_some_and(|track| track.has_edits)
    }

    /// Whether the track at this pad has several samples, all at the same time.
    pub(super) fn lacks_times(&self, pad: &gst::Pad) -> bool {
        self.track(pad).is_some_and(|track| track.lacks_times)
    }

    /// How the coded pictures of the track at this pad are framed.
    pub(super) fn framing(&self, pad: &gst::Pad) -> Framing {
        self.track(pad).map(|track| track.framing).unwrap_or_default()
    }

    fn track(&self, pad: &gst::Pad) -> Option<&Track> {
        track_number(pad).and_then(|number| self.tracks.of_number(number))
    }
}
