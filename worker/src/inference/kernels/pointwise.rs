//! A matrix product for each pixel: tiles of pixels x vectors of outputs are summed in registers.
//!
//! ```text
//! weights of two or three vectors of outputs, for up to 128 inputs -> panel, in full precision
//! for each tile of pixels: bias or partial sum + pixels x panel -> output
//! ```
//!
//! Weights are converted once for all pixels, and the next ones are prefetched meanwhile.
//!
//! Loops over tiles use indices instead of closures: the compiler does not always inline a closure
//! where the vector instructions are enabled.

#![allow(clippy::needless_range_loop, reason = "see above")]

use super::{Rows, RowsMut, even_share, stored};
use crate::inference::network::Product;
use crate::simd::Isa;
use crate::simd::vector::{self, HalfBytes, LANES, Lanes, LanesBytes, VectorKernel, Vectors};
use std::ops::Range;

/// Inputs whose weights are converted at a time: few enough for the first-level cache.
const PANEL_INPUTS: usize = 128;
/// Bytes in a cache line.
const LINE: usize = 64;
/// Most vectors of outputs of a tile, whatever the instruction set.
const PANEL_WIDTH: usize = 3;
/// Size of the panel in floats.
pub(in crate::inference) const PANEL: usize = PANEL_INPUTS * PANEL_WIDTH * LANES;

/// Fills `height` rows of `width` pixels of the output, adding the addend before a clip. `panel`
/// has room for [`PANEL`] floats.
pub(in crate::inference) fn multiply(
    (isa, bytes, panel): (Isa, &[u8], &mut [f32]),
    product: &Product,
    input: Rows<'_>,
    addend: Option<Rows<'_>>,
    output: RowsMut<'_>,
    (mut height, mut width): (usize, usize),
) {
    let is_contiguous = |row: usize| row == width * LANES;
    if is_contiguous(input.row)
        && is_contiguous(output.row)
        && addend.is_none_or(|addend| is_contiguous(addend.row))
    {
        (height, width) = (1, height * width);
    }
    let weights = &bytes[product.weights.bytes.start..];
    let bias = stored(&bytes[product.bias.bytes.clone()]);
    let panel = panel.as_chunks_mut().0;
    let sides = Sides { inputs: product.inputs, height, width, clip: product.clip };
    let half = product.weights.half;
    vector::run(isa, Multiplication { weights, half, bias, input, addend, output, panel, sides });
}

#[derive(Clone, Copy)]
struct Sides {
    inputs: usize,
    height: usize,
    width: usize,
    clip: bool,
}

struct Multiplication<'a> {
    /// By vector of outputs; in it by input. The weights of the next layers follow.
    weights: &'a [u8],
    /// Whether they have 16 bits (and not 32).
    half: bool,
    bias: &'a [LanesBytes],
    input: Rows<'a>,
    addend: Option<Rows<'a>>,
    output: RowsMut<'a>,
    /// By input; in it by vector of outputs.
    panel: &'a mut [Lanes],
    sides: Sides,
}

/// Some vectors of outputs, and some of the inputs.
#[derive(Clone, Copy)]
struct Part {
    first: usize,
    from: usize,
    inputs: usize,
    is_last: bool,
}

impl VectorKernel for Multiplication<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Vectors>(mut self, vectors: S) {
        let all = self.bias.len();
        let mut first = 0;
        while first < all {
            // Two and two rather than three and one: a single vector is bound by latency.
            let wide = if all - first == 4 { 2 } else { all - first };
            let wide = wide.min(S::TILE_WIDTH);
            let mut from = 0;
            while from < self.sides.inputs {
                let inputs = PANEL_INPUTS.min(self.sides.inputs - from);
                let is_last = from + inputs == self.sides.inputs;
                let part = Part { first, from, inputs, is_last };
                match wide {
                    3 => self.part::<S, 3>(vectors, part),
                    2 => self.part::<S, 2>(vectors, part),
                    _ => self.part::<S, 1>(vectors, part),
                }
                from += inputs;
            }
            first += wide;
        }
    }
}

