//! A convolution of each channel alone, one row of results at a time.

#![allow(clippy::needless_range_loop, reason = "as in `pointwise`")]

use super::{Rows, RowsMut, TILE_PIXELS, even_share, stored};
use crate::inference::network::Depthwise;
use crate::simd::vector::{Lanes, LanesBytes, Vectors, Work};

/// Largest side of a kernel.
pub(in crate::inference) const KERNEL_MAX: usize = 5;
/// Pixels that the results of one tile are made from, at most.
const SEEN_MAX: usize = (TILE_PIXELS - 1) * 2 + KERNEL_MAX;

/// One row of results.
pub(in crate::inference) struct DepthwiseRow<'a> {
    pub(in crate::inference) depthwise: &'a Depthwise,
    /// All weights of the network.
    pub(in crate::inference) bytes: &'a [u8],
    /// The rows that the kernel covers, each from the first pixel that the first result reads.
    pub(in crate::inference) rows: [Rows<'a>; KERNEL_MAX],
    pub(in crate::inference) output: RowsMut<'a>,
    /// How many results.
    pub(in crate::inference) width: usize,
}

impl Work for DepthwiseRow<'_> {
    type Output = ();

    #[inline(always)]
    fn work<S: Vectors>(mut self, vectors: S) {
        match (self.depthwise.kernel, self.depthwise.stride) {
            (3, 1) => self.channels::<S, 3, 1>(vectors),
            (3, _) => self.channels::<S, 3, 2>(vectors),
            (_, 1) => self.channels::<S, 5, 1>(vectors),
            _ => self.channels::<S, 5, 2>(vectors),
        }
    }
}

impl DepthwiseRow<'_> {
    #[inline(always)]
    fn channels<S: Vectors, const K: usize, const STRIDE: usize>(&mut self, vectors: S) {
        let weights = stored(&self.bytes[self.depthwise.weights.bytes.clone()]);
        let bias = stored(&self.bytes[self.depthwise.bias.bytes.clone()]);
        for block in 0..bias.len() {
            let weights = &weights[block * K * K..][..K * K];
            let mut at = 0;
            while at < self.width {
                let many = even_share(self.width - at, TILE_PIXELS);
                macro_rules! tiles {
                    ($($many:literal)*) => {
                        match many {
                            $($many => self.tile::<S, K, STRIDE, $many>(
                                vectors, (weights, &bias[block]), (block, at),
                            ),)*
                            _ => unreachable!("no tile is longer than the longest"),
                        }
                    };
                }
                tiles!(1 2 3 4 5 6 7 8);
                at += many;
            }
        }
    }

    /// One vector of channels of `T` results.
    #[inline(always)]
    fn tile<S: Vectors, const K: usize, const STRIDE: usize, const T: usize>(
        &mut self,
        vectors: S,
        (weights, bias): (&[LanesBytes], &LanesBytes),
        (block, at): (usize, usize),
    ) {
        let mut sums = [vectors.load_bytes(bias); T];
        for y in 0..K {
            let covered = (T - 1) * STRIDE + K;
            let row: &[Lanes] = self.rows[y].pixels((block, 0, at * STRIDE), covered);
            let mut seen = [vectors.splat(0.0); SEEN_MAX];
            for x in 0..covered {
                seen[x] = vectors.load(&row[x]);
            }
            for x in 0..K {
                let weight = vectors.load_bytes(&weights[y * K + x]);
                for t in 0..T {
                    sums[t] = vectors.mul_add(seen[t * STRIDE + x], weight, sums[t]);
                }
            }
        }
        let to = self.output.pixels((block, 0, at), T);
        for t in 0..T {
            let sum = if self.depthwise.clip { vectors.clip(sums[t]) } else { sums[t] };
            vectors.store(sum, &mut to[t]);
        }
    }
}
