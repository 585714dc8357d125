//! The least rate at which bodies have to move, in either direction.
//!
//! Only time spent waiting for the client counts: neither a slow disk nor a stream of events with
//! nothing to tell is the client's fault. That a client does nothing at all is seen elsewhere,
//! by its deadline; here is seen who does so little that no deadline is ever missed.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// A client is slower than it may be.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("the transfer is slower than the minimum rate")]
pub(crate) struct TooSlow;

/// Holds what comes or goes against a rate, one window of waiting after the other.
#[derive(Debug, Clone)]
pub(crate) struct LeastRate {
    bytes_per_s_min: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl LeastRate {
    /// So many bytes a second, on average over each `window` of waiting.
    pub(crate) fn new(bytes_per_s_min: u64, window: Duration) -> Self {
        Self { bytes_per_s_min, window, waited: Duration::ZERO, bytes: 0 }
    }

    /// So many bytes moved after so long a wait.
    pub(crate) fn note(&mut self, waited: Duration, bytes: usize) -> Result<(), TooSlow> {
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

/// A stream whose other end has to take what is written at the least rate.
#[derive(Debug)]
pub(crate) struct RatedWrites<S> {
    stream: S,
    rate: LeastRate,
    /// Since when the other end takes nothing.
    waiting_since: Option<Instant>,
}

impl<S> RatedWrites<S> {
    pub(crate) fn new(stream: S, rate: LeastRate) -> Self {
        Self { stream, rate, waiting_since: None }
    }

    fn note(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                self.waiting_since.get_or_insert_with(Instant::now);
                Poll::Pending
            }
            Poll::Ready(Ok(bytes)) => {
                let waited = self.waiting_since.take().map_or(Duration::ZERO, |at| at.elapsed());
                let noted = self.rate.note(waited, bytes);
                Poll::Ready(match noted {
                    Ok(()) => Ok(bytes),
                    Err(error) => Err(io::Error::new(ErrorKind::TimedOut, error)),
                })
            }
            failed => failed,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RatedWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RatedWrites<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(written)
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
    fn the_rate_holds_to_the_byte_over_each_window() {
        let mut rate = LeastRate::new(100, 10 * SECOND);
        assert_eq!(rate.note(9 * SECOND, 1), Ok(()), "the window is not over");
        assert_eq!(rate.note(SECOND, 999), Ok(()), "just enough");
        assert_eq!(rate.note(9 * SECOND, 999), Ok(()), "what came before no longer counts");
        assert_eq!(rate.note(SECOND, 0), Err(TooSlow), "one byte less");
    }

    #[test]
    fn only_waiting_counts_and_a_rate_of_nothing_is_none() {
        let mut rate = LeastRate::new(1_000_000, SECOND);
        for _ in 0..1000 {
            assert_eq!(rate.note(Duration::ZERO, 1), Ok(()));
        }
        let mut none = LeastRate::new(0, SECOND);
        assert_eq!(none.note(1000 * SECOND, 0), Ok(()));
    }
}