impl Multiplication<'_> {
    /// `N` vectors of outputs of all pixels, summed over some inputs.
    #[inline(always)]
    fn part<S: Vectors, const N: usize>(&mut self, vectors: S, part: Part) {
        if N > S::TILE_WIDTH {
            return;
        }
        self.widen::<S, N>(vectors, part);
        let tiles = self.sides.height * self.sides.width.div_ceil(S::TILE_ROWS[N - 1]);
        let share = PANEL_INPUTS.div_ceil(tiles);
        let mut fetched = 0;
        for row in 0..self.sides.height {
            let mut pixel = 0;
            while pixel < self.sides.width {
                let high = even_share(self.sides.width - pixel, S::TILE_ROWS[N - 1]);
                macro_rules! tiles {
                    ($($high:literal)*) => {
                        match high {
                            $($high if $high <= S::TILE_ROWS[N - 1] => {
                                self.tile::<S, $high, N>(vectors, part, (row, pixel));
                            })*
                            _ => unreachable!("no tile is higher than the highest"),
                        }
                    };
                }
                tiles!(1 2 3 4 5 6 7 8 9 10 11 12);
                self.prefetch::<S, N>(vectors, part, fetched..fetched + share);
                fetched += share;
                pixel += high;
            }
        }
    }

    /// Fills the panel.
    #[inline(always)]
    fn widen<S: Vectors, const N: usize>(&mut self, vectors: S, part: Part) {
        let halves: &[HalfBytes] = self.weights.as_chunks().0;
        let whole: &[LanesBytes] = self.weights.as_chunks().0;
        for n in 0..N {
            let start = (part.first + n) * self.sides.inputs + part.from;
            for input in 0..part.inputs {
                let weight = match self.half {
                    true => vectors.load_half(&halves[start + input]),
                    false => vectors.load_bytes(&whole[start + input]),
                };
                vectors.store(weight, &mut self.panel[input * N + n]);
            }
        }
    }

    /// Prefetches some of the weights that the next part will convert: each is read from memory once
    /// in a run of the network.
    #[inline(always)]
    fn prefetch<S: Vectors, const N: usize>(&self, vectors: S, part: Part, inputs: Range<usize>) {
        let (first, from) = match part.is_last {
            true => (part.first + N, 0),
            false => (part.first, part.from + part.inputs),
        };
        let bytes = size_of::<Lanes>() / if self.half { 2 } else { 1 };
        for n in 0..N {
            let start = (first + n) * self.sides.inputs + from;
            let mut at = (start + inputs.start) * bytes;
            while at < (start + inputs.end) * bytes {
                if let Some(byte) = self.weights.get(at) {
                    vectors.prefetch(byte);
                }
                at += LINE;
            }
        }
    }

    /// `M` pixels x `N` vectors of outputs.
    #[inline(always)]
    fn tile<S: Vectors, const M: usize, const N: usize>(
        &mut self,
        vectors: S,
        part: Part,
        (row, pixel): (usize, usize),
    ) {
        let mut sums = [[vectors.splat(0.0); N]; M];
        for n in 0..N {
            let bias = vectors.load_bytes(&self.bias[part.first + n]);
            let partial = self.output.pixels((part.first + n, row, pixel), M);
            for m in 0..M {
                sums[m][n] = if part.from == 0 { bias } else { vectors.load(&partial[m]) };
            }
        }
        let panel = &self.panel.as_chunks::<N>().0[..part.inputs];
        let (blocks, rest) = panel.as_chunks::<LANES>();
        let first_block = part.from / LANES;
        for (block, weights) in blocks.iter().enumerate() {
            let pixels = pixels::<M>(self.input, (first_block + block, row, pixel));
            // Four at a time: the loop's own arithmetic competes with the sums.
            for lane in (0..LANES).step_by(4) {
                step(vectors, &mut sums, (pixels, lane), &weights[lane]);
                step(vectors, &mut sums, (pixels, lane + 1), &weights[lane + 1]);
                step(vectors, &mut sums, (pixels, lane + 2), &weights[lane + 2]);
                step(vectors, &mut sums, (pixels, lane + 3), &weights[lane + 3]);
            }
        }
        if !rest.is_empty() {
            let pixels = pixels::<M>(self.input, (first_block + blocks.len(), row, pixel));
            for lane in 0..rest.len().min(LANES) {
                step(vectors, &mut sums, (pixels, lane), &rest[lane]);
            }
        }
        for n in 0..N {
            let at = (part.first + n, row, pixel);
            if let Some(addend) = self.addend.filter(|_| part.is_last) {
                let with = pixels::<M>(addend, at);
                for m in 0..M {
                    sums[m][n] = vectors.add(sums[m][n], vectors.load(&with[m]));
                }
            }
            let clip = self.sides.clip && part.is_last;
            let to = self.output.pixels(at, M);
            for m in 0..M {
                let sum = if clip { vectors.clip(sums[m][n]) } else { sums[m][n] };
                vectors.store(sum, &mut to[m]);
            }
        }
    }
}

/// `M` pixels of sixteen channels.
#[inline(always)]
fn pixels<const M: usize>(rows: Rows<'_>, at: (usize, usize, usize)) -> &[Lanes; M] {
    rows.pixels(at, M).try_into().expect("M pixels")
}

/// Adds the products of one input.
#[inline(always)]
fn step<S: Vectors, const M: usize, const N: usize>(
    vectors: S,
    sums: &mut [[S::V; N]; M],
    (pixels, lane): (&[Lanes; M], usize),
    weights: &[Lanes; N],
) {
    let mut weight = [vectors.splat(0.0); N];
    for n in 0..N {
        weight[n] = vectors.load(&weights[n]);
    }
    for m in 0..M {
        let value = vectors.splat(pixels[m][lane]);
        for n in 0..N {
            sums[m][n] = vectors.mul_add(value, weight[n], sums[m][n]);
        }
    }
}
