//! Runs a network, layer by layer. Called by `model`.
//!
//! A bottleneck is run some rows at a time: the rows that its depthwise convolution reads are kept
//! in a ring buffer, each computed once; its results are projected immediately.

use super::buffers::{BufferPlan, Placement, Workspace};
use super::kernels::{
    DepthwiseRows, KERNEL_MAX, PANEL, Resize, Rows, RowsMut, STEM_ROWS, StemRow, add,
    depth_to_space, max_pool, multiply,
};
use super::network::{
    BORDER, Depthwise, ExpandStage, Layer, Network, Operation, PictureId, Product, Shape, Stem,
};
use crate::simd::Isa;
use crate::simd::vector::{self, LANES};
use std::ops::Range;

/// Result pixels of a bottleneck that are computed at a time, unless its rows are longer: enough to
/// amortise reading the weights, few enough for the cache.
const PIXELS_PER_STEP: usize = 112;
/// Least rows at a time.
const ROWS_MIN: usize = 2;
/// Most rows at a time.
const ROWS_MAX: usize = 16;

/// One run of a network.
pub(super) struct Execution<'a> {
    pub(super) isa: Isa,
    pub(super) network: &'a Network,
    pub(super) weights: &'a [u8],
    pub(super) plan: &'a BufferPlan,
    pub(super) workspace: &'a mut Workspace,
    /// Three planes, one after the other.
    pub(super) input: &'a [f32],
}

/// Size of the scratch memory that the layers of a network need, in floats.
pub(super) fn scratch(network: &Network) -> usize {
    let of = |layer: &Layer| {
        let output = network.pictures[layer.output];
        match (&layer.operation, layer.input) {
            (Operation::Bottleneck { first, depthwise, .. }, _) => {
                let ring = Ring::of(network, layer, depthwise);
                let stem =
                    if matches!(first, ExpandStage::Stem(_)) { stem_rows(network.side) } else { 0 };
                ring.length + ring.blocks * results_block(output) + stem
            }
            (Operation::Stem(_), _) => stem_rows(network.side),
            (Operation::Resize { .. }, Some(input)) => network.pictures[input].width * LANES,
            _ => 0,
        }
    };
    PANEL + network.layers.iter().map(of).max().unwrap_or(0)
}

/// Size of the input rows for one row of the first convolution, in floats.
const fn stem_rows(side: usize) -> usize {
    STEM_ROWS * (side + 2)
}

/// Size of sixteen channels of the results of a bottleneck's depthwise convolution in one step, in
/// floats.
fn results_block(shape: Shape) -> usize {
    rows_per_step(shape) * shape.width * LANES
}

/// Result rows of a bottleneck in one step, so that the steps are even.
fn rows_per_step(Shape { height, width, .. }: Shape) -> usize {
    let most = (PIXELS_PER_STEP / width).clamp(ROWS_MIN, ROWS_MAX);
    height.div_ceil(height.div_ceil(most))
}

/// Temporary memory of the running layer.
struct Scratch<'a> {
    /// For the weights of a product.
    panel: &'a mut [f32],
    /// For everything else.
    rest: &'a mut [f32],
}

