//! Layers without weights: resizing, sums, depth to space, max pooling.

use super::{Rows, RowsMut};
use crate::inference::network::{Shape, Tap};
use crate::simd::vector::{LANES, Lanes, VectorKernel, Vectors};

/// Channels that are copied together.
pub(in crate::inference) const HALF_BLOCK: usize = LANES / 2;

/// A resize: rows are interpolated first, then pixels of the interpolated row.
pub(in crate::inference) struct Resize<'a> {
    pub(in crate::inference) columns: &'a [Tap],
    pub(in crate::inference) rows: &'a [Tap],
    pub(in crate::inference) clip: bool,
    pub(in crate::inference) addend: Option<Rows<'a>>,
    /// Shape and pixels of the input.
    pub(in crate::inference) input: (Shape, Rows<'a>),
    pub(in crate::inference) output: RowsMut<'a>,
    /// Memory for a row of the input.
    pub(in crate::inference) blended: &'a mut [f32],
}

impl VectorKernel for Resize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Vectors>(mut self, vectors: S) {
        for block in 0..self.input.0.blocks() {
            for y in 0..self.rows.len() {
                self.blend_rows(vectors, block, self.rows[y]);
                self.blend_pixels(vectors, block, y);
            }
        }
    }
}

impl Resize<'_> {
    #[inline(always)]
    fn blend_rows<S: Vectors>(&mut self, vectors: S, block: usize, Tap { at, share }: Tap) {
        let (shape, input) = self.input;
        let upper = input.pixels((block, at[0], 0), shape.width);
        let lower = input.pixels((block, at[1], 0), shape.width);
        let blended = &mut self.blended.as_chunks_mut().0[..shape.width];
        for x in 0..shape.width {
            vectors.store(blend(vectors, [&upper[x], &lower[x]], share), &mut blended[x]);
        }
    }

    #[inline(always)]
    fn blend_pixels<S: Vectors>(&mut self, vectors: S, block: usize, y: usize) {
        let width = self.columns.len();
        let blended = self.blended.as_chunks().0;
        let to = self.output.pixels((block, y, 0), width);
        for (x, Tap { at, share }) in self.columns.iter().enumerate() {
            let mut result = blend(vectors, [&blended[at[0]], &blended[at[1]]], *share);
            if self.clip {
                result = vectors.clip(result);
            }
            if let Some(addend) = self.addend {
                let with = addend.pixels((block, y, x), 1);
                result = vectors.add(result, vectors.load(&with[0]));
            }
            vectors.store(result, &mut to[x]);
        }
    }
}

#[inline(always)]
fn blend<S: Vectors>(vectors: S, [a, b]: [&Lanes; 2], share: [f32; 2]) -> S::V {
    let zero = vectors.splat(0.0);
    let first = vectors.mul_add(vectors.load(a), vectors.splat(share[0]), zero);
    let second = vectors.mul_add(vectors.load(b), vectors.splat(share[1]), zero);
    // Both products are rounded: equal pixels with equal shares give the same pixel again.
    vectors.add(first, second)
}

/// The sum of two pictures.
pub(in crate::inference) fn add(shape: Shape, [a, b]: [Rows<'_>; 2], mut output: RowsMut<'_>) {
    for block in 0..shape.blocks() {
        for y in 0..shape.height {
            let [a, b] = [a, b].map(|rows| rows.pixels((block, y, 0), shape.width));
            let results = output.pixels((block, y, 0), shape.width);
            for (to, (a, b)) in results.iter_mut().zip(a.iter().zip(b)) {
                *to = std::array::from_fn(|lane| a[lane] + b[lane]);
            }
        }
    }
}

/// Moves each quarter of a pixel's channels into a block of 2 x 2 pixels.
pub(in crate::inference) fn depth_to_space(shape: Shape, input: Rows<'_>, mut output: RowsMut<'_>) {
    let channels = shape.channels / 4;
    let halves = |channel: usize| (channel / LANES, channel % LANES..channel % LANES + HALF_BLOCK);
    for channel in (0..shape.channels).step_by(HALF_BLOCK) {
        let (quarter, (from_block, from)) = (channel / channels, halves(channel));
        let (down, right) = (quarter / 2, quarter % 2);
        let (to_block, to) = halves(channel % channels);
        for y in 0..shape.height {
            let pixels = input.pixels((from_block, y, 0), shape.width);
            let results = output.pixels((to_block, 2 * y + down, 0), 2 * shape.width);
            for (x, pixel) in pixels.iter().enumerate() {
                results[2 * x + right][to.clone()].copy_from_slice(&pixel[from.clone()]);
            }
        }
    }
}

/// The largest of 2 x 2 pixels, channel by channel; zeros in the blocks that the input does not have.
pub(in crate::inference) fn max_pool(
    (shape, input): (Shape, Rows<'_>),
    to: Shape,
    mut output: RowsMut<'_>,
) {
    for block in 0..to.blocks() {
        for y in 0..to.height {
            let results = output.pixels((block, y, 0), to.width);
            if block >= shape.blocks() {
                results.fill([0.0; LANES]);
                continue;
            }
            let [upper, lower] =
                [2 * y, 2 * y + 1].map(|y| input.pixels((block, y, 0), shape.width));
            for (x, to) in results.iter_mut().enumerate() {
                for (lane, to) in to.iter_mut().enumerate() {
                    let of = |row: &[Lanes]| row[2 * x][lane].max(row[2 * x + 1][lane]);
                    *to = of(upper).max(of(lower));
                }
            }
        }
    }
}
