//! Video in, video out: decoding, orientation, encoding, sound, thumbnails. Called by the worker's main;
//! works on descriptors, never on paths, and knows nothing of poses.

mod boxes;
mod colour;
mod decode;
mod edits;
mod encode;
mod error;
mod fitting;
mod formats;
mod graph;
mod guard;
mod index;
mod library_log;
mod opus;
mod orient;
mod plugins;
mod probe;
mod read_frame;
mod reader;
mod resize;
mod sound;
mod source;
mod stamps;
mod thumbnail;
mod write_frame;

pub use colour::Colours;
pub use decode::Decoder;
pub use encode::{EncodeSpec, EndedVideo, VideoWriter};
pub use error::VideoError;
pub use library_log::tell_left_out;
pub use probe::Probe;
pub use sound::{Outcome, SoundReport, Soundtrack};
pub use thumbnail::{thumbnail, write_thumbnail};

use std::time::Duration;

/// When a frame is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameTime {
    /// Time since the start of the presentation: zero of the container's timeline, after its edit
    /// list, or the first frame where the container has only a sender's clock (MPEG streams).
    pub pts: Duration,
}

/// Has the threads of graphs that were stopped end: within half a second, in which the next graph
/// may use them.
pub fn keep_no_threads() {
    gstreamer::glib::ThreadPool::set_max_unused_threads(Some(0));
}

/// Readies GStreamer. Call once, before there are threads and before the sandbox closes: it reads
/// plugin files and sets environment variables, and nothing after it does.
pub fn init() -> Result<(), VideoError> {
    plugins::load()
}
