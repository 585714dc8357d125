//! Converts an ONNX file, parsed by tract, to the layers that are executed. Called by `model`.
//!
//! A layer stays pending until another node reads its picture: a clip, a sum or a logistic function
//! that is its only reader is merged into it.

mod convolution;
mod error;
mod values;

pub use error::OnnxError;

use super::fuse::fuse;
use super::kernels::HALF_BLOCK;
use super::network::{
    Depthwise, Layer, Network, Operation, Output, PictureId, Product, Shape, Tap,
};
use super::weights::WeightStore;
use crate::simd::vector::LANES;
use convolution::Convolution;
use error::{missing, unsupported};
use std::collections::HashMap;
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::{Framework, TractError};
use values::{Constant, constant, integer, integers, sides, taps};

/// A layer into which the nodes that follow may still be merged.
struct PendingLayer {
    input: Option<PictureId>,
    shape: Shape,
    operation: Operation,
}

/// The sources of an output: concatenated pictures, channels last or first.
#[derive(Clone)]
struct View {
    parts: Vec<String>,
    channels_last: bool,
}

struct Builder<'a> {
    graph: &'a GraphProto,
    constants: HashMap<&'a str, Constant>,
    readers: HashMap<&'a str, usize>,
    network: Network,
    weights: WeightStore,
    pictures: HashMap<String, PictureId>,
    pending: HashMap<String, PendingLayer>,
    views: HashMap<String, View>,
    /// Products with a matrix of columns, to be completed by the product with the rows.
    columns: HashMap<String, (String, Vec<Tap>)>,
}

/// Reads a file: the layers and their weights.
pub(super) fn read(mut file: &[u8]) -> Result<(Network, Vec<u8>), OnnxError> {
    let tract_error = |error: TractError| OnnxError::Tract(format!("{error:#}"));
    let model = tract_onnx::onnx().proto_model_for_read(&mut file).map_err(tract_error)?;
    let graph = model.graph.as_ref().ok_or_else(|| missing("content"))?;
    let mut builder = Builder::new(graph)?;
    for node in &graph.node {
        builder.add_node(node)?;
    }
    builder.finish()
}

