//! The bytes of one artefact, read at given positions through small buffers.
//!
//! The file's own offset is neither used nor changed: the descriptor is shared with the worker that wrote the file.

use super::invalid::Invalid;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

/// Size of a buffer.
const BUFFER_BYTES: usize = 16 << 10;

/// Most bytes that are read at once.
pub(super) const PIECE_BYTES_MAX: usize = 64 << 10;

/// Bytes that can be read at a position.
pub(super) trait ReadAt {
    /// As pread(2).
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, at)
    }
}

/// What is in memory.
impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}

/// The bytes of one artefact.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    source: &'a dyn ReadAt,
    bytes: u64,
}

impl<'a> Content<'a> {
    pub(super) fn of_file(file: &'a File) -> io::Result<Self> {
        Ok(Self { source: file, bytes: file.metadata()?.len() })
    }

    pub(super) fn of_bytes(bytes: &'a Vec<u8>) -> Self {
        Self { source: bytes, bytes: bytes.len() as u64 }
    }

    /// Its size.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes at a position.
    pub(super) fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], Invalid> {
        let mut array = [0; N];
        self.section(at, self.bytes).read_exact(&mut array)?;
        Ok(array)
    }

    /// So many bytes at a position, at most [`PIECE_BYTES_MAX`].
    pub(super) fn piece(&self, at: u64, bytes: u64) -> Result<Vec<u8>, Invalid> {
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= PIECE_BYTES_MAX);
        let bytes = bytes.ok_or(Invalid::Malformed("a part of it is too large"))?;
        let mut piece = vec![0; bytes];
        self.section(at, self.bytes).read_exact(&mut piece)?;
        Ok(piece)
    }

    /// The last bytes, at most so many, and where they begin.
    pub(super) fn tail(&self, bytes_max: u64) -> Result<(u64, Vec<u8>), Invalid> {
        let bytes = self.bytes.min(bytes_max);
        let at = self.bytes - bytes;
        Ok((at, self.piece(at, bytes)?))
    }

    /// The bytes from one position to another.
    pub(super) fn section(&self, from: u64, to: u64) -> Section<'a> {
        Section { source: self.source, at: from, end: to.min(self.bytes) }
    }

    /// The same, read through a buffer.
    pub(super) fn buffered(&self, from: u64, to: u64) -> BufReader<Section<'a>> {
        BufReader::with_capacity(BUFFER_BYTES, self.section(from, to))
    }
}

/// A part of an artefact, read from its beginning to its end.
pub(super) struct Section<'a> {
    source: &'a dyn ReadAt,
    at: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.at);
        let bytes = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.source.read_at(&mut buffer[..bytes], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
