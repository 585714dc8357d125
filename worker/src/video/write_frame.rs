//! Writes a picture of any layout into the buffer of an encoder, as 4:2:0 of limited range. Called by
//! `encode` for each frame.

use crate::picture::{Layout, Picture, SampleRange, Subsampling};
use crate::simd::vectorized;
use gstreamer_video::VideoInfo;

/// Fills the planes of an I420 buffer laid out by `info`. A picture that is larger is cropped at
/// its right and lower edge.
pub(super) fn write(picture: &Picture, info: &VideoInfo, buffer: &mut [u8]) {
    let layout = picture.layout();
    let target = Layout {
        width: info.width(),
        height: info.height(),
        subsampling: Subsampling::Yuv420,
        range: SampleRange::Limited,
    };
    vectorized(
        #[inline(always)]
        || {
            for (n, samples) in picture.planes().into_iter().enumerate() {
                let ([columns, rows], [stored, _]) = (target.plane_size(n), layout.plane_size(n));
                let to = buffer[info.offset()[n]..].chunks_mut(info.stride()[n] as usize);
                let subsampling = if n == 0 { Subsampling::Yuv420 } else { layout.subsampling };
                let [across, down] = subsampling.shifts().map(|shift| 2 - shift as usize);
                let from = samples.chunks(stored * down);
                for (to, from) in to.take(rows).zip(from) {
                    let to = &mut to[..columns];
                    match (across, down) {
                        (1, 1) => to.copy_from_slice(&from[..columns]),
                        (1, _) => average_rows(from.split_at(stored), to),
                        _ => average_squares(from.split_at(stored), to),
                    }
                    match (layout.range, n) {
                        (SampleRange::Limited, _) => {}
                        (SampleRange::Full, 0) => to.iter_mut().for_each(limit_luma),
                        (SampleRange::Full, _) => to.iter_mut().for_each(limit_chroma),
                    }
                }
            }
        },
    );
}

#[inline(always)]
fn average_rows((upper, lower): (&[u8], &[u8]), into: &mut [u8]) {
    for (to, (a, b)) in into.iter_mut().zip(upper.iter().zip(lower)) {
        *to = ((u16::from(*a) + u16::from(*b) + 1) >> 1) as u8;
    }
}

#[inline(always)]
fn average_squares((upper, lower): (&[u8], &[u8]), into: &mut [u8]) {
    let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
    for (to, (a, b)) in into.iter_mut().zip(pairs) {
        let sum: u16 = [a[0], a[1], b[0], b[1]].map(u16::from).iter().sum();
        *to = ((sum + 2) >> 2) as u8;
    }
}

/// From 256 levels to the 220 of limited range.
#[inline(always)]
fn limit_luma(sample: &mut u8) {
    *sample = ((u16::from(*sample) * 219 + 127) / 255 + 16) as u8;
}

/// From 256 levels around 128 to 225.
#[inline(always)]
fn limit_chroma(sample: &mut u8) {
    const ZERO: u16 = 128 * (255 - 224);
    *sample = ((u16::from(*sample) * 224 + ZERO + 127) / 255) as u8;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::colour;
    use gstreamer_video::VideoFormat;

    /// The result for a picture with these levels in each row of each plane.
    fn written(layout: Layout, level: impl Fn(usize, usize, usize) -> u8) -> Vec<[Vec<u8>; 3]> {
        let mut picture = Picture::new(layout);
        for (n, plane) in picture.planes_mut().into_iter().enumerate() {
            let [columns, _] = layout.plane_size(n);
            for (at, sample) in plane.iter_mut().enumerate() {
                *sample = level(n, at % columns, at / columns);
            }
        }
        crate::video::init().expect("GStreamer initialises");
        let info = VideoInfo::builder(VideoFormat::I420, layout.width & !1, layout.height & !1);
        let info = info.build().expect("a layout");
        let mut buffer = vec![7; info.size()];
        write(&picture, &info, &mut buffer);
        let plane = |n: usize, row: usize| {
            let columns = info.width() as usize >> n.min(1);
            buffer[info.offset()[n] + row * info.stride()[n] as usize..][..columns].to_vec()
        };
        let chroma_rows = info.height() as usize / 2;
        (0..chroma_rows).map(|row| [plane(0, 2 * row), plane(1, row), plane(2, row)]).collect()
    }

    #[test]
    fn planes_are_cropped_to_even_sizes_and_chroma_is_averaged() {
        for subsampling in [Subsampling::Yuv420, Subsampling::Yuv422, Subsampling::Yuv444] {
            let layout = Layout { width: 7, height: 5, subsampling, range: SampleRange::Limited };
            let [across, down] = subsampling.shifts();
            let rows = written(layout, |n, x, y| (100 * n + 10 * y + x) as u8);
            assert_eq!(rows.len(), 2);
            for (row, [luma, u, v]) in rows.iter().enumerate() {
                let expected: Vec<_> = (0..6).map(|x| (20 * row + x) as u8).collect();
                assert_eq!(*luma, expected, "{subsampling:?}");
                for (plane, samples) in [(100, u), (200, v)] {
                    let mean = |x: usize| {
                        let (y, more_y) = if down == 1 { (row, 0) } else { (2 * row, 1) };
                        let (x, more_x) = if across == 1 { (x, 0) } else { (2 * x, 1) };
                        let sum = 2 * (plane + 10 * y + x) + 10 * more_y + more_x;
                        sum.div_ceil(2) as u8
                    };
                    let expected: Vec<_> = (0..3).map(mean).collect();
                    assert_eq!(*samples, expected, "{subsampling:?}");
                }
            }
        }
    }

    #[test]
    fn full_range_is_converted_to_the_same_colour_in_limited_range() {
        for rgb in [[0, 0, 0], [255, 255, 255], [200, 30, 60], [10, 90, 220], [128, 128, 128]] {
            let full = colour::of_rgb(rgb, SampleRange::Full);
            let layout =
                Layout { width: 2, height: 2, range: SampleRange::Full, ..Layout::default() };
            let [luma, u, v] = &written(layout, |n, _, _| full[n])[0];
            let limited = colour::of_rgb(rgb, SampleRange::Limited);
            for (found, expected) in [luma[0], u[0], v[0]].into_iter().zip(limited) {
                assert!(found.abs_diff(expected) <= 1, "{rgb:?}: {found} is not {expected}");
            }
        }
    }
}
