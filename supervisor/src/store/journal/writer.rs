//! The journal's thread: writes what it is told in batches, keeps what cannot be written yet, and
//! looks whether the files are still those that a next start will open.
//!
//! Started by [`crate::store::journal::Journal::open`]. It must not say that something is on the disk before it
//! has looked after the commit.

use crate::policy::job::JobId;
use crate::store::clock::Clock;
use crate::store::failpoint;
use crate::store::journal::database::Store;
use crate::store::journal::{Entry, JournalError, JournalState, What};
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
pub(crate) struct WriteRequest {
    pub(crate) entry: Entry,
    pub(crate) done: Option<oneshot::Sender<Result<(), Arc<JournalError>>>>,
}

/// The thread's side.
pub(crate) struct Writer {
    store: Store,
    clock: Clock,
    is_lost: bool,
    state: watch::Sender<JournalState>,
}

impl Writer {
    pub(crate) const fn new(
        store: Store,
        clock: Clock,
        state: watch::Sender<JournalState>,
    ) -> Self {
        Self { store, clock, is_lost: false, state }
    }

    pub(crate) fn keep(mut self, inbox: &Receiver<WriteRequest>) {
        let mut unwritten = Vec::new();
        let mut written = Instant::now();
        loop {
            let first = match inbox.recv_timeout(TICK) {
                Ok(request) => Some(request),
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
            tracing::error!(
                entries,
                "the journal is closed without entries that could not be written"
            );
        }
        if let Err(error) = self.store.close(&self.clock) {
            tracing::warn!(%error, "journal closed; its latest entries are only in its log");
        }
    }

    /// Writes a batch; gives back what could not be written and is to be tried again.
    fn carry_out(&mut self, batch: Vec<WriteRequest>) -> Vec<WriteRequest> {
        let unwritten = latest(self.write(batch));
        self.tell(&unwritten);
        unwritten
    }

    fn write(&mut self, batch: Vec<WriteRequest>) -> Vec<WriteRequest> {
        if let Err(error) = self.look() {
            return self.regret(batch, &Arc::new(error));
        }
        failpoint::reach("journal_uncommitted");
        let result = self.store.commit(batch.iter().map(|request| &request.entry), &self.clock);
        failpoint::reach("journal_committed");
        match result.and_then(|()| self.look()) {
            Ok(()) => {
                batch.into_iter().for_each(|request| request.answer(Ok(())));
                Vec::new()
            }
            // It is written, but not where a start would find it; the file may come back.
            Err(error @ JournalError::Lost(_)) => self
                .regret(batch.into_iter().map(WriteRequest::revoked).collect(), &Arc::new(error)),
            // One that cannot be written must not take the others with it.
            Err(_) if batch.len() > 1 => {
                batch.into_iter().flat_map(|request| self.write(vec![request])).collect()
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
            Ok(()) if self.is_lost => tracing::info!("the journal is restored"),
            _ => {}
        }
        self.is_lost = looked.is_err();
        if self.is_lost {
            // Before anybody is answered.
            self.state.send_replace(JournalState::Lost);
        }
        looked
    }

    fn tell(&self, unwritten: &[WriteRequest]) {
        self.state.send_replace(match () {
            () if self.is_lost => JournalState::Lost,
            () if unwritten.is_empty() && self.store.is_begun() => JournalState::Writable,
            () => JournalState::Failing,
        });
    }

    fn regret(&self, batch: Vec<WriteRequest>, error: &Arc<JournalError>) -> Vec<WriteRequest> {
        if *self.state.borrow() == JournalState::Writable {
            tracing::error!(%error, "cannot write the journal");
            self.state.send_replace(JournalState::Failing);
        }
        let retry = |mut request: WriteRequest| {
            let rest = request.acceptance().is_none().then(|| {
                let entry = replace(&mut request.entry, Entry::Nothing);
                WriteRequest { entry, done: None }
            });
            request.answer(Err(error.clone()));
            rest
        };
        batch.into_iter().filter_map(retry).collect()
    }
}

impl WriteRequest {
    fn answer(self, result: Result<(), Arc<JournalError>>) {
        if let Some(done) = self.done {
            // Whoever asked may have gone.
            let _ = done.send(result);
        }
    }

    /// The job that is to be accepted, if it is about that. Refused, it is forgotten.
    fn acceptance(&self) -> Option<JobId> {
        match &self.entry {
            Entry::Job(row) if self.done.is_some() => Some(row.job.id),
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
fn latest(requests: Vec<WriteRequest>) -> Vec<WriteRequest> {
    let key = |request: &WriteRequest| match &request.entry {
        Entry::Job(row) => Some(row.job.id),
        _ => None,
    };
    let last: HashMap<JobId, usize> = requests
        .iter()
        .enumerate()
        .filter_map(|(place, request)| Some((key(request)?, place)))
        .collect();
    let is_latest = |place: usize, request: &WriteRequest| match &request.entry {
        Entry::Job(row) => last.get(&row.job.id) == Some(&place),
        Entry::Nothing => false,
        _ => true,
    };
    let kept =
        requests.into_iter().enumerate().filter(|(place, request)| is_latest(*place, request));
    kept.map(|(_, request)| request).collect()
}
