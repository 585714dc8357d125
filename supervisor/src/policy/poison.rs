//! Content that ended its workers, so that no video is executed more than twice that way, by
//! whichever job and over whichever restart. Pure.
//!
//! Owned by the dispatcher, which tells the journal of every change. Counted by SHA-256; content
//! without one (a file of the command line) is never held against anybody.

use crate::policy::verdict::EXECUTIONS_MAX;
use std::collections::{HashMap, VecDeque};

/// Contents that are remembered; beyond, the oldest are forgiven.
pub(crate) const CONTENTS_KEPT_MAX: usize = 10_000;

/// How often each content ended its workers.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    deaths: HashMap<String, u32>,
    /// The contents in the order in which they first did.
    order: VecDeque<String>,
}

impl Poison {
    /// What a journal remembers, oldest first.
    pub(crate) fn recalled(contents: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut poison = Self::default();
        for (sha256, deaths) in contents {
            poison.remember(&sha256, deaths);
        }
        poison
    }

    /// How often this content ended its worker.
    pub(crate) fn deaths(&self, sha256: &str) -> u32 {
        self.deaths.get(sha256).copied().unwrap_or(0)
    }

    /// Whether it is not to be executed any more.
    pub(crate) fn is_poisoned(&self, sha256: &str) -> bool {
        self.deaths(sha256) >= EXECUTIONS_MAX
    }

    /// Whether it may be executed once more while so many workers are on it: each of them may yet
    /// die of it.
    pub(crate) fn allows(&self, sha256: &str, under_way: u32) -> bool {
        sha256.is_empty() || self.deaths(sha256).saturating_add(under_way) < EXECUTIONS_MAX
    }

    /// It ended a worker; tells how often it now did. Nothing for content that is not counted.
    pub(crate) fn died(&mut self, sha256: &str) -> Option<u32> {
        let deaths = self.deaths(sha256).saturating_add(1);
        (!sha256.is_empty()).then(|| self.remember(sha256, deaths))
    }

    /// Its past is forgotten; tells whether it had one.
    pub(crate) fn forgive(&mut self, sha256: &str) -> bool {
        let had_one = self.deaths.remove(sha256).is_some();
        if had_one {
            self.order.retain(|other| other != sha256);
        }
        had_one
    }

    fn remember(&mut self, sha256: &str, deaths: u32) -> u32 {
        if self.deaths.insert(sha256.to_owned(), deaths).is_none() {
            self.order.push_back(sha256.to_owned());
        }
        if self.order.len() > CONTENTS_KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.deaths.remove(&oldest);
        }
        deaths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn content_is_spent_after_two_deaths_until_it_is_forgiven() {
        let mut poison = Poison::recalled([("a".to_owned(), 1)]);
        assert!(poison.allows("a", 0) && !poison.allows("a", 1));
        assert_eq!(poison.died("a"), Some(2));
        assert!(poison.is_poisoned("a") && !poison.allows("a", 0));
        assert!(poison.forgive("a") && !poison.forgive("a"));
        assert!(poison.allows("a", 1) && !poison.allows("a", 2));
    }

    #[test]
    fn content_without_a_digest_is_never_counted() {
        let mut poison = Poison::default();
        assert_eq!(poison.died(""), None);
        assert!(poison.allows("", 100) && !poison.is_poisoned(""));
    }

    #[test]
    fn the_oldest_is_forgiven_when_there_are_too_many() {
        let names = (0..=CONTENTS_KEPT_MAX).map(|n| (n.to_string(), 2));
        let poison = Poison::recalled(names);
        assert!(!poison.is_poisoned("0") && poison.is_poisoned("1"));
        assert_eq!(poison.order.len(), poison.deaths.len());
    }

    proptest! {
        /// Workers start on one content only as it is allowed; each dies or does not.
        #[test]
        fn no_content_ends_more_than_two_workers(steps in prop::collection::vec(0u8..3, 0..60)) {
            let mut poison = Poison::default();
            let (mut under_way, mut died) = (0, 0);
            for step in steps {
                match step {
                    0 if poison.allows("a", under_way) => under_way += 1,
                    1 if under_way > 0 => {
                        under_way -= 1;
                        died += 1;
                        poison.died("a");
                    }
                    2 => {
                        under_way = under_way.saturating_sub(1);
                    }
                    _ => {}
                }
                prop_assert!(died <= EXECUTIONS_MAX);
            }
        }
    }
}
