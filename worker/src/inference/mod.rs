//! Runs the two neural networks.
//!
//! ```text
//! ONNX file -> onnx (parsed by tract) -> fuse -> network + weights -> execute -> outputs
//!                                              |         ^         (kernels, by instruction set)
//!                                              '-packed--' a file that all workers map
//! ```
//!
//! tract reads and checks the file; the layers are then run by this module's own kernels, which
//! support only the operations of these networks and are twice as fast (docs/adr/0016).

mod buffers;
mod execute;
mod fuse;
mod kernels;
mod model;
mod network;
mod onnx;
mod pack_command;
mod packed_model;
#[cfg(test)]
mod tests;
mod weights;

pub use model::{Model, ModelError, ModelName, Outputs, sigmoid};
pub use onnx::OnnxError;
pub use pack_command::pack_model;
pub use packed_model::PackedModelError;
