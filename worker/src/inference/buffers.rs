//! The memory of the pictures between the layers: a few buffers, each reused by several pictures.
//! Planned once for a network; allocated for each thread that runs it.

use super::network::{BORDER, Network, PictureId, Shape};
use crate::simd::vector::LANES;
use std::ops::{Deref, DerefMut};

/// Floats in a cache line.
const LINE: usize = LANES;

/// Floats aligned to a cache line, so that no vector crosses one.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    storage: Vec<f32>,
    start: usize,
}

impl Buffer {
    /// A buffer of zeros.
    pub(super) fn new(length: usize) -> Self {
        let storage = vec![0.0; length + LINE];
        let start = storage.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self { storage, start }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[self.start..]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..]
    }
}

/// The position of a picture in its buffer. Channels are stored in blocks of sixteen; a pixel of
/// sixteen channels is a vector, and the vectors of a row are contiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) buffer: usize,
    pub(super) shape: Shape,
    /// Stride of rows, in floats.
    pub(super) row: usize,
    /// Stride of blocks of sixteen channels, in floats.
    pub(super) block: usize,
    /// Offset of the first pixel of the first row.
    pub(super) start: usize,
}

impl Placement {
    /// The placement of a picture that has no buffer yet.
    fn of(shape: Shape, has_border: bool) -> Self {
        let border = if has_border { BORDER } else { 0 };
        let row = (shape.width + 2 * border) * LANES;
        let block = (shape.height + 2 * border) * row;
        Self { buffer: 0, shape, row, block, start: border * (row + LANES) }
    }

    const fn has_border(&self) -> bool {
        self.start > 0
    }

    /// Number of floats, including the border.
    const fn length(&self) -> usize {
        self.block * self.shape.blocks()
    }
}

/// The placements of all pictures of a network, and the sizes of the buffers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BufferPlan {
    pub(super) placements: Vec<Placement>,
    buffers: Vec<usize>,
    scratch: usize,
}

impl BufferPlan {
    /// The plan for a network.
    pub(super) fn new(network: &Network, scratch: usize) -> Self {
        let mut has_border = vec![false; network.pictures.len()];
        let mut last_read: Vec<usize> = vec![0; network.pictures.len()];
        for (step, layer) in network.layers.iter().enumerate() {
            layer.reads().for_each(|id| last_read[id] = step);
            if let Some(input) = layer.input.filter(|_| layer.reads_beyond_edges()) {
                has_border[input] = true;
            }
        }
        for id in network.outputs.iter().flat_map(|output| &output.parts) {
            last_read[*id] = usize::MAX;
        }
        let placement = |(shape, border): (&Shape, bool)| Placement::of(*shape, border);
        let placements = network.pictures.iter().zip(has_border).map(placement).collect();
        let mut plan = Self { placements, buffers: Vec::new(), scratch };
        let mut free: Vec<usize> = Vec::new();
        for (step, layer) in network.layers.iter().enumerate() {
            plan.assign_buffer(layer.output, &mut free);
            let read: Vec<PictureId> = layer.reads().filter(|id| last_read[*id] == step).collect();
            for placement in read.iter().map(|id| plan.placements[*id]) {
                // Borders must stay zero: buffers with a border are not reused.
                if !placement.has_border() && !free.contains(&placement.buffer) {
                    free.push(placement.buffer);
                }
            }
        }
        plan
    }

    /// Assigns a buffer to a picture: the free one that has to grow the least.
    fn assign_buffer(&mut self, picture: PictureId, free: &mut Vec<usize>) {
        let length = self.placements[picture].length();
        let nearest = (0..free.len()).min_by_key(|at| self.buffers[free[*at]].abs_diff(length));
        let buffer = match nearest.filter(|_| !self.placements[picture].has_border()) {
            Some(at) => free.swap_remove(at),
            None => {
                self.buffers.push(0);
                self.buffers.len() - 1
            }
        };
        self.buffers[buffer] = self.buffers[buffer].max(length);
        self.placements[picture].buffer = buffer;
    }

    /// New buffers for one thread.
    pub(super) fn workspace(&self) -> Workspace {
        let buffers = self.buffers.iter().map(|length| Buffer::new(*length)).collect();
        Workspace { buffers, scratch: Buffer::new(self.scratch) }
    }
}

/// The memory of one thread.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) buffers: Vec<Buffer>,
    /// Temporary memory of the running layer.
    pub(super) scratch: Buffer,
}
