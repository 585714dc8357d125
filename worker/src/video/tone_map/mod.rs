//! Maps pictures of high dynamic range to BT.709, while their ten bits are narrowed to eight. Called by
//! `read_frame`.
//!
//! Each pixel's light is multiplied by one factor, which depends on its luminance, so that the hue is
//! kept: the tone curve of ITU-R BT.2390, and the system gamma where the stream is HLG. Colours outside
//! BT.709 that are too bright are desaturated, those that are too pure are clipped.

mod curves;
mod tables;
#[cfg(test)]
mod tests;

use super::dynamic_range::HdrCoding;
use crate::picture::{Picture, SampleRange};
use crate::simd::{Kernel, vectorized_kernel};
use tables::{BT709_WEIGHTS, Entries, Table, Tables, rounded};

/// Pixels that are mapped together; even.
const BLOCK: usize = 64;
/// Keeps a divisor from zero.
const EXCESS_MIN: f32 = 1e-6;
/// The greatest differences of blue and red from luma, of both signs (ITU-R BT.709).
const BLUE_DIFFERENCE: f32 = 1.8556;
const RED_DIFFERENCE: f32 = 1.5748;

/// The mapping of one stream.
#[derive(Debug)]
pub(super) struct ToneMap {
    tables: Tables,
    limited: Entries,
    full: Entries,
}

/// A plane of ten-bit samples, in the low bits of two bytes each, the low byte first.
#[derive(Debug, Clone, Copy)]
pub(super) struct TenBitPlane<'a> {
    /// The rows.
    pub(super) bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
}

impl TenBitPlane<'_> {
    /// Copies samples of a row from a column on.
    #[inline(always)]
    fn copy(&self, [row, column]: [usize; 2], into: &mut [i32]) {
        let bytes = &self.bytes[row * self.stride + 2 * column..][..2 * into.len()];
        for (to, from) in into.iter_mut().zip(bytes.chunks_exact(2)) {
            *to = u16::from_le_bytes([from[0], from[1]]).min(1023).into();
        }
    }
}

impl ToneMap {
    pub(super) fn new(coding: &HdrCoding) -> Self {
        Self {
            tables: Tables::of(coding),
            limited: Entries::of(coding.matrix, SampleRange::Limited),
            full: Entries::of(coding.matrix, SampleRange::Full),
        }
    }

    /// Fills a picture, whose samples have limited range, with mapped planes of its layout and this
    /// range.
    pub(super) fn map(&self, planes: [TenBitPlane<'_>; 3], range: SampleRange, into: &mut Picture) {
        let entries = match range {
            SampleRange::Limited => &self.limited,
            SampleRange::Full => &self.full,
        };
        vectorized_kernel(Mapping { tables: &self.tables, entries, planes, into });
    }
}

/// The mapping of one picture.
struct Mapping<'a> {
    tables: &'a Tables,
    entries: &'a Entries,
    planes: [TenBitPlane<'a>; 3],
    into: &'a mut Picture,
}

/// Luma of the pixels of a block, and the sums of what chroma is made from, over a pixel of each row.
struct Mapped {
    luma: [u8; BLOCK],
    differences: [[f32; BLOCK]; 2],
}

impl Kernel for Mapping<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { tables, entries, planes: [from, chroma @ ..], into } = self;
        let layout = into.layout();
        let [columns, rows] = layout.plane_size(0);
        let [chroma_columns, chroma_rows] = layout.plane_size(1);
        let [across, down] = layout.subsampling.shifts();
        let [luma, u, v] = into.planes_mut();
        for chroma_row in 0..chroma_rows {
            let first = chroma_row << down;
            let shared_rows = (rows - first).min(1 << down);
            for start in (0..columns).step_by(BLOCK) {
                let len = BLOCK.min(columns - start);
                let chroma_at = [chroma_row, start >> across];
                let chroma_len = (len + across as usize) >> across;
                let shared = spread(&chroma, chroma_at, (chroma_len, across));
                let mut mapped = Mapped { luma: [0; BLOCK], differences: [[0.0; BLOCK]; 2] };
                for row in first..first + shared_rows {
                    let mut samples = [0; BLOCK];
                    from.copy([row, start], &mut samples[..len]);
                    if len < BLOCK {
                        // The last of an odd number of pixels counts twice in its chroma.
                        samples[len] = samples[len - 1];
                    }
                    map_block((tables, entries), (&samples, &shared), &mut mapped);
                    luma[row * columns + start..][..len].copy_from_slice(&mapped.luma[..len]);
                }
                let weight = 1.0 / (shared_rows << across) as f32;
                let at = chroma_row * chroma_columns + chroma_at[1];
                let [of_u, of_v] = &mapped.differences;
                average(of_u, (across, weight / BLUE_DIFFERENCE), &mut u[at..][..chroma_len]);
                average(of_v, (across, weight / RED_DIFFERENCE), &mut v[at..][..chroma_len]);
            }
        }
    }
}

