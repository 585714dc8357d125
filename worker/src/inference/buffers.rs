//! Where the pictures between the layers lie: a few buffers, each used by one picture after the
//! other. Planned once for a network; made anew for each thread that runs it.

use super::network::{BORDER, Id, Network, Shape};
use crate::simd::vector::LANES;
use std::ops::{Deref, DerefMut};

/// Floats to a line of the cache.
const LINE: usize = LANES;

/// Numbers that begin where a line of the cache does, so that no vector lies across two.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    storage: Vec<f32>,
    start: usize,
}

impl Buffer {
    /// So many zeros.
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

/// Where a picture lies in its buffer. Its channels lie by sixteens, one after the other; a pixel
/// of sixteen channels is a vector, next to its neighbours of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) buffer: usize,
    pub(super) shape: Shape,
    /// Floats from one row to the next.
    pub(super) row: usize,
    /// Floats from sixteen channels to the next.
    pub(super) block: usize,
    /// The first pixel of the first row.
    pub(super) start: usize,
}

impl Place {
    /// Of the given picture, in no buffer yet.
    fn of(shape: Shape, has_border: bool) -> Self {
        let border = if has_border { BORDER } else { 0 };
        let row = (shape.width + 2 * border) * LANES;
        let block = (shape.height + 2 * border) * row;
        Self { buffer: 0, shape, row, block, start: border * (row + LANES) }
    }

    const fn has_border(&self) -> bool {
        self.start > 0
    }

    /// Floats of the whole, border included.
    const fn length(&self) -> usize {
        self.block * self.shape.blocks()
    }
}

/// Where all pictures of a network lie, and how large the buffers are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) places: Vec<Place>,
    buffers: Vec<usize>,
    scratch: usize,
}

impl Plan {
    /// For a network.
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
        let place = |(shape, border): (&Shape, bool)| Place::of(*shape, border);
        let places = network.pictures.iter().zip(has_border).map(place).collect();
        let mut plan = Self { places, buffers: Vec::new(), scratch };
        let mut free: Vec<usize> = Vec::new();
        for (step, layer) in network.layers.iter().enumerate() {
            plan.place(layer.output, &mut free);
            let read: Vec<Id> = layer.reads().filter(|id| last_read[*id] == step).collect();
            for place in read.iter().map(|id| plan.places[*id]) {
                // Borders must stay zero: nothing else may come where one is.
                if !place.has_border() && !free.contains(&place.buffer) {
                    free.push(place.buffer);
                }
            }
        }
        plan
    }

    /// Finds a buffer for a picture: the free one that has to grow the least.
    fn place(&mut self, picture: Id, free: &mut Vec<usize>) {
        let length = self.places[picture].length();
        let nearest = (0..free.len()).min_by_key(|at| self.buffers[free[*at]].abs_diff(length));
        let buffer = match nearest.filter(|_| !self.places[picture].has_border()) {
            Some(at) => free.swap_remove(at),
            None => {
                self.buffers.push(0);
                self.buffers.len() - 1
            }
        };
        self.buffers[buffer] = self.buffers[buffer].max(length);
        self.places[picture].buffer = buffer;
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
    /// For what a layer needs while it runs.
    pub(super) scratch: Buffer,
}
