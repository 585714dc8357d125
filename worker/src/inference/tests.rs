//! Random networks, run with every instruction set, layer by layer and fused, against the definition
//! of each operation.

use super::buffers::BufferPlan;
use super::execute::{self, Execution};
use super::fuse::fuse;
use super::network::{
    Depthwise, Layer, Network, Operation, Output, PictureId, Product, Shape, Stem, Tap,
};
use super::weights::WeightStore;
use crate::simd::Isa;
use crate::simd::vector::LANES;
use proptest::prelude::*;

/// Largest difference from the definition: sums are computed in another order.
const DIFFERENCE_MAX: f32 = 1e-3;

/// A picture in the order of ONNX: by channel, row and column.
#[derive(Clone)]
struct Reference {
    shape: Shape,
    numbers: Vec<f32>,
}

impl Reference {
    fn of(shape: Shape, at: impl Fn(usize, usize, usize) -> f32) -> Self {
        let Shape { channels, height, width } = shape;
        let places = (0..channels)
            .flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| (c, y, x))));
        Self { shape, numbers: places.map(|(c, y, x)| at(c, y, x)).collect() }
    }

    /// Zero beyond the edges.
    fn at(&self, channel: usize, y: i64, x: i64) -> f32 {
        let Shape { height, width, .. } = self.shape;
        if !(0..height as i64).contains(&y) || !(0..width as i64).contains(&x) {
            return 0.0;
        }
        self.numbers[(channel * height + y as usize) * width + x as usize]
    }
}

/// A network under construction, with the expected results of its layers.
struct NetworkBuilder {
    network: Network,
    weights: WeightStore,
    expected: Vec<Reference>,
    seed: u32,
}

impl NetworkBuilder {
    /// A network with the first convolution, and random input planes.
    fn new(side: usize, channels: usize, seed: u32) -> (Self, Vec<f32>) {
        let (pictures, layers, outputs) = (Vec::new(), Vec::new(), Vec::new());
        let network = Network { side, pictures, layers, outputs };
        let mut builder =
            Self { network, weights: WeightStore::default(), expected: Vec::new(), seed };
        let planes = builder.numbers(3 * side * side);
        let input =
            Reference { shape: Shape { channels: 3, height: side, width: side }, numbers: planes };
        let (weights, bias) = (builder.numbers(channels * 27), builder.numbers(channels));
        let shape = Shape { channels, height: side / 2, width: side / 2 };
        let expected = Reference::of(shape, |c, y, x| {
            let taps = (0..27).map(|tap| {
                let (plane, row, column) = (tap / 9, tap / 3 % 3, tap % 3);
                let (y, x) = (2 * y + row, 2 * x + column);
                weights[c * 27 + tap] * input.at(plane, y as i64 - 1, x as i64 - 1)
            });
            (bias[c] + taps.sum::<f32>()).clamp(0.0, 6.0)
        });
        let stored = builder.weights.matrix_of_floats((channels, 27), |o, i| weights[o * 27 + i]);
        let stem = Stem { weights: stored, bias: builder.weights.vector(&bias) };
        builder.push(None, Operation::Stem(stem), expected);
        (builder, input.numbers)
    }

