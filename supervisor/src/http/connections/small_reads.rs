//! Limits how much one read of a connection returns while there are many connections, so that hyper does not enlarge its
//! buffer for a client that sends fast: it keeps the larger one as long as the connection is open. Larger reads take a third
//! of the processor time.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One byte less than the first buffer of hyper, which grows when a read fills it.
const READ_BYTES_MAX: usize = 8 * 1024 - 1;

/// Number of connections up to which reads have any size.
const CONNECTIONS_FEW: usize = 64;

/// A stream whose reads are short while there are many connections.
#[derive(Debug)]
pub(crate) struct SmallReads<S> {
    stream: S,
    connections: Arc<AtomicUsize>,
}

impl<S> SmallReads<S> {
    /// `connections` is the current number of connections.
    pub(crate) fn new(stream: S, connections: Arc<AtomicUsize>) -> Self {
        Self { stream, connections }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SmallReads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.connections.load(Ordering::Relaxed) <= CONNECTIONS_FEW {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let bytes_max = buffer.remaining().min(READ_BYTES_MAX);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(bytes_max));
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        let bytes = part.filled().len();
        buffer.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SmallReads<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn reads_are_short_among_many_connections_and_no_byte_is_lost() {
        let content: Vec<u8> = (0..50_000u32).map(|n| n as u8).collect();
        let connections = Arc::new(AtomicUsize::new(CONNECTIONS_FEW + 1));
        let mut stream = SmallReads::new(&content[..], Arc::clone(&connections));
        let (mut received, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
        while received.len() < 40_000 {
            let bytes = stream.read(&mut buffer).await.expect("readable");
            assert!((1..8 * 1024).contains(&bytes), "{bytes} bytes");
            received.extend_from_slice(&buffer[..bytes]);
        }
        connections.store(CONNECTIONS_FEW, Ordering::Relaxed);
        let bytes = stream.read(&mut buffer).await.expect("readable");
        received.extend_from_slice(&buffer[..bytes]);
        assert!(bytes > 8 * 1024 && received == content, "{bytes} bytes");
    }
}
