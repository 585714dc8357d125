//! The journal's thread: writes what it is told in batches, keeps what cannot be written yet, and
//! looks whether the files are still those that a next start will open.
//!
//! Started by [`super::Journal::open`]. It must not say that something is on the disk before it
//! has looked after the commit.

use super::store::Store;
use super::{Entry, JournalError, JournalState, What};
use crate::clock::Clock;
use crate::failpoint;
use crate::job::JobId;
use std::collections::HashMap;
use std::mem::replace;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// How often the files are looked at when nothing is written, and how often what could not be
/// written is tried again.
const TICK: Duration = Duration::from_secs(1);

/// How often the clock is written down when nothing else is.
const CLOCK_PERIOD: Duration = Duration::from_secs(60);

/// Most entries of one commit.
const BATCH_MAX: usize = 256;

/// An entry, and who waits for it.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) entry: Entry,
    pub(super) done: Option<oneshot::Sender<Result<(), Arc<JournalError>>>>,
}

/// The thread's side.
pub(super) struct Keeper {
    store: Store,
    clock: Clock,
    is_lost: bool,
    state: watch::Sender<JournalState>,
}

impl Keeper {
    pub(super) const fn new(
        store: Store,
        clock: Clock,
        state: watch::Sender<JournalState>,
    ) -> Self {
        Self { store, clock, is_lost: false, state }
    }

    pub(super) fn keep(mut self, inbox: &Receiver<Order>) {
        let mut unwritten = Vec::new();
        let mut written = Instant::now();
        loop {
            let first = match inbox.recv_timeout(TICK) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let is_idle = first.is_none() && unwritten.is_empty() && self.store.is_begun();
            if is_idle && written.elapsed() < CLOCK_PERIOD {
                // What is wrong is logged and told by it.
                let _ = self.look();
                self.tell(&unwritten);
                continue;
            }
            let batch = first.into_iter().chain(inbox.try_iter()).take(BATCH_MAX);
            unwritten = self.carry_out(unwritten.into_iter().chain(batch).collect());
            written = Instant::now();
        }
        let lost = self.carry_out(unwritten);
        if !lost.is_empty() {
            let entries = lost.len();
            tracing::error!(entries, "the journal ends without what could not be written");
        }
        if let Err(error) = self.store.close(&self.clock) {
            tracing::warn!(%error, "the journal ends with its latest entries in its log alone");
        }
    }

    /// Writes a batch; gives back what could not be written and is to be tried again.
    fn carry_out(&mut self, batch: Vec<Order>) -> Vec<Order> {
        let unwritten = latest(self.write(batch));
        self.tell(&unwritten);
        unwritten
    }

    fn write(&mut self, batch: Vec<Order>) -> Vec<Order> {
        if let Err(error) = self.look() {
            return self.regret(batch, &Arc::new(error));
        }
        failpoint::reach("journal_uncommitted");
        let result = self.store.commit(batch.iter().map(|order| &order.entry), &self.clock);
        failpoint::reach("journal_committed");
        match result.and_then(|()| self.look()) {
            Ok(()) => {
                batch.into_iter().for_each(|order| order.answer(Ok(())));
                Vec::new()
            }
            // It is written, but not where a start would find it; the file may come back.
            Err(error @ JournalError::Lost(_)) => {
                self.regret(batch.into_iter().map(Order::revoked).collect(), &Arc::new(error))
            }
            // One that cannot be written must not take the others with it.
            Err(_) if batch.len() > 1 => {
                batch.into_iter().flat_map(|order| self.write(vec![order])).collect()
            }
            Err(error) => self.regret(batch, &Arc::new(error)),
        }
    }

    /// Looks whether the files are whole, and says so when that changes.
    fn look(&mut self) -> Result<(), JournalError> {
        let looked = self.store.look();
        match &looked {
            Err(error) if !self.is_lost => tracing::error!(
                %error,
                "the journal is lost: no job is taken until the same file is back in its place, \
                 or, if it was written to, the service is started again"
            ),
            Ok(()) if self.is_lost => tracing::info!("the journal is whole again"),
            _ => {}
        }
        self.is_lost = looked.is_err();
        if self.is_lost {
            // Before anybody is answered.
            self.state.send_replace(JournalState::Lost);
        }
        looked
    }

    fn tell(&self, unwritten: &[Order]) {
        self.state.send_replace(match () {
            () if self.is_lost => JournalState::Lost,
            () if unwritten.is_empty() && self.store.is_begun() => JournalState::Writable,
            () => JournalState::Failing,
        });
    }

    fn regret(&self, batch: Vec<Order>, error: &Arc<JournalError>) -> Vec<Order> {
        if *self.state.borrow() == JournalState::Writable {
            tracing::error!(%error, "the journal cannot be written");
            self.state.send_replace(JournalState::Failing);
        }
        let retry = |mut order: Order| {
            let rest = order.acceptance().is_none().then(|| {
                let entry = replace(&mut order.entry, Entry::Nothing);
                Order { entry, done: None }
            });
            order.answer(Err(error.clone()));
            rest
        };
        batch.into_iter().filter_map(retry).collect()
    }
}

impl Order {
    fn answer(self, result: Result<(), Arc<JournalError>>) {
        if let Some(done) = self.done {
            // Whoever asked may have gone.
            let _ = done.send(result);
        }
    }

    /// The job that is to be accepted, if it is about that. Refused, it is forgotten.
    fn acceptance(&self) -> Option<JobId> {
        match &self.entry {
            Entry::Job(remembered) if self.done.is_some() => Some(remembered.job.id),
            _ => None,
        }
    }

    /// What is to be written after it, should the file come back: no job that was refused may
    /// come back with it.
    fn revoked(mut self) -> Self {
        if let Some(job) = self.acceptance() {
            self.entry = Entry::Removed { job, what: What::Job, why: "it was not accepted" };
        }
        self
    }
}

/// Of several states of one job the last, which is all that matters.
fn latest(orders: Vec<Order>) -> Vec<Order> {
    let key = |order: &Order| match &order.entry {
        Entry::Job(remembered) => Some(remembered.job.id),
        _ => None,
    };
    let last: HashMap<JobId, usize> =
        orders.iter().enumerate().filter_map(|(place, order)| Some((key(order)?, place))).collect();
    let is_latest = |place: usize, order: &Order| match &order.entry {
        Entry::Job(remembered) => last.get(&remembered.job.id) == Some(&place),
        Entry::Nothing => false,
        _ => true,
    };
    let kept = orders.into_iter().enumerate().filter(|(place, order)| is_latest(*place, order));
    kept.map(|(_, order)| order).collect()
}
