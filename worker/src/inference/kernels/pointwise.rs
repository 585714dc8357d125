//! A matrix product for each pixel: tiles of pixels x vectors of outputs are summed up in registers.
//!
//! Loops over tiles count instead of taking closures: the compiler does not always put a closure's
//! body where the vector instructions are allowed.

#![allow(clippy::needless_range_loop, reason = "see above")]

use super::{Rows, RowsMut, even_share, stored};
use crate::inference::network::Product;
use crate::simd::Isa;
use crate::simd::vector::{self, HalfBytes, LANES, Lanes, LanesBytes, Vectors, Work};

/// Fills `height` rows of `width` pixels of the output, adding the addend before a clip.
pub(in crate::inference) fn multiply(
    (isa, bytes): (Isa, &[u8]),
    product: &Product,
    input: Rows<'_>,
    addend: Option<Rows<'_>>,
    output: RowsMut<'_>,
    (mut height, mut width): (usize, usize),
) {
    let is_seamless = |row: usize| row == width * LANES;
    if is_seamless(input.row)
        && is_seamless(output.row)
        && addend.is_none_or(|addend| is_seamless(addend.row))
    {
        (height, width) = (1, height * width);
    }
    let weights = &bytes[product.weights.bytes.clone()];
    let bias = stored(&bytes[product.bias.bytes.clone()]);
    let sides = Sides { inputs: product.inputs, height, width, clip: product.clip };
    if product.weights.half {
        let weights: &[HalfBytes] = weights.as_chunks().0;
        vector::run(isa, Multiplication { weights, bias, input, addend, output, sides });
    } else {
        let weights = stored(weights);
        vector::run(isa, Multiplication { weights, bias, input, addend, output, sides });
    }
}

/// A vector of weights as stored.
trait Weight: Sized {
    fn read<S: Vectors>(&self, vectors: S) -> S::V;
}

impl Weight for HalfBytes {
    #[inline(always)]
    fn read<S: Vectors>(&self, vectors: S) -> S::V {
        vectors.load_half(self)
    }
}

impl Weight for LanesBytes {
    #[inline(always)]
    fn read<S: Vectors>(&self, vectors: S) -> S::V {
        vectors.load_bytes(self)
    }
}

#[derive(Clone, Copy)]
struct Sides {
    inputs: usize,
    height: usize,
    width: usize,
    clip: bool,
}

struct Multiplication<'a, W> {
    /// By vector of outputs; in it by input.
    weights: &'a [W],
    bias: &'a [LanesBytes],
    input: Rows<'a>,
    addend: Option<Rows<'a>>,
    output: RowsMut<'a>,
    sides: Sides,
}

impl<W: Weight> Work for Multiplication<'_, W> {
    type Output = ();

    #[inline(always)]
    fn work<S: Vectors>(mut self, vectors: S) {
        let all = self.bias.len();
        let mut first = 0;
        while first < all {
            // Two and two rather than three and one: a lone vector waits for its own sums.
            let wide = if all - first == 4 { 2 } else { all - first };
            let wide = wide.min(S::TILE_WIDTH);
            for row in 0..self.sides.height {
                match wide {
                    3 => self.row::<S, 3>(vectors, first, row),
                    2 => self.row::<S, 2>(vectors, first, row),
                    _ => self.row::<S, 1>(vectors, first, row),
                }
            }
            first += wide;
        }
    }
}

impl<W: Weight> Multiplication<'_, W> {
    /// `N` vectors of outputs of all pixels of a row.
    #[inline(always)]
    fn row<S: Vectors, const N: usize>(&mut self, vectors: S, first: usize, row: usize) {
        if N > S::TILE_WIDTH {
            return;
        }
        let mut pixel = 0;
        while pixel < self.sides.width {
            let high = even_share(self.sides.width - pixel, S::TILE_ROWS[N - 1]);
            macro_rules! tiles {
                ($($high:literal)*) => {
                    match high {
                        $($high if $high <= S::TILE_ROWS[N - 1] => {
                            self.tile::<S, $high, N>(vectors, first, (row, pixel));
                        })*
                        _ => unreachable!("no tile is higher than the highest"),
                    }
                };
            }
            tiles!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
            pixel += high;
        }
    }

    /// `M` pixels x `N` vectors of outputs.
    #[inline(always)]
    fn tile<S: Vectors, const M: usize, const N: usize>(
        &mut self,
        vectors: S,
        first: usize,
        (row, pixel): (usize, usize),
    ) {
        let inputs = self.sides.inputs;
        let mut sums = [[vectors.splat(0.0); N]; M];
        for n in 0..N {
            let bias = vectors.load_bytes(&self.bias[first + n]);
            for sums in &mut sums {
                sums[n] = bias;
            }
        }
        for block in 0..inputs / LANES {
            let pixels = pixels::<M>(self.input, (block, row, pixel));
            let weights = self.weights::<N, LANES>(first, block);
            for lane in 0..LANES {
                step(vectors, &mut sums, (pixels, lane), weights.map(|weights| &weights[lane]));
            }
        }
        let (block, rest) = (inputs / LANES, inputs % LANES);
        if rest > 0 {
            let pixels = pixels::<M>(self.input, (block, row, pixel));
            for lane in 0..rest {
                let mut weights = [&self.weights[0]; N];
                for n in 0..N {
                    weights[n] = &self.weights[(first + n) * inputs + block * LANES + lane];
                }
                step(vectors, &mut sums, (pixels, lane), weights);
            }
        }
        for n in 0..N {
            let at = (first + n, row, pixel);
            if let Some(addend) = self.addend {
                let with = pixels::<M>(addend, at);
                for m in 0..M {
                    sums[m][n] = vectors.add(sums[m][n], vectors.load(&with[m]));
                }
            }
            let to = self.output.pixels(at, M);
            for m in 0..M {
                let sum = if self.sides.clip { vectors.clip(sums[m][n]) } else { sums[m][n] };
                vectors.store(sum, &mut to[m]);
            }
        }
    }

    /// The weights of sixteen inputs for `N` vectors of outputs.
    #[inline(always)]
    fn weights<const N: usize, const MANY: usize>(
        &self,
        first: usize,
        block: usize,
    ) -> [&[W; MANY]; N] {
        let of = |n: usize| {
            let at = (first + n) * self.sides.inputs + block * LANES;
            self.weights[at..at + MANY].try_into().expect("so many weights")
        };
        let mut weights = [of(0); N];
        for n in 1..N {
            weights[n] = of(n);
        }
        weights
    }
}

/// `M` pixels of sixteen channels.
#[inline(always)]
fn pixels<const M: usize>(rows: Rows<'_>, at: (usize, usize, usize)) -> &[Lanes; M] {
    rows.pixels(at, M).try_into().expect("so many pixels")
}

/// Adds the products of one input.
#[inline(always)]
fn step<S: Vectors, W: Weight, const M: usize, const N: usize>(
    vectors: S,
    sums: &mut [[S::V; N]; M],
    (pixels, lane): (&[Lanes; M], usize),
    weights: [&W; N],
) {
    let mut weight = [vectors.splat(0.0); N];
    for n in 0..N {
        weight[n] = weights[n].read(vectors);
    }
    for m in 0..M {
        let value = vectors.splat(pixels[m][lane]);
        for n in 0..N {
            sums[m][n] = vectors.mul_add(value, weight[n], sums[m][n]);
        }
    }
}
