//! Decoding and encoding of video: containers, orientation, sound, thumbnails. Works on descriptors,
//! never on paths, and knows nothing of poses.

mod colour;
mod converter;
mod corrected_file;
mod decode;
mod decoder_errors;
mod discovery;
mod dv;
mod dynamic_range;
mod encode;
mod error;
mod events;
mod file_facts;
mod formats;
mod frame_files;
mod graph;
mod guard;
mod library_log;
mod matroska;
mod mp4;
mod orientation;
mod picture_header;
mod plugins;
mod probe;
mod read_frame;
mod reader;
mod resize;
mod sound;
mod source;
mod stall;
mod synthetic_clip;
mod thumbnail;
mod tone_map;
mod track_events;
mod transport_stream;
mod unsupported;
mod write_frame;

pub use colour::Colours;
pub use decode::{Decoder, ProbedVideo};
pub use encode::{EncodeSpec, FinishingVideo, VideoWriter};
pub use error::VideoError;
pub use graph::stop_idle_threads;
pub use library_log::log_suppressed_messages;
pub use plugins::load as init;
pub use probe::Probe;
pub use sound::{Outcome, SoundReport, SoundSource};
pub(crate) use synthetic_clip::SyntheticClip;
pub(crate) use thumbnail::area_thumbnail;
pub use thumbnail::{thumbnail, write_thumbnail};

use std::fs::File;
use std::time::Duration;

/// Whether a file is no MP4 or one with a structure that programs write.
pub(crate) fn has_sound_mp4_structure(file: &File) -> bool {
    mp4::structure::check(file).is_ok()
}

/// The presentation time of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameTime {
    /// Time since the start of the presentation: zero of the container's timeline, after its edit
    /// list, or the first frame where the container has only a sender's clock (MPEG streams).
    pub pts: Duration,
}
