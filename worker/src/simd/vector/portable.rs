//! The operations on plain arrays, for processors without the vector instructions.

use super::lanes::{HalfBytes, LANES, Lanes, LanesBytes, VectorKernel, Vectors, widened};

/// Vectors as arrays.
#[derive(Debug, Clone, Copy)]
struct Portable(());

impl Vectors for Portable {
    type V = Lanes;
    const TILE_WIDTH: usize = 1;
    const TILE_ROWS: [usize; 3] = [6, 1, 1];

    #[inline(always)]
    fn splat(self, value: f32) -> Lanes {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Lanes {
        *from
    }

    #[inline(always)]
    fn load_bytes(self, from: &LanesBytes) -> Lanes {
        let mut lanes = [0.0; LANES];
        for (lane, bytes) in lanes.iter_mut().zip(from.as_chunks::<4>().0) {
            *lane = f32::from_le_bytes(*bytes);
        }
        lanes
    }

    #[inline(always)]
    fn load_half(self, from: &HalfBytes) -> Lanes {
        let mut lanes = [0.0; LANES];
        for (lane, bytes) in lanes.iter_mut().zip(from.as_chunks::<2>().0) {
            *lane = widened(u16::from_le_bytes(*bytes));
        }
        lanes
    }

    #[inline(always)]
    fn store(self, vector: Lanes, to: &mut Lanes) {
        *to = vector;
    }

    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, mut c: Lanes) -> Lanes {
        for lane in 0..LANES {
            // Not fused: without the instruction, fusing is a function call for each number.
            c[lane] += a[lane] * b[lane];
        }
        c
    }

    #[inline(always)]
    fn add(self, mut a: Lanes, b: Lanes) -> Lanes {
        for lane in 0..LANES {
            a[lane] += b[lane];
        }
        a
    }

    #[inline(always)]
    fn clip(self, mut a: Lanes) -> Lanes {
        for lane in &mut a {
            *lane = lane.clamp(0.0, 6.0);
        }
        a
    }
}

/// Runs a kernel with arrays.
#[inline(always)]
pub(super) fn run<K: VectorKernel>(kernel: K) -> K::Output {
    kernel.run(Portable(()))
}
