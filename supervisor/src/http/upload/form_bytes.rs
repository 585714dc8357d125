//! The bytes of a form on their way to its parser, which keeps all that it cannot parse yet: what comes before the
//! first field, and headers of fields. Limits how much that is.

use crate::http::upload::body::{BodyError, Chunks};
use bytes::Bytes;
use futures_util::{Stream, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use thiserror::Error;
use tokio::task::yield_now;

/// Most bytes that are passed on without any parsed in return, the last chunk apart. Browsers send a few hundred before
/// each field.
const UNPARSED_BYTES_MAX: usize = 16 * 1024;

/// How often there is no chunk after one: the parser looks at it after one or two reads.
const PAUSES: usize = 2;

/// Why the stream ends early.
#[derive(Debug, Clone, Copy, Error)]
pub(crate) enum FormBytesError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("more than {UNPARSED_BYTES_MAX} bytes before a field")]
    Unparsed,
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

/// The stream for the parser.
pub(crate) fn form_bytes(
    chunks: Chunks,
    unparsed: Unparsed,
) -> impl Stream<Item = Result<Bytes, FormBytesError>> {
    stream::unfold((chunks, unparsed, 0), |(mut chunks, unparsed, pauses)| async move {
        // Lets the parser look at the last chunk before it gets another: by itself it reads all there is.
        for _ in 0..pauses {
            yield_now().await;
        }
        let chunk = if unparsed.0.load(Ordering::Relaxed) > UNPARSED_BYTES_MAX {
            Err(FormBytesError::Unparsed)
        } else {
            chunks.next().await?.map_err(FormBytesError::Body)
        };
        let bytes = chunk.as_ref().map_or(0, Bytes::len);
        unparsed.0.fetch_add(bytes, Ordering::Relaxed);
        Some((chunk, (chunks, unparsed, PAUSES)))
    })
}
