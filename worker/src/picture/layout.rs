//! The sample formats of pictures. Pure.

/// How chroma is subsampled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Subsampling {
    /// One chroma sample for two by two pixels.
    #[default]
    Yuv420,
    /// One chroma sample for two pixels of a row.
    Yuv422,
    /// One chroma sample for each pixel.
    Yuv444,
}

impl Subsampling {
    /// Right shifts from luma to chroma columns and rows.
    pub const fn shifts(self) -> [u32; 2] {
        match self {
            Self::Yuv420 => [1, 1],
            Self::Yuv422 => [1, 0],
            Self::Yuv444 => [0, 0],
        }
    }
}

/// The range of values that samples use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SampleRange {
    /// Luma 16 to 235, chroma 16 to 240.
    #[default]
    Limited,
    /// All 256 values.
    Full,
}

/// Size and sample format of a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// How much smaller the planes of chroma are.
    pub subsampling: Subsampling,
    /// The range of values that samples use.
    pub range: SampleRange,
}

impl Layout {
    /// Columns and rows of a plane: 0 luma, 1 and 2 chroma. A chroma sample at the edge may
    /// cover fewer pixels than others.
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

    pub(super) const fn plane_len(&self, plane: usize) -> usize {
        let [columns, rows] = self.plane_size(plane);
        columns * rows
    }
}
