//! Attempts with real processes and real cages: every way to die is told apart, and nothing is
//! left of any of them.
//!
//! The worker is `fault_worker`, which does what the "video" says.

mod bench;
mod birth;
mod ends;
mod memory;
mod remains;
