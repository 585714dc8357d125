//! Lets one request at a time work on an upload; a newer request takes it over.
//!
//! A client whose connection broke returns before this side has noticed. Its new request must not
//! wait until the old one times out, so the old one is asked to release the upload.

use crate::policy::job::JobId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The lock of each upload in use.
#[derive(Debug, Default)]
pub(crate) struct UploadLocks {
    slots: Mutex<HashMap<JobId, Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    mutex: Arc<AsyncMutex<()>>,
    /// Cancelled once a newer request wants the upload.
    latest: CancellationToken,
}

/// Exclusive access to an upload; released when dropped.
#[derive(Debug)]
pub(crate) struct UploadLock {
    locks: Arc<UploadLocks>,
    id: JobId,
    guard: Option<OwnedMutexGuard<()>>,
    wanted: CancellationToken,
}

impl UploadLocks {
    fn slots(&self) -> MutexGuard<'_, HashMap<JobId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over an upload; none if its holder does not release it within `takeover_timeout`.
    pub(crate) async fn take(
        self: &Arc<Self>,
        id: JobId,
        takeover_timeout: Duration,
    ) -> Option<UploadLock> {
        let (mutex, wanted) = {
            let mut slots = self.slots();
            let slot = slots.entry(id).or_default();
            slot.latest.cancel();
            slot.latest = CancellationToken::new();
            (Arc::clone(&slot.mutex), slot.latest.clone())
        };
        let guard = timeout(takeover_timeout, mutex.lock_owned()).await.ok()?;
        Some(UploadLock { locks: Arc::clone(self), id, guard: Some(guard), wanted })
    }

    /// Locks an upload that no request works on.
    pub(crate) fn try_take(self: &Arc<Self>, id: JobId) -> Option<UploadLock> {
        let mut slots = self.slots();
        let slot = slots.entry(id).or_default();
        let guard = Arc::clone(&slot.mutex).try_lock_owned().ok()?;
        let wanted = slot.latest.clone();
        Some(UploadLock { locks: Arc::clone(self), id, guard: Some(guard), wanted })
    }
}

impl UploadLock {
    /// The locked upload.
    pub(crate) const fn id(&self) -> JobId {
        self.id
    }

    /// Resolves once a newer request wants the upload.
    pub(crate) async fn takeover_requested(&self) {
        self.wanted.cancelled().await;
    }
}

impl Drop for UploadLock {
    fn drop(&mut self) {
        let mut slots = self.locks.slots();
        self.guard = None;
        // Waiting requests have a clone of the mutex.
        if slots.get(&self.id).is_some_and(|slot| Arc::strong_count(&slot.mutex) == 1) {
            slots.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_newer_request_gets_the_upload_when_the_older_releases_it() {
        let (locks, id) = (Arc::new(UploadLocks::default()), JobId::random());
        let first = locks.take(id, LONG).await.expect("it is free");
        assert!(locks.try_take(id).is_none(), "it is taken");
        let (second, ()) = tokio::join!(locks.take(id, LONG), async {
            first.takeover_requested().await;
            drop(first);
        });
        drop(second.expect("it was released"));
        assert!(locks.slots().is_empty(), "released locks leave no entry");
    }

    #[tokio::test]
    async fn taking_over_fails_if_the_holder_does_not_release_in_time() {
        let (locks, id) = (Arc::new(UploadLocks::default()), JobId::random());
        let holder = locks.take(id, LONG).await.expect("it is free");
        assert!(locks.take(id, Duration::from_millis(1)).await.is_none());
        assert!(locks.take(JobId::random(), LONG).await.is_some(), "another is free");
        drop(holder);
        assert!(locks.slots().is_empty());
    }
}
