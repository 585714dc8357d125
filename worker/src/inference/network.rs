//! A network as it is executed: pictures (feature maps) and the layers that compute them. Built by
//! `onnx`, fused by `fuse`, run by `execute`, and serialized by `packed_model`.
//!
//! Weights are stored in the order in which the kernels read them.

use crate::simd::vector::LANES;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Pixels of zeros around a picture that a depthwise convolution reads.
pub(super) const BORDER: usize = 2;

/// An index into [`Network::pictures`].
pub(super) type PictureId = usize;

/// A whole network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Network {
    /// Side of the square input of three planes, in pixels.
    pub(super) side: usize,
    /// The pictures between the layers.
    pub(super) pictures: Vec<Shape>,
    /// The layers, each after those it reads from.
    pub(super) layers: Vec<Layer>,
    /// The outputs, in the order of the ONNX file.
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
    /// Number of vectors for the channels of a pixel; the last is padded.
    pub(super) const fn blocks(self) -> usize {
        self.channels.div_ceil(LANES)
    }
}

/// One output: concatenated pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) parts: Vec<PictureId>,
    /// Whether channels are the last dimension (and not the first, as in ONNX).
    pub(super) channels_last: bool,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Layer {
    /// The picture it reads; none for the network's input.
    pub(super) input: Option<PictureId>,
    /// The picture it computes.
    pub(super) output: PictureId,
    pub(super) operation: Operation,
}

/// The operation of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Operation {
    /// The first convolution.
    Stem(Stem),
    /// A convolution of single pixels, then a sum with another picture.
    Pointwise { product: Product, addend: Option<PictureId> },
    /// A convolution of each channel alone.
    Depthwise(Depthwise),
    /// Three fused layers, row by row, so that the wide pictures between them stay in the cache.
    Bottleneck {
        first: ExpandStage,
        depthwise: Depthwise,
        project: Product,
        addend: Option<PictureId>,
    },
    /// A resize, optionally clipped, then a sum with another picture.
    Resize { columns: Vec<Tap>, rows: Vec<Tap>, clip: bool, addend: Option<PictureId> },
    /// The sum with another picture, where no layer above can add it.
    Sum { addend: PictureId },
    /// Moves quarters of the channels into blocks of 2 x 2 pixels: twice the size.
    DepthToSpace,
    /// The largest of 2 x 2 pixels; zeros in the channels that the input does not have.
    MaxPool,
    /// A product over all pixels.
    Dense { product: Product, sigmoid: bool },
}

/// The first stage of a bottleneck, which computes the input of its depthwise convolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum ExpandStage {
    /// None: the input is read directly.
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
    pub(super) weights: WeightRange,
    pub(super) bias: WeightRange,
}

/// A matrix product for each pixel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Product {
    /// Number of inputs for each pixel.
    pub(super) inputs: usize,
    /// By vector of outputs; in it by input.
    pub(super) weights: WeightRange,
    pub(super) bias: WeightRange,
    /// Whether results are clamped to 0..=6.
    pub(super) clip: bool,
}

/// A convolution of each channel alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Depthwise {
    /// Side of the kernel: 3 or 5.
    pub(super) kernel: usize,
    /// Pixels from one result to the next: 1 or 2.
    pub(super) stride: usize,
    /// Padding before the first pixel.
    pub(super) pad: usize,
    /// By vector of channels; in it by row and column.
    pub(super) weights: WeightRange,
    pub(super) bias: WeightRange,
    pub(super) clip: bool,
}

/// The two pixels that a resized one is interpolated from, and their weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Tap {
    pub(super) at: [usize; 2],
    pub(super) share: [f32; 2],
}

/// A range of the weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WeightRange {
    pub(super) bytes: Range<usize>,
    /// Whether numbers have 16 bits (and not 32).
    pub(super) half: bool,
}

impl Layer {
    /// All pictures that the layer reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = PictureId> {
        let addend = match &self.operation {
            Operation::Pointwise { addend, .. }
            | Operation::Bottleneck { addend, .. }
            | Operation::Resize { addend, .. } => *addend,
            Operation::Sum { addend } => Some(*addend),
            _ => None,
        };
        self.input.into_iter().chain(addend)
    }

    /// Whether the layer reads its input beyond the edges.
    pub(super) const fn reads_beyond_edges(&self) -> bool {
        matches!(
            self.operation,
            Operation::Depthwise(_) | Operation::Bottleneck { first: ExpandStage::Given, .. }
        )
    }
}
