//! Job ids: random, so that they cannot be guessed, because knowing one grants access to the job.
//!
//! They are part of URLs and of the names of files and folders in the state folder.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A job id: 128 random bits, as 32 hexadecimal digits in URLs and folder names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(u128);

/// The text is not a job id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not the id of a job: 32 hexadecimal digits")]
pub struct NotAJobId;

impl JobId {
    /// A new random id.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the kernel has random numbers once it has booted");
        Self(u128::from_ne_bytes(bytes))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = NotAJobId;

    fn from_str(text: &str) -> Result<Self, NotAJobId> {
        let canonical = text.len() == 32
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !canonical {
            return Err(NotAJobId);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| NotAJobId)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_parse_back_from_text() {
        let id = JobId::random();
        assert_ne!(id, JobId::random());
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "..", &"A".repeat(32), &"0".repeat(31), &"0".repeat(33), &"+".repeat(32)]
        {
            assert_eq!(wrong.parse::<JobId>(), Err(NotAJobId));
        }
    }
}
