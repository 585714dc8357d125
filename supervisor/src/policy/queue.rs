//! The queue of pending jobs, in the order of their acceptance. Pure, without synchronisation.
//!
//! Used by the scheduler. A job keeps its place while it runs, so a requeued job starts before all
//! jobs that were accepted later. Admission limits the number of jobs.

use crate::policy::job::JobId;
use std::collections::BTreeMap;

/// The place of a job in the order of acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

/// Pending jobs in the order in which they will start.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: BTreeMap<Place, JobId>,
    next: u64,
}

impl Queue {
    /// Adds a job.
    pub(crate) fn push(&mut self, id: JobId) {
        self.jobs.insert(Place(self.next), id);
        self.next += 1;
    }

    /// Takes a job out; returns its place, if it is in the queue.
    pub(crate) fn take(&mut self, id: JobId) -> Option<Place> {
        let (place, _) = self.jobs.iter().find(|(_, other)| **other == id)?;
        let place = *place;
        self.jobs.remove(&place);
        Some(place)
    }

    /// Returns a job to the place from which it was taken.
    pub(crate) fn put_back(&mut self, place: Place, id: JobId) {
        self.jobs.insert(place, id);
    }

    /// The position of a job: 1 is next.
    pub(crate) fn position(&self, id: JobId) -> Option<usize> {
        self.iter().position(|other| other == id).map(|index| index + 1)
    }

    /// Number of jobs.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are no jobs.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The jobs, next first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn jobs_are_in_the_order_of_their_acceptance(
            steps in prop::collection::vec((0u8..4, 0usize..8), 0..60),
        ) {
            let ids: Vec<_> = (0..8).map(|_| JobId::random()).collect();
            let mut queue = Queue::default();
            // All accepted jobs, and those that run.
            let mut accepted: Vec<JobId> = Vec::new();
            let mut running: Vec<(Place, JobId)> = Vec::new();
            for (step, pick) in steps {
                let id = ids[pick];
                match step {
                    0 if !accepted.contains(&id) => {
                        queue.push(id);
                        accepted.push(id);
                    }
                    1 => running.extend(queue.take(id).map(|place| (place, id))),
                    2 if !running.is_empty() => {
                        let (place, id) = running.swap_remove(pick % running.len());
                        queue.put_back(place, id);
                    }
                    _ => {
                        let is_running = running.iter().any(|(_, other)| *other == id);
                        let is_queued = accepted.contains(&id) && !is_running;
                        prop_assert_eq!(queue.take(id).is_some(), is_queued);
                        accepted.retain(|other| *other != id || is_running);
                    }
                }
                let is_queued = |id: &&JobId| running.iter().all(|(_, other)| other != *id);
                let expected: Vec<_> = accepted.iter().filter(is_queued).copied().collect();
                prop_assert_eq!(queue.iter().collect::<Vec<_>>(), expected.clone());
                prop_assert_eq!((queue.len(), queue.is_empty()), (expected.len(), expected.is_empty()));
                for (index, id) in expected.iter().enumerate() {
                    prop_assert_eq!(queue.position(*id), Some(index + 1));
                }
            }
        }
    }
}
