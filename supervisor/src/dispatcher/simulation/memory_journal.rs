//! A journal in memory, which survives the dispatcher but not the test. Entries are written at once.

use crate::policy::host::HostId;
use crate::policy::job::JobId;
use crate::store::{
    Clock, Engine, JobRow, Journal, JournalEntry, OpenedJournal, RemovedPart, WriteRequest, closed,
};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone, Default)]
pub(super) struct MemoryJournal(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    /// The jobs by the order of their acceptance.
    jobs: BTreeMap<usize, JobRow>,
    accepted: BTreeMap<JobId, usize>,
    removed: HashSet<JobId>,
    poison: BTreeMap<String, u32>,
}

impl Engine for MemoryJournal {
    fn write(&self, request: WriteRequest) {
        let mut contents = self.0.lock().expect("no panic");
        match &request.entry {
            JournalEntry::Job(row) => {
                let next = contents.accepted.len();
                let order = *contents.accepted.entry(row.job.id).or_insert(next);
                contents.jobs.insert(order, (**row).clone());
            }
            JournalEntry::Removed { job, part: RemovedPart::Job, .. } => {
                if let Some(order) = contents.accepted.get(job).copied() {
                    contents.jobs.remove(&order);
                }
                contents.removed.insert(*job);
            }
            JournalEntry::Poison { execution, crashes: 0 } => {
                contents.poison.remove(execution);
            }
            JournalEntry::Poison { execution, crashes } => {
                contents.poison.insert(execution.clone(), *crashes);
            }
            JournalEntry::Removed { part: RemovedPart::Upload, .. }
            | JournalEntry::Request { .. }
            | JournalEntry::Progress { .. }
            | JournalEntry::Webhook { .. }
            | JournalEntry::Look { .. }
            | JournalEntry::Flush => {}
        }
        drop(contents);
        request.answer(Ok(()));
    }
}

impl MemoryJournal {
    /// What a start finds.
    pub(super) fn open(&self) -> OpenedJournal {
        let contents = self.0.lock().expect("no panic");
        OpenedJournal {
            journal: Journal::with_engine(self.clone()),
            clock: Clock::resume(None),
            jobs: contents.jobs.values().cloned().collect(),
            poison: contents.poison.clone().into_iter().collect(),
            removed: contents.removed.clone(),
            lost: None,
            host: HostId::ALONE,
            events: closed(),
            webhooks: closed(),
        }
    }
}
