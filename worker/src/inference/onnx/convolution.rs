//! The kinds of convolutions that are supported, from the nodes of an ONNX graph.

use super::error::{OnnxError, unsupported};
use super::values::{Constant, integer};
use crate::inference::network::{BORDER, Depthwise, Operation, Product, Shape, Stem};
use crate::inference::weights::WeightStore;
use crate::simd::vector::LANES;
use tract_onnx::pb::NodeProto;

/// A convolution of an ONNX graph.
pub(super) struct Convolution<'a> {
    node: &'a NodeProto,
    weights: &'a Constant,
    bias: &'a [f32],
    outputs: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    group: usize,
}

impl<'a> Convolution<'a> {
    /// Reads the attributes of the node.
    pub(super) fn read(
        node: &'a NodeProto,
        weights: &'a Constant,
        bias: &'a [f32],
    ) -> Result<Self, OnnxError> {
        let [outputs, _, kernel, _] = weights.sides[..] else {
            return Err(unsupported(node, "has weights that are not four-sided"));
        };
        let stride = integer(node, "strides").unwrap_or(1);
        let pad = integer(node, "pads").unwrap_or(0);
        let group = integer(node, "group").unwrap_or(1);
        Ok(Self { node, weights, bias, outputs, kernel, stride, pad, group })
    }

    /// The first convolution of a network with this side.
    pub(super) fn stem(
        &self,
        side: usize,
        store: &mut WeightStore,
    ) -> Result<(Shape, Operation), OnnxError> {
        let Self { weights, outputs, kernel, stride, pad, group, .. } = *self;
        if (weights.sides[1], kernel, stride, pad, group) != (3, 3, 2, 1, 1) {
            return Err(unsupported(self.node, "is no 3 x 3 convolution of every other pixel"));
        }
        let bias = store.vector(self.bias);
        let at = |output, tap| weights.at([output, tap / 9, tap / 3 % 3, tap % 3]);
        let stem = Stem { weights: store.matrix_of_floats((outputs, 27), at), bias };
        let shape = Shape { channels: outputs, height: side / 2, width: side / 2 };
        Ok((shape, Operation::Stem(stem)))
    }

    /// Any other convolution, of a picture of this shape.
    pub(super) fn layer(
        &self,
        input: Shape,
        store: &mut WeightStore,
    ) -> Result<(Shape, Operation), OnnxError> {
        let size = (input.height, input.width);
        if self.group > 1 {
            self.depthwise(input, store)
        } else if self.kernel == 1 && self.stride == 1 {
            Ok(self.pointwise(input, store))
        } else if (self.kernel, self.kernel) == size && self.pad == 0 {
            Ok(self.dense(input, store))
        } else {
            Err(unsupported(self.node, "is a convolution of an unsupported kind"))
        }
    }

    fn depthwise(
        &self,
        Shape { channels, height, width }: Shape,
        store: &mut WeightStore,
    ) -> Result<(Shape, Operation), OnnxError> {
        let Self { weights, kernel, stride, pad, group, .. } = *self;
        let shape =
            Shape { channels, height: height.div_ceil(stride), width: width.div_ceil(stride) };
        let last = |out: usize| (out - 1) * stride + kernel - pad;
        let is_within =
            last(shape.height) <= height + BORDER && last(shape.width) <= width + BORDER;
        let is_supported = matches!((kernel, stride), (3 | 5, 1 | 2)) && group == channels;
        if !is_supported || pad > BORDER || !is_within {
            return Err(unsupported(self.node, "is an unsupported depthwise convolution"));
        }
        let bias = store.vector(self.bias);
        let at = |channel, tap| weights.at([channel, 0, tap / kernel, tap % kernel]);
        let weights = store.matrix_of_floats((channels, kernel * kernel), at);
        let depthwise = Depthwise { kernel, stride, pad, weights, bias, clip: false };
        Ok((shape, Operation::Depthwise(depthwise)))
    }

    fn pointwise(&self, input: Shape, store: &mut WeightStore) -> (Shape, Operation) {
        let bias = store.vector(self.bias);
        let at = |output, input| self.weights.at([output, input, 0, 0]);
        let weights = store.matrix((self.outputs, input.channels), at);
        let product = Product { inputs: input.channels, weights, bias, clip: false };
        let shape = Shape { channels: self.outputs, ..input };
        (shape, Operation::Pointwise { product, addend: None })
    }

    /// A product over all values of the picture, in the order in which they are stored.
    fn dense(&self, input: Shape, store: &mut WeightStore) -> (Shape, Operation) {
        let Shape { channels, height, width } = input;
        let bias = store.vector(self.bias);
        let inputs = input.blocks() * height * width * LANES;
        let at = |output, input| {
            let (pixel, lane) = (input / LANES, input % LANES);
            let channel = pixel / (height * width) * LANES + lane;
            let (y, x) = (pixel / width % height, pixel % width);
            if channel < channels { self.weights.at([output, channel, y, x]) } else { 0.0 }
        };
        let weights = store.matrix((self.outputs, inputs), at);
        let product = Product { inputs, weights, bias, clip: false };
        let shape = Shape { channels: self.outputs, height: 1, width: 1 };
        (shape, Operation::Dense { product, sigmoid: false })
    }
}
