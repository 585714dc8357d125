//! The errors of decoding and encoding, and the fault that each is reported as.

use bodyscript_protocol::fault::Fault;
use std::time::Duration;
use thiserror::Error;

/// A failed step of decoding or encoding.
#[derive(Debug, Error)]
pub enum VideoError {
    /// GStreamer does not initialise.
    #[error("GStreamer does not initialise: {0}")]
    Init(gstreamer::glib::Error),
    /// A plugin file does not load.
    #[error("plugin {path} does not load; install its package: {cause}")]
    Plugin {
        /// The file.
        path: String,
        /// The loader's error.
        cause: gstreamer::glib::Error,
    },
    /// A required element is missing from the loaded plugins.
    #[error("element {0} is missing from the installed GStreamer plugins")]
    Element(&'static str),
    /// Elements cannot be linked, started or stopped.
    #[error("the media graph cannot {step}: {cause}")]
    Graph {
        /// The step.
        step: &'static str,
        /// GStreamer's error.
        cause: String,
    },
    /// The descriptor of the video cannot be read.
    #[error("the video's descriptor cannot be read: {0}")]
    Read(std::io::Error),
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// Not a known container.
    #[error("not a known video container: {0}")]
    NotAVideo(String),
    /// A container without a video track.
    #[error("{0} without a video track")]
    NoVideoTrack(String),
    /// A video track for which there is no decoder; its codec as `unsupported` names it.
    #[error("no decoder for {0}")]
    UnsupportedCodec(String),
    /// The data ends or breaks before the first frame.
    #[error("damaged before the first frame: {0}")]
    Damaged(String),
    /// A video track without a frame.
    #[error("a video track without a frame")]
    NoFrames,
    /// A side or the area exceeds the limit.
    #[error("{width}x{height} pixels, limits {side_px_max} a side and {area_px_max} in all")]
    PictureTooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit on a side, in pixels.
        side_px_max: u32,
        /// The limit on the area, in pixels.
        area_px_max: u32,
    },
    /// A side is under the least that is processed.
    #[error("{width}x{height} pixels, at least {side_px_min} a side")]
    PictureTooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The least of a side, in pixels.
        side_px_min: u32,
    },
    /// A side of the chosen area is under the least that is processed.
    #[error("an area of {width}x{height} pixels, at least {side_px_min} a side")]
    CropTooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The least of a side, in pixels.
        side_px_min: u32,
    },
    /// The frame rate exceeds the limit.
    #[error("{frame_rate} frames a second, limit {frame_rate_max}")]
    FrameRateTooHigh {
        /// Frames per second, rounded up.
        frame_rate: u32,
        /// The limit.
        frame_rate_max: u32,
    },
    /// The video is longer than the limit, and long ones are rejected.
    #[error("{duration_ms} ms long, limit {duration_ms_max} ms")]
    TooLong {
        /// Duration in milliseconds, as far as it is known.
        duration_ms: u64,
        /// The limit.
        duration_ms_max: u32,
    },
    /// The part that is processed has no frame.
    #[error("no frame to process from {start:?} on; the last one is at {last:?}")]
    EmptyPart {
        /// Start of the part.
        start: Duration,
        /// Time of the last frame of the video, if that is before the part.
        last: Option<Duration>,
    },
    /// The layout of a decoded picture does not match its caps.
    #[error("a decoded picture cannot be converted: {0}")]
    Convert(String),
    /// A video cannot be encoded.
    #[error("the video cannot be encoded: {0}")]
    Encode(String),
    /// A video cannot be written.
    #[error("the video cannot be written: {0}")]
    Write(String),
    /// A thumbnail cannot be encoded or written.
    #[error("the thumbnail cannot be written: {0}")]
    Thumbnail(String),
}

impl VideoError {
    /// The error for bytes that look like a stream without a container, which many files do, and
    /// contain no picture.
    pub(super) fn no_picture_found() -> Self {
        Self::NotAVideo("start codes, but no picture".into())
    }

    /// The error of a graph that encodes and writes.
    pub(super) fn of_encoding(cause: &gstreamer::glib::Error) -> Self {
        let is_file = cause.is::<gstreamer::ResourceError>();
        if is_file { Self::Write(cause.to_string()) } else { Self::Encode(cause.to_string()) }
    }

    /// The fault reported to the supervisor.
    pub fn fault(&self) -> Fault {
        match *self {
            Self::Empty => Fault::Empty,
            Self::NotAVideo(_) => Fault::NotAVideo,
            Self::NoVideoTrack(_) => Fault::NoVideoTrack,
            Self::UnsupportedCodec(ref codec) => Fault::UnsupportedCodec(codec.clone()),
            Self::Damaged(_) => Fault::Damaged,
            Self::NoFrames => Fault::NoFrames,
            Self::PictureTooLarge { width, height, side_px_max, area_px_max } => {
                Fault::PictureTooLarge { width, height, side_px_max, area_px_max }
            }
            Self::PictureTooSmall { width, height, side_px_min } => {
                Fault::PictureTooSmall { width, height, side_px_min }
            }
            Self::CropTooSmall { width, height, side_px_min } => {
                Fault::CropTooSmall { width, height, side_px_min }
            }
            Self::FrameRateTooHigh { frame_rate, frame_rate_max } => {
                Fault::FrameRateTooHigh { frame_rate, frame_rate_max }
            }
            Self::TooLong { duration_ms, duration_ms_max } => {
                Fault::TooLong { duration_ms, duration_ms_max }
            }
            Self::EmptyPart { start, last } => Fault::EmptyPart {
                start_ms: start.as_millis() as u64,
                last_ms: last.map(|last| last.as_millis() as u64),
            },
            Self::Write(_) | Self::Thumbnail(_) => Fault::Output,
            Self::Init(_)
            | Self::Plugin { .. }
            | Self::Element(_)
            | Self::Graph { .. }
            | Self::Read(_)
            | Self::Convert(_)
            | Self::Encode(_) => Fault::Media,
        }
    }
}
