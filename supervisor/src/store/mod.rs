//! Everything that survives a restart: the journal, uploads, attempt folders, results.
//!
//! All calls block unless they say otherwise.

pub(crate) mod artefacts;
pub(crate) mod clock;
pub(crate) mod error;
pub(crate) mod failpoint;
pub(crate) mod fs_atomic;
pub(crate) mod journal;
pub(crate) mod outcome;
pub(crate) mod recovery;
pub(crate) mod resumable;
pub(crate) mod retention;
pub(crate) mod set_aside;
