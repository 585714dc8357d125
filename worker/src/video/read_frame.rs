//! Copies a decoded frame into a picture. Called by `decode` for each frame; the frame is returned to
//! its decoder afterwards.

use super::dynamic_range::DynamicRange;
use super::tone_map::{TenBitPlane, ToneMap};
use crate::picture::{Layout, Picture, SampleRange, Subsampling};
use crate::simd::vectorized;
use bodyscript_protocol::options::{Crop, PixelArea};
use gstreamer as gst;
use gstreamer_video::prelude::*;
use gstreamer_video::{VideoColorRange, VideoFormat, VideoFrameRef};

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// A byte each.
    Eight,
    /// The low ten bits of two bytes, the low byte first.
    Ten,
}

impl Depth {
    const fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Ten => 2,
        }
    }
}

/// The pixel formats that are read directly, best first.
const FORMATS: [(VideoFormat, Subsampling, Depth); 6] = [
    (VideoFormat::I420, Subsampling::Yuv420, Depth::Eight),
    (VideoFormat::Y42b, Subsampling::Yuv422, Depth::Eight),
    (VideoFormat::Y444, Subsampling::Yuv444, Depth::Eight),
    (VideoFormat::I42010le, Subsampling::Yuv420, Depth::Ten),
    (VideoFormat::I42210le, Subsampling::Yuv422, Depth::Ten),
    (VideoFormat::Y44410le, Subsampling::Yuv444, Depth::Ten),
];

/// The names of the formats that a stream of this range is read in.
pub(super) fn formats(range: DynamicRange) -> impl Iterator<Item = &'static str> {
    let is_read = move |depth| depth == Depth::Ten || range == DynamicRange::Standard;
    let formats = FORMATS.iter().filter(move |(.., depth)| is_read(*depth));
    formats.map(|(format, ..)| format.to_str().as_str())
}

/// Fills the picture with a frame of one of [`formats`], or the chosen area of it; one of HDR is mapped.
pub(super) fn read(
    frame: &VideoFrameRef<&gst::BufferRef>,
    tone_map: Option<&ToneMap>,
    crop: Option<Crop>,
    into: &mut Picture,
) -> Result<(), String> {
    let info = frame.info();
    let known = FORMATS.iter().find(|(format, ..)| *format == info.format());
    let (_, subsampling, depth) =
        *known.ok_or_else(|| format!("pixel format {}", info.format()))?;
    let range = match info.colorimetry().range() {
        VideoColorRange::Range0_255 => SampleRange::Full,
        _ => SampleRange::Limited,
    };
    let whole = [info.width(), info.height()];
    let area = crop.map_or_else(|| PixelArea::whole(whole), |crop| crop.pixels(whole));
    if area.size().contains(&0) {
        return Err("an area without pixels".into());
    }
    let layout = Layout { width: area.width, height: area.height, subsampling, range };
    // The bytes of a plane from the first sample of the area on, and those of a row.
    let frame_plane = |n: usize| {
        let [across, down] = if n == 0 { [0, 0] } else { subsampling.shifts() };
        let stride = frame.plane_stride()[n] as usize;
        let column = (area.x >> across) as usize * depth.bytes();
        let from = (area.y >> down) as usize * stride + column;
        let bytes = frame.plane_data(n as u32).map_err(|cause| cause.to_string())?;
        let bytes = bytes.get(from..).ok_or("a plane is shorter than its picture")?;
        Ok::<_, String>((bytes, stride))
    };
    if let (Some(tone_map), Depth::Ten) = (tone_map, depth) {
        let plane = |n| frame_plane(n).map(|(bytes, stride)| TenBitPlane { bytes, stride });
        into.resize(Layout { range: SampleRange::Limited, ..layout });
        tone_map.map([plane(0)?, plane(1)?, plane(2)?], range, into);
        return Ok(());
    }
    into.resize(layout);
    for (n, plane) in into.planes_mut().into_iter().enumerate() {
        let [columns, _] = layout.plane_size(n);
        let (samples, stride) = frame_plane(n)?;
        let rows = plane.chunks_exact_mut(columns).zip(samples.chunks(stride));
        vectorized(
            #[inline(always)]
            || match depth {
                Depth::Eight => rows.for_each(|(row, from)| row.copy_from_slice(&from[..columns])),
                Depth::Ten => rows.for_each(|(row, from)| narrow(&from[..2 * columns], row)),
            },
        );
    }
    Ok(())
}

/// Rounds ten bits to eight.
#[inline(always)]
fn narrow(samples: &[u8], into: &mut [u8]) {
    for (to, from) in into.iter_mut().zip(samples.chunks_exact(2)) {
        let sample = u16::from_le_bytes([from[0], from[1]]).min(1021);
        *to = ((sample + 2) >> 2) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_bits_are_rounded_to_eight() {
        let samples = [0, 1, 2, 64, 65, 66, 940, 1021, 1023, u16::MAX];
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut levels = [0; 10];
        narrow(&bytes, &mut levels);
        assert_eq!(levels, [0, 0, 1, 16, 16, 17, 235, 255, 255, 255]);
    }
}
