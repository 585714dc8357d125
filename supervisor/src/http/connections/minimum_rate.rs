//! The minimum transfer rate of bodies, in both directions.
//!
//! Only time spent waiting for the client counts, not a slow disk or an event stream without
//! events. A client that transfers nothing is handled by the stall deadline; this detects one that
//! transfers just enough to never miss it.

use crate::http::connections::small_reads::SmallReads;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The client is below the minimum rate.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("the transfer is slower than the minimum rate")]
pub(crate) struct TooSlow;

/// Checks the average rate over consecutive windows of waiting time.
#[derive(Debug, Clone)]
pub(crate) struct MinimumRate {
    bytes_per_s_min: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl MinimumRate {
    /// Requires `bytes_per_s_min` on average over each `window` of waiting time.
    pub(crate) fn new(bytes_per_s_min: u64, window: Duration) -> Self {
        Self { bytes_per_s_min, window, waited: Duration::ZERO, bytes: 0 }
    }

    /// Records a transfer and the time waited for it.
    pub(crate) fn record(&mut self, waited: Duration, bytes: usize) -> Result<(), TooSlow> {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.window {
            return Ok(());
        }
        let needed = u128::from(self.bytes_per_s_min) * self.waited.as_millis() / 1000;
        if u128::from(self.bytes) < needed {
            return Err(TooSlow);
        }
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        Ok(())
    }
}

/// A stream with limited reads, whose peer must receive written data at the minimum rate.
#[derive(Debug)]
pub(crate) struct LimitedStream<S> {
    stream: S,
    reads: SmallReads,
    rate: MinimumRate,
    /// When the current write began to wait for the peer.
    waiting_since: Option<Instant>,
}

impl<S> LimitedStream<S> {
    pub(crate) fn new(stream: S, reads: SmallReads, rate: MinimumRate) -> Self {
        Self { stream, reads, rate, waiting_since: None }
    }

    fn check(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                self.waiting_since.get_or_insert_with(Instant::now);
                Poll::Pending
            }
            Poll::Ready(Ok(bytes)) => {
                let waited = self.waiting_since.take().map_or(Duration::ZERO, |at| at.elapsed());
                let recorded = self.rate.record(waited, bytes);
                Poll::Ready(match recorded {
                    Ok(()) => Ok(bytes),
                    Err(error) => Err(io::Error::new(ErrorKind::TimedOut, error)),
                })
            }
            failed => failed,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, reads, .. } = &mut *self;
        reads.poll_read(Pin::new(stream), context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.check(written)
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

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_rate_is_exact_to_the_byte_over_each_window() {
        let mut rate = MinimumRate::new(100, 10 * SECOND);
        assert_eq!(rate.record(9 * SECOND, 1), Ok(()), "the window is not over");
        assert_eq!(rate.record(SECOND, 999), Ok(()), "just enough");
        assert_eq!(rate.record(9 * SECOND, 999), Ok(()), "each window is checked alone");
        assert_eq!(rate.record(SECOND, 0), Err(TooSlow), "one byte less");
    }

    #[test]
    fn only_waiting_time_counts_and_a_rate_of_zero_disables_the_check() {
        let mut rate = MinimumRate::new(1_000_000, SECOND);
        for _ in 0..1000 {
            assert_eq!(rate.record(Duration::ZERO, 1), Ok(()));
        }
        let mut none = MinimumRate::new(0, SECOND);
        assert_eq!(none.record(1000 * SECOND, 0), Ok(()));
    }
}