/// Both kinds of chroma, one sample for each pixel of a block.
#[inline(always)]
fn spread(
    planes: &[TenBitPlane<'_>; 2],
    at: [usize; 2],
    (len, across): (usize, u32),
) -> [[i32; BLOCK]; 2] {
    let mut both = [[512; BLOCK]; 2];
    for (wide, plane) in both.iter_mut().zip(planes) {
        if across == 0 {
            plane.copy(at, &mut wide[..len]);
        } else {
            let mut samples = [512; BLOCK / 2];
            plane.copy(at, &mut samples[..len]);
            for (pair, sample) in wide.chunks_exact_mut(2).zip(samples) {
                pair[0] = sample;
                pair[1] = sample;
            }
        }
    }
    both
}

/// Maps the pixels of a block; their differences of blue and red from luma are added up. Loops either
/// calculate, which vectors do, or read tables.
#[inline(always)]
fn map_block(
    (tables, entries): (&Tables, &Entries),
    (luma, [u, v]): (&[i32; BLOCK], &[[i32; BLOCK]; 2]),
    into: &mut Mapped,
) {
    let mut numbers = [[0; BLOCK]; 3];
    for i in 0..BLOCK {
        let found = entries.rgb([luma[i], u[i], v[i]]);
        numbers[0][i] = found[0];
        numbers[1][i] = found[1];
        numbers[2][i] = found[2];
    }
    let [red, green, blue] = read_three(&tables.light, &numbers);
    let (mut luminances, mut roots) = ([0.0; BLOCK], [0; BLOCK]);
    for i in 0..BLOCK {
        luminances[i] = dot(tables.weights, [red[i], green[i], blue[i]]).min(1.0);
        roots[i] = Table::number(luminances[i].sqrt());
    }
    let gains = tables.gain.entries(&roots);
    for i in 0..BLOCK {
        let rgb = to_bt709(&tables.gamut, [red[i], green[i], blue[i]], gains[i]);
        let mapped = in_gamut(luminances[i] * gains[i], rgb);
        numbers[0][i] = Table::number(mapped[0].sqrt());
        numbers[1][i] = Table::number(mapped[1].sqrt());
        numbers[2][i] = Table::number(mapped[2].sqrt());
    }
    let [red, green, blue] = read_three(&tables.value, &numbers);
    for i in 0..BLOCK {
        let luma = dot(BT709_WEIGHTS, [red[i], green[i], blue[i]]);
        into.luma[i] = rounded(16.0 + 219.0 * luma) as u8;
        into.differences[0][i] += blue[i] - luma;
        into.differences[1][i] += red[i] - luma;
    }
}

#[inline(always)]
fn read_three(table: &Table, numbers: &[[u32; BLOCK]; 3]) -> [[f32; BLOCK]; 3] {
    [table.entries(&numbers[0]), table.entries(&numbers[1]), table.entries(&numbers[2])]
}

#[inline(always)]
fn dot(weights: [f32; 3], [red, green, blue]: [f32; 3]) -> f32 {
    weights[0] * red + weights[1] * green + weights[2] * blue
}

#[inline(always)]
fn to_bt709(gamut: &[[f32; 3]; 3], rgb: [f32; 3], gain: f32) -> [f32; 3] {
    [gain * dot(gamut[0], rgb), gain * dot(gamut[1], rgb), gain * dot(gamut[2], rgb)]
}

/// The colour from zero to one: moved towards grey of its luminance until none of its parts is over
/// one; parts below zero are clipped.
#[inline(always)]
fn in_gamut(luminance: f32, [red, green, blue]: [f32; 3]) -> [f32; 3] {
    let grey = luminance.min(1.0);
    let excess = (red.max(green).max(blue) - grey).max(EXCESS_MIN);
    let kept = ((1.0 - grey) / excess).min(1.0);
    let [red, green, blue] =
        [grey + kept * (red - grey), grey + kept * (green - grey), grey + kept * (blue - grey)];
    [red.clamp(0.0, 1.0), green.clamp(0.0, 1.0), blue.clamp(0.0, 1.0)]
}

/// Chroma of the mean of some differences from luma, one for each pixel or for two.
#[inline(always)]
fn average(differences: &[f32; BLOCK], (across, factor): (u32, f32), into: &mut [u8]) {
    for (n, sample) in into.iter_mut().enumerate() {
        let sum = match across {
            0 => differences[n],
            _ => differences[2 * n] + differences[2 * n + 1],
        };
        *sample = rounded(128.0 + 224.0 * factor * sum) as u8;
    }
}
