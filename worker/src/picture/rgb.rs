//! Whole pictures in RGB, for the enhancements and thumbnails.

use super::colour::Conversion;
use super::pixels::Pixels;
use super::planes::Picture;
use crate::simd::vectorized;

/// Pixels that are converted together.
const BLOCK: usize = 64;

/// Tightly packed RGB, 8 bits a channel, rows from top to bottom, upright, square pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RgbPicture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub rgb: Vec<u8>,
}

impl RgbPicture {
    /// A black picture.
    pub fn new(width: u32, height: u32) -> Self {
        let mut picture = Self::default();
        picture.resize(width, height);
        picture
    }

    /// Changes the size, keeping the allocation where it is large enough. Contents are undefined.
    pub fn resize(&mut self, width: u32, height: u32) {
        self.width = width;
        self.height = height;
        self.rgb.resize(width as usize * height as usize * 3, 0);
    }

    /// Converts a picture of luma and chroma into this one.
    pub fn convert(&mut self, picture: &Picture) {
        self.resize(picture.width(), picture.height());
        let layout = picture.layout();
        let ([luma, u, v], [across, down]) = (picture.planes(), layout.subsampling.shifts());
        let ([columns, _], [chroma_columns, _]) = (layout.plane_size(0), layout.plane_size(1));
        let conversion = Conversion::of(layout.range);
        vectorized(
            #[inline(always)]
            || {
                let rows = self.rgb.chunks_exact_mut((columns * 3).max(1));
                for (y, row) in rows.enumerate() {
                    let luma = &luma[y * columns..][..columns];
                    let at = (y >> down) * chroma_columns;
                    let (u, v) = (&u[at..][..chroma_columns], &v[at..][..chroma_columns]);
                    convert_row(conversion, (luma, [u, v], 1 << across), row);
                }
            },
        );
    }

    /// The bytes of one row.
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = self.width as usize * 3;
        &self.rgb[y as usize * stride..][..stride]
    }

    /// The bytes of one row, mutable.
    pub fn row_mut(&mut self, y: u32) -> &mut [u8] {
        let stride = self.width as usize * 3;
        &mut self.rgb[y as usize * stride..][..stride]
    }
}

impl From<&Picture> for RgbPicture {
    fn from(picture: &Picture) -> Self {
        let mut rgb = Self::default();
        rgb.convert(picture);
        rgb
    }
}

impl Pixels for RgbPicture {
    fn size(&self) -> [usize; 2] {
        [self.width as usize, self.height as usize]
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width as usize + x) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }
}

/// Converts one row; each chroma sample covers `shared` pixels.
#[inline(always)]
fn convert_row(
    conversion: Conversion,
    (luma, [u, v], shared): (&[u8], [&[u8]; 2], usize),
    into: &mut [u8],
) {
    let blocks = luma.chunks(BLOCK).zip(into.chunks_mut(3 * BLOCK));
    let chroma = u.chunks(BLOCK / shared).zip(v.chunks(BLOCK / shared));
    for ((luma, into), (u, v)) in blocks.zip(chroma) {
        let (mut of_u, mut of_v) = ([0; BLOCK], [0; BLOCK]);
        for (wide, narrow) in [(&mut of_u, u), (&mut of_v, v)] {
            match shared {
                1 => wide[..narrow.len()].copy_from_slice(narrow),
                _ => wide.chunks_exact_mut(2).zip(narrow).for_each(|(pair, one)| pair.fill(*one)),
            }
        }
        let mut of_luma = [0; BLOCK];
        of_luma[..luma.len()].copy_from_slice(luma);
        let (mut red, mut green, mut blue) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
        for i in 0..BLOCK {
            let sample = [of_luma[i].into(), of_u[i].into(), of_v[i].into()];
            let levels = conversion.levels(sample);
            red[i] = levels[0] as u8;
            green[i] = levels[1] as u8;
            blue[i] = levels[2] as u8;
        }
        for (i, pixel) in into.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[red[i], green[i], blue[i]]);
        }
    }
}
