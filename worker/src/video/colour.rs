//! How a file describes its colours. Read by `decode` and passed on by `encode`.
//!
//! Samples are converted by one matrix, whatever a file names (`docs/adr/0004`). What is encoded
//! again is the same luma and chroma as before and carries the file's own description
//! ([`Colours`]), so that players show the colours of the original.

use gstreamer as gst;
use gstreamer_video::{
    VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoTransferFunction,
};

/// Height from which players take footage without a description for high definition.
const HD_HEIGHT: u32 = 720;

/// How a file describes its colours, to be passed on unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours {
    matrix: VideoColorMatrix,
    transfer: VideoTransferFunction,
    primaries: VideoColorPrimaries,
}

impl Colours {
    /// Those of a track with these caps, best first; what players assume where none says.
    pub(super) fn of(caps: [&gst::CapsRef; 2], height: u32) -> Self {
        caps.into_iter().find_map(stated).map_or_else(
            || Self::assumed(height),
            |stated| Self {
                matrix: stated.matrix(),
                transfer: stated.transfer(),
                primaries: stated.primaries(),
            },
        )
    }

    /// What players assume of a picture of this height where a file states nothing.
    pub fn assumed(height: u32) -> Self {
        if height >= HD_HEIGHT {
            Self {
                matrix: VideoColorMatrix::Bt709,
                transfer: VideoTransferFunction::Bt709,
                primaries: VideoColorPrimaries::Bt709,
            }
        } else {
            Self {
                matrix: VideoColorMatrix::Bt601,
                // The same curve; BT.601 states none of its own.
                transfer: VideoTransferFunction::Bt709,
                primaries: VideoColorPrimaries::Smpte170m,
            }
        }
    }

    /// As caps describe them, for samples of limited range.
    pub(super) fn colorimetry(self) -> VideoColorimetry {
        let Self { matrix, transfer, primaries } = self;
        VideoColorimetry::new(VideoColorRange::Range16_235, matrix, transfer, primaries)
    }
}

/// What caps say of colours.
fn stated(caps: &gst::CapsRef) -> Option<VideoColorimetry> {
    caps.structure(0)?.get::<&str>("colorimetry").ok()?.parse().ok()
}

/// Whether caps say that samples use all of their values.
pub(super) fn is_full_range(caps: &gst::CapsRef) -> bool {
    stated(caps).is_some_and(|stated| stated.range() == VideoColorRange::Range0_255)
}
