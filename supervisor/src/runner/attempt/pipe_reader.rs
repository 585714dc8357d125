//! The reading end of a pipe to which a worker writes. Used by `drive` alone.

use std::io;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// Most bytes read from a pipe at once.
const READ_BYTES_MAX: usize = 8 * 1024;

/// The pipe and its buffer.
#[derive(Debug)]
pub(super) struct PipeReader {
    pipe: pipe::Receiver,
    buffer: Box<[u8]>,
    pub(super) is_open: bool,
}

impl PipeReader {
    pub(super) fn new(pipe: pipe::Receiver) -> Self {
        Self { pipe, buffer: vec![0; READ_BYTES_MAX].into(), is_open: true }
    }

    /// Cancel-safe: bytes are either read completely or not at all.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        self.pipe.read(&mut self.buffer).await
    }

    /// The bytes of a read. An end of file or an error closes the reader.
    pub(super) fn accept(&mut self, read: io::Result<usize>) -> &[u8] {
        let bytes = read.unwrap_or(0);
        self.is_open = bytes > 0;
        &self.buffer[..bytes]
    }
}
