//! Limits the texts of a JSON document while it is read: a parser holds a whole text in memory, however long it is.

use std::io::{self, Read};

/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// Passes bytes on; fails at a text that is too long.
pub(super) struct TextLimit<R> {
    inner: R,
    /// Bytes of the text that has begun.
    text: Option<usize>,
    /// Whether the last byte was a backslash that escapes the next one.
    is_escaped: bool,
}

impl<R> TextLimit<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self { inner, text: None, is_escaped: false }
    }

    fn follow(&mut self, byte: u8) -> io::Result<()> {
        self.text = match (self.text, byte) {
            (None, b'"') => Some(0),
            (None, _) => None,
            (Some(_), b'"') if !self.is_escaped => None,
            (Some(TEXT_BYTES_MAX), _) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a text is too long"));
            }
            (Some(bytes), _) => Some(bytes + 1),
        };
        self.is_escaped = self.text.is_some() && byte == b'\\' && !self.is_escaped;
        Ok(())
    }
}

impl<R: Read> Read for TextLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        buffer[..read].iter().try_for_each(|byte| self.follow(*byte))?;
        Ok(read)
    }
}
