//! Names each change of a job, so that hosts that share a journal can tell whether a job is still as they know it.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// A change of a job: the number of changes up to it, and a random number, because two hosts may make a change with the
/// same number. Later ones are greater; of one number at most one is in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

/// The bits of the random number.
const RANDOM_BITS: u32 = 32;

impl Revision {
    /// Before the job exists.
    pub(crate) const NONE: Self = Self(0);

    /// A change that follows this one.
    pub(crate) fn next(self) -> Self {
        let mut random = [0; 4];
        getrandom::fill(&mut random).expect("the kernel has random numbers once it has booted");
        Self(((self.0 >> RANDOM_BITS) + 1) << RANDOM_BITS | u64::from(u32::from_ne_bytes(random)))
    }

    /// How many changes there were.
    pub(crate) const fn number(self) -> u64 {
        self.0 >> RANDOM_BITS
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

impl FromStr for Revision {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_the_same_number_differ_and_later_ones_are_greater() {
        let first = Revision::NONE.next();
        let (one, other) = (first.next(), first.next());
        assert_ne!(one, other);
        assert_eq!((one.number(), other.number()), (2, 2));
        assert!(first < one && first < other && one < other.next() && other < one.next());
        assert_eq!(Revision::from_journal(one.for_journal()), one);
    }
}
