//! File operations from async code.

use tokio::task::spawn_blocking;

/// Runs file operations on a thread of their own, so that they do not stall the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> T + Send + 'static,
) -> T {
    match spawn_blocking(operation).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
