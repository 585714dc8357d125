//! Retries deletions that fail for a passing reason, such as a full disk or a lack of descriptors.
//!
//! Only for names that cannot be created again, because a retry may happen much later. What is
//! left when the service stops is deleted by the next start.

use crate::policy::job::JobId;
use crate::store::StateError;
use std::time::Duration;
use tokio::time::sleep;

/// First pause between two tries; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Deletes files of a job. Returns after the first try; if it failed for a passing reason, retries
/// continue in the background.
pub(crate) async fn retry_until_done<F>(job: JobId, delete: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = Result<(), StateError>> + Send + 'static,
{
    if let Err(error) = delete().await {
        if !error.may_pass() {
            tracing::error!(%job, %error, "cannot delete files of a job");
            return;
        }
        tracing::warn!(%job, %error, "cannot delete files of a job yet; retrying");
        tokio::spawn(retry_in_background(job, delete));
    }
}

async fn retry_in_background<F>(job: JobId, delete: impl Fn() -> F + Send)
where
    F: Future<Output = Result<(), StateError>> + Send + 'static,
{
    let mut pause = PAUSE_MIN;
    loop {
        sleep(pause).await;
        match delete().await {
            Ok(()) => return tracing::info!(%job, "files of a job deleted"),
            Err(error) if error.may_pass() => pause = (pause * 2).min(PAUSE_MAX),
            Err(error) => {
                return tracing::error!(%job, %error, "cannot delete files of a job");
            }
        }
    }
}
