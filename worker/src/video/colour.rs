//! The colour description of a file. Read by `decode` and written by `encode`.
//!
//! Samples are converted to RGB with one matrix, whatever the file states (`docs/adr/0004`). The
//! encoded video has the same luma and chroma and the file's own description ([`Colours`]), so that
//! players show the original colours. HDR is the exception: it is mapped to BT.709 (`tone_map`).

use gstreamer as gst;
use gstreamer_video::{
    VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoFormat,
    VideoFormatInfo, VideoTransferFunction,
};

/// Height from which players assume high definition for footage without a description.
const HD_HEIGHT: u32 = 720;

/// The colorimetry of luma and chroma that RGB is converted to: limited range and BT.601, by which it
/// is converted back for the networks, with the light and primaries of sRGB.
pub(super) const RGB_AS_SAMPLES: &str = "2:4:7:1";

/// A colour description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours {
    matrix: VideoColorMatrix,
    transfer: VideoTransferFunction,
    primaries: VideoColorPrimaries,
}

impl Colours {
    /// The description of these caps, best first; what players assume where none states it.
    pub(super) fn of(caps: [&gst::CapsRef; 2], height: u32) -> Self {
        if caps.iter().any(|caps| is_rgb(caps)) {
            return Self::OF_RGB;
        }
        caps.into_iter().find_map(stated).map_or_else(
            || Self::assumed(height),
            |stated| Self {
                matrix: stated.matrix(),
                transfer: stated.transfer(),
                primaries: stated.primaries(),
            },
        )
    }

    /// Those of pictures that are decoded to RGB: [`RGB_AS_SAMPLES`].
    const OF_RGB: Self = Self {
        matrix: VideoColorMatrix::Bt601,
        transfer: VideoTransferFunction::Srgb,
        primaries: VideoColorPrimaries::Bt709,
    };

    /// Those of pictures that are mapped to standard range.
    pub(crate) const BT709: Self = Self {
        matrix: VideoColorMatrix::Bt709,
        transfer: VideoTransferFunction::Bt709,
        primaries: VideoColorPrimaries::Bt709,
    };

    /// What players assume for a picture of this height where a file states nothing.
    pub fn assumed(height: u32) -> Self {
        if height >= HD_HEIGHT {
            Self::BT709
        } else {
            Self {
                matrix: VideoColorMatrix::Bt601,
                // The same curve; BT.601 defines none.
                transfer: VideoTransferFunction::Bt709,
                primaries: VideoColorPrimaries::Smpte170m,
            }
        }
    }

    /// The colorimetry for caps, for samples of limited range.
    pub(super) fn colorimetry(self) -> VideoColorimetry {
        let Self { matrix, transfer, primaries } = self;
        VideoColorimetry::new(VideoColorRange::Range16_235, matrix, transfer, primaries)
    }
}

/// The colorimetry stated by caps.
pub(super) fn stated(caps: &gst::CapsRef) -> Option<VideoColorimetry> {
    caps.structure(0)?.get::<&str>("colorimetry").ok()?.parse().ok()
}

/// Whether pictures with these caps are, or are decoded to, RGB.
pub(super) fn is_rgb(caps: &gst::CapsRef) -> bool {
    let Some(pictures) = caps.structure(0) else { return false };
    let is_rgb_format = || {
        let format = pictures.get::<&str>("format").ok().map(VideoFormat::from_string);
        format.is_some_and(|format| VideoFormatInfo::from_format(format).is_rgb())
    };
    match pictures.name().as_str() {
        "image/png" => true,
        "video/x-raw" => is_rgb_format(),
        _ => stated(caps).is_some_and(|stated| stated.matrix() == VideoColorMatrix::Rgb),
    }
}

/// Whether caps state full range.
pub(super) fn is_full_range(caps: &gst::CapsRef) -> bool {
    stated(caps).is_some_and(|stated| stated.range() == VideoColorRange::Range0_255)
}
