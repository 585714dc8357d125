//! Blocking I/O outside the threads of the runtime.

use crate::http::problem::ApiError;
use tokio::task::spawn_blocking;

/// Runs blocking I/O and waits for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    spawn_blocking(work).await.map_err(|_| ApiError::Internal)
}
