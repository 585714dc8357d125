//! Lightness of CIE L*a*b* and colours at another lightness, for blocks of sRGB pixels. Called by
//! `clahe`.
//!
//! Powers are approximated by polynomials, so that a block is vectorized; where they approximate a
//! curve, they are within a twentieth of a grey level of it. Nothing is fused, so that all
//! processors give the same result.

use super::pixels::{BLOCK, BlockKernel, Lane, Pixel, nearest, polynomial, split};

/// XYZ of linear sRGB (IEC 61966-2-1), each row divided by the white point D65.
const TO_XYZ: [[f32; 3]; 3] = [
    [0.433_953, 0.376_219, 0.189_828],
    [0.212_671, 0.715_16, 0.072_169],
    [0.017_758, 0.109_477, 0.872_766],
];
/// Its inverse.
const FROM_XYZ: [[f32; 3]; 3] = [
    [3.079_933, -1.537_15, -0.542_782],
    [-0.921_235, 1.875_992, 0.045_244],
    [0.052_891, -0.204_043, 1.151_152],
];

/// `((v + 0.055) / 1.055) ^ 2.4` from 0.04 to 1.
const DECODE: [f32; 6] =
    [0.087_250_8, -0.307_301_47, 0.667_096_1, 0.519_404_9, 0.032_742_87, 0.000_917_02];
/// `255 * (1.055 * s ^ (5 / 6) - 0.055)` from 0.056 to 1, `s` being the square root of the light.
const ENCODE: [f32; 7] =
    [-241.879_51, 872.499_64, -1_276.744_9, 994.685_1, -484.548, 401.72, -10.770_416];
/// `h ^ (-2 / 3)` from 0.9 to 1.11.
const TO_MINUS_TWO_THIRDS: [f32; 4] = [-0.488_446_95, 2.025_936_2, -3.253_246_6, 2.715_750_3];
/// A third of a float's bits taken from this are the bits of its inverse cube root, to 4 %. The upper
/// half of the bits is enough for that, and its third is a product that needs no more than 32.
const INVERSE_CUBE_ROOT: u32 = 0x54a2_5000;
const THIRD_OF_UPPER_HALF: u32 = (1 << 16) / 3 + 1;

/// L* is 116 times the root of the light less 16; 100 of it are 255 levels.
const ROOT_OF_BLACK: f32 = 16.0 / 116.0;
const ROOT_PER_LEVEL: f32 = 1.0 / (116.0 * 2.55);

/// L* from 0 to 100 as a level from 0 to 255.
pub(super) struct Lightness;

impl BlockKernel for Lightness {
    type Extra = ();
    type To = u8;

    #[inline(always)]
    fn run(&self, from: &[Pixel; BLOCK], _: &[(); BLOCK], levels: &mut [u8; BLOCK]) {
        let rgb = split(from);
        for i in 0..BLOCK {
            let light = [decode(rgb[0][i]), decode(rgb[1][i]), decode(rgb[2][i])];
            levels[i] =
                nearest((root(dot(TO_XYZ[1], light)) - ROOT_OF_BLACK) * (1.0 / ROOT_PER_LEVEL));
        }
    }
}

/// The same colours at other lightnesses, given as levels.
pub(super) struct Relight;

impl BlockKernel for Relight {
    type Extra = f32;
    type To = Pixel;

    #[inline(always)]
    fn run(&self, from: &[Pixel; BLOCK], levels: &Lane, to: &mut [Pixel; BLOCK]) {
        let rgb = split(from);
        for i in 0..BLOCK {
            let light = [decode(rgb[0][i]), decode(rgb[1][i]), decode(rgb[2][i])];
            let y = root(dot(TO_XYZ[1], light));
            // a* and b* are differences of these roots: moving all three keeps them.
            let target = levels[i] * ROOT_PER_LEVEL + ROOT_OF_BLACK;
            let x = root(dot(TO_XYZ[0], light)) - y + target;
            let z = root(dot(TO_XYZ[2], light)) - y + target;
            let xyz = [cube(x), cube(target), cube(z)];
            let [red, green, blue] =
                [dot(FROM_XYZ[0], xyz), dot(FROM_XYZ[1], xyz), dot(FROM_XYZ[2], xyz)];
            to[i] = [nearest(encode(red)), nearest(encode(green)), nearest(encode(blue))];
        }
    }
}