    /// Multiples of 1/64 from -1 to 1: exact in half precision.
    fn numbers(&mut self, count: usize) -> Vec<f32> {
        let mut next = || {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((self.seed >> 16) % 129) as f32 / 64.0 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn push(&mut self, input: Option<PictureId>, operation: Operation, expected: Reference) {
        let output = self.network.pictures.len();
        self.network.pictures.push(expected.shape);
        self.network.layers.push(Layer { input, output, operation });
        self.expected.push(expected);
    }

    fn last(&self) -> (PictureId, Reference) {
        let id = self.expected.len() - 1;
        (id, self.expected[id].clone())
    }

    /// An earlier picture of this shape.
    fn with_shape(&self, shape: Shape) -> Option<PictureId> {
        self.expected.iter().position(|picture| picture.shape == shape)
    }

    fn product(
        &mut self,
        outputs: usize,
        inputs: usize,
        exact: bool,
    ) -> (Product, Vec<f32>, Vec<f32>) {
        // Small, so that sums stay small.
        let scale = if exact { 0.125 } else { 0.1 };
        let weights: Vec<f32> =
            self.numbers(outputs * inputs).iter().map(|weight| weight * scale).collect();
        let bias = self.numbers(outputs);
        let stored = self.weights.matrix((outputs, inputs), |o, i| weights[o * inputs + i]);
        let product =
            Product { inputs, weights: stored, bias: self.weights.vector(&bias), clip: false };
        (product, weights, bias)
    }

    fn pointwise(&mut self, outputs: usize, (clip, add, exact): (bool, bool, bool)) {
        let (id, input) = self.last();
        let inputs = input.shape.channels;
        let (product, weights, bias) = self.product(outputs, inputs, exact);
        let shape = Shape { channels: outputs, ..input.shape };
        let addend = self.with_shape(shape).filter(|_| add);
        let expected = Reference::of(shape, |c, y, x| {
            let (y, x) = (y as i64, x as i64);
            let sum: f32 = (0..inputs).map(|i| weights[c * inputs + i] * input.at(i, y, x)).sum();
            let with = addend.map_or(0.0, |addend| self.expected[addend].at(c, y, x));
            let sum = bias[c] + sum + with;
            if clip { sum.clamp(0.0, 6.0) } else { sum }
        });
        let product = Product { clip, ..product };
        self.push(Some(id), Operation::Pointwise { product, addend }, expected);
    }

    fn depthwise(&mut self, kernel: usize, stride: usize, clip: bool) {
        let (id, input) = self.last();
        let Shape { channels, height, width } = input.shape;
        let shape =
            Shape { channels, height: height.div_ceil(stride), width: width.div_ceil(stride) };
        let pad =
            if stride == 2 && kernel == 3 && height.is_multiple_of(2) { 0 } else { kernel / 2 };
        let (weights, bias) = (self.numbers(channels * kernel * kernel), self.numbers(channels));
        let expected = Reference::of(shape, |c, y, x| {
            let taps = (0..kernel * kernel).map(|tap| {
                let (y, x) = (y * stride + tap / kernel, x * stride + tap % kernel);
                let weight = weights[c * kernel * kernel + tap];
                weight * input.at(c, y as i64 - pad as i64, x as i64 - pad as i64)
            });
            let sum = bias[c] + taps.sum::<f32>();
            if clip { sum.clamp(0.0, 6.0) } else { sum }
        });
        let taps = kernel * kernel;
        let stored =
            self.weights.matrix_of_floats((channels, taps), |c, tap| weights[c * taps + tap]);
        let bias = self.weights.vector(&bias);
        let depthwise = Depthwise { kernel, stride, pad, weights: stored, bias, clip };
        self.push(Some(id), Operation::Depthwise(depthwise), expected);
    }

    /// Twice the size, each pixel three quarters of the nearest and one of the next.
    fn resize(&mut self, clip: bool) {
        let (id, input) = self.last();
        let Shape { channels, height, width } = input.shape;
        let shape = Shape { channels, height: 2 * height, width: 2 * width };
        let taps = |from: usize| -> Vec<Tap> {
            let other =
                |at: usize| if at.is_multiple_of(2) { (at / 2).max(1) - 1 } else { at / 2 + 1 };
            let tap = |at| Tap { at: [at / 2, other(at).min(from - 1)], share: [0.75, 0.25] };
            (0..2 * from).map(tap).collect()
        };
        let (columns, rows) = (taps(width), taps(height));
        let addend = self.with_shape(shape);
        let expected = Reference::of(shape, |c, y, x| {
            let blend = |of: &dyn Fn(usize) -> f32, tap: Tap| {
                of(tap.at[0]) * tap.share[0] + of(tap.at[1]) * tap.share[1]
            };
            let row = |x: usize| blend(&|y| input.at(c, y as i64, x as i64), rows[y]);
            let value = blend(&row, columns[x]);
            let value = if clip { value.clamp(0.0, 6.0) } else { value };
            value + addend.map_or(0.0, |it| self.expected[it].at(c, y as i64, x as i64))
        });
        self.push(Some(id), Operation::Resize { columns, rows, clip, addend }, expected);
    }

    /// With the first picture of the same shape.
    fn sum(&mut self) {
        let (id, input) = self.last();
        let addend = self.with_shape(input.shape).expect("at least the last");
        let expected = Reference::of(input.shape, |c, y, x| {
            input.at(c, y as i64, x as i64) + self.expected[addend].at(c, y as i64, x as i64)
        });
        self.push(Some(id), Operation::Sum { addend }, expected);
    }

    fn depth_to_space(&mut self) {
        let (id, input) = self.last();
        let Shape { channels, height, width } = input.shape;
        let shape = Shape { channels: channels / 4, height: 2 * height, width: 2 * width };
        let expected = Reference::of(shape, |c, y, x| {
            let quarter = y % 2 * 2 + x % 2;
            input.at(quarter * shape.channels + c, y as i64 / 2, x as i64 / 2)
        });
        self.push(Some(id), Operation::DepthToSpace, expected);
    }

    /// With so many channels of zeros after those of the input.
    fn max_pool(&mut self, added: usize) {
        let (id, input) = self.last();
        let Shape { channels, height, width } = input.shape;
        let shape = Shape { channels: channels + added, height: height / 2, width: width / 2 };
        let expected = Reference::of(shape, |c, y, x| {
            if c >= channels {
                return 0.0;
            }
            let (y, x) = (2 * y as i64, 2 * x as i64);
            let of = |dy, dx| input.at(c, y + dy, x + dx);
            of(0, 0).max(of(0, 1)).max(of(1, 0)).max(of(1, 1))
        });
        self.push(Some(id), Operation::MaxPool, expected);
    }

    /// Adds one layer or block, chosen by a random number, that fits the last picture.
    fn add_step(&mut self, choice: u16) {
        let (_, Reference { shape: Shape { channels, height, width }, .. }) = self.last();
        let flag = |bit: u16| choice >> bit & 1 == 1;
        // Also more than the panel of a product holds.
        let outputs = (1 + usize::from(choice >> 8) % 70) * if flag(7) { 3 } else { 1 };
        match choice % 8 {
            0 | 1 => self.pointwise(outputs, (flag(4), flag(5), flag(6))),
            2 | 3 => {
                let stride = if flag(4) && height > 3 { 2 } else { 1 };
                self.depthwise(if flag(5) { 3 } else { 5 }, stride, flag(6));
            }
            4 if width < 20 => self.resize(flag(4)),
            5 if channels.is_multiple_of(32) && width < 20 => self.depth_to_space(),
            6 if height % 2 + width % 2 == 0 && height > 2 => {
                // Only whole vectors of channels are followed by zeros.
                let added = if flag(4) && channels.is_multiple_of(LANES) { outputs } else { 0 };
                self.max_pool(added);
            }
            7 if flag(4) => self.sum(),
            // A block as in the real networks.
            _ => {
                self.pointwise(outputs, (true, false, true));
                self.depthwise(if flag(4) { 3 } else { 5 }, 1, true);
                self.pointwise(channels, (flag(5), flag(6), true));
            }
        }
    }

    fn finish(&mut self, sigmoid: bool) {
        let (id, input) = self.last();
        let Shape { channels, height, width } = input.shape;
        let blocks = channels.div_ceil(LANES);
        let inputs = blocks * height * width * LANES;
        let (weights, bias) = (self.numbers(5 * channels * height * width), self.numbers(5));
        let matrix = |output: usize, c: usize, y: usize, x: usize| {
            0.125 * weights[((output * channels + c) * height + y) * width + x]
        };
        let stored = self.weights.matrix((5, inputs), |output, input| {
            let (pixel, lane) = (input / LANES, input % LANES);
            let c = pixel / (height * width) * LANES + lane;
            if c < channels {
                matrix(output, c, pixel / width % height, pixel % width)
            } else {
                0.0
            }
        });
        let product =
            Product { inputs, weights: stored, bias: self.weights.vector(&bias), clip: false };
        let shape = Shape { channels: 5, height: 1, width: 1 };
        let expected = Reference::of(shape, |output, _, _| {
            let sum: f32 = (0..channels * height * width)
                .map(|at| {
                    let (c, y, x) = (at / (height * width), at / width % height, at % width);
                    matrix(output, c, y, x) * input.at(c, y as i64, x as i64)
                })
                .sum();
            let sum = bias[output] + sum;
            if sigmoid { 1.0 / (1.0 + (-sum).exp()) } else { sum }
        });
        self.push(Some(id), Operation::Dense { product, sigmoid }, expected);
        let outputs = [id, id + 1].map(|id| Output {
            name: id.to_string(),
            parts: vec![id],
            channels_last: false,
        });
        self.network.outputs = outputs.into();
    }

    /// Runs the network and compares its outputs.
    fn check(&self, network: &Network, isa: Isa, planes: &[f32]) -> Result<(), TestCaseError> {
        let plan = BufferPlan::new(network, execute::scratch(network));
        let mut workspace = plan.workspace();
        // Twice: data left by one run must not affect the next.
        for _ in 0..2 {
            let (weights, plan) = (&self.weights.bytes, &plan);
            let workspace = &mut workspace;
            Execution { isa, network, weights, plan, workspace, input: planes }.run();
        }
        for id in network.outputs.iter().map(|output| output.parts[0]) {
            let (placement, expected) = (plan.placements[id], &self.expected[id]);
            let Shape { height, width, .. } = expected.shape;
            for (at, expected) in expected.numbers.iter().enumerate() {
                let (c, y, x) = (at / (height * width), at / width % height, at % width);
                let from = c / LANES * placement.block + y * placement.row + x * LANES + c % LANES;
                let found = workspace.buffers[placement.buffer][placement.start + from];
                let difference = (found - expected).abs() / expected.abs().max(1.0);
                prop_assert!(
                    difference <= DIFFERENCE_MAX,
                    "{isa:?}, picture {id}: {found}, not {expected}"
                );
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn random_networks_compute_what_their_layers_define(
        half in 3_usize..14,
        channels in 1_usize..40,
        steps in proptest::collection::vec(any::<u16>(), 1..7),
        seed: u32,
        sigmoid: bool,
    ) {
        let (mut builder, planes) = NetworkBuilder::new(2 * half, channels, seed);
        for step in steps {
            builder.add_step(step);
        }
        builder.finish(sigmoid);
        let mut fused = builder.network.clone();
        fuse(&mut fused);
        for isa in Isa::ALL {
            builder.check(&builder.network, isa, &planes)?;
            builder.check(&fused, isa, &planes)?;
        }
    }
}

#[test]
fn zeros_follow_the_channels_of_a_pooled_picture() {
    let (mut builder, planes) = NetworkBuilder::new(24, LANES, 1);
    builder.max_pool(LANES + 4);
    builder.pointwise(5, (false, false, true));
    builder.finish(false);
    for isa in Isa::ALL {
        builder.check(&builder.network, isa, &planes).expect("computes what is defined");
    }
}

#[test]
fn only_pictures_with_one_reader_are_fused_away() {
    let (mut builder, planes) = NetworkBuilder::new(12, 8, 1);
    builder.pointwise(24, (true, false, true));
    builder.depthwise(3, 1, true);
    builder.pointwise(8, (false, true, true));
    builder.depthwise(5, 1, true);
    builder.finish(false);
    let mut fused = builder.network.clone();
    fuse(&mut fused);
    assert_eq!(fused.layers.len(), builder.network.layers.len() - 2);
    // The picture before the last convolution is an output now: it must not be fused away.
    builder.network.outputs[0].parts[0] = 2;
    let mut kept = builder.network.clone();
    fuse(&mut kept);
    assert_eq!(kept.layers.len(), builder.network.layers.len());
    for network in [fused, kept] {
        builder.check(&network, Isa::chosen(), &planes).expect("computes the same");
    }
}
