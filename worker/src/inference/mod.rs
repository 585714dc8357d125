//! Runs the two neural networks.
//!
//! ```text
//! ONNX file -> onnx (tract reads it) -> fuse -> network + weights -> execute -> outputs
//!                                             |         ^          (kernels, by instruction set)
//!                                             '- packed-' a file that all workers map
//! ```
//!
//! tract reads and checks the file; its layers are then run by this module's own code, which knows
//! only the few operations that these networks have, and is twice as fast for it (docs/adr/0016).

mod buffers;
mod execute;
mod fuse;
mod kernels;
mod model;
mod network;
mod onnx;
mod pack;
mod packed;
#[cfg(test)]
mod tests;
mod weights;

pub use model::{Model, ModelError, ModelName, Outputs, sigmoid};
pub use onnx::OnnxError;
pub use pack::pack_model;
pub use packed::PackedError;
