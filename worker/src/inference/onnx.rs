//! From an ONNX file, read by tract, to the layers that are executed. Called by `packed`.
//!
//! A layer stays open until somebody reads its picture: a clip, a sum or a logistic function that
//! is its only reader becomes a part of it.

mod values;

use super::fuse::fuse;
use super::kernels::HALF_BLOCK;
use super::network::{
    BORDER, Depthwise, Id, Layer, Network, Operation, Output, Product, Shape, Stem, Tap,
};
use super::weights::Weights;
use crate::simd::vector::LANES;
use std::collections::HashMap;
use thiserror::Error;
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::{Framework, TractError};
use values::{Constant, constant, integer, integers, sides, taps};

/// Why a file cannot be executed.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// tract does not accept the file.
    #[error("{0}")]
    Engine(String),
    /// The file lacks something.
    #[error("the graph has no {0}")]
    Missing(String),
    /// A node does what no layer does.
    #[error("node {node} ({operation}) {problem}")]
    Node {
        /// Its name.
        node: String,
        /// Its operation.
        operation: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// A layer that may still take in what follows it.
struct Open {
    input: Option<Id>,
    shape: Shape,
    operation: Operation,
}

/// What an output is made from: pictures one after the other, channels last or first.
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
    weights: Weights,
    pictures: HashMap<String, Id>,
    open: HashMap<String, Open>,
    views: HashMap<String, View>,
    /// Products with a matrix of columns, which the product with the rows completes.
    columns: HashMap<String, (String, Vec<Tap>)>,
}

/// Reads a file: the layers and their weights.
pub(super) fn read(mut file: &[u8]) -> Result<(Network, Vec<u8>), OnnxError> {
    let engine = |error: TractError| OnnxError::Engine(format!("{error:#}"));
    let model = tract_onnx::onnx().proto_model_for_read(&mut file).map_err(engine)?;
    let graph = model.graph.as_ref().ok_or_else(|| missing("content"))?;
    let mut builder = Builder::new(graph)?;
    for node in &graph.node {
        builder.add(node)?;
    }
    builder.finish()
}

fn missing(what: &str) -> OnnxError {
    OnnxError::Missing(what.into())
}

