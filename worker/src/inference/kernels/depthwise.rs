//! Depthwise convolutions, some result rows at a time.

#![allow(clippy::needless_range_loop, reason = "as in `pointwise`")]

use super::{Rows, RowsMut, TILE_PIXELS, even_share, stored};
use crate::inference::network::Depthwise;
use crate::simd::vector::{Lanes, LanesBytes, VectorKernel, Vectors};

/// Largest side of a kernel.
pub(in crate::inference) const KERNEL_MAX: usize = 5;
/// Most input pixels of one tile.
const INPUTS_MAX: usize = (TILE_PIXELS - 1) * 2 + KERNEL_MAX;

/// Some result rows.
pub(in crate::inference) struct DepthwiseRows<'a> {
    pub(in crate::inference) depthwise: &'a Depthwise,
    /// All weights of the network.
    pub(in crate::inference) bytes: &'a [u8],
    /// For each result row the rows that the kernel covers, each from the first pixel that the
    /// first result reads.
    pub(in crate::inference) rows: &'a [[Rows<'a>; KERNEL_MAX]],
    pub(in crate::inference) output: RowsMut<'a>,
    /// Results in a row.
    pub(in crate::inference) width: usize,
}

impl VectorKernel for DepthwiseRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Vectors>(mut self, vectors: S) {
        match (self.depthwise.kernel, self.depthwise.stride) {
            (3, 1) => self.channels::<S, 3, 1>(vectors),
            (3, _) => self.channels::<S, 3, 2>(vectors),
            (_, 1) => self.channels::<S, 5, 1>(vectors),
            _ => self.channels::<S, 5, 2>(vectors),
        }
    }
}

impl DepthwiseRows<'_> {
    #[inline(always)]
    fn channels<S: Vectors, const K: usize, const STRIDE: usize>(&mut self, vectors: S) {
        let weights = stored(&self.bytes[self.depthwise.weights.bytes.clone()]);
        let bias = stored(&self.bytes[self.depthwise.bias.bytes.clone()]);
        for block in 0..bias.len() {
            let weights = &weights[block * K * K..][..K * K];
            // Rows in order: most of the input of the next one is still in the cache.
            for row in 0..self.rows.len() {
                self.row::<S, K, STRIDE>(vectors, (weights, &bias[block]), (block, row));
            }
        }
    }

    /// One vector of channels of one result row.
    #[inline(always)]
    fn row<S: Vectors, const K: usize, const STRIDE: usize>(
        &mut self,
        vectors: S,
        constants: (&[LanesBytes], &LanesBytes),
        (block, row): (usize, usize),
    ) {
        for_each_tile!(self.width, |at, T| {
            self.tile::<S, K, STRIDE, T>(vectors, constants, (block, row, at))
        });
    }

    /// One vector of channels of `T` results.
    #[inline(always)]
    fn tile<S: Vectors, const K: usize, const STRIDE: usize, const T: usize>(
        &mut self,
        vectors: S,
        (weights, bias): (&[LanesBytes], &LanesBytes),
        (block, row, at): (usize, usize, usize),
    ) {
        let mut sums = [vectors.load_bytes(bias); T];
        let covered = (T - 1) * STRIDE + K;
        let (weights, _) = weights.as_chunks::<K>();
        // The bound is a variable: the compiler would unroll a constant loop and keep all its weights
        // in registers, of which there are not enough.
        for y in 0..self.depthwise.kernel {
            let input: &[Lanes] = self.rows[row][y].pixels((block, 0, at * STRIDE), covered);
            let mut inputs = [vectors.splat(0.0); INPUTS_MAX];
            for x in 0..covered {
                inputs[x] = vectors.load(&input[x]);
            }
            for x in 0..K {
                let weight = vectors.load_bytes(&weights[y][x]);
                for t in 0..T {
                    sums[t] = vectors.mul_add(inputs[t * STRIDE + x], weight, sums[t]);
                }
            }
        }
        let to = self.output.pixels((block, row, at), T);
        for t in 0..T {
            let sum = if self.depthwise.clip { vectors.clip(sums[t]) } else { sums[t] };
            vectors.store(sum, &mut to[t]);
        }
    }
}
