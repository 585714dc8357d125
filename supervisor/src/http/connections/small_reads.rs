//! Limits how much one read of a connection returns while there are many connections, so that hyper does not enlarge its
//! buffer for a client that sends fast: it keeps the larger one as long as the connection is open. Larger reads take a third
//! of the processor time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// One byte less than the first buffer of hyper, which grows when a read fills it.
const READ_BYTES_MAX: usize = 8 * 1024 - 1;

/// Number of connections up to which reads have any size.
const CONNECTIONS_FEW: usize = 64;

/// How long the reads of a connection may be.
#[derive(Debug)]
pub(crate) struct SmallReads {
    connections: Arc<AtomicUsize>,
}

impl SmallReads {
    /// `connections` is the current number of connections.
    pub(crate) fn new(connections: Arc<AtomicUsize>) -> Self {
        Self { connections }
    }

    /// Reads from the stream of the connection.
    pub(crate) fn poll_read(
        &self,
        stream: Pin<&mut impl AsyncRead>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.connections.load(Ordering::Relaxed) <= CONNECTIONS_FEW {
            return stream.poll_read(context, buffer);
        }
        let bytes_max = buffer.remaining().min(READ_BYTES_MAX);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(bytes_max));
        ready!(stream.poll_read(context, &mut part))?;
        let bytes = part.filled().len();
        buffer.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    async fn read(reads: &SmallReads, content: &mut &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; 16 * 1024];
        let mut buffer = ReadBuf::new(&mut buffer);
        let read = poll_fn(|context| reads.poll_read(Pin::new(content), context, &mut buffer));
        read.await.expect("readable");
        buffer.filled().to_vec()
    }

    #[tokio::test]
    async fn reads_are_short_among_many_connections_and_no_byte_is_lost() {
        let content: Vec<u8> = (0..50_000u32).map(|n| n as u8).collect();
        let connections = Arc::new(AtomicUsize::new(CONNECTIONS_FEW + 1));
        let reads = SmallReads::new(Arc::clone(&connections));
        let (mut rest, mut received) = (&content[..], Vec::new());
        while received.len() < 40_000 {
            let part = read(&reads, &mut rest).await;
            assert!((1..8 * 1024).contains(&part.len()), "{} bytes", part.len());
            received.extend(part);
        }
        connections.store(CONNECTIONS_FEW, Ordering::Relaxed);
        let part = read(&reads, &mut rest).await;
        assert!(part.len() > 8 * 1024, "{} bytes", part.len());
        received.extend(part);
        assert!(received == content);
    }
}
