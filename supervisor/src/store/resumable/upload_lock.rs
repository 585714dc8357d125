//! One request at a time works on an upload, and a newer one takes it over.
//!
//! A client whose line broke comes back before this side has noticed. Its new request must not
//! wait for the old one to time out, so the old one is told to give up.

use crate::policy::job::JobId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Who holds which upload.
#[derive(Debug, Default)]
pub(crate) struct UploadLocks {
    slots: Mutex<HashMap<JobId, Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    turn: Arc<Turn<()>>,
    /// Cancelled once somebody newer wants it.
    latest: CancellationToken,
}

/// An upload that nobody else works on; free again when dropped.
#[derive(Debug)]
pub(crate) struct UploadLock {
    holds: Arc<UploadLocks>,
    id: JobId,
    turn: Option<OwnedMutexGuard<()>>,
    wanted: CancellationToken,
}

impl UploadLocks {
    fn slots(&self) -> MutexGuard<'_, HashMap<JobId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an upload from whoever has it; nothing if that does not give up in time.
    pub(crate) async fn take(
        self: &Arc<Self>,
        id: JobId,
        patience: Duration,
    ) -> Option<UploadLock> {
        let (turn, wanted) = {
            let mut slots = self.slots();
            let slot = slots.entry(id).or_default();
            slot.latest.cancel();
            slot.latest = CancellationToken::new();
            (Arc::clone(&slot.turn), slot.latest.clone())
        };
        let turn = timeout(patience, turn.lock_owned()).await.ok()?;
        Some(UploadLock { holds: Arc::clone(self), id, turn: Some(turn), wanted })
    }

    /// Takes an upload that nobody has.
    pub(crate) fn try_take(self: &Arc<Self>, id: JobId) -> Option<UploadLock> {
        let mut slots = self.slots();
        let slot = slots.entry(id).or_default();
        let turn = Arc::clone(&slot.turn).try_lock_owned().ok()?;
        let wanted = slot.latest.clone();
        Some(UploadLock { holds: Arc::clone(self), id, turn: Some(turn), wanted })
    }
}

impl UploadLock {
    /// The upload.
    pub(crate) const fn id(&self) -> JobId {
        self.id
    }

    /// Returns once somebody newer wants it.
    pub(crate) async fn wanted(&self) {
        self.wanted.cancelled().await;
    }
}

impl Drop for UploadLock {
    fn drop(&mut self) {
        let mut slots = self.holds.slots();
        self.turn = None;
        // Whoever waits has a share of the turn.
        if slots.get(&self.id).is_some_and(|slot| Arc::strong_count(&slot.turn) == 1) {
            slots.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_newer_request_gets_what_the_older_gives_up() {
        let (holds, id) = (Arc::new(UploadLocks::default()), JobId::random());
        let first = holds.take(id, LONG).await.expect("nobody has it");
        assert!(holds.try_take(id).is_none(), "it is taken");
        let (second, ()) = tokio::join!(holds.take(id, LONG), async {
            first.wanted().await;
            drop(first);
        });
        drop(second.expect("it was given up"));
        assert!(holds.slots().is_empty(), "nothing is remembered of what nobody has");
    }

    #[tokio::test]
    async fn who_does_not_give_up_is_not_waited_for() {
        let (holds, id) = (Arc::new(UploadLocks::default()), JobId::random());
        let stubborn = holds.take(id, LONG).await.expect("nobody has it");
        assert!(holds.take(id, Duration::from_millis(1)).await.is_none());
        assert!(holds.take(JobId::random(), LONG).await.is_some(), "another is free");
        drop(stubborn);
        assert!(holds.slots().is_empty());
    }
}
