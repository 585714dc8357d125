//! Pictures as planes of luma and chroma.

use super::colour;
use super::layout::Layout;

/// Planes of 8-bit luma and chroma (BT.601), tightly packed, rows from top to bottom, upright,
/// square pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    pub(super) layout: Layout,
    /// Luma, then both kinds of chroma, then [`SLACK`] bytes.
    pub(super) samples: Vec<u8>,
}

/// Bytes after the last sample, so that a pair can be read at the last one.
pub(super) const SLACK: usize = 1;

impl Picture {
    /// A black picture.
    pub fn new(layout: Layout) -> Self {
        let mut picture = Self::default();
        picture.resize(layout);
        picture.fill([0; 3]);
        picture
    }

    /// Changes the layout, keeping the allocation where it is large enough. Contents are undefined.
    pub fn resize(&mut self, layout: Layout) {
        self.layout = layout;
        self.samples.resize(layout.plane_len(0) + 2 * layout.plane_len(1) + SLACK, 0);
    }

    /// Makes the whole picture one colour, given in red, green and blue.
    pub fn fill(&mut self, rgb: [u8; 3]) {
        let levels = colour::of_rgb(rgb, self.layout.range);
        for (plane, level) in self.planes_mut().into_iter().zip(levels) {
            plane.fill(level);
        }
    }

    /// Size and sample format.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Width in pixels.
    pub const fn width(&self) -> u32 {
        self.layout.width
    }

    /// Height in pixels.
    pub const fn height(&self) -> u32 {
        self.layout.height
    }

    /// Luma and both kinds of chroma.
    pub fn planes(&self) -> [&[u8]; 3] {
        let (luma, chroma) = self.samples.split_at(self.layout.plane_len(0));
        let (u, rest) = chroma.split_at(self.layout.plane_len(1));
        [luma, u, &rest[..self.layout.plane_len(2)]]
    }

    /// Luma and both kinds of chroma, mutable.
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (luma, chroma) = self.samples.split_at_mut(self.layout.plane_len(0));
        let (u, rest) = chroma.split_at_mut(self.layout.plane_len(1));
        [luma, u, &mut rest[..self.layout.plane_len(2)]]
    }
}
