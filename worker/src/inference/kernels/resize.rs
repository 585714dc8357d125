//! Layers without weights: changes of size. The compiler makes vectors of these loops.

use super::{Rows, RowsMut};
use crate::inference::network::{Shape, Tap};
use crate::simd::vector::{LANES, Lanes};
use crate::simd::{Isa, vectorized_for};

/// Channels that are moved together.
pub(in crate::inference) const HALF_BLOCK: usize = LANES / 2;

/// A change of size to be done.
pub(in crate::inference) struct Resizing<'a> {
    pub(in crate::inference) columns: &'a [Tap],
    pub(in crate::inference) rows: &'a [Tap],
    pub(in crate::inference) clip: bool,
    pub(in crate::inference) addend: Option<Rows<'a>>,
}

/// Blends rows, then pixels of the blended row, which is kept in `scratch`.
pub(in crate::inference) fn resize(
    isa: Isa,
    resizing: &Resizing<'_>,
    (shape, input): (Shape, Rows<'_>),
    mut output: RowsMut<'_>,
    scratch: &mut [f32],
) {
    let blended = scratch[..shape.width * LANES].as_chunks_mut().0;
    let width = resizing.columns.len();
    vectorized_for(isa, || {
        for block in 0..shape.blocks() {
            for (y, rows) in resizing.rows.iter().enumerate() {
                let [upper, lower] = rows.at.map(|at| input.pixels((block, at, 0), shape.width));
                for ((to, upper), lower) in blended.iter_mut().zip(upper).zip(lower) {
                    *to = blend(upper, lower, rows.share);
                }
                let to = output.pixels((block, y, 0), width);
                for (to, columns) in to.iter_mut().zip(resizing.columns) {
                    let [left, right] = columns.at;
                    *to = blend(&blended[left], &blended[right], columns.share);
                    if resizing.clip {
                        to.iter_mut().for_each(|value| *value = value.clamp(0.0, 6.0));
                    }
                }
                if let Some(addend) = resizing.addend {
                    let with = addend.pixels((block, y, 0), width).as_flattened();
                    to.as_flattened_mut().iter_mut().zip(with).for_each(|(to, with)| *to += with);
                }
            }
        }
    });
}

#[inline(always)]
fn blend(a: &Lanes, b: &Lanes, share: [f32; 2]) -> Lanes {
    let mut blended = [0.0; LANES];
    for lane in 0..LANES {
        blended[lane] = a[lane] * share[0] + b[lane] * share[1];
    }
    blended
}

/// Puts each quarter of a pixel's channels at its place in a block of 2 x 2 pixels.
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

/// The largest of 2 x 2 pixels, channel by channel.
pub(in crate::inference) fn max_pool(
    isa: Isa,
    shape: Shape,
    input: Rows<'_>,
    mut output: RowsMut<'_>,
) {
    vectorized_for(isa, || {
        for block in 0..shape.blocks() {
            for y in 0..shape.height / 2 {
                let [upper, lower] =
                    [2 * y, 2 * y + 1].map(|y| input.pixels((block, y, 0), shape.width));
                let results = output.pixels((block, y, 0), shape.width / 2);
                for (x, to) in results.iter_mut().enumerate() {
                    for (lane, to) in to.iter_mut().enumerate() {
                        let of = |row: &[Lanes]| row[2 * x][lane].max(row[2 * x + 1][lane]);
                        *to = of(upper).max(of(lower));
                    }
                }
            }
        }
    });
}
