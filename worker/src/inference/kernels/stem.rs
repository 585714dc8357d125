//! The first convolution, from three planes to channels, one result row at a time.

#![allow(clippy::needless_range_loop, reason = "as in `pointwise`")]

use super::{RowsMut, TILE_PIXELS, even_share, stored};
use crate::inference::network::Stem;
use crate::simd::vector::{LanesBytes, VectorKernel, Vectors};

/// Rows of the three planes that one result row is computed from.
pub(in crate::inference) const ROWS: usize = 9;
/// Pixels of a row that one result is computed from.
const KERNEL: usize = 3;
/// Pixels from one result to the next.
const STRIDE: usize = 2;

/// One result row.
pub(in crate::inference) struct StemRow<'a> {
    pub(in crate::inference) stem: &'a Stem,
    /// All weights of the network.
    pub(in crate::inference) bytes: &'a [u8],
    /// Three rows of each plane, each from the pixel before the first.
    pub(in crate::inference) rows: [&'a [f32]; ROWS],
    pub(in crate::inference) output: RowsMut<'a>,
    /// Results in the row.
    pub(in crate::inference) width: usize,
}

impl VectorKernel for StemRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Vectors>(mut self, vectors: S) {
        let bias = stored(&self.bytes[self.stem.bias.bytes.clone()]);
        let mut first = 0;
        while first < bias.len() {
            if bias.len() - first > 1 {
                self.row::<S, 2>(vectors, first);
                first += 2;
            } else {
                self.row::<S, 1>(vectors, first);
                first += 1;
            }
        }
    }
}

impl StemRow<'_> {
    #[inline(always)]
    fn row<S: Vectors, const N: usize>(&mut self, vectors: S, first: usize) {
        let weights = stored(&self.bytes[self.stem.weights.bytes.clone()]);
        let bias = stored(&self.bytes[self.stem.bias.bytes.clone()]);
        let taps = ROWS * KERNEL;
        let weights: [&[LanesBytes]; N] =
            std::array::from_fn(|n| &weights[(first + n) * taps..][..taps]);
        let bias: [&LanesBytes; N] = std::array::from_fn(|n| &bias[first + n]);
        for_each_tile!(self.width, |at, T| {
            self.tile::<S, N, T>(vectors, (weights, bias), (at, first))
        });
    }

    #[inline(always)]
    fn tile<S: Vectors, const N: usize, const T: usize>(
        &mut self,
        vectors: S,
        (weights, bias): ([&[LanesBytes]; N], [&LanesBytes; N]),
        (at, first): (usize, usize),
    ) {
        let mut sums = [[vectors.splat(0.0); N]; T];
        for n in 0..N {
            let bias = vectors.load_bytes(bias[n]);
            for sums in &mut sums {
                sums[n] = bias;
            }
        }
        for (y, row) in self.rows.iter().enumerate() {
            let row = &row[at * STRIDE..][..(T - 1) * STRIDE + KERNEL];
            for x in 0..KERNEL {
                let mut weight = [vectors.splat(0.0); N];
                for n in 0..N {
                    weight[n] = vectors.load_bytes(&weights[n][y * KERNEL + x]);
                }
                for t in 0..T {
                    let value = vectors.splat(row[t * STRIDE + x]);
                    for n in 0..N {
                        sums[t][n] = vectors.mul_add(value, weight[n], sums[t][n]);
                    }
                }
            }
        }
        for n in 0..N {
            let to = self.output.pixels((first + n, 0, at), T);
            for t in 0..T {
                vectors.store(vectors.clip(sums[t][n]), &mut to[t]);
            }
        }
    }
}
