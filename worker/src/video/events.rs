//! What the threads of a decoding graph report to the thread that decodes. Sent by `source`, `guard`
//! and `converter`, received by `source` and `decode`.

use super::error::VideoError;
use super::formats::{Codec, Container};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use std::time::Duration;

/// An event of a decoding graph.
pub(super) enum GraphEvent {
    /// The first parsed buffer of the video track is blocked at its pad.
    TrackReady(BlockedTrack),
    /// A limit is exceeded, or there is nothing to decode.
    Rejected(VideoError),
    /// An element failed.
    Failed(glib::Error),
    /// The data has ended at this pad.
    Ended(gst::Pad),
}

/// The video track, blocked until its decoder is linked.
pub(super) struct BlockedTrack {
    /// The pad with parsed data.
    pub(super) pad: gst::Pad,
    /// The track's codec.
    pub(super) codec: &'static Codec,
    /// The file's container.
    pub(super) container: &'static Container,
    /// The caps stated by the container.
    pub(super) stated: gst::Caps,
    /// Presentation time of the first buffer, on the container's clock.
    pub(super) start: Duration,
    /// The probe that blocks the pad.
    pub(super) probe: gst::PadProbeId,
}

impl BlockedTrack {
    /// Lets the data flow.
    pub(super) fn unblock(self) {
        self.pad.remove_probe(self.probe);
    }
}
