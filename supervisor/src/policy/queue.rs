//! The jobs that wait, in the order of their turn. Pure, with no synchronisation of its own.
//!
//! Used by the dispatcher. Bounded for newcomers; a job that is sent back after an attempt keeps
//! its place at the head and needs no room: it held a worker, of which there are few.

use crate::policy::job::JobId;
use std::collections::VecDeque;
use thiserror::Error;

/// Waiting jobs, first come, first served.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: VecDeque<JobId>,
    length_max: usize,
}

/// There is no room.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the queue is full")]
pub(crate) struct Full;

impl Queue {
    /// An empty queue for so many newcomers.
    pub(crate) const fn new(length_max: usize) -> Self {
        Self { waiting: VecDeque::new(), length_max }
    }

    /// Has another bound from now on; who waits already stays.
    pub(crate) const fn bound(&mut self, length_max: usize) {
        self.length_max = length_max;
    }

    /// Adds a newcomer at the end.
    pub(crate) fn push(&mut self, id: JobId) -> Result<(), Full> {
        if self.waiting.len() >= self.length_max {
            return Err(Full);
        }
        self.waiting.push_back(id);
        Ok(())
    }

    /// Adds a job that was accepted before, at the end, whether or not there is room.
    pub(crate) fn readmit(&mut self, id: JobId) {
        self.waiting.push_back(id);
    }

    /// Puts a job back at the head.
    pub(crate) fn send_back(&mut self, id: JobId) {
        self.waiting.push_front(id);
    }

    /// Takes out a job wherever it stands; tells whether it stood there.
    pub(crate) fn remove(&mut self, id: JobId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != id);
        self.waiting.len() != before
    }

    /// How many jobs come to their turn up to and including this one: 1 for the head.
    pub(crate) fn position(&self, id: JobId) -> Option<usize> {
        self.waiting.iter().position(|waiting| *waiting == id).map(|index| index + 1)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All that wait, the head first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = JobId> + '_ {
        self.waiting.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the plainest model there is: a vector.
        #[test]
        fn it_does_what_a_vector_would(steps in prop::collection::vec((0u8..4, 0usize..8), 0..60)) {
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
                        queue.send_back(id);
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
