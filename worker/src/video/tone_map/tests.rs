//! Mapped pictures have the colours that the Recommendations' formulas give, in every layout.

use super::curves::{HLG_SYSTEM_GAMMA, hlg_to_scene, pq_to_nit, to_target_nit};
use super::*;
use crate::picture::{Layout, Subsampling};
use crate::video::dynamic_range::HdrTransfer;
use gstreamer_video::{VideoColorMatrix, VideoColorPrimaries};

const PEAK_NIT: f64 = 1000.0;

fn coding(transfer: HdrTransfer) -> HdrCoding {
    let (matrix, primaries) = (VideoColorMatrix::Bt2020, VideoColorPrimaries::Bt2020);
    HdrCoding { transfer, matrix, primaries }
}

const PQ: HdrTransfer = HdrTransfer::Pq { peak_nit: PEAK_NIT };

/// A picture of these samples, mapped; `of` gives the sample of a plane at a column and a row.
fn mapped(
    transfer: HdrTransfer,
    (layout, range): (Layout, SampleRange),
    of: impl Fn(usize, usize, usize) -> u16,
) -> Picture {
    let planes = [0, 1, 2].map(|n| {
        let [columns, rows] = layout.plane_size(n);
        let samples = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
        samples.flat_map(|(x, y)| of(n, x, y).to_le_bytes()).collect::<Vec<_>>()
    });
    let mut into = Picture::new(layout);
    let plane = |n: usize| TenBitPlane { bytes: &planes[n], stride: 2 * layout.plane_size(n)[0] };
    ToneMap::new(&coding(transfer)).map([plane(0), plane(1), plane(2)], range, &mut into);
    into
}

fn layout(width: u32, height: u32, subsampling: Subsampling) -> Layout {
    Layout { width, height, subsampling, range: SampleRange::Limited }
}

/// Luma and chroma by the formulas, without tables: limited range, BT.2020 to BT.709.
fn expected(transfer: HdrTransfer, [luma, u, v]: [u16; 3]) -> [f64; 3] {
    let (y, u, v) = (
        (f64::from(luma) - 64.0) / 876.0,
        (f64::from(u) - 512.0) / 896.0,
        (f64::from(v) - 512.0) / 896.0,
    );
    let (red, blue) = (y + 1.4746 * v, y + 1.8814 * u);
    let green = (y - 0.2627 * red - 0.0593 * blue) / 0.678;
    let weights = [0.2627, 0.678, 0.0593];
    let weighted = |rgb: [f64; 3]| (0..3).map(|n| weights[n] * rgb[n]).sum::<f64>();
    let values = [red, green, blue].map(|value| value.clamp(0.0, 1.0));
    let nit = match transfer {
        HdrTransfer::Pq { .. } => values.map(|value| pq_to_nit(value).min(PEAK_NIT)),
        HdrTransfer::Hlg => {
            let scene = values.map(hlg_to_scene);
            let gain = weighted(scene).max(1e-12).powf(HLG_SYSTEM_GAMMA - 1.0);
            scene.map(|light| PEAK_NIT * gain * light)
        }
    };
    let luminance = weighted(nit);
    let gain = to_target_nit(luminance, PEAK_NIT) / luminance.max(1e-9) / 100.0;
    let [r, g, b] = nit.map(|nit| nit * gain);
    let linear = [
        1.6605 * r - 0.5876 * g - 0.0728 * b,
        -0.1246 * r + 1.1329 * g - 0.0083 * b,
        -0.0182 * r - 0.1006 * g + 1.1187 * b,
    ];
    let grey = luminance * gain;
    let most = linear.into_iter().fold(0.0, f64::max);
    let kept = if most > 1.0 { (1.0 - grey) / (most - grey) } else { 1.0 };
    let [r, g, b] =
        linear.map(|light| (grey + kept * (light - grey)).clamp(0.0, 1.0).powf(1.0 / 2.4));
    let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let chroma = |difference: f64| 128.0 + 224.0 * difference;
    [16.0 + 219.0 * luma, chroma((b - luma) / 1.8556), chroma((r - luma) / 1.5748)]
}

/// Samples of colours from black to white, none at the edge of BT.709: there light is close to zero, and
/// its rounding is many levels.
fn sample(n: usize) -> [u16; 3] {
    let part = |of: usize, most: usize| of as f64 / most as f64;
    let green = part(n % 64, 63);
    let (red, blue) =
        (green - 0.04 + 0.08 * part(n / 64 % 8, 7), green - 0.04 + 0.08 * part(n / 512, 7));
    let luma = 0.2627 * red + 0.678 * green + 0.0593 * blue;
    let chroma = |difference: f64| (512.0 + 896.0 * difference).round() as u16;
    let luma_sample = (64.0 + 876.0 * luma).round() as u16;
    [luma_sample, chroma((blue - luma) / 1.8814), chroma((red - luma) / 1.4746)]
}

