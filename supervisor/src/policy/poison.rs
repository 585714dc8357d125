//! Counts how often the content of a video has crashed workers, over all jobs and restarts, so that
//! it crashes at most [`EXECUTIONS_MAX`] of them. Pure.
//!
//! Owned by the dispatcher, which writes every change to the journal. Content is identified by its
//! SHA-256; content without one (a local file of `bodyscript run`) is not counted.

use crate::policy::verdict::EXECUTIONS_MAX;
use std::collections::{HashMap, VecDeque};

/// Number of contents kept; the oldest are dropped.
pub(crate) const CONTENTS_KEPT_MAX: usize = 10_000;

/// Crashes by content.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    crashes: HashMap<String, u32>,
    /// The contents in the order of their first crash.
    order: VecDeque<String>,
}

impl Poison {
    /// Restores the counts of a journal, oldest first.
    pub(crate) fn restore(contents: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut poison = Self::default();
        for (sha256, crashes) in contents {
            poison.insert(&sha256, crashes);
        }
        poison
    }

    /// How often this content has crashed a worker.
    pub(crate) fn crashes(&self, sha256: &str) -> u32 {
        self.crashes.get(sha256).copied().unwrap_or(0)
    }

    /// Whether it must not be run again.
    pub(crate) fn is_poisoned(&self, sha256: &str) -> bool {
        self.crashes(sha256) >= EXECUTIONS_MAX
    }

    /// Whether one more worker may run it while `running` others do: each of them may crash.
    pub(crate) fn allows(&self, sha256: &str, running: u32) -> bool {
        sha256.is_empty() || self.crashes(sha256).saturating_add(running) < EXECUTIONS_MAX
    }

    /// Counts a crash and returns the new count; `None` for content that is not counted.
    pub(crate) fn record_crash(&mut self, sha256: &str) -> Option<u32> {
        let crashes = self.crashes(sha256).saturating_add(1);
        (!sha256.is_empty()).then(|| self.insert(sha256, crashes))
    }

    /// Clears the count of a content; false if there was none.
    pub(crate) fn clear(&mut self, sha256: &str) -> bool {
        let had_one = self.crashes.remove(sha256).is_some();
        if had_one {
            self.order.retain(|other| other != sha256);
        }
        had_one
    }

    fn insert(&mut self, sha256: &str, crashes: u32) -> u32 {
        if self.crashes.insert(sha256.to_owned(), crashes).is_none() {
            self.order.push_back(sha256.to_owned());
        }
        if self.order.len() > CONTENTS_KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.crashes.remove(&oldest);
        }
        crashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn content_is_blocked_after_two_crashes_until_it_is_cleared() {
        let mut poison = Poison::restore([("a".to_owned(), 1)]);
        assert!(poison.allows("a", 0) && !poison.allows("a", 1));
        assert_eq!(poison.record_crash("a"), Some(2));
        assert!(poison.is_poisoned("a") && !poison.allows("a", 0));
        assert!(poison.clear("a") && !poison.clear("a"));
        assert!(poison.allows("a", 1) && !poison.allows("a", 2));
    }

    #[test]
    fn content_without_a_digest_is_never_counted() {
        let mut poison = Poison::default();
        assert_eq!(poison.record_crash(""), None);
        assert!(poison.allows("", 100) && !poison.is_poisoned(""));
    }

    #[test]
    fn the_oldest_content_is_dropped_at_the_limit() {
        let names = (0..=CONTENTS_KEPT_MAX).map(|n| (n.to_string(), 2));
        let poison = Poison::restore(names);
        assert!(!poison.is_poisoned("0") && poison.is_poisoned("1"));
        assert_eq!(poison.order.len(), poison.crashes.len());
    }

    proptest! {
        /// Workers start only as allowed; each of them crashes or not.
        #[test]
        fn content_crashes_at_most_two_workers(steps in prop::collection::vec(0u8..3, 0..60)) {
            let mut poison = Poison::default();
            let (mut running, mut crashes) = (0, 0);
            for step in steps {
                match step {
                    0 if poison.allows("a", running) => running += 1,
                    1 if running > 0 => {
                        running -= 1;
                        crashes += 1;
                        poison.record_crash("a");
                    }
                    2 => {
                        running = running.saturating_sub(1);
                    }
                    _ => {}
                }
                prop_assert!(crashes <= EXECUTIONS_MAX);
            }
        }
    }
}
