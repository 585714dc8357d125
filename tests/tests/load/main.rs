//! Tests that load the whole host: thousands of kernel kills, crashes of the service, and damaged videos.
//! They run one after the other and beside no other test, because each of them takes all processors
//! and some measure how the memory of the service grows.

mod crash;
mod mutants;
mod oom;
mod soak;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by a test for as long as it runs.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
