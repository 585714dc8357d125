//! Between planes of luma and chroma, which codecs store, and RGB pictures, which the models see.
//! Called by `decode` and `encode`, once a frame.
//!
//! Both ways go by the matrix of ITU-R BT.601, whatever matrix the file names: that is what the
//! pipelines do which these models are used in, and persons near the threshold are found or lost
//! by a grey level. What is encoded again is so the same luma and chroma as before, and carries
//! the file's own description ([`Colours`]), so that players show the colours of the original.

use crate::picture::Picture;
use gstreamer as gst;
use gstreamer_video::prelude::*;
use gstreamer_video::{
    VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoFormat,
    VideoFrameRef, VideoInfo, VideoTransferFunction,
};
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPlanarImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix,
};

/// Height from which players take footage without a description for high definition.
const HD_HEIGHT: u32 = 720;

/// The one matrix (see above).
const MATRIX: YuvStandardMatrix = YuvStandardMatrix::Bt601;

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

type ToRgb = fn(
    &YuvPlanarImage<'_, u8>,
    &mut [u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
) -> Result<(), YuvError>;

/// The pixel formats that are read without a detour, best first, and what reads them.
pub(super) const FORMATS: [(VideoFormat, ToRgb); 3] = [
    (VideoFormat::I420, yuv420_to_rgb),
    (VideoFormat::Y42b, yuv::yuv422_to_rgb),
    (VideoFormat::Y444, yuv::yuv444_to_rgb),
];

/// Fills the picture with a decoded frame of one of [`FORMATS`].
pub(super) fn to_rgb(
    frame: &VideoFrameRef<&gst::BufferRef>,
    into: &mut Picture,
) -> Result<(), String> {
    let info = frame.info();
    let convert = FORMATS.iter().find(|(format, _)| *format == info.format());
    let (_, convert) = convert.ok_or_else(|| format!("pixel format {}", info.format()))?;
    let plane = |n| frame.plane_data(n).map_err(|cause| cause.to_string());
    let stride = |n: usize| frame.plane_stride()[n] as u32;
    let planes = YuvPlanarImage {
        y_plane: plane(0)?,
        y_stride: stride(0),
        u_plane: plane(1)?,
        u_stride: stride(1),
        v_plane: plane(2)?,
        v_stride: stride(2),
        width: info.width(),
        height: info.height(),
    };
    into.resize(info.width(), info.height());
    convert(&planes, &mut into.rgb, info.width() * 3, range(info), MATRIX)
        .map_err(|cause| cause.to_string())
}

/// Limited range in the arithmetic of the reference pipeline, to the last bit; full range, which
/// that pipeline scales beforehand, by the library.
fn yuv420_to_rgb<'a>(
    planes: &YuvPlanarImage<'a, u8>,
    rgb: &mut [u8],
    rgb_stride: u32,
    range: YuvRange,
    matrix: YuvStandardMatrix,
) -> Result<(), YuvError> {
    if range == YuvRange::Full {
        return yuv::yuv420_to_rgb(planes, rgb, rgb_stride, range, matrix);
    }
    let row = |plane: &'a [u8], stride: u32, y: usize| &plane[y * stride as usize..];
    for (y, out) in rgb.chunks_exact_mut(rgb_stride as usize).enumerate() {
        let luma = row(planes.y_plane, planes.y_stride, y);
        let u = row(planes.u_plane, planes.u_stride, y / 2);
        let v = row(planes.v_plane, planes.v_stride, y / 2);
        for ((pair, luma), (u, v)) in out.chunks_mut(6).zip(luma.chunks(2)).zip(u.iter().zip(v)) {
            let [red, green, blue] = chroma(*u, *v);
            for (pixel, luma) in pair.chunks_exact_mut(3).zip(luma) {
                let grey = product(*luma, 16, 9539);
                pixel[0] = level(grey + red);
                pixel[1] = level(grey + green);
                pixel[2] = level(grey + blue);
            }
        }
    }
    Ok(())
}

/// What chroma adds to red, green and blue (BT.601, scaled from 224 steps to 255).
fn chroma(u: u8, v: u8) -> [i32; 3] {
    let red = product(v, 128, 13_075);
    let green = product(u, 128, -3209) + product(v, 128, -6660);
    let blue = product(u, 128, 16_525);
    [red, green, blue]
}

/// A sample times a factor in units of 2^-13, rounded down, as the processor's 16-bit
/// multiplication does it.
const fn product(sample: u8, zero: i32, factor: i32) -> i32 {
    ((sample as i32 - zero) * 8 * factor) >> 16
}

fn level(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

/// Fills the planes of an I420 buffer laid out by `info`. A picture that is larger is cropped at
/// its right and lower edge.
pub(super) fn to_planes(
    picture: &Picture,
    info: &VideoInfo,
    buffer: &mut [u8],
) -> Result<(), YuvError> {
    let (luma, chroma) = buffer.split_at_mut(info.offset()[1]);
    let (u_plane, v_plane) = chroma.split_at_mut(info.offset()[2] - info.offset()[1]);
    let mut planes = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(luma),
        y_stride: info.stride()[0] as u32,
        u_plane: BufferStoreMut::Borrowed(u_plane),
        u_stride: info.stride()[1] as u32,
        v_plane: BufferStoreMut::Borrowed(v_plane),
        v_stride: info.stride()[2] as u32,
        width: info.width(),
        height: info.height(),
    };
    let mode = YuvConversionMode::Balanced;
    yuv::rgb_to_yuv420(&mut planes, &picture.rgb, picture.width * 3, range(info), MATRIX, mode)
}

fn range(info: &VideoInfo) -> YuvRange {
    match info.colorimetry().range() {
        VideoColorRange::Range0_255 => YuvRange::Full,
        _ => YuvRange::Limited,
    }
}