fn problem(node: &NodeProto, problem: &'static str) -> OnnxError {
    let name = if node.name.is_empty() { &node.output[0] } else { &node.name };
    OnnxError::Node { node: name.clone(), operation: node.op_type.clone(), problem }
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
            weights: Weights::default(),
            pictures: HashMap::new(),
            open: HashMap::new(),
            views: HashMap::new(),
            columns: HashMap::new(),
        })
    }

    fn add(&mut self, node: &'a NodeProto) -> Result<(), OnnxError> {
        match node.op_type.as_str() {
            "Cast" => self.cast(node),
            "Conv" => self.convolution(node),
            "MatMul" => self.resizing(node),
            "Clip" => self.clip(node),
            "Add" => self.sum(node),
            "Sigmoid" => self.logistic(node),
            "DepthToSpace" => self.depth_to_space(node),
            "MaxPool" => self.max_pool(node),
            "Transpose" | "Reshape" | "Concat" => self.view(node),
            _ => Err(problem(node, "is not known here")),
        }
    }

    /// Ends the list: every output is made, and layers are joined.
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

    /// The picture of this name; ends its layer.
    fn picture(&mut self, name: &str) -> Result<Id, OnnxError> {
        if let Some(id) = self.pictures.get(name) {
            return Ok(*id);
        }
        let Open { input, shape, operation } =
            self.open.remove(name).ok_or_else(|| missing(name))?;
        let output = self.network.pictures.len();
        self.network.pictures.push(shape);
        self.network.layers.push(Layer { input, output, operation });
        self.pictures.insert(name.into(), output);
        Ok(output)
    }

    fn shape(&self, id: Id) -> Shape {
        self.network.pictures[id]
    }

    fn constant(&self, name: &str) -> Result<&Constant, OnnxError> {
        self.constants.get(name).ok_or_else(|| missing(name))
    }

    /// Weights are stored in half precision and cast.
    fn cast(&mut self, node: &'a NodeProto) -> Result<(), OnnxError> {
        let weights = self.constants.remove(node.input[0].as_str());
        let weights = weights.ok_or_else(|| problem(node, "casts what is no weight"))?;
        self.constants.insert(&node.output[0], weights);
        Ok(())
    }

    fn convolution(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let [picture, weights, bias] = &node.input[..] else {
            return Err(problem(node, "has no bias"));
        };
        let sides = self.constant(weights)?.sides.clone();
        let [outputs, _, kernel, _] = sides[..] else {
            return Err(problem(node, "has weights that are not four-sided"));
        };
        let bias = self.constant(bias)?.numbers.clone();
        let bias = self.weights.vector(&bias);
        let stride = integer(node, "strides").unwrap_or(1);
        let pad = integer(node, "pads").unwrap_or(0);
        let group = integer(node, "group").unwrap_or(1);
        let weights = &self.constants[weights.as_str()];
        if *picture == self.graph.input[0].name {
            if (sides[1], kernel, stride, pad, group) != (3, 3, 2, 1, 1) {
                return Err(problem(node, "is no 3 x 3 convolution of every other pixel"));
            }
            let at = |output, tap| weights.at([output, tap / 9, tap / 3 % 3, tap % 3]);
            let stem = Stem { weights: self.weights.matrix_of_floats((outputs, 27), at), bias };
            let half = self.network.side / 2;
            let shape = Shape { channels: outputs, height: half, width: half };
            if !self.is_clipped(&node.output[0]) {
                return Err(problem(node, "is the first convolution and not clipped"));
            }
            return self.begin(node, None, shape, Operation::Stem(stem));
        }
        let input = self.pictures.get(picture).copied();
        let shape = match (input, self.open.get(picture)) {
            (Some(id), _) => self.shape(id),
            (None, Some(open)) => open.shape,
            (None, None) => return Err(missing(picture)),
        };
        let Shape { channels, height, width } = shape;
        let (shape, operation) = if group > 1 {
            let (height_out, width_out) = (height.div_ceil(stride), width.div_ceil(stride));
            let last = |out: usize| (out - 1) * stride + kernel - pad;
            let is_within =
                last(height_out) <= height + BORDER && last(width_out) <= width + BORDER;
            let is_known = matches!((kernel, stride), (3 | 5, 1 | 2)) && group == channels;
            if !is_known || pad > BORDER || !is_within {
                return Err(problem(node, "is no depthwise convolution of the known kinds"));
            }
            let at = |channel, tap| weights.at([channel, 0, tap / kernel, tap % kernel]);
            let weights = self.weights.matrix_of_floats((channels, kernel * kernel), at);
            let depthwise = Depthwise { kernel, stride, pad, weights, bias, clip: false };
            let shape = Shape { channels, height: height_out, width: width_out };
            (shape, Operation::Depthwise(depthwise))
        } else if kernel == 1 && stride == 1 {
            let weights = self.weights.matrix((outputs, channels), |o, i| weights.at([o, i, 0, 0]));
            let product = Product { inputs: channels, weights, bias, clip: false };
            let shape = Shape { channels: outputs, height, width };
            (shape, Operation::Pointwise { product, addend: None })
        } else if (kernel, kernel, pad) == (height, width, 0) {
            // The numbers of the whole picture in the order in which they lie there.
            let inputs = shape.blocks() * height * width * LANES;
            let at = |output, input| {
                let (pixel, lane) = (input / LANES, input % LANES);
                let channel = pixel / (height * width) * LANES + lane;
                let (y, x) = (pixel / width % height, pixel % width);
                if channel < channels { weights.at([output, channel, y, x]) } else { 0.0 }
            };
            let weights = self.weights.matrix((outputs, inputs), at);
            let product = Product { inputs, weights, bias, clip: false };
            let shape = Shape { channels: outputs, height: 1, width: 1 };
            (shape, Operation::Dense { product, sigmoid: false })
        } else {
            return Err(problem(node, "is a convolution of an unknown kind"));
        };
        let input = self.picture(picture)?;
        self.begin(node, Some(input), shape, operation)
    }

    fn begin(
        &mut self,
        node: &NodeProto,
        input: Option<Id>,
        shape: Shape,
        operation: Operation,
    ) -> Result<(), OnnxError> {
        self.open.insert(node.output[0].clone(), Open { input, shape, operation });
        Ok(())
    }

    /// The open layer whose picture nobody but this node reads.
    fn take_open(&mut self, name: &str) -> Option<Open> {
        if self.readers.get(name) == Some(&1) { self.open.remove(name) } else { None }
    }

    fn is_clipped(&self, name: &str) -> bool {
        let is_reader =
            |node: &&NodeProto| node.op_type == "Clip" && node.input.iter().any(|it| it == name);
        self.readers.get(name) == Some(&1) && self.graph.node.iter().any(|node| is_reader(&node))
    }

    fn clip(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let bound = |at: usize| Some(self.constant(node.input.get(at)?).ok()?.numbers[0]);
        if (bound(1), bound(2)) != (Some(0.0), Some(6.0)) {
            return Err(problem(node, "has bounds other than 0 and 6"));
        }
        let Some(mut open) = self.take_open(&node.input[0]) else {
            return Err(problem(node, "clips what others read as it is"));
        };
        match &mut open.operation {
            Operation::Pointwise { product: Product { clip, .. }, .. }
            | Operation::Depthwise(Depthwise { clip, .. })
            | Operation::Resize { clip, addend: None, .. } => *clip = true,
            Operation::Stem(_) => {}
            _ => return Err(problem(node, "clips what is not clipped elsewhere")),
        }
        self.open.insert(node.output[0].clone(), open);
        Ok(())
    }

    fn sum(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let can_add = |open: &Open| {
            matches!(
                open.operation,
                Operation::Pointwise { product: Product { clip: false, .. }, addend: None }
                    | Operation::Resize { addend: None, .. }
            )
        };
        let is_open = |name: &str| {
            self.readers.get(name) == Some(&1) && self.open.get(name).is_some_and(can_add)
        };
        let (own, other) = match &node.input[..] {
            [a, b] if is_open(a) => (a, b),
            [a, b] if is_open(b) => (b, a),
            _ => return Err(problem(node, "adds what no layer can add")),
        };
        let with = self.picture(other)?;
        let mut open = self.take_open(own).ok_or_else(|| missing(own))?;
        if self.shape(with) != open.shape {
            return Err(problem(node, "adds pictures of different sizes"));
        }
        if let Operation::Pointwise { addend, .. } | Operation::Resize { addend, .. } =
            &mut open.operation
        {
            *addend = Some(with);
        }
        self.open.insert(node.output[0].clone(), open);
        Ok(())
    }

    fn logistic(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        match self.take_open(&node.input[0]) {
            Some(Open { input, shape, operation: Operation::Dense { product, .. } }) => {
                self.begin(node, input, shape, Operation::Dense { product, sigmoid: true })
            }
            _ => Err(problem(node, "does not follow a product over all pixels")),
        }
    }

    /// A change of size is a product with a matrix of columns, then one with a matrix of rows.
    fn resizing(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let [first, second] = &node.input[..] else {
            return Err(problem(node, "has no two factors"));
        };
        if let Some(matrix) = self.constants.get(second.as_str()) {
            let columns =
                taps(matrix, |matrix, out, at| matrix.numbers[at * matrix.sides[1] + out])
                    .filter(|_| self.readers.get(node.output[0].as_str()) == Some(&1))
                    .ok_or_else(|| problem(node, "is no change of size"))?;
            self.columns.insert(node.output[0].clone(), (first.clone(), columns));
            return Ok(());
        }
        let transposed = |matrix: &Constant, out, at| matrix.numbers[out * matrix.sides[1] + at];
        let rows = self.constants.get(first.as_str()).and_then(|matrix| taps(matrix, transposed));
        let (Some(rows), Some((picture, columns))) = (rows, self.columns.remove(second)) else {
            return Err(problem(node, "is no change of size"));
        };
        let input = self.picture(&picture)?;
        let shape = Shape { height: rows.len(), width: columns.len(), ..self.shape(input) };
        let operation = Operation::Resize { columns, rows, clip: false, addend: None };
        self.begin(node, Some(input), shape, operation)
    }

    fn depth_to_space(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let input = self.picture(&node.input[0])?;
        let Shape { channels, height, width } = self.shape(input);
        if integer(node, "blocksize") != Some(2) || !channels.is_multiple_of(4 * HALF_BLOCK) {
            return Err(problem(node, "has blocks other than 2 x 2, or channels that do not fit"));
        }
        let shape = Shape { channels: channels / 4, height: 2 * height, width: 2 * width };
        self.begin(node, Some(input), shape, Operation::DepthToSpace)
    }

    fn max_pool(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let input = self.picture(&node.input[0])?;
        let shape = self.shape(input);
        let is_halving =
            ["kernel_shape", "strides"].map(|name| integer(node, name)) == [Some(2); 2];
        if !is_halving || shape.height % 2 + shape.width % 2 > 0 {
            return Err(problem(node, "does not halve the size"));
        }
        let shape = Shape { height: shape.height / 2, width: shape.width / 2, ..shape };
        self.begin(node, Some(input), shape, Operation::MaxPool)
    }

    /// Other shapes for the same numbers, which only outputs have.
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
                    return Err(problem(node, "joins different orders"));
                }
                view.parts = others.into_iter().flat_map(|other| other.parts).collect();
            }
            _ => return Err(problem(node, "changes an order in a way not known here")),
        }
        self.views.insert(node.output[0].clone(), view);
        Ok(())
    }
}
