//! The vectors and the operations on them that the networks need, for any instruction set.

/// Floats in a vector.
pub(crate) const LANES: usize = 16;
/// A vector in memory.
pub(crate) type Lanes = [f32; LANES];
/// A vector in memory as stored: little-endian floats.
pub(crate) type LanesBytes = [u8; 4 * LANES];
/// The same in half precision (IEEE 754 binary16).
pub(crate) type HalfBytes = [u8; 2 * LANES];

/// The operations of one instruction set.
pub(crate) trait Vectors: Copy {
    /// A vector in registers.
    type V: Copy;
    /// Maximum number of vectors side by side in one tile of a matrix product.
    const TILE_WIDTH: usize;
    /// Maximum rows of a tile of one, two and three vectors, so that its sums stay in registers.
    const TILE_ROWS: [usize; 3];

    /// The same number in all lanes.
    fn splat(self, value: f32) -> Self::V;
    /// Reads a vector.
    fn load(self, from: &Lanes) -> Self::V;
    /// Reads a stored vector.
    fn load_bytes(self, from: &LanesBytes) -> Self::V;
    /// Reads a stored vector in half precision; the conversion is exact.
    fn load_half(self, from: &HalfBytes) -> Self::V;
    /// Writes a vector.
    fn store(self, vector: Self::V, to: &mut Lanes);
    /// `a * b + c`.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// Clamps to 0..=6.
    fn clip(self, a: Self::V) -> Self::V;
    /// Prefetches memory that will be read soon.
    #[inline(always)]
    fn prefetch<T>(self, _address: &T) {}
}

/// Code that runs with vectors of any instruction set.
pub(crate) trait VectorKernel {
    /// The result.
    type Output;
    /// Runs it. To be marked `#[inline(always)]`, like all functions it calls.
    fn run<S: Vectors>(self, vectors: S) -> Self::Output;
}

/// Converts a finite number in half precision to a float.
#[inline(always)]
pub(crate) fn widened(half: u16) -> f32 {
    // The exponent's bias grows by 112; multiplying does that for subnormal numbers too.
    const BIAS: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * BIAS;
    f32::from_bits(magnitude.to_bits() | u32::from(half & 0x8000) << 16)
}
