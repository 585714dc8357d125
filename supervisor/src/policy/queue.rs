//! The queue of pending jobs, first in, first out. Pure, without synchronisation.
//!
//! Used by the dispatcher. The limit applies to new jobs only; a requeued job returns to the head
//! regardless of it, because the number of running jobs is small.

use crate::policy::job::JobId;
use std::collections::VecDeque;
use thiserror::Error;

/// Pending jobs in the order in which they will start.
#[derive(Debug)]
pub(crate) struct Queue {
    jobs: VecDeque<JobId>,
    length_max: usize,
}

/// The queue has no place for a new job.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the queue is full")]
pub(crate) struct Full;

impl Queue {
    /// An empty queue for this many jobs.
    pub(crate) const fn new(length_max: usize) -> Self {
        Self { jobs: VecDeque::new(), length_max }
    }

    /// Changes the limit; jobs already in the queue stay.
    pub(crate) const fn set_length_max(&mut self, length_max: usize) {
        self.length_max = length_max;
    }

    /// Adds a new job at the end.
    pub(crate) fn push(&mut self, id: JobId) -> Result<(), Full> {
        if self.jobs.len() >= self.length_max {
            return Err(Full);
        }
        self.jobs.push_back(id);
        Ok(())
    }

    /// Adds an already accepted job at the end, regardless of the limit.
    pub(crate) fn readmit(&mut self, id: JobId) {
        self.jobs.push_back(id);
    }

    /// Puts a job back at the head, regardless of the limit.
    pub(crate) fn push_front(&mut self, id: JobId) {
        self.jobs.push_front(id);
    }

    /// Removes a job from any position; false if it is not in the queue.
    pub(crate) fn remove(&mut self, id: JobId) -> bool {
        let before = self.jobs.len();
        self.jobs.retain(|other| *other != id);
        self.jobs.len() != before
    }

    /// The position of a job: 1 for the head.
    pub(crate) fn position(&self, id: JobId) -> Option<usize> {
        self.jobs.iter().position(|other| *other == id).map(|index| index + 1)
    }

    /// Number of queued jobs.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether the queue is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The queued jobs, from the head.
    pub(crate) fn iter(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Compared with a vector as the model.
        #[test]
        fn it_behaves_like_a_vector(steps in prop::collection::vec((0u8..4, 0usize..8), 0..60)) {
            let ids: Vec<_> = (0..8).map(|_| JobId::random()).collect();
            let mut queue = Queue::new(4);
            let mut model: Vec<JobId> = Vec::new();
            for (step, pick) in steps {
                let id = ids[pick];
                match step {
                    0 if !model.contains(&id) => {
                        let fits = model.len() < 4;
                        prop_assert_eq!(queue.push(id).is_ok(), fits);
                        if fits {
                            model.push(id);
                        }
                    }
                    1 if !model.contains(&id) => {
                        queue.push_front(id);
                        model.insert(0, id);
                    }
                    2 => {
                        let head = queue.iter().next();
                        prop_assert_eq!(head, model.first().copied());
                        if let Some(head) = head {
                            prop_assert!(queue.remove(head));
                            model.remove(0);
                        }
                    }
                    _ => {
                        prop_assert_eq!(queue.remove(id), model.contains(&id));
                        model.retain(|other| *other != id);
                    }
                }
                prop_assert_eq!(queue.iter().collect::<Vec<_>>(), model.clone());
                for (index, id) in model.iter().enumerate() {
                    prop_assert_eq!(queue.position(*id), Some(index + 1));
                }
            }
        }
    }
}