impl<'a> Builder<'a> {
    fn new(graph: &'a GraphProto) -> Result<Self, OnnxError> {
        let side = match sides(graph.input.first().ok_or_else(|| missing("input"))?)[..] {
            [1, 3, height, width] if height == width && height % 2 == 0 => height,
            _ => return Err(missing("square input of three planes")),
        };
        let mut readers = HashMap::new();
        let read = graph.node.iter().flat_map(|node| &node.input);
        let outputs = graph.output.iter().map(|output| &output.name);
        for name in read.chain(outputs) {
            *readers.entry(name.as_str()).or_default() += 1;
        }
        let constants = graph.initializer.iter().map(constant).collect::<Result<_, _>>()?;
        let (pictures, layers, outputs) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            graph,
            constants,
            readers,
            network: Network { side, pictures, layers, outputs },
            weights: WeightStore::default(),
            pictures: HashMap::new(),
            pending: HashMap::new(),
            views: HashMap::new(),
            columns: HashMap::new(),
        })
    }

    fn add_node(&mut self, node: &'a NodeProto) -> Result<(), OnnxError> {
        match node.op_type.as_str() {
            "Cast" => self.cast(node),
            "Conv" => self.convolution(node),
            "MatMul" => self.resize(node),
            "Clip" => self.clip(node),
            "Add" => self.add_pictures(node),
            "Sigmoid" => self.sigmoid(node),
            "DepthToSpace" => self.depth_to_space(node),
            "MaxPool" => self.max_pool(node),
            "Pad" => self.pad_channels(node),
            "Transpose" | "Reshape" | "Concat" => self.view(node),
            _ => Err(unsupported(node, "is not supported")),
        }
    }

    /// Completes the network: adds the outputs and fuses layers.
    fn finish(mut self) -> Result<(Network, Vec<u8>), OnnxError> {
        for output in &self.graph.output {
            let whole = View { parts: vec![output.name.clone()], channels_last: false };
            let View { parts, channels_last } =
                self.views.get(&output.name).cloned().unwrap_or(whole);
            let parts = parts.iter().map(|part| self.picture(part)).collect::<Result<_, _>>()?;
            let name = output.name.clone();
            self.network.outputs.push(Output { name, parts, channels_last });
        }
        fuse(&mut self.network);
        Ok((self.network, self.weights.bytes))
    }

    /// The picture of this name; completes its layer.
    fn picture(&mut self, name: &str) -> Result<PictureId, OnnxError> {
        if let Some(id) = self.pictures.get(name) {
            return Ok(*id);
        }
        let PendingLayer { input, shape, operation } =
            self.pending.remove(name).ok_or_else(|| missing(name))?;
        let output = self.network.pictures.len();
        self.network.pictures.push(shape);
        self.network.layers.push(Layer { input, output, operation });
        self.pictures.insert(name.into(), output);
        Ok(output)
    }

    fn shape(&self, id: PictureId) -> Shape {
        self.network.pictures[id]
    }

    fn constant(&self, name: &str) -> Result<&Constant, OnnxError> {
        self.constants.get(name).ok_or_else(|| missing(name))
    }

    /// Weights are stored in half precision and cast.
    fn cast(&mut self, node: &'a NodeProto) -> Result<(), OnnxError> {
        let weights = self.constants.remove(node.input[0].as_str());
        let weights =
            weights.ok_or_else(|| unsupported(node, "casts a tensor that is no weight"))?;
        self.constants.insert(&node.output[0], weights);
        Ok(())
    }

    fn convolution(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let [picture, weights, bias] = &node.input[..] else {
            return Err(unsupported(node, "has no bias"));
        };
        let find = |name: &String| self.constants.get(name.as_str()).ok_or_else(|| missing(name));
        let convolution = Convolution::read(node, find(weights)?, &find(bias)?.numbers)?;
        if *picture == self.graph.input[0].name {
            if !self.is_clipped(&node.output[0]) {
                return Err(unsupported(node, "is the first convolution and not clipped"));
            }
            let (shape, operation) = convolution.stem(self.network.side, &mut self.weights)?;
            self.start_layer(node, None, shape, operation);
            return Ok(());
        }
        let input = self.pictures.get(picture).copied();
        let shape = match (input, self.pending.get(picture)) {
            (Some(id), _) => self.shape(id),
            (None, Some(pending)) => pending.shape,
            (None, None) => return Err(missing(picture)),
        };
        let (shape, operation) = convolution.layer(shape, &mut self.weights)?;
        let input = self.picture(picture)?;
        self.start_layer(node, Some(input), shape, operation);
        Ok(())
    }

    fn start_layer(
        &mut self,
        node: &NodeProto,
        input: Option<PictureId>,
        shape: Shape,
        operation: Operation,
    ) {
        self.pending.insert(node.output[0].clone(), PendingLayer { input, shape, operation });
    }

    /// Removes the pending layer of this name, if its picture has only one reader.
    fn take_pending(&mut self, name: &str) -> Option<PendingLayer> {
        if self.readers.get(name) == Some(&1) { self.pending.remove(name) } else { None }
    }

    fn is_clipped(&self, name: &str) -> bool {
        let is_reader =
            |node: &&NodeProto| node.op_type == "Clip" && node.input.iter().any(|it| it == name);
        self.readers.get(name) == Some(&1) && self.graph.node.iter().any(|node| is_reader(&node))
    }

    fn clip(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let bound = |at: usize| Some(self.constant(node.input.get(at)?).ok()?.numbers[0]);
        if (bound(1), bound(2)) != (Some(0.0), Some(6.0)) {
            return Err(unsupported(node, "has bounds other than 0 and 6"));
        }
        let Some(mut pending) = self.take_pending(&node.input[0]) else {
            return Err(unsupported(node, "clips a picture that other nodes read unclipped"));
        };
        match &mut pending.operation {
            Operation::Pointwise { product: Product { clip, .. }, .. }
            | Operation::Depthwise(Depthwise { clip, .. })
            | Operation::Resize { clip, addend: None, .. } => *clip = true,
            Operation::Stem(_) => {}
            _ => return Err(unsupported(node, "clips the result of an unsupported operation")),
        }
        self.pending.insert(node.output[0].clone(), pending);
        Ok(())
    }

    fn add_pictures(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let can_add = |pending: &PendingLayer| {
            matches!(
                pending.operation,
                Operation::Pointwise { product: Product { clip: false, .. }, addend: None }
                    | Operation::Resize { addend: None, .. }
            )
        };
        let is_pending = |name: &str| {
            self.readers.get(name) == Some(&1) && self.pending.get(name).is_some_and(can_add)
        };
        let (own, other) = match &node.input[..] {
            [a, b] if is_pending(a) => (a, b),
            [a, b] if is_pending(b) => (b, a),
            [a, b] => return self.sum(node, [a, b]),
            _ => return Err(unsupported(node, "does not add two pictures")),
        };
        let with = self.picture(other)?;
        let mut pending = self.take_pending(own).ok_or_else(|| missing(own))?;
        if self.shape(with) != pending.shape {
            return Err(unsupported(node, "adds pictures of different sizes"));
        }
        if let Operation::Pointwise { addend, .. } | Operation::Resize { addend, .. } =
            &mut pending.operation
        {
            *addend = Some(with);
        }
        self.pending.insert(node.output[0].clone(), pending);
        Ok(())
    }

    fn sum(&mut self, node: &NodeProto, [a, b]: [&String; 2]) -> Result<(), OnnxError> {
        let (input, addend) = (self.picture(a)?, self.picture(b)?);
        let shape = self.shape(input);
        if self.shape(addend) != shape {
            return Err(unsupported(node, "adds pictures of different sizes"));
        }
        self.start_layer(node, Some(input), shape, Operation::Sum { addend });
        Ok(())
    }

    fn sigmoid(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        match self.take_pending(&node.input[0]) {
            Some(PendingLayer { input, shape, operation: Operation::Dense { product, .. } }) => {
                let operation = Operation::Dense { product, sigmoid: true };
                self.start_layer(node, input, shape, operation);
                Ok(())
            }
            _ => Err(unsupported(node, "does not follow a product over all pixels")),
        }
    }

    /// A resize is a product with a matrix of columns, then one with a matrix of rows.
    fn resize(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let [first, second] = &node.input[..] else {
            return Err(unsupported(node, "does not have two factors"));
        };
        if let Some(matrix) = self.constants.get(second.as_str()) {
            let columns =
                taps(matrix, |matrix, out, at| matrix.numbers[at * matrix.sides[1] + out])
                    .filter(|_| self.readers.get(node.output[0].as_str()) == Some(&1))
                    .ok_or_else(|| unsupported(node, "is not a resize"))?;
            self.columns.insert(node.output[0].clone(), (first.clone(), columns));
            return Ok(());
        }
        let transposed = |matrix: &Constant, out, at| matrix.numbers[out * matrix.sides[1] + at];
        let rows = self.constants.get(first.as_str()).and_then(|matrix| taps(matrix, transposed));
        let (Some(rows), Some((picture, columns))) = (rows, self.columns.remove(second)) else {
            return Err(unsupported(node, "is not a resize"));
        };
        let input = self.picture(&picture)?;
        let shape = Shape { height: rows.len(), width: columns.len(), ..self.shape(input) };
        let operation = Operation::Resize { columns, rows, clip: false, addend: None };
        self.start_layer(node, Some(input), shape, operation);
        Ok(())
    }

    fn depth_to_space(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let input = self.picture(&node.input[0])?;
        let Shape { channels, height, width } = self.shape(input);
        if integer(node, "blocksize") != Some(2) || !channels.is_multiple_of(4 * HALF_BLOCK) {
            return Err(unsupported(
                node,
                "has blocks other than 2 x 2, or channels that do not fit",
            ));
        }
        let shape = Shape { channels: channels / 4, height: 2 * height, width: 2 * width };
        self.start_layer(node, Some(input), shape, Operation::DepthToSpace);
        Ok(())
    }

    fn max_pool(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let input = self.picture(&node.input[0])?;
        let shape = self.shape(input);
        let is_halving =
            ["kernel_shape", "strides"].map(|name| integer(node, name)) == [Some(2); 2];
        if !is_halving || shape.height % 2 + shape.width % 2 > 0 {
            return Err(unsupported(node, "does not halve the size"));
        }
        let shape = Shape { height: shape.height / 2, width: shape.width / 2, ..shape };
        self.start_layer(node, Some(input), shape, Operation::MaxPool);
        Ok(())
    }

    /// Channels of zeros after those of a pooled picture, which the pooling writes as well.
    fn pad_channels(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let [picture, amounts] = &node.input[..] else {
            return Err(unsupported(node, "pads with other values than zeros"));
        };
        let [0.0, 0.0, 0.0, 0.0, 0.0, added, 0.0, 0.0] = self.constant(amounts)?.numbers[..] else {
            return Err(unsupported(node, "pads more than the channels after the last"));
        };
        match self.take_pending(picture) {
            Some(PendingLayer { input, shape, operation: Operation::MaxPool })
                if shape.channels.is_multiple_of(LANES) =>
            {
                let shape = Shape { channels: shape.channels + added as usize, ..shape };
                self.start_layer(node, input, shape, Operation::MaxPool);
                Ok(())
            }
            _ => Err(unsupported(node, "does not follow a pooling of whole vectors of channels")),
        }
    }

    /// Other shapes of the same values, which only outputs have.
    fn view(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let of = |name: &String| {
            let whole = View { parts: vec![name.clone()], channels_last: false };
            self.views.get(name).cloned().unwrap_or(whole)
        };
        let mut view = of(&node.input[0]);
        match node.op_type.as_str() {
            "Transpose" if integers(node, "perm") == [0, 2, 3, 1] => view.channels_last = true,
            "Reshape" => {}
            "Concat" if integer(node, "axis") == Some(1) => {
                let others: Vec<View> = node.input.iter().map(of).collect();
                if others.iter().any(|other| other.channels_last != view.channels_last) {
                    return Err(unsupported(node, "concatenates different orders"));
                }
                view.parts = others.into_iter().flat_map(|other| other.parts).collect();
            }
            _ => return Err(unsupported(node, "reorders in an unsupported way")),
        }
        self.views.insert(node.output[0].clone(), view);
        Ok(())
    }
}
