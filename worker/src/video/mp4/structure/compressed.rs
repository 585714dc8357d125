//! Checks the boxes of a compressed index (QuickTime File Format: `cmov`), which the demuxer expands.
//! Called by `structure`.

use super::{StructureError, walk};
use flate2::read::ZlibDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Most bytes of an expanded index, which is held in memory; an hour of video takes two or three.
const EXPANDED_BYTES_MAX: u64 = 32 << 20;
/// The stated size before the compressed bytes.
const SIZE_BYTES: u64 = 4;

/// Expands and checks the index with these contents.
pub(super) fn check(file: &File, contents: &Range<u64>) -> Result<(), StructureError> {
    let compressed = Section { file, left: contents.start + SIZE_BYTES..contents.end };
    let mut expanded = Vec::new();
    let mut decoder = ZlibDecoder::new(compressed).take(EXPANDED_BYTES_MAX + 1);
    decoder.read_to_end(&mut expanded).map_err(|_| StructureError::Compressed)?;
    let length = expanded.len() as u64;
    if length > EXPANDED_BYTES_MAX {
        return Err(StructureError::Compressed);
    }
    // The demuxer expands one, and no program puts another into it.
    walk(&Expanded(expanded), length, |_| Err(StructureError::Compressed))
}

/// A part of a file as a stream, without its offset.
struct Section<'a> {
    file: &'a File,
    left: Range<u64>,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.end.saturating_sub(self.left.start);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..wanted], self.left.start)?;
        self.left.start += read as u64;
        Ok(read)
    }
}

/// Bytes that are read as a file is.
struct Expanded(Vec<u8>);

impl FileExt for Expanded {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let mut rest = &self.0[start..];
        rest.read(buffer)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
