//! The vector instructions of the processor, and how code is run with them. All of the worker's
//! unsafe code for speed is in this folder.
//!
//! Safe loops become vector code by `vectorized`: the compiler generates a version for each
//! instruction set, and the best that the processor has is run.

mod isa;
pub mod peak;
pub(crate) mod vector;
mod vectorize;

pub use isa::{Isa, VARIABLE};
pub(crate) use vectorize::{Kernel, vectorized, vectorized_for, vectorized_kernel};
