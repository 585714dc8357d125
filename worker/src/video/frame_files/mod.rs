//! Files that are read here and not by an element of GStreamer: animations (GIF, APNG),
//! YUV4MPEG2 and bare DV. Their frames
//! enter the graph where those of a demuxer do. Called by `source`.
//!
//! A file is recognised by its first bytes. Its size and rate are checked against the limits before
//! anything is allocated for a frame, and no frame is read before the graph starts.

mod apng;
mod canvas;
mod dv;
mod element;
mod gif;
mod pace;
mod raw_layout;
mod y4m;

pub(super) use element::add_reader;

use super::error::VideoError;
use super::formats::{self, Container};
use super::probe::{TrackFormat, check_size};
use bodyscript_protocol::message::MediaLimits;
use gstreamer as gst;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// A file whose frames can be read.
pub(super) struct FrameFile {
    /// Its format.
    pub(super) container: &'static Container,
    /// What the coding of its frames is reported as.
    pub(super) codec: &'static str,
    /// The caps of its frames.
    pub(super) caps: gst::Caps,
    /// Its duration, where the file states it.
    pub(super) duration: Option<Duration>,
    /// The frames.
    pub(super) frames: Box<dyn Frames>,
}

/// Reads frames in order.
pub(super) trait Frames: Send {
    /// The next frame; none at the end.
    fn next(&mut self) -> Result<Option<Frame>, ReadError>;
}

/// One frame.
pub(super) struct Frame {
    /// Its bytes, as its caps describe them.
    pub(super) bytes: Vec<u8>,
    /// Its time from the start.
    pub(super) time: Duration,
}

/// Why the next frame cannot be read: the file is damaged there, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ReadError(String);

impl ReadError {
    fn of(cause: impl std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

impl From<ReadError> for VideoError {
    fn from(ReadError(cause): ReadError) -> Self {
        Self::Damaged(cause)
    }
}

/// What a file of each format begins with, and what opens it.
const FORMATS: &[(&[u8], Open)] = &[
    (b"GIF87a", gif::open),
    (b"GIF89a", gif::open),
    (apng::SIGNATURE, apng::open),
    (y4m::SIGNATURE, y4m::open),
    (dv::SIGNATURE, dv::open),
];

type Open = fn(File, &MediaLimits) -> Result<FrameFile, VideoError>;

/// Longest of the first bytes of the formats.
const HEAD_BYTES: usize = 16;

/// Opens a file of one of these formats; none for any other file.
pub(super) fn open(file: &File, limits: &MediaLimits) -> Result<Option<FrameFile>, VideoError> {
    let mut head = [0; HEAD_BYTES];
    let read = file.read_at(&mut head, 0).map_err(VideoError::Read)?;
    let Some((_, open)) = FORMATS.iter().find(|(begin, _)| head[..read].starts_with(begin)) else {
        return Ok(None);
    };
    let file = open(file.try_clone().map_err(VideoError::Read)?, limits)?;
    TrackFormat::of(&file.caps, limits)?;
    Ok(Some(file))
}

/// The format with this media type.
fn container(media_type: &str) -> &'static Container {
    formats::CONTAINERS
        .iter()
        .find(|container| container.media_type == media_type)
        .expect("the formats read here are in the table")
}
