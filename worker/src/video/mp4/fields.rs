//! Reads numbers at the beginning of a box. Called by the files of this folder that read an index.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes that are read; every number of interest is in them.
const BYTES_MAX: u64 = 160;

/// The first bytes of the contents of a box.
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// Reads the beginning of these contents.
    pub(super) fn read(file: &impl FileExt, contents: &Range<u64>) -> io::Result<Self> {
        let length = contents.end.saturating_sub(contents.start).min(BYTES_MAX);
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, contents.start)?;
        Ok(Self(bytes))
    }

    /// The bytes at an offset.
    pub(super) fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    /// The number in 32 bits at an offset.
    pub(super) fn word(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_be_bytes)
    }

    /// The number in this many bytes, four or eight, at an offset.
    pub(super) fn number(&self, at: usize, width: usize) -> Option<u64> {
        if width == 4 {
            self.word(at).map(u64::from)
        } else {
            self.bytes(at).map(u64::from_be_bytes)
        }
    }

    /// Number of bytes of a time: from version 1 of a header on, times have 64 bits.
    pub(super) fn time_width(&self) -> usize {
        if self.0.first().is_none_or(|version| *version == 0) { 4 } else { 8 }
    }
}
