//! A network as it is executed: pictures of channels, and the layers that make one from another.
//! Made by `onnx`, joined by `fuse`, run by `execute`; stored as it is by `packed`.
//!
//! Weights are kept in the order in which the kernels read them.

use crate::simd::vector::LANES;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Pixels of zeros around a picture that a depthwise convolution reads.
pub(super) const BORDER: usize = 2;

/// A place in [`Network::pictures`].
pub(super) type Id = usize;

/// A whole network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Network {
    /// Side of the square input of three planes, in pixels.
    pub(super) side: usize,
    /// The pictures between the layers.
    pub(super) pictures: Vec<Shape>,
    /// The layers, each after those it reads from.
    pub(super) layers: Vec<Layer>,
    /// The outputs, in the order of the file.
    pub(super) outputs: Vec<Output>,
}

/// The size of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Shape {
    /// How many vectors the channels of a pixel take; what is left of the last is padding.
    pub(super) const fn blocks(self) -> usize {
        self.channels.div_ceil(LANES)
    }
}

/// One output: pictures one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) parts: Vec<Id>,
    /// Whether channels come last (and not first, as ONNX has them).
    pub(super) channels_last: bool,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Layer {
    /// What it reads; nothing if that is the network's input.
    pub(super) input: Option<Id>,
    /// What it makes.
    pub(super) output: Id,
    pub(super) operation: Operation,
}

/// What a layer does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Operation {
    /// The first convolution.
    Stem(Stem),
    /// A convolution of single pixels, then a sum with another picture.
    Pointwise { product: Product, addend: Option<Id> },
    /// A convolution of each channel alone.
    Depthwise(Depthwise),
    /// Three layers, row by row, so that the wide pictures between them stay in the cache.
    Bottleneck { first: First, depthwise: Depthwise, project: Product, addend: Option<Id> },
    /// A change of size, perhaps clipped, then a sum with another picture.
    Resize { columns: Vec<Tap>, rows: Vec<Tap>, clip: bool, addend: Option<Id> },
    /// Quarters of the channels side by side: twice the size.
    DepthToSpace,
    /// The largest of 2 x 2 pixels.
    MaxPool,
    /// A product over all pixels.
    Dense { product: Product, sigmoid: bool },
}

/// What makes the rows that a bottleneck's depthwise convolution reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum First {
    /// They are its input.
    Given,
    /// A convolution of single pixels.
    Expand(Product),
    /// The first convolution of the network.
    Stem(Stem),
}

/// A 3 x 3 convolution of three planes, every other pixel of every other row, clipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stem {
    /// By vector of outputs; in it by plane, row and column.
    pub(super) weights: Stored,
    pub(super) bias: Stored,
}

/// A matrix product for each pixel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Product {
    /// Numbers that are read of each pixel.
    pub(super) inputs: usize,
    /// By vector of outputs; in it by input.
    pub(super) weights: Stored,
    pub(super) bias: Stored,
    /// Whether results are brought within 0 to 6.
    pub(super) clip: bool,
}

/// A convolution of each channel alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Depthwise {
    /// Side of the kernel: 3 or 5.
    pub(super) kernel: usize,
    /// Pixels from one result to the next: 1 or 2.
    pub(super) stride: usize,
    /// Pixels before the first that the first result reads.
    pub(super) pad: usize,
    /// By vector of channels; in it by row and column.
    pub(super) weights: Stored,
    pub(super) bias: Stored,
    pub(super) clip: bool,
}

/// The two pixels that a resized one lies between, and their shares in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Tap {
    pub(super) at: [usize; 2],
    pub(super) share: [f32; 2],
}

/// A place among the weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) bytes: Range<usize>,
    /// Whether numbers have 16 bits (and not 32).
    pub(super) half: bool,
}

impl Layer {
    /// Every picture that is read.
    pub(super) fn reads(&self) -> impl Iterator<Item = Id> {
        let addend = match &self.operation {
            Operation::Pointwise { addend, .. }
            | Operation::Bottleneck { addend, .. }
            | Operation::Resize { addend, .. } => *addend,
            _ => None,
        };
        self.input.into_iter().chain(addend)
    }

    /// Whether the input is read beyond its edges.
    pub(super) const fn reads_beyond_edges(&self) -> bool {
        matches!(
            self.operation,
            Operation::Depthwise(_) | Operation::Bottleneck { first: First::Given, .. }
        )
    }
}
