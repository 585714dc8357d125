//! What the threads of a decoding graph report to the thread that decodes. Sent by `source`, `guard`
//! and `converter`, received by `source` and `decode`.

use super::error::VideoError;
use super::formats::{Codec, Container};
use super::graph::DynamicPipeline;
use super::picture_header::PictureHeader;
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

/// The video track, held until its decoder is linked.
pub(super) struct BlockedTrack {
    /// The pad with parsed data, or with frames.
    pub(super) pad: gst::Pad,
    /// The track's codec.
    pub(super) codec: &'static Codec,
    /// The file's container.
    pub(super) container: &'static Container,
    /// The caps stated by the container.
    pub(super) stated: gst::Caps,
    /// Presentation time of the first buffer, on the container's clock.
    pub(super) start: Duration,
    /// What the first picture states of itself, for codecs without a parser.
    pub(super) header: Option<PictureHeader>,
    /// What keeps the data from flowing.
    pub(super) hold: Hold,
}

/// What keeps the data of a track from flowing.
pub(super) enum Hold {
    /// The probe that blocks the pad.
    Probe(gst::PadProbeId),
    /// The graph has not been started: the whole track is described without its first frame.
    NotStarted(DynamicPipeline, Described),
}

/// What is known of a track before the graph starts.
#[derive(Clone)]
pub(super) struct Described {
    /// The caps of its frames.
    pub(super) caps: gst::Caps,
    /// What its codec is reported as.
    pub(super) codec: &'static str,
    /// Its duration, where the file states it.
    pub(super) duration: Option<Duration>,
}

impl BlockedTrack {
    /// The caps of its data.
    pub(super) fn caps(&self) -> Option<gst::Caps> {
        match &self.hold {
            Hold::Probe(_) => {
                let mut caps = self.pad.current_caps()?;
                if let Some(header) = self.header {
                    header.complete(&mut caps);
                }
                Some(caps)
            }
            Hold::NotStarted(_, described) => Some(described.caps.clone()),
        }
    }

    /// The media type of its codec.
    pub(super) fn codec_name(&self) -> String {
        match &self.hold {
            Hold::Probe(_) => self
                .caps()
                .and_then(|caps| caps.structure(0).map(|codec| codec.name().to_string()))
                .unwrap_or_default(),
            Hold::NotStarted(_, described) => described.codec.into(),
        }
    }

    /// Its duration on the container's clock, where the container states it.
    pub(super) fn duration(&self) -> Option<Duration> {
        match &self.hold {
            Hold::Probe(_) => self.pad.query_duration::<gst::ClockTime>().map(Duration::from),
            Hold::NotStarted(_, described) => described.duration,
        }
    }

    /// Lets the data flow.
    pub(super) fn unblock(self) -> Result<(), VideoError> {
        match self.hold {
            Hold::Probe(probe) => self.pad.remove_probe(probe),
            Hold::NotStarted(graph, _) => {
                // A frame that reaches the sink before the start is complete waits there for a state that the
                // start, which waits for that frame to pass, does not reach.
                let frames = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
                let probe = self.pad.add_probe(frames, |_, _| gst::PadProbeReturn::Ok);
                graph.start()?;
                if let Some(probe) = probe {
                    self.pad.remove_probe(probe);
                }
            }
        }
        Ok(())
    }
}
