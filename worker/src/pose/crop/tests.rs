//! A crop from planes equals, value by value, a crop from the whole picture in RGB, each by the
//! simplest code.

use super::*;
use crate::picture::{Layout, Picture, RgbPicture, SampleRange, Subsampling};
use proptest::prelude::*;

const UNIT: ValueRange = ValueRange { min: 0.0, max: 1.0 };
/// The value of one grey level in that range; multiplying rounds differently from dividing.
const LEVEL: f32 = 1.0 / 255.0;

fn gradient(width: u32, height: u32) -> RgbPicture {
    let mut picture = RgbPicture::new(width, height);
    for y in 0..height {
        for x in 0..width {
            let at = ((y * width + x) * 3) as usize;
            picture.rgb[at] = x as u8;
            picture.rgb[at + 1] = y as u8;
            picture.rgb[at + 2] = 255;
        }
    }
    picture
}

fn cropped(picture: &RgbPicture, roi: Roi, border: Border, side: usize) -> Vec<f32> {
    let mut planes = vec![0.0; 3 * side * side];
    crop(picture, &roi, border, UNIT, &mut planes);
    planes
}

#[test]
fn a_crop_of_the_whole_picture_at_its_size_is_the_picture() {
    let picture = gradient(16, 16);
    let planes = cropped(&picture, Roi::letterbox(16, 16), Border::Zero, 16);
    for (at, value) in planes[..256].iter().enumerate() {
        assert_eq!(*value, (at % 16) as f32 * LEVEL);
    }
}

#[test]
fn a_rotation_by_180_degrees_mirrors_both_axes() {
    let picture = gradient(16, 16);
    let roi = Roi { rotation: std::f32::consts::PI, ..Roi::letterbox(16, 16) };
    let planes = cropped(&picture, roi, Border::Replicate, 16);
    // The corner of the crop lies on the far corner of the picture, one past its last pixel.
    assert_eq!(planes[0], 15.0 * LEVEL);
    assert_eq!(planes[17], 15.0 * LEVEL);
    assert_eq!(planes[2 * 16 + 2], 14.0 * LEVEL);
}

#[test]
fn borders_are_black_or_replicate_the_edge() {
    let picture = gradient(16, 8);
    let roi = Roi::letterbox(16, 8);
    let blue = 2 * 256;
    let zero = cropped(&picture, roi, Border::Zero, 16);
    assert_eq!((zero[blue], zero[blue + 8 * 16]), (0.0, 1.0));
    let edge = cropped(&picture, roi, Border::Replicate, 16);
    assert_eq!((edge[blue], edge[256]), (1.0, 0.0));
}

#[test]
fn positions_between_pixels_are_interpolated() {
    let picture = gradient(16, 16);
    let roi = Roi { center_x: 4.0, center_y: 4.0, side: 4.0, rotation: 0.0 };
    let planes = cropped(&picture, roi, Border::Zero, 8);
    // 2, 2.5, 3 ... with the half rounded up to a whole level.
    assert_eq!(planes[..3].to_vec(), [2.0, 3.0, 3.0].map(|v| v * LEVEL).to_vec());
}

/// One pixel in RGB. Factors are in units of 2^-13; products are rounded down one by one.
fn plain_pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
    let layout = picture.layout();
    let (black, factors) = match layout.range {
        SampleRange::Limited => (16, [9539, 13_075, -3209, -6660, 16_525]),
        SampleRange::Full => (0, [8192, 11_485, -2819, -5850, 14_516]),
    };
    let sample = |n: usize| {
        let [across, down] = match (n, layout.subsampling) {
            (0, _) | (_, Subsampling::Yuv444) => [1, 1],
            (_, Subsampling::Yuv422) => [2, 1],
            (_, Subsampling::Yuv420) => [2, 2],
        };
        let columns = (layout.width as usize).div_ceil(across);
        i32::from(picture.planes()[n][y / down * columns + x / across])
    };
    let product = |sample: i32, factor: i32| (sample * 8 * factor) >> 16;
    let [luma, red_v, green_u, green_v, blue_u] = factors;
    let (grey, u, v) = (product(sample(0) - black, luma), sample(1) - 128, sample(2) - 128);
    let green = product(u, green_u) + product(v, green_v);
    [product(v, red_v), green, product(u, blue_u)].map(|chroma| (grey + chroma).clamp(0, 255) as u8)
}

fn plain_rgb(picture: &Picture) -> RgbPicture {
    let mut rgb = RgbPicture::new(picture.width(), picture.height());
    for (at, pixel) in rgb.rgb.chunks_exact_mut(3).enumerate() {
        let columns = picture.width() as usize;
        pixel.copy_from_slice(&plain_pixel(picture, at % columns, at / columns));
    }
    rgb
}

