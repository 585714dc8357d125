//! The faults of a run, as data: a stable code, a sentence with a remedy, an exit status.
//!
//! A worker sends numbers and names, never prose for people: it has read hostile input, so what a
//! client reads is composed here, on the receiving side.

use crate::codec_names;
use crate::exit::WorkerExit;
use serde::{Deserialize, Serialize};

/// The reason a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The file is empty.
    Empty,
    /// No known container or elementary stream.
    NotAVideo,
    /// A container without a video track.
    NoVideoTrack,
    /// A codec for which there is no decoder; named as in [`codec_names`].
    UnsupportedCodec(String),
    /// The data ends or breaks before the first frame.
    Damaged,
    /// A video track without a frame.
    NoFrames,
    /// A side or the area is over the limit.
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
    PictureTooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The least of a side, in pixels.
        side_px_min: u32,
    },
    /// A side of the area that the options choose is under the least that is processed.
    CropTooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The least of a side, in pixels.
        side_px_min: u32,
    },
    /// The nominal frame rate is over the limit.
    FrameRateTooHigh {
        /// Frames per second, rounded up.
        frame_rate: u32,
        /// The limit.
        frame_rate_max: u32,
    },
    /// The video is longer than the limit and long ones are refused.
    TooLong {
        /// Its duration in milliseconds.
        duration_ms: u64,
        /// The limit.
        duration_ms_max: u32,
    },
    /// The part that the options choose has no frame to process.
    EmptyPart {
        /// Start of the part in milliseconds.
        start_ms: u64,
        /// Time of the last frame of the video in milliseconds, if that is before the part.
        last_ms: Option<u64>,
    },
    /// A model file is missing, altered or unusable.
    Model,
    /// The sandbox could not be closed as required.
    Sandbox,
    /// The supervisor broke the protocol.
    Protocol,
    /// An artefact could not be written.
    Output,
    /// The media framework failed.
    Media,
    /// The supervisor asked for the end.
    Cancelled,
}

impl Fault {
    /// The stable code clients can match on.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty_file",
            Self::NotAVideo => "not_a_video",
            Self::NoVideoTrack => "no_video_track",
            Self::UnsupportedCodec(_) => "unsupported_codec",
            Self::Damaged => "damaged_video",
            Self::NoFrames => "no_frames",
            Self::PictureTooLarge { .. } => "picture_too_large",
            Self::PictureTooSmall { .. } | Self::CropTooSmall { .. } => "picture_too_small",
            Self::FrameRateTooHigh { .. } => "frame_rate_too_high",
            Self::TooLong { .. } => "video_too_long",
            Self::EmptyPart { .. } => "empty_part",
            Self::Model => "model_unusable",
            Self::Sandbox => "sandbox_unavailable",
            Self::Protocol => "worker_protocol",
            Self::Output => "output_failed",
            Self::Media => "media_framework",
            Self::Cancelled => "cancelled",
        }
    }

    /// The exit status that goes with it.
    pub const fn exit(&self) -> WorkerExit {
        match self {
            Self::Model => WorkerExit::Model,
            Self::Sandbox => WorkerExit::Sandbox,
            Self::Protocol => WorkerExit::Protocol,
            Self::Output => WorkerExit::Output,
            Self::Media => WorkerExit::Media,
            Self::Cancelled => WorkerExit::Cancelled,
            _ => WorkerExit::BadInput,
        }
    }

    /// Whether the video is at fault, so that trying again cannot help.
    pub fn is_bad_input(&self) -> bool {
        self.exit() == WorkerExit::BadInput
    }

    /// One sentence with a cause and a remedy, for people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Empty => "The file is empty. Upload it again.".into(),
            Self::NotAVideo => "The file is not a video in a supported format. \
                 Send MP4, MOV, MKV, WebM, AVI, WMV or MPEG-TS."
                .into(),
            Self::NoVideoTrack => "The file has no video track, only other data such as sound. \
                 Send a file with a video track."
                .into(),
            Self::UnsupportedCodec(codec) => format!(
                "{} isn't supported. Send H.264, H.265, VP8, VP9, AV1, MPEG-4, MPEG-2, MJPEG or \
                 WMV.",
                codec_names::name_of(codec)
                    .map_or("This video codec".to_owned(), |name| format!("{name} video"))
            ),
            Self::Damaged => "The video is damaged or truncated before its first frame. \
                 Export or upload it again."
                .into(),
            Self::NoFrames => "The video track has no frames. Record or export it again.".into(),
            Self::PictureTooLarge { width, height, side_px_max, area_px_max } => format!(
                "The video is {width} × {height} pixels; the limit is {side_px_max} per side and \
                 {area_px_max} in total. Send a smaller copy."
            ),
            Self::PictureTooSmall { width, height, side_px_min } => format!(
                "The video is {width} × {height} pixels; each side needs at least {side_px_min}. \
                 Send the original, or a larger copy."
            ),
            Self::CropTooSmall { width, height, side_px_min } => format!(
                "The area that `crop` chooses has {width} × {height} pixels; each side needs at least \
                 {side_px_min}. Choose a larger area."
            ),
            Self::FrameRateTooHigh { frame_rate, frame_rate_max } => format!(
                "The video has {frame_rate} frames per second; the limit is {frame_rate_max}. \
                 Send a copy with a lower frame rate."
            ),
            Self::TooLong { duration_ms, duration_ms_max } => format!(
                "The video is {:.1} s long; the limit is {:.1} s. Trim it, or choose a shorter part \
                 with `start` and `end`.",
                *duration_ms as f64 / 1000.0,
                f64::from(*duration_ms_max) / 1000.0
            ),
            Self::EmptyPart { start_ms, last_ms: Some(last_ms) } => format!(
                "The last frame of the video is at {} s, before `start`, which is {} s. \
                 Choose an earlier `start`.",
                *last_ms as f64 / 1000.0,
                *start_ms as f64 / 1000.0
            ),
            Self::EmptyPart { start_ms, last_ms: None } => format!(
                "No frame is to be processed in the part that begins at {} s. Choose a later \
                 `end`, or process more frames.",
                *start_ms as f64 / 1000.0
            ),
            Self::Cancelled => "The job was cancelled.".into(),
            Self::Model | Self::Sandbox | Self::Protocol | Self::Output | Self::Media => format!(
                "The service could not process the video ({}). Its log has the cause.",
                self.code()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_codec_name_cannot_reach_a_terminal_or_a_page() {
        let fault = Fault::UnsupportedCodec("video/\u{1b}[2J<script>\n".repeat(50));
        let sentence = fault.sentence();
        assert!(sentence.len() < 250, "{sentence}");
        assert!(!sentence.contains(['\u{1b}', '<', '\n']), "{sentence}");
    }

    #[test]
    fn codecs_are_named_as_people_know_them() {
        let sentence = |codec: &str| Fault::UnsupportedCodec(codec.into()).sentence();
        assert!(
            sentence("video/x-cinepak").starts_with("Cinepak video isn't supported. Send H.264")
        );
        assert!(
            sentence("video/x-new").starts_with("This video codec isn't supported. Send H.264")
        );
    }
}
