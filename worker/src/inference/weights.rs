//! Weights in the order in which the kernels read them, as bytes: for each vector of outputs, one
//! vector for each input. In half precision where that is exact. Called by `onnx`.

use super::network::WeightRange;
use crate::simd::vector::{LANES, widened};

/// Alignment of matrices, in bytes.
const ALIGNMENT: usize = 64;

/// Collects weights.
#[derive(Debug, Default)]
pub(super) struct WeightStore {
    /// The collected weights.
    pub(super) bytes: Vec<u8>,
}

impl WeightStore {
    /// Adds a matrix: `at(output, input)` is a weight. Outputs are padded with zeros to vectors.
    pub(super) fn matrix(
        &mut self,
        (outputs, inputs): (usize, usize),
        at: impl Fn(usize, usize) -> f32,
    ) -> WeightRange {
        let numbers = ordered(outputs, inputs, &at);
        let halves: Option<Vec<u16>> = numbers.iter().map(|number| narrowed(*number)).collect();
        match halves {
            Some(halves) => self.store(halves.into_iter().flat_map(u16::to_le_bytes), true),
            None => self.store(numbers.into_iter().flat_map(f32::to_le_bytes), false),
        }
    }

    /// The same in full precision.
    pub(super) fn matrix_of_floats(
        &mut self,
        (outputs, inputs): (usize, usize),
        at: impl Fn(usize, usize) -> f32,
    ) -> WeightRange {
        self.store(ordered(outputs, inputs, &at).into_iter().flat_map(f32::to_le_bytes), false)
    }

    /// Adds one number for each output, in full precision.
    pub(super) fn vector(&mut self, numbers: &[f32]) -> WeightRange {
        self.matrix_of_floats((numbers.len(), 1), |output, _| numbers[output])
    }

    fn store(&mut self, bytes: impl Iterator<Item = u8>, half: bool) -> WeightRange {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let start = self.bytes.len();
        self.bytes.extend(bytes);
        WeightRange { bytes: start..self.bytes.len(), half }
    }
}

fn ordered(outputs: usize, inputs: usize, at: &impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(outputs.next_multiple_of(LANES) * inputs);
    for first in (0..outputs).step_by(LANES) {
        for input in 0..inputs {
            let lane = |lane| if first + lane < outputs { at(first + lane, input) } else { 0.0 };
            numbers.extend((0..LANES).map(lane));
        }
    }
    numbers
}

/// Converts a number to half precision, if that is exact.
fn narrowed(number: f32) -> Option<u16> {
    let bits = number.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    // The exponent's bias falls by 112; multiplying produces subnormal numbers as needed, which
    // `widened` reverses.
    const BIAS: f32 = f32::from_bits((127 - 112) << 23);
    let magnitude = (number.abs() * BIAS).to_bits() >> 13;
    let half = u16::try_from(magnitude).ok().filter(|half| *half < 0x7c00)? | sign;
    (widened(half).to_bits() == bits).then_some(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exactly_the_half_precision_numbers_are_narrowed(half: u16, bits: u32) {
            let number = widened(half & 0xbfff);
            prop_assert_eq!(narrowed(number), Some(half & 0xbfff));
            let number = f32::from_bits(bits);
            if let Some(half) = narrowed(number) {
                prop_assert_eq!(widened(half).to_bits(), bits);
            }
        }
    }

    #[test]
    fn numbers_outside_half_precision_stay_in_full_precision() {
        for number in [65520.0, 1e-9, 1.0 + 1.0 / 4096.0, f32::INFINITY, f32::NAN] {
            assert_eq!(narrowed(number), None, "{number}");
        }
        let mut weights = WeightStore::default();
        assert!(weights.matrix((3, 2), |output, input| (output + input) as f32).half);
        assert!(!weights.matrix((3, 2), |output, _| output as f32 + 0.1).half);
    }

    #[test]
    fn each_vector_of_outputs_has_one_vector_for_each_input() {
        let mut weights = WeightStore::default();
        weights.vector(&[1.0]);
        let stored =
            weights.matrix_of_floats((17, 2), |output, input| (100 * output + input) as f32);
        assert_eq!(stored.bytes.start % ALIGNMENT, 0);
        let bytes = &weights.bytes[stored.bytes];
        let numbers: Vec<f32> =
            bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!(numbers[..3], [0.0, 100.0, 200.0]);
        assert_eq!(numbers[16..18], [1.0, 101.0]);
        assert_eq!((numbers[32], numbers[33], numbers[48]), (1600.0, 0.0, 1601.0));
    }
}
