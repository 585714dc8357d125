//! Attempts with real processes and real cages: every kind of exit is distinguished, and nothing is
//! left of any of them.
//!
//! The worker is `fault_worker`, which does what the "video" says.

mod exits;
mod harness;
mod leftovers;
mod memory;
mod raised_cap;
mod shares;
mod spawn;
