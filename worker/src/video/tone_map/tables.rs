//! What the mapping of one stream needs, computed once: tables of the curves, and the two matrices.
//! Built and read by `tone_map`.

use super::curves::{
    HLG_SYSTEM_GAMMA, TARGET_GAMMA, TARGET_NIT, hlg_to_scene, pq_to_nit, to_target_nit,
};
use crate::picture::SampleRange;
use crate::video::dynamic_range::{HdrCoding, HdrTransfer, PEAK_NIT};
use gstreamer_video::{VideoColorMatrix, VideoColorPrimaries};

/// Entries of a table; a power of two. One step is less than a ten-bit code.
const ENTRIES: usize = 2048;
/// Fraction bits of the factors from samples to entries.
const FACTOR_BITS: u32 = 16;
/// Added to a number from zero to 2^23, it leaves the nearest whole number in the low bits.
const ROUNDING: f32 = 8_388_608.0;

/// Weights of red, green and blue in luminance and luma (ITU-R BT.709).
pub(super) const BT709_WEIGHTS: [f32; 3] = [0.2126, 0.7152, 0.0722];
const BT2020_WEIGHTS: [f32; 3] = [0.2627, 0.6780, 0.0593];
/// From linear BT.2020 to linear BT.709 (ITU-R BT.2087, annex 1).
const BT2020_TO_BT709: [[f32; 3]; 3] = [
    [1.660_491, -0.587_641_1, -0.072_849_9],
    [-0.124_550_5, 1.132_899_9, -0.008_349_4],
    [-0.018_150_8, -0.100_578_9, 1.118_729_7],
];
const IDENTITY: [[f32; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// A function from zero to one, by its nearest entry.
#[derive(Debug)]
pub(super) struct Table(Box<[f32; ENTRIES]>);

impl Table {
    fn of(function: impl Fn(f64) -> f64) -> Self {
        let last = (ENTRIES - 1) as f64;
        let mut entries = Box::new([0.0; ENTRIES]);
        for (n, entry) in entries.iter_mut().enumerate() {
            *entry = function(n as f64 / last) as f32;
        }
        Self(entries)
    }

    /// The number of the entry for an argument from zero to one.
    #[inline(always)]
    pub(super) fn number(argument: f32) -> u32 {
        rounded(argument * (ENTRIES - 1) as f32)
    }

    /// The entries of these numbers.
    #[inline(always)]
    pub(super) fn entries<const N: usize>(&self, numbers: &[u32; N]) -> [f32; N] {
        let mut entries = [0.0; N];
        for (entry, number) in entries.iter_mut().zip(numbers) {
            *entry = self.0[*number as usize % ENTRIES];
        }
        entries
    }
}

/// The nearest whole number.
#[inline(always)]
pub(super) fn rounded(number: f32) -> u32 {
    (number + ROUNDING).to_bits() & 0x7f_ffff
}

/// The conversion of ten-bit luma and chroma to entries of a table of red, green and blue.
#[derive(Debug)]
pub(super) struct Entries {
    black: i32,
    luma: i32,
    red_of_v: i32,
    green_of_u: i32,
    green_of_v: i32,
    blue_of_u: i32,
}

impl Entries {
    pub(super) fn of(matrix: VideoColorMatrix, range: SampleRange) -> Self {
        let [red, _, blue] = match matrix {
            VideoColorMatrix::Bt709 => [0.2126, 0.7152, 0.0722],
            VideoColorMatrix::Bt601 => [0.299, 0.587, 0.114],
            _ => [0.2627, 0.6780, 0.0593],
        };
        let (black, luma, chroma) = match range {
            SampleRange::Limited => (64, 876.0, 896.0),
            SampleRange::Full => (0, 1023.0, 1023.0),
        };
        let unit = f64::from(1 << FACTOR_BITS) * (ENTRIES - 1) as f64;
        let factor = |of: f64| (unit * of).round() as i32;
        let (of_v, of_u, green) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue, 1.0 - red - blue);
        Self {
            black,
            luma: factor(1.0 / luma),
            red_of_v: factor(of_v / chroma),
            green_of_u: factor(-of_u * blue / green / chroma),
            green_of_v: factor(-of_v * red / green / chroma),
            blue_of_u: factor(of_u / chroma),
        }
    }

    /// The entries of red, green and blue. No sum overflows: samples have ten bits.
    #[inline(always)]
    pub(super) fn rgb(&self, [luma, u, v]: [i32; 3]) -> [u32; 3] {
        let grey = (luma - self.black) * self.luma + (1 << (FACTOR_BITS - 1));
        let (u, v) = (u - 512, v - 512);
        [
            entry(grey + v * self.red_of_v),
            entry(grey + u * self.green_of_u + v * self.green_of_v),
            entry(grey + u * self.blue_of_u),
        ]
    }
}

#[inline(always)]
fn entry(sum: i32) -> u32 {
    (sum >> FACTOR_BITS).clamp(0, ENTRIES as i32 - 1) as u32
}

/// The tables of one stream. Light is linear, in units of `light_max` before the mapping and of the
/// target's white after it.
#[derive(Debug)]
pub(super) struct Tables {
    /// From a sample to light.
    pub(super) light: Table,
    /// From the square root of luminance to the factor that maps light; the root has more of the
    /// entries where the eye sees more.
    pub(super) gain: Table,
    /// From the square root of light to the value for the target display.
    pub(super) value: Table,
    /// Weights of red, green and blue in the stream's luminance.
    pub(super) weights: [f32; 3],
    /// From the stream's primaries to those of BT.709.
    pub(super) gamut: [[f32; 3]; 3],
}

impl Tables {
    pub(super) fn of(coding: &HdrCoding) -> Self {
        let (light, gain) = match coding.transfer {
            HdrTransfer::Pq { peak_nit } => {
                let light = Table::of(|value| pq_to_nit(value).min(peak_nit) / peak_nit);
                (light, gain_table(peak_nit, 1.0))
            }
            HdrTransfer::Hlg => (Table::of(hlg_to_scene), gain_table(PEAK_NIT, HLG_SYSTEM_GAMMA)),
        };
        let (weights, gamut) = match coding.primaries {
            VideoColorPrimaries::Bt709 => (BT709_WEIGHTS, IDENTITY),
            _ => (BT2020_WEIGHTS, BT2020_TO_BT709),
        };
        let value = Table::of(|root| (root * root).powf(1.0 / TARGET_GAMMA));
        Self { light, gain, value, weights, gamut }
    }
}

/// The factor for light whose luminance is shown raised to a system gamma.
fn gain_table(peak_nit: f64, system_gamma: f64) -> Table {
    Table::of(|root| {
        // Nothing is divided by zero; less light is not visible.
        let luminance = (root * root).max(1e-9);
        let nit = peak_nit * luminance.powf(system_gamma);
        to_target_nit(nit, peak_nit) / TARGET_NIT / luminance
    })
}
