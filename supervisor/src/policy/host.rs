//! Identifies the hosts that share a journal.

use std::fmt;

/// One run of the service on one host: another start is another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostId(u64);

impl HostId {
    /// The only one, if the journal is not shared.
    pub(crate) const ALONE: Self = Self(0);

    /// A new run.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the kernel has random numbers once it has booted");
        Self(u64::from_ne_bytes(bytes) | 1)
    }

    /// From the journal.
    pub(crate) const fn from_journal(stored: i64) -> Self {
        Self(stored as u64)
    }

    /// For the journal.
    pub(crate) const fn for_journal(self) -> i64 {
        self.0 as i64
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
