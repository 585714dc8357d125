//! What one core can do at most: multiply-adds in registers. Called by the benchmark, which says how
//! near the networks come to it.

use super::Isa;
use super::vector::{self, LANES, Vectors, Work};

/// Vectors that do not wait for each other: enough to hide what one multiply-add takes, few enough
/// for the registers of AVX-512 and, as pairs, of AVX2.
const VECTORS: usize = 7;

/// Multiplies and adds; gives how many floating-point operations that was, a multiply-add counting
/// as two, and a sum that depends on every vector.
pub fn multiply_adds(isa: Isa, steps: u32, factor: f32) -> (f64, f32) {
    let operations = f64::from(steps) * (2 * LANES * VECTORS) as f64;
    (operations, vector::run(isa, MultiplyAdds { steps, factor }))
}

struct MultiplyAdds {
    steps: u32,
    factor: f32,
}

impl Work for MultiplyAdds {
    type Output = f32;

    #[inline(always)]
    fn work<S: Vectors>(self, vectors: S) -> f32 {
        let factor = vectors.splat(self.factor);
        let mut sums = [vectors.splat(1.0); VECTORS];
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
    fn every_operation_is_done_and_counted() {
        for isa in Isa::ALL {
            let (operations, sum) = multiply_adds(isa, 7, 1.0);
            // With a factor of 1 each step adds 1 to each of seven vectors of ones.
            assert_eq!(sum, 7.0 * 8.0, "{isa:?}");
            assert_eq!(operations, 7.0 * 7.0 * 2.0 * 16.0, "{isa:?}");
        }
    }
}
