//! Removals that a disk or a lack of descriptors holds up: tried again until they succeed.
//!
//! Called by whoever removes files of jobs. Only for what nobody can make again under the same
//! name: a removal may happen much later than it was asked for. One that the end of the service
//! cuts short is the next start's, which sweeps.

use crate::policy::job::JobId;
use crate::store::error::StateError;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// First pause between two tries; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Returns when the files of the job are gone, or after the first try that failed; then goes on
/// by itself.
pub(crate) async fn retry_until_done(
    job: JobId,
    removal: impl Fn() -> Result<(), StateError> + Clone + Send + 'static,
) {
    if let Err(error) = attempt(removal.clone()).await {
        if !error.may_pass() {
            tracing::error!(%job, %error, "cannot delete files of a job");
            return;
        }
        tracing::warn!(%job, %error, "cannot delete files of a job yet; retrying");
        tokio::spawn(go_on(job, removal));
    }
}

async fn go_on(job: JobId, removal: impl Fn() -> Result<(), StateError> + Clone + Send + 'static) {
    let mut pause = PAUSE_MIN;
    loop {
        sleep(pause).await;
        match attempt(removal.clone()).await {
            Ok(()) => return tracing::info!(%job, "files of a job deleted"),
            Err(error) if error.may_pass() => pause = (pause * 2).min(PAUSE_MAX),
            Err(error) => {
                return tracing::error!(%job, %error, "cannot delete files of a job");
            }
        }
    }
}

async fn attempt(
    removal: impl Fn() -> Result<(), StateError> + Send + 'static,
) -> Result<(), StateError> {
    match spawn_blocking(removal).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