/// The crop, value by value, of a whole picture in RGB.
fn plain_crop(picture: &RgbPicture, roi: &Roi, (border, range): (Border, ValueRange)) -> Vec<f32> {
    let (sin, cos) = f64::from(roi.rotation).sin_cos();
    let (step, half) = (f64::from(roi.side) / SIDE as f64, f64::from(roi.side) / 2.0);
    let origin_x = f64::from(roi.center_x) - half * (cos - sin);
    let origin_y = f64::from(roi.center_y) - half * (sin + cos);
    let fixed = |position: f64| (position.clamp(-1e6, 1e6) * 32.0).round_ties_even() as i64;
    let mut planes = vec![0.0; 3 * SIDE * SIDE];
    for (row, column) in (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column))) {
        let (down_x, down_y) = (-sin * step * row as f64, cos * step * row as f64);
        let x = fixed(origin_x + down_x + cos * step * column as f64);
        let y = fixed(origin_y + down_y + sin * step * column as f64);
        let level = |dx: i64, dy: i64, channel: usize| {
            let (x, y) = ((x >> 5) + dx, (y >> 5) + dy);
            let (width, height) = (i64::from(picture.width), i64::from(picture.height));
            let is_outside = x < 0 || y < 0 || x >= width || y >= height;
            if is_outside && border == Border::Zero {
                return 0;
            }
            let pixel = y.clamp(0, height - 1) * width + x.clamp(0, width - 1);
            i64::from(picture.rgb[pixel as usize * 3 + channel])
        };
        let (fx, fy) = (x & 31, y & 31);
        for channel in 0..3 {
            let sum = (32 - fx) * (32 - fy) * level(0, 0, channel)
                + fx * (32 - fy) * level(1, 0, channel)
                + (32 - fx) * fy * level(0, 1, channel)
                + fx * fy * level(1, 1, channel);
            let scale = (range.max - range.min) / 255.0;
            planes[(channel * SIDE + row) * SIDE + column] =
                ((sum + 512) >> 10) as f32 * scale + range.min;
        }
    }
    planes
}

/// Side of the crops that are compared: neither a whole number of vectors nor of blocks.
const SIDE: usize = 83;

fn layouts() -> impl Strategy<Value = Layout> {
    let subsamplings = [Subsampling::Yuv420, Subsampling::Yuv422, Subsampling::Yuv444];
    let ranges = [SampleRange::Limited, SampleRange::Full];
    let kinds =
        (prop::sample::select(subsamplings.to_vec()), prop::sample::select(ranges.to_vec()));
    (1_u32..90, 1_u32..90, kinds).prop_map(|(width, height, (subsampling, range))| Layout {
        width,
        height,
        subsampling,
        range,
    })
}

fn noise(layout: Layout, seed: u32) -> Picture {
    let mut picture = Picture::new(layout);
    let mut state = seed;
    for sample in picture.planes_mut().into_iter().flatten() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = (state >> 24) as u8;
    }
    picture
}

/// Regions inside, partly outside and far outside, and invalid ones.
fn regions() -> impl Strategy<Value = Roi> {
    let place = || {
        prop_oneof![
            12 => -60_f32..150.0,
            1 => prop::sample::select(&[0.0, 1e9, -1e9, f32::INFINITY, f32::NAN][..]),
        ]
    };
    let side = prop_oneof![4 => 1_f32..60.0, 4 => 30_f32..400.0, 1 => 0_f32..1e7];
    let turn = prop_oneof![3 => -3.2_f32..3.2, 1 => Just(0.0)];
    (place(), place(), side, turn).prop_map(|(center_x, center_y, side, rotation)| Roi {
        center_x,
        center_y,
        side,
        rotation,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_crop_from_planes_equals_a_crop_from_rgb(
        layout in layouts(),
        seed in any::<u32>(),
        roi in regions(),
        border in prop::sample::select(&[Border::Zero, Border::Replicate][..]),
        range in prop::sample::select(&[UNIT, ValueRange { min: -1.0, max: 1.0 }][..]),
    ) {
        let picture = noise(layout, seed);
        let rgb = plain_rgb(&picture);
        prop_assert_eq!(&RgbPicture::from(&picture), &rgb);
        let expected = plain_crop(&rgb, &roi, (border, range));
        let mut planes = vec![7.0; expected.len()];
        for isa in Isa::ALL {
            for picture in [&picture as &dyn Pixels, &rgb] {
                planes.fill(7.0);
                crop_with(isa, picture, &roi, (border, range), &mut planes);
                let wrong = planes.iter().zip(&expected).position(|(a, b)| a != b);
                prop_assert_eq!(wrong, None, "{:?}", isa);
            }
        }
    }
}