impl Execution<'_> {
    /// Runs all layers.
    pub(super) fn run(&mut self) {
        for layer in &self.network.layers {
            let placement = self.plan.placements[layer.output];
            // Taken out, so that it can be written while other buffers are read.
            let mut output = std::mem::take(&mut self.workspace.buffers[placement.buffer]);
            let mut scratch = std::mem::take(&mut self.workspace.scratch);
            let (panel, rest) = scratch.split_at_mut(PANEL);
            self.layer(layer, &mut output[placement.start..], Scratch { panel, rest });
            self.workspace.buffers[placement.buffer] = output;
            self.workspace.scratch = scratch;
        }
    }

    fn placement(&self, id: PictureId) -> Placement {
        self.plan.placements[id]
    }

    fn rows(&self, id: PictureId) -> Rows<'_> {
        let placement = self.placement(id);
        let numbers = &self.workspace.buffers[placement.buffer][placement.start..];
        Rows { numbers, row: placement.row, block: placement.block }
    }

    fn layer(&self, layer: &Layer, output: &mut [f32], scratch: Scratch<'_>) {
        let Placement { shape, row, block, .. } = self.placement(layer.output);
        let mut to = RowsMut { numbers: output, row, block };
        let input = layer.input.map(|id| (self.placement(id).shape, self.rows(id)));
        match (&layer.operation, input) {
            (Operation::Stem(stem), _) => {
                for y in 0..shape.height {
                    self.stem(stem, y, scratch.rest, to.starting_at(y));
                }
            }
            (Operation::Pointwise { product, addend }, Some((_, input))) => {
                let addend = addend.map(|id| self.rows(id));
                let size = (shape.height, shape.width);
                self.multiply((product, scratch.panel), input, addend, to, size);
            }
            (Operation::Depthwise(depthwise), Some(_)) => {
                for (y, id) in (0..shape.height).zip(layer.input.iter().cycle()) {
                    let rows = self.rows_around(*id, depthwise, y);
                    self.depthwise(depthwise, &[rows], to.starting_at(y), shape.width);
                }
            }
            (Operation::Bottleneck { .. }, _) => self.bottleneck(layer, to, scratch),
            (Operation::Resize { columns, rows, clip, addend }, Some(input)) => {
                let addend = addend.map(|id| self.rows(id));
                let blended = scratch.rest;
                let clip = *clip;
                let resize = Resize { columns, rows, clip, addend, input, output: to, blended };
                vector::run(self.isa, resize);
            }
            (Operation::Sum { addend }, Some((shape, input))) => {
                add(shape, [input, self.rows(*addend)], to);
            }
            (Operation::DepthToSpace, Some((shape, input))) => depth_to_space(shape, input, to),
            (Operation::MaxPool, Some((from, input))) => max_pool((from, input), shape, to),
            (Operation::Dense { product, sigmoid }, Some((_, input))) => {
                // All values as the channels of one pixel.
                let input = Rows { row: LANES, block: LANES, ..input };
                self.multiply((product, scratch.panel), input, None, to.starting_at(0), (1, 1));
                if *sigmoid {
                    let logistic = |value: &mut f32| *value = 1.0 / (1.0 + (-*value).exp());
                    to.numbers[..shape.channels].iter_mut().for_each(logistic);
                }
            }
            (_, None) => unreachable!("only the first convolution reads the network's input"),
        }
    }

    fn multiply(
        &self,
        (product, panel): (&Product, &mut [f32]),
        input: Rows<'_>,
        addend: Option<Rows<'_>>,
        output: RowsMut<'_>,
        size: (usize, usize),
    ) {
        multiply((self.isa, self.weights, panel), product, input, addend, output, size);
    }

    fn depthwise(
        &self,
        depthwise: &Depthwise,
        rows: &[[Rows<'_>; KERNEL_MAX]],
        output: RowsMut<'_>,
        width: usize,
    ) {
        let bytes = self.weights;
        vector::run(self.isa, DepthwiseRows { depthwise, bytes, rows, output, width });
    }

    /// The rows of a picture with a border that one result row is computed from.
    fn rows_around(
        &self,
        id: PictureId,
        depthwise: &Depthwise,
        y: usize,
    ) -> [Rows<'_>; KERNEL_MAX] {
        let Placement { buffer, row, block, start, .. } = self.placement(id);
        // The first pixel follows the border; the kernel begins `pad` before it.
        let start = start - depthwise.pad * (row + LANES);
        let numbers = &self.workspace.buffers[buffer][start..];
        let first = Rows { numbers, row, block }.starting_at(y * depthwise.stride);
        std::array::from_fn(|row| first.starting_at(row.min(depthwise.kernel - 1)))
    }

    /// One row of the first convolution.
    fn stem(&self, stem: &Stem, y: usize, padded: &mut [f32], output: RowsMut<'_>) {
        let side = self.network.side;
        let rows = &mut padded[..stem_rows(side)];
        for (at, row) in rows.chunks_exact_mut(side + 2).enumerate() {
            let (plane, above) = (at / 3, at % 3);
            row.fill(0.0);
            if let Some(y) = (2 * y + above).checked_sub(1).filter(|y| *y < side) {
                let from = &self.input[(plane * side + y) * side..][..side];
                row[1..=side].copy_from_slice(from);
            }
        }
        let rows = std::array::from_fn(|at| &rows[at * (side + 2)..][..side + 2]);
        let bytes = self.weights;
        vector::run(self.isa, StemRow { stem, bytes, rows, output, width: side / 2 });
    }

    fn bottleneck(&self, layer: &Layer, mut to: RowsMut<'_>, scratch: Scratch<'_>) {
        let Operation::Bottleneck { first, depthwise, project, addend } = &layer.operation else {
            return;
        };
        let shape = self.placement(layer.output).shape;
        let addend = addend.map(|id| self.rows(id));
        let ring = Ring::of(self.network, layer, depthwise);
        let Scratch { panel, rest } = scratch;
        let (kept, rest) = rest.split_at_mut(ring.length);
        let block = results_block(shape);
        let (results, rest) = rest.split_at_mut(ring.blocks * block);
        let row = shape.width * LANES;
        ring.clear_borders(kept);
        let mut computed = 0;
        let step = rows_per_step(shape);
        for y in (0..shape.height).step_by(step) {
            let count = step.min(shape.height - y);
            let needed = (y + count - 1) * depthwise.stride + depthwise.kernel;
            while computed < needed && ring.is_used() {
                let scratch = Scratch { panel: &mut *panel, rest: &mut *rest };
                computed +=
                    self.compute_rows(layer, first, &ring, computed..needed, (kept, scratch));
            }
            let mut rows = [[Rows::NONE; KERNEL_MAX]; ROWS_MAX];
            for (rows, y) in rows.iter_mut().zip(y..y + count) {
                *rows = match layer.input {
                    Some(id) if !ring.is_used() => self.rows_around(id, depthwise, y),
                    _ => ring.rows_around(kept, depthwise, y),
                };
            }
            let output = RowsMut { numbers: &mut *results, row, block };
            self.depthwise(depthwise, &rows[..count], output, shape.width);
            let input = Rows { numbers: results, row, block };
            let with = addend.map(|all| all.starting_at(y));
            let size = (count, shape.width);
            self.multiply((project, &mut *panel), input, with, to.starting_at(y), size);
        }
    }

    /// Computes the first of the missing rows of the ring, and those that follow it both in the picture
    /// and in the ring; returns their number. Rows are counted from `pad` before the picture's first.
    fn compute_rows(
        &self,
        layer: &Layer,
        first: &ExpandStage,
        ring: &Ring,
        missing_rows: Range<usize>,
        (kept, scratch): (&mut [f32], Scratch<'_>),
    ) -> usize {
        let slot = missing_rows.start % ring.slots;
        let inside = ring.pad..ring.pad + ring.height;
        let start = slot * ring.row + BORDER * LANES;
        if !inside.contains(&missing_rows.start) {
            for block in kept.chunks_exact_mut(ring.block) {
                block[start..][..ring.width * LANES].fill(0.0);
            }
            return 1;
        }
        let count = missing_rows.len().min(inside.end - missing_rows.start).min(ring.slots - slot);
        let y = missing_rows.start - ring.pad;
        let mut to = RowsMut { numbers: &mut kept[start..], row: ring.row, block: ring.block };
        match (first, layer.input) {
            (ExpandStage::Stem(stem), _) => {
                (0..count)
                    .for_each(|row| self.stem(stem, y + row, scratch.rest, to.starting_at(row)));
            }
            (ExpandStage::Expand(product), Some(input)) => {
                let input = self.rows(input).starting_at(y);
                self.multiply((product, scratch.panel), input, None, to, (count, ring.width));
            }
            _ => {}
        }
        count
    }
}

/// The ring buffer of the rows that a bottleneck's depthwise convolution reads, with a border of
/// zeros at both ends.
struct Ring {
    height: usize,
    width: usize,
    blocks: usize,
    row: usize,
    block: usize,
    slots: usize,
    pad: usize,
    /// Size of all slots in floats; zero if the input is read directly.
    length: usize,
}

impl Ring {
    fn of(network: &Network, layer: &Layer, depthwise: &Depthwise) -> Self {
        let half = network.side / 2;
        let (height, width) = match layer.input.map(|id| network.pictures[id]) {
            Some(shape) => (shape.height, shape.width),
            None => (half, half),
        };
        // Each channel has one bias.
        let blocks = depthwise.bias.bytes.len() / size_of::<vector::Lanes>();
        let row = (width + 2 * BORDER) * LANES;
        let rows = rows_per_step(network.pictures[layer.output]);
        let slots = depthwise.kernel + (rows - 1) * depthwise.stride;
        let block = slots * row;
        let is_direct =
            matches!(layer.operation, Operation::Bottleneck { first: ExpandStage::Given, .. });
        let length = if is_direct { 0 } else { blocks * block };
        Self { height, width, blocks, row, block, slots, pad: depthwise.pad, length }
    }

    const fn is_used(&self) -> bool {
        self.length > 0
    }

    fn clear_borders(&self, kept: &mut [f32]) {
        let border = BORDER * LANES;
        for row in kept.chunks_exact_mut(self.row) {
            row[..border].fill(0.0);
            row[self.row - border..].fill(0.0);
        }
    }

    fn rows_around<'a>(
        &self,
        kept: &'a [f32],
        depthwise: &Depthwise,
        y: usize,
    ) -> [Rows<'a>; KERNEL_MAX] {
        let numbers = &kept[(BORDER - depthwise.pad) * LANES..];
        let all = Rows { numbers, row: self.row, block: self.block };
        std::array::from_fn(|row| {
            let row = row.min(depthwise.kernel - 1);
            all.starting_at((y * depthwise.stride + row) % self.slots)
        })
    }
}
