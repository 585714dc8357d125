//! Counts how often the content of a video has crashed workers, over all jobs and restarts, so that
//! it crashes at most [`EXECUTIONS_MAX`] of them with the same options, and [`CONTENT_EXECUTIONS_MAX`]
//! with any: options decide what is done with a video, but their number is nearly unlimited. Pure.
//!
//! Owned by the dispatcher, which writes every change to the journal. Content is identified by its
//! SHA-256; content without one (a local file of `bodyscript run`) is not counted.

use crate::policy::verdict::EXECUTIONS_MAX;
use bodyscript_protocol::options::Options;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

/// Number of executions kept; the oldest are dropped.
pub(crate) const EXECUTIONS_KEPT_MAX: usize = 10_000;

/// Most crashes of the same content with any options.
pub(crate) const CONTENT_EXECUTIONS_MAX: u32 = 3 * EXECUTIONS_MAX;

/// What stands between the content and the options of an execution.
const SEPARATOR: char = ' ';

/// What is executed: content and options. Empty if it is not counted.
pub(crate) fn execution(sha256: &str, options: &Options) -> String {
    if sha256.is_empty() {
        return String::new();
    }
    let options = serde_json::to_vec(options).expect("options are plain data");
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(options).into();
    format!("{sha256}{SEPARATOR}{:08x}", u32::from_be_bytes([a, b, c, d]))
}

/// The content of an execution.
pub(crate) fn content(execution: &str) -> &str {
    execution.split(SEPARATOR).next().unwrap_or_default()
}

/// How many workers execute something now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Running {
    /// With the same options.
    pub same: u32,
    /// With any options.
    pub content: u32,
}

/// Crashes by execution.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    crashes: HashMap<String, u32>,
    /// The sum for each content.
    by_content: HashMap<String, u32>,
    /// The executions in the order of their first crash.
    order: VecDeque<String>,
}

impl Poison {
    /// Restores the counts of a journal, oldest first.
    pub(crate) fn restore(executions: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut poison = Self::default();
        for (execution, crashes) in executions {
            poison.insert(&execution, crashes);
        }
        poison
    }

    /// How often this execution has crashed a worker.
    pub(crate) fn crashes(&self, execution: &str) -> u32 {
        self.crashes.get(execution).copied().unwrap_or(0)
    }

    fn crashes_of_content(&self, execution: &str) -> u32 {
        self.by_content.get(content(execution)).copied().unwrap_or(0)
    }

    /// Whether it must not be run again.
    pub(crate) fn is_poisoned(&self, execution: &str) -> bool {
        !self.allows(execution, Running::default())
    }

    /// Whether one more worker may run it while others do: each of them may crash.
    pub(crate) fn allows(&self, execution: &str, running: Running) -> bool {
        let same = self.crashes(execution).saturating_add(running.same);
        let all = self.crashes_of_content(execution).saturating_add(running.content);
        execution.is_empty() || same < EXECUTIONS_MAX && all < CONTENT_EXECUTIONS_MAX
    }

    /// Counts a crash and returns the new count; `None` for content that is not counted.
    pub(crate) fn record_crash(&mut self, execution: &str) -> Option<u32> {
        let crashes = self.crashes(execution).saturating_add(1);
        (!execution.is_empty()).then(|| self.insert(execution, crashes))
    }

    /// Takes the count of an execution from a journal that hosts share.
    pub(crate) fn set(&mut self, execution: &str, crashes: u32) {
        if crashes == 0 {
            self.clear(execution);
        } else {
            self.insert(execution, crashes);
        }
    }

    /// Clears the count of an execution; false if there was none.
    pub(crate) fn clear(&mut self, execution: &str) -> bool {
        let had_one = self.remove(execution);
        if had_one {
            self.order.retain(|other| other != execution);
        }
        had_one
    }

    /// The executions of the same content that have crashed a worker.
    pub(crate) fn executions_of(&self, execution: &str) -> Vec<String> {
        let content = content(execution);
        self.crashes.keys().filter(|other| self::content(other) == content).cloned().collect()
    }

    fn insert(&mut self, execution: &str, crashes: u32) -> u32 {
        if !self.remove(execution) {
            self.order.push_back(execution.to_owned());
        }
        self.crashes.insert(execution.to_owned(), crashes);
        let sum = self.by_content.entry(content(execution).to_owned()).or_default();
        *sum = sum.saturating_add(crashes);
        if self.order.len() > EXECUTIONS_KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.remove(&oldest);
        }
        crashes
    }

    fn remove(&mut self, execution: &str) -> bool {
        let Some(crashes) = self.crashes.remove(execution) else { return false };
        if let Some(sum) = self.by_content.get_mut(content(execution)) {
            *sum = sum.saturating_sub(crashes);
            if *sum == 0 {
                self.by_content.remove(content(execution));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn running(workers: u32) -> Running {
        Running { same: workers, content: workers }
    }

    #[test]
    fn other_options_are_another_execution_of_the_same_content() {
        let of = |people_max| execution("a", &Options { people_max, ..Options::default() });
        assert_eq!((of(1), content(&of(1))), (of(1), "a"));
        let mut poison = Poison::default();
        for people_max in 1..=3 {
            let execution = of(people_max);
            assert!(poison.allows(&execution, running(0)), "{people_max} people");
            poison.record_crash(&execution);
            poison.record_crash(&execution);
            assert!(poison.is_poisoned(&execution));
        }
        assert!(poison.is_poisoned(&of(4)), "with any options");
        let all = poison.executions_of(&of(4));
        assert!(all.len() == 3 && all.iter().all(|execution| poison.clear(execution)));
        assert!(!poison.is_poisoned(&of(1)) && poison.by_content.is_empty());
        assert_eq!(execution("", &Options::default()), "");
    }

    #[test]
    fn content_is_blocked_after_two_crashes_until_it_is_cleared() {
        let mut poison = Poison::restore([("a".to_owned(), 1)]);
        assert!(poison.allows("a", running(0)) && !poison.allows("a", running(1)));
        assert_eq!(poison.record_crash("a"), Some(2));
        assert!(poison.is_poisoned("a") && !poison.allows("a", running(0)));
        assert!(poison.clear("a") && !poison.clear("a"));
        assert!(poison.allows("a", running(1)) && !poison.allows("a", running(2)));
    }

    #[test]
    fn content_without_a_digest_is_never_counted() {
        let mut poison = Poison::default();
        assert_eq!(poison.record_crash(""), None);
        assert!(poison.allows("", running(100)) && !poison.is_poisoned(""));
    }

    #[test]
    fn the_oldest_content_is_dropped_at_the_limit() {
        let names = (0..=EXECUTIONS_KEPT_MAX).map(|n| (n.to_string(), 2));
        let poison = Poison::restore(names);
        assert!(!poison.is_poisoned("0") && poison.is_poisoned("1"));
        assert_eq!(poison.order.len(), poison.crashes.len());
        assert_eq!(poison.order.len(), poison.by_content.len());
    }

    proptest! {
        /// Workers start only as allowed; each of them crashes or not.
        #[test]
        fn content_crashes_at_most_two_workers(steps in prop::collection::vec(0u8..3, 0..60)) {
            let mut poison = Poison::default();
            let (mut running, mut crashes) = (0, 0);
            for step in steps {
                match step {
                    0 if poison.allows("a", super::Running { same: running, content: running }) => running += 1,
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
