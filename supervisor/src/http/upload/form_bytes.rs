//! The bytes of a form on their way to its parser, which keeps all that it cannot parse yet: what comes before the
//! first field, and headers of fields. Limits how much that is.

use crate::http::upload::body::{BodyError, Chunks};
use bytes::Bytes;
use futures_util::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use thiserror::Error;

/// Most bytes that are passed on without any parsed in return, the last chunk apart. Browsers send a few hundred before
/// each field.
const UNPARSED_BYTES_MAX: usize = 16 * 1024;

/// Why the stream ends early.
#[derive(Debug, Clone, Copy, Error)]
pub(crate) enum FormBytesError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("more than {UNPARSED_BYTES_MAX} bytes before a field")]
    Unparsed,
}

/// The stream for the parser.
pub(crate) struct FormBytes {
    chunks: Chunks,
    unparsed: Unparsed,
    /// Whether the parser has to look at the last chunk before it gets another: by itself it reads all there is.
    pauses: bool,
}

/// Number of bytes that were passed on since the parser last produced something.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unparsed(Arc<AtomicUsize>);

impl Unparsed {
    /// To be called for all that the parser produces.
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl FormBytes {
    pub(crate) fn new(chunks: Chunks) -> (Self, Unparsed) {
        let unparsed = Unparsed::default();
        (Self { chunks, unparsed: unparsed.clone(), pauses: false }, unparsed)
    }
}

impl Stream for FormBytes {
    type Item = Result<Bytes, FormBytesError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pauses) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.unparsed.0.load(Ordering::Relaxed) > UNPARSED_BYTES_MAX {
            return Poll::Ready(Some(Err(FormBytesError::Unparsed)));
        }
        let chunk = ready!(Pin::new(&mut self.chunks).poll_next(cx));
        if let Some(Ok(bytes)) = &chunk {
            self.unparsed.0.fetch_add(bytes.len(), Ordering::Relaxed);
            self.pauses = true;
        }
        Poll::Ready(chunk.map(|chunk| chunk.map_err(FormBytesError::Body)))
    }
}
