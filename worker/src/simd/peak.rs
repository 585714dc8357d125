//! The peak throughput of one core: multiply-adds in registers. Called by the benchmark, which
//! compares the networks with it.

use super::Isa;
use super::vector::{self, LANES, VectorKernel, Vectors};

/// Independent vectors: enough to hide the latency of a multiply-add, few enough for the registers
/// of AVX-512.
const MANY: usize = 12;
/// The same where a vector takes two of sixteen registers, or more.
const FEW: usize = 6;

/// Multiplies and adds; returns the number of floating-point operations, a multiply-add counting as
/// two, and a sum that depends on every vector.
pub fn multiply_adds(isa: Isa, steps: u32, factor: f32) -> (f64, f32) {
    let (vectors, sum) = vector::run(isa, MultiplyAdds { steps, factor });
    (f64::from(steps) * (2 * LANES * vectors) as f64, sum)
}

struct MultiplyAdds {
    steps: u32,
    factor: f32,
}

impl VectorKernel for MultiplyAdds {
    /// The number of vectors, and the sum.
    type Output = (usize, f32);

    #[inline(always)]
    fn run<S: Vectors>(self, vectors: S) -> (usize, f32) {
        if S::TILE_ROWS[0] >= MANY {
            (MANY, self.sum::<S, MANY>(vectors))
        } else {
            (FEW, self.sum::<S, FEW>(vectors))
        }
    }
}

impl MultiplyAdds {
    #[inline(always)]
    fn sum<S: Vectors, const N: usize>(self, vectors: S) -> f32 {
        let factor = vectors.splat(self.factor);
        let mut sums = [vectors.splat(1.0); N];
        for _ in 0..self.steps {
            for sum in &mut sums {
                *sum = vectors.mul_add(*sum, factor, factor);
            }
        }
        let mut total = vectors.splat(0.0);
        for sum in sums {
            total = vectors.add(total, sum);
        }
        let mut lanes = [0.0; LANES];
        vectors.store(total, &mut lanes);
        lanes[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_executed_and_counted() {
        for isa in Isa::ALL {
            let (operations, sum) = multiply_adds(isa, 7, 1.0);
            // With a factor of 1 each step adds 1 to each lane, of which all begin as ones.
            let vectors = sum / 8.0;
            assert!(vectors == MANY as f32 || vectors == FEW as f32, "{isa:?}: {sum}");
            assert_eq!(operations, 7.0 * f64::from(vectors) * 2.0 * 16.0, "{isa:?}");
        }
    }
}
