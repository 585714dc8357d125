//! A picture in memory, as it is between decoding, inference and encoding: planes of luma and
//! chroma, as codecs store them. RGB is made of single pixels ([`Pixels`]), of small pictures, and
//! of whole ones only where an enhancement needs it ([`RgbPicture`]).

pub mod colour;
mod pixels;
mod rgb;

pub use pixels::{Levels, ONE, Pixels, Positions, blend};
pub use rgb::RgbPicture;

/// Of how many luma samples one of chroma is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Subsampling {
    /// Two by two.
    #[default]
    Yuv420,
    /// Two of a row.
    Yuv422,
    /// Each luma sample has its own.
    Yuv444,
}

impl Subsampling {
    /// By how many binary digits chroma has fewer columns and rows than luma.
    pub const fn shifts(self) -> [u32; 2] {
        match self {
            Self::Yuv420 => [1, 1],
            Self::Yuv422 => [1, 0],
            Self::Yuv444 => [0, 0],
        }
    }
}

/// Which of their values samples use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SampleRange {
    /// Luma 16 to 235, chroma 16 to 240.
    #[default]
    Limited,
    /// All of them.
    Full,
}

/// What the samples of a picture are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// How much smaller the planes of chroma are.
    pub subsampling: Subsampling,
    /// Which values samples use.
    pub range: SampleRange,
}

impl Layout {
    /// Columns and rows of a plane: 0 luma, 1 and 2 chroma. A chroma sample at the edge may be of
    /// fewer pixels than others.
    pub const fn plane_size(&self, plane: usize) -> [usize; 2] {
        let [across, down] = match plane {
            0 => [0, 0],
            _ => self.subsampling.shifts(),
        };
        [
            (self.width as usize + across as usize) >> across,
            (self.height as usize + down as usize) >> down,
        ]
    }

    const fn plane_len(&self, plane: usize) -> usize {
        let [columns, rows] = self.plane_size(plane);
        columns * rows
    }
}

/// Planes of 8-bit luma and chroma (BT.601), tightly packed, rows from top to bottom, upright,
/// square pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    layout: Layout,
    /// Luma, then both kinds of chroma, then [`SLACK`].
    samples: Vec<u8>,
}

/// Bytes behind the last sample, so that two can be read where one is.
const SLACK: usize = 1;

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

    /// What the samples are.
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

    /// The same, to write.
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (luma, chroma) = self.samples.split_at_mut(self.layout.plane_len(0));
        let (u, rest) = chroma.split_at_mut(self.layout.plane_len(1));
        [luma, u, &mut rest[..self.layout.plane_len(2)]]
    }
}
