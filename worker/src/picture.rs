//! A picture in memory: the one pixel format between decoding, inference and encoding.

/// Tightly packed RGB, 8 bits a channel, rows from top to bottom, upright, square pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub rgb: Vec<u8>,
}

impl Picture {
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

    /// The bytes of one row.
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = self.width as usize * 3;
        &self.rgb[y as usize * stride..][..stride]
    }

    /// The bytes of one row, to write.
    pub fn row_mut(&mut self, y: u32) -> &mut [u8] {
        let stride = self.width as usize * 3;
        &mut self.rgb[y as usize * stride..][..stride]
    }
}
