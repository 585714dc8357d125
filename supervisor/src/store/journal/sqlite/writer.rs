//! The journal's thread: writes entries in batches, retries those that could not be written, and
//! checks whether the files are still those that the next start will open.
//!
//! Started by [`crate::store::journal::Journal::open`]. It reports an entry as written only if the
//! check after the commit succeeds.

use crate::policy::job::JobId;
use crate::store::clock::Clock;
use crate::store::failpoint;
use crate::store::journal::sqlite::database::Store;
use crate::store::journal::{
    Engine, JournalEntry, JournalError, JournalState, RemovedPart, WriteRequest,
};
use std::collections::HashMap;
use std::mem::replace;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the files are checked while nothing is written, and failed entries are retried.
const TICK: Duration = Duration::from_secs(1);

/// How often the time is stored while nothing else is written.
const CLOCK_PERIOD: Duration = Duration::from_secs(60);

/// Most entries of one commit.
const BATCH_MAX: usize = 256;

/// The journal's thread, as its callers see it.
#[derive(Debug)]
pub(crate) struct WriterThread(pub(crate) Sender<WriteRequest>);

impl Engine for WriterThread {
    fn write(&self, request: WriteRequest) {
        if self.0.send(request).is_err() {
            tracing::error!("the thread of the journal has ended");
        }
    }
}

/// The state of the thread.
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

    pub(crate) fn run(mut self, inbox: &Receiver<WriteRequest>) {
        let mut unwritten = Vec::new();
        let mut written = Instant::now();
        loop {
            let first = match inbox.recv_timeout(TICK) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let is_idle = first.is_none() && unwritten.is_empty() && self.store.is_in_use();
            if is_idle && written.elapsed() < CLOCK_PERIOD {
                // `check_files` has logged and recorded a failure.
                let _ = self.check_files();
                self.publish_state(&unwritten);
                continue;
            }
            let batch = first.into_iter().chain(inbox.try_iter()).take(BATCH_MAX);
            unwritten = self.process(unwritten.into_iter().chain(batch).collect());
            written = Instant::now();
        }
        let lost = self.process(unwritten);
        if !lost.is_empty() {
            let entries = lost.len();
            tracing::error!(entries, "entries could not be written before the journal was closed");
        }
        if let Err(error) = self.store.close(&self.clock) {
            tracing::warn!(%error, "journal closed; its latest entries are only in its log");
        }
    }

    /// Writes a batch; returns the entries that have to be retried.
    fn process(&mut self, batch: Vec<WriteRequest>) -> Vec<WriteRequest> {
        let unwritten = latest(self.write(batch));
        self.publish_state(&unwritten);
        unwritten
    }

    fn write(&mut self, batch: Vec<WriteRequest>) -> Vec<WriteRequest> {
        if let Err(error) = self.check_files() {
            return self.on_failed_write(batch, &Arc::new(error));
        }
        failpoint::reach("journal_uncommitted");
        let result = self.store.commit(batch.iter().map(|request| &request.entry), &self.clock);
        failpoint::reach("journal_committed");
        match result.and_then(|()| self.check_files()) {
            Ok(()) => {
                batch.into_iter().for_each(|request| request.answer(Ok(())));
                Vec::new()
            }
            // It is written, but not where a start would find it; the file may come back.
            Err(error @ JournalError::Lost(_)) => self.on_failed_write(
                batch.into_iter().map(WriteRequest::revoked).collect(),
                &Arc::new(error),
            ),
            // An entry that cannot be written must not fail the others.
            Err(_) if batch.len() > 1 => {
                batch.into_iter().flat_map(|request| self.write(vec![request])).collect()
            }
            Err(error) => self.on_failed_write(batch, &Arc::new(error)),
        }
    }

    /// Checks the files, and logs when the result changes.
    fn check_files(&mut self) -> Result<(), JournalError> {
        let checked = self.store.check_files();
        match &checked {
            Err(error) if !self.is_lost => tracing::error!(
                %error,
                "the journal is lost: no job is accepted until the same file is back in its \
                 place or, if it was modified, the service is restarted"
            ),
            Ok(()) if self.is_lost => tracing::info!("the journal is restored"),
            _ => {}
        }
        self.is_lost = checked.is_err();
        if self.is_lost {
            // Before any caller gets its result.
            self.state.send_replace(JournalState::Lost);
        }
        checked
    }

    fn publish_state(&self, unwritten: &[WriteRequest]) {
        self.state.send_replace(match () {
            () if self.is_lost => JournalState::Lost,
            () if unwritten.is_empty() && self.store.is_in_use() => JournalState::Writable,
            () => JournalState::Failing,
        });
    }

    fn on_failed_write(
        &self,
        batch: Vec<WriteRequest>,
        error: &Arc<JournalError>,
    ) -> Vec<WriteRequest> {
        if *self.state.borrow() == JournalState::Writable {
            tracing::error!(%error, "cannot write the journal");
            self.state.send_replace(JournalState::Failing);
        }
        let retry = |mut request: WriteRequest| {
            let retried = request.acceptance().is_none().then(|| {
                let entry = replace(&mut request.entry, JournalEntry::Flush);
                WriteRequest { entry, done: None }
            });
            request.answer(Err(error.clone()));
            retried
        };
        batch.into_iter().filter_map(retry).collect()
    }
}

impl WriteRequest {
    /// The job that is to be accepted by this request, if any. If the write fails, it is dropped.
    fn acceptance(&self) -> Option<JobId> {
        match &self.entry {
            JournalEntry::Job(row) if self.done.is_some() => Some(row.job.id),
            _ => None,
        }
    }

    /// The request to write instead, in case the file comes back: a refused job must not come back
    /// with it.
    fn revoked(mut self) -> Self {
        if let Some(job) = self.acceptance() {
            let (part, why) = (RemovedPart::Job, "it was not accepted");
            self.entry = JournalEntry::Removed { job, part, why, known: None };
        }
        self
    }
}

/// Drops all but the last state of each job.
fn latest(requests: Vec<WriteRequest>) -> Vec<WriteRequest> {
    let key = |request: &WriteRequest| match &request.entry {
        JournalEntry::Job(row) => Some(row.job.id),
        _ => None,
    };
    let last: HashMap<JobId, usize> = requests
        .iter()
        .enumerate()
        .filter_map(|(index, request)| Some((key(request)?, index)))
        .collect();
    let is_latest = |index: usize, request: &WriteRequest| match &request.entry {
        JournalEntry::Job(row) => last.get(&row.job.id) == Some(&index),
        JournalEntry::Flush => false,
        _ => true,
    };
    let kept =
        requests.into_iter().enumerate().filter(|(index, request)| is_latest(*index, request));
    kept.map(|(_, request)| request).collect()
}
