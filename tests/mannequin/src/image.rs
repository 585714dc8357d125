//! An RGB picture in memory. Made by the renderer, read by the clip encoder and by tests.

/// A picture, 8 bits a channel, rows from top to bottom without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes: R, G, B.
    pub data: Vec<u8>,
}

impl RgbImage {
    /// The colour at column `x`, row `y`.
    ///
    /// # Panics
    /// When the pixel lies outside the picture.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        assert!(x < self.width && y < self.height, "no pixel at ({x}, {y})");
        let at = (y as usize * self.width as usize + x as usize) * 3;
        [self.data[at], self.data[at + 1], self.data[at + 2]]
    }
}