#[test]
fn every_colour_is_within_two_levels_of_the_formulas() {
    let layout = layout(64, 64, Subsampling::Yuv444);
    for transfer in [PQ, HdrTransfer::Hlg] {
        let picture =
            mapped(transfer, (layout, SampleRange::Limited), |n, x, y| sample(y * 64 + x)[n]);
        for at in 0..64 * 64 {
            let found = picture.planes().map(|plane| f64::from(plane[at]));
            let (given, expected) = (sample(at), expected(transfer, sample(at)));
            let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off <= 2.0, "{transfer:?}: {given:?} became {found:?}, not {expected:?}");
        }
    }
}

#[test]
fn samples_outside_of_every_range_are_mapped_as_well() {
    let layout = layout(64, 64, Subsampling::Yuv444);
    for range in [SampleRange::Limited, SampleRange::Full] {
        for transfer in [PQ, HdrTransfer::Hlg] {
            let extremes = [0, 4, 1023, u16::MAX];
            let picture = mapped(transfer, (layout, range), |n, x, _| extremes[x >> (2 * n) & 3]);
            let [luma, u, v] = picture.planes();
            assert!(luma.iter().all(|sample| (16..=235).contains(sample)), "{transfer:?}");
            assert!(u.iter().chain(v).all(|sample| (16..=240).contains(sample)), "{transfer:?}");
        }
    }
}

#[test]
fn reference_white_of_both_codings_has_the_same_level() {
    // 58 % of PQ and 75 % of HLG are 203 nits (ITU-R BT.2408), on a display of 1000 nits.
    let level = |transfer, value: f64| {
        let code = (64.0 + 876.0 * value).round() as u16;
        let layout = (layout(2, 2, Subsampling::Yuv420), SampleRange::Limited);
        mapped(transfer, layout, |n, _, _| if n == 0 { code } else { 512 }).planes()[0][0]
    };
    assert!(level(PQ, 0.58).abs_diff(level(HdrTransfer::Hlg, 0.75)) <= 1);
    assert!(level(PQ, 0.58).abs_diff(224) <= 1, "{}", level(PQ, 0.58));
}

#[test]
fn chroma_is_averaged_and_odd_edges_are_kept() {
    for subsampling in [Subsampling::Yuv420, Subsampling::Yuv422, Subsampling::Yuv444] {
        for (width, height) in [(33, 35), (64, 32), (65, 33), (127, 3), (129, 2)] {
            let layout = layout(width, height, subsampling);
            // The left and upper parts differ from the right and lower ones, at even places.
            let part = |x: usize, y: usize| usize::from(x >= 32) + 2 * usize::from(y >= 2);
            let colours = [[300, 512, 512], [500, 540, 500], [600, 490, 540], [900, 512, 512]];
            let [across, down] = subsampling.shifts();
            let picture = mapped(PQ, (layout, SampleRange::Limited), |n, x, y| match n {
                0 => colours[part(x, y)][0],
                _ => colours[part(x << across, y << down)][n],
            });
            for (n, plane) in picture.planes().into_iter().enumerate() {
                let [columns, _] = layout.plane_size(n);
                let [across, down] = if n == 0 { [0, 0] } else { [across, down] };
                for (at, found) in plane.iter().enumerate() {
                    let part = part((at % columns) << across, (at / columns) << down);
                    let expected = expected(PQ, colours[part])[n];
                    let off = (f64::from(*found) - expected).abs();
                    assert!(off <= 2.0, "{layout:?}, plane {n}, {at}: {found} not {expected}");
                }
            }
        }
    }
}

#[test]
fn full_range_gives_the_same_picture_as_limited_range() {
    let layout = layout(64, 2, Subsampling::Yuv420);
    let limited = |n: usize, x: usize| if n == 0 { 64 + 13 * x as u16 } else { 500 };
    let full = |n: usize, x: usize| {
        let sample = f64::from(limited(n, x));
        let sample = match n {
            0 => (sample - 64.0) * 1023.0 / 876.0,
            _ => 512.0 + (sample - 512.0) * 1023.0 / 896.0,
        };
        sample.round() as u16
    };
    let of = |range, samples: &dyn Fn(usize, usize) -> u16| {
        mapped(PQ, (layout, range), |n, x, _| samples(n, x))
    };
    let (limited, full) = (of(SampleRange::Limited, &limited), of(SampleRange::Full, &full));
    for (a, b) in limited.planes().concat().iter().zip(full.planes().concat()) {
        assert!(a.abs_diff(b) <= 1, "{a} and {b}");
    }
}