#[inline(always)]
fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// From a grey level to linear light.
#[inline(always)]
fn decode(level: f32) -> f32 {
    let value = level * (1.0 / 255.0);
    if value <= 0.040_45 { value * (1.0 / 12.92) } else { polynomial(DECODE, value) }
}

/// From linear light to a grey level with its fraction.
#[inline(always)]
fn encode(light: f32) -> f32 {
    let light = light.clamp(0.0, 1.0);
    let curve = polynomial(ENCODE, light.sqrt());
    if light <= 0.003_130_8 { 255.0 * 12.92 * light } else { curve }
}

/// The cube root of CIE L*a*b*, straight near zero.
#[inline(always)]
fn root(value: f32) -> f32 {
    // Neither overflows; a check would prevent vectorization.
    let third = (value.to_bits() >> 16).wrapping_mul(THIRD_OF_UPPER_HALF);
    let inverse = f32::from_bits(INVERSE_CUBE_ROOT.wrapping_sub(third));
    let nearly = value * inverse * inverse;
    let curve = nearly * polynomial(TO_MINUS_TWO_THIRDS, nearly * inverse);
    if value > 0.008_856 { curve } else { 7.787 * value + ROOT_OF_BLACK }
}

#[inline(always)]
fn cube(root: f32) -> f32 {
    if root > 0.206_893 { root * root * root } else { (root - ROOT_OF_BLACK) * (1.0 / 7.787) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact_decode(level: f64) -> f64 {
        let value = level / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    }

    fn exact_encode(light: f64) -> f64 {
        let curve = 1.055 * light.powf(1.0 / 2.4) - 0.055;
        255.0 * if light <= 0.003_130_8 { 12.92 * light } else { curve }
    }

    #[test]
    fn curves_are_within_a_twentieth_of_a_level_of_their_definitions() {
        for level in 0..=255 {
            let light = f64::from(decode(level as f32));
            let error = exact_encode(light) - f64::from(level);
            assert!(error.abs() < 0.05, "{level} is off by {error}");
        }
        for step in 0..=100_000 {
            let light = f64::from(step) / 1e5;
            let error = f64::from(encode(light as f32)) - exact_encode(light);
            assert!(error.abs() < 0.05, "{light} is off by {error}");
            let exact = if light > 0.008_856 { light.cbrt() } else { 7.787 * light + 16.0 / 116.0 };
            let error = (f64::from(root(light as f32)) - exact) * 116.0 * 2.55;
            assert!(error.abs() < 0.05, "the root of {light} is off by {error}");
        }
    }

    fn block(pixel: Pixel) -> [Pixel; BLOCK] {
        [pixel; BLOCK]
    }

    #[test]
    fn lightness_equals_cies() {
        // L* of sRGB middle grey is 53.6, of pure green 87.7.
        for (pixel, expected) in [([128; 3], 53.585_f32), ([0, 255, 0], 87.735), ([0; 3], 0.0)] {
            let mut levels = [1; BLOCK];
            Lightness.run(&block(pixel), &[(); BLOCK], &mut levels);
            assert_eq!(levels, [(expected * 2.55).round() as u8; BLOCK]);
        }
    }

    #[test]
    fn relighting_with_the_same_lightness_keeps_every_colour() {
        for level in 0..32 * 32 * 32_u32 {
            let pixel = [level / 1024, level / 32 % 32, level % 32].map(|it| (it * 255 / 31) as u8);
            let light = pixel.map(|level| exact_decode(f64::from(level)) as f32);
            let same = (root(dot(TO_XYZ[1], light)) - ROOT_OF_BLACK) / ROOT_PER_LEVEL;
            let mut to = block([0; 3]);
            Relight.run(&block(pixel), &[same; BLOCK], &mut to);
            assert!(
                pixel.iter().zip(to[0]).all(|(a, b)| a.abs_diff(b) <= 1),
                "{pixel:?} {:?}",
                to[0]
            );
        }
    }
}
