//! The arithmetic of the layers, in vectors of whatever kind the processor has. Called by
//! `execute`. Safe code throughout: what is read and written is within the slices given.

mod depthwise;
mod pointwise;
mod resize;
mod stem;

pub(super) use depthwise::{DepthwiseRows, KERNEL_MAX};
pub(super) use pointwise::{PANEL, multiply};
pub(super) use resize::{HALF_BLOCK, Resizing, depth_to_space, max_pool};
pub(super) use stem::{ROWS as STEM_ROWS, StemRow};

use crate::simd::vector::{LANES, Lanes, LanesBytes};

/// Most results along a row that a convolution's tile may have.
const TILE_PIXELS: usize = 8;

/// A picture, or some rows of one, to read; the first pixel is at the start. A pixel of sixteen
/// channels is a vector, next to its neighbours of the row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) numbers: &'a [f32],
    /// Numbers from one row to the next.
    pub(super) row: usize,
    /// Numbers from sixteen channels to the next.
    pub(super) block: usize,
}

/// The same, to write.
#[derive(Debug)]
pub(super) struct RowsMut<'a> {
    pub(super) numbers: &'a mut [f32],
    pub(super) row: usize,
    pub(super) block: usize,
}

impl<'a> Rows<'a> {
    /// Nothing to read.
    pub(super) const NONE: Self = Self { numbers: &[], row: 0, block: 0 };

    /// Without the rows before this one.
    #[inline(always)]
    pub(super) fn starting_at(self, row: usize) -> Self {
        Self { numbers: &self.numbers[row * self.row..], ..self }
    }

    /// So many pixels of a row, of sixteen channels.
    #[inline(always)]
    fn pixels(&self, (block, row, pixel): (usize, usize, usize), many: usize) -> &'a [Lanes] {
        let at = block * self.block + row * self.row + pixel * LANES;
        self.numbers[at..at + many * LANES].as_chunks().0
    }
}

impl RowsMut<'_> {
    /// Without the rows before this one.
    #[inline(always)]
    pub(super) fn starting_at(&mut self, row: usize) -> RowsMut<'_> {
        let numbers = &mut self.numbers[row * self.row..];
        RowsMut { numbers, row: self.row, block: self.block }
    }

    /// So many pixels of a row, of sixteen channels.
    #[inline(always)]
    fn pixels(&mut self, (block, row, pixel): (usize, usize, usize), many: usize) -> &mut [Lanes] {
        let at = block * self.block + row * self.row + pixel * LANES;
        self.numbers[at..at + many * LANES].as_chunks_mut().0
    }
}

/// Stored vectors of floats.
#[inline(always)]
fn stored(bytes: &[u8]) -> &[LanesBytes] {
    bytes.as_chunks().0
}

/// How many results the next tile takes, so that all that are left are shared out evenly.
#[inline(always)]
const fn even_share(left: usize, most: usize) -> usize {
    left.div_ceil(left.div_ceil(most))
}
