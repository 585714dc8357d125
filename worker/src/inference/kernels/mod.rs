//! The arithmetic of the layers, for any instruction set. Called by `execute`. Safe code throughout:
//! all accesses are within the given slices.

/// Splits a row of results into tiles of at most [`TILE_PIXELS`], as even as possible, and calls
/// the expression for each with its first pixel and its constant length.
macro_rules! for_each_tile {
    ($width:expr, |$first:ident, $length:ident| $call:expr) => {
        let mut $first = 0;
        while $first < $width {
            let length = even_share($width - $first, TILE_PIXELS);
            for_each_tile!(@match length, $length, $call, 1 2 3 4 5 6 7 8);
            $first += length;
        }
    };
    (@match $value:ident, $length:ident, $call:expr, $($literal:literal)*) => {
        match $value {
            $($literal => {
                const $length: usize = $literal;
                $call;
            })*
            _ => unreachable!("no tile is longer than the longest"),
        }
    };
}

mod depthwise;
mod pointwise;
mod resize;
mod stem;

pub(super) use depthwise::{DepthwiseRows, KERNEL_MAX};
pub(super) use pointwise::{PANEL, multiply};
pub(super) use resize::{HALF_BLOCK, Resize, add, depth_to_space, max_pool};
pub(super) use stem::{ROWS as STEM_ROWS, StemRow};

use crate::simd::vector::{LANES, Lanes, LanesBytes};

/// Most results along a row in one tile of a convolution.
const TILE_PIXELS: usize = 8;

/// A picture, or some rows of one; the first pixel is at the start. A pixel of sixteen channels is a
/// vector, and the vectors of a row are contiguous.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) numbers: &'a [f32],
    /// Stride of rows.
    pub(super) row: usize,
    /// Stride of blocks of sixteen channels.
    pub(super) block: usize,
}

/// The same, mutable.
#[derive(Debug)]
pub(super) struct RowsMut<'a> {
    pub(super) numbers: &'a mut [f32],
    pub(super) row: usize,
    pub(super) block: usize,
}

impl<'a> Rows<'a> {
    /// No rows.
    pub(super) const NONE: Self = Self { numbers: &[], row: 0, block: 0 };

    /// The rows from this one on.
    #[inline(always)]
    pub(super) fn starting_at(self, row: usize) -> Self {
        Self { numbers: &self.numbers[row * self.row..], ..self }
    }

    /// Some pixels of a row, of one block of channels.
    #[inline(always)]
    fn pixels(&self, (block, row, pixel): (usize, usize, usize), count: usize) -> &'a [Lanes] {
        let at = block * self.block + row * self.row + pixel * LANES;
        self.numbers[at..at + count * LANES].as_chunks().0
    }
}

impl RowsMut<'_> {
    /// The rows from this one on.
    #[inline(always)]
    pub(super) fn starting_at(&mut self, row: usize) -> RowsMut<'_> {
        let numbers = &mut self.numbers[row * self.row..];
        RowsMut { numbers, row: self.row, block: self.block }
    }

    /// Some pixels of a row, of one block of channels.
    #[inline(always)]
    fn pixels(&mut self, (block, row, pixel): (usize, usize, usize), count: usize) -> &mut [Lanes] {
        let at = block * self.block + row * self.row + pixel * LANES;
        self.numbers[at..at + count * LANES].as_chunks_mut().0
    }
}

/// WeightRange vectors of floats.
#[inline(always)]
fn stored(bytes: &[u8]) -> &[LanesBytes] {
    bytes.as_chunks().0
}

/// Length of the next tile, so that the remaining results are split evenly.
#[inline(always)]
const fn even_share(left: usize, most: usize) -> usize {
    left.div_ceil(left.div_ceil(most))
}
