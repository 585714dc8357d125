//! Attempts with real processes and real cages: every way to die is told apart, and nothing is
//! left of any of them.
//!
//! The worker is `fault_worker`, which does what the "video" says.

#[path = "cage/bench.rs"]
mod bench;
#[path = "cage/birth.rs"]
mod birth;
#[path = "cage/ends.rs"]
mod ends;
#[path = "cage/memory.rs"]
mod memory;
#[path = "cage/remains.rs"]
mod remains;
#[path = "../../tests/src/report.rs"]
#[allow(unreachable_pub, reason = "a module of the tests' library")]
mod report;
