//! Tests that load the whole host: thousands of kernel kills, crashes of the service, damaged videos, generated
//! requests, and a large program that reads results. They run one after another, because each of them uses all processors and some measure
//! how the memory of the service grows.

mod blender;
mod cluster;
mod contract;
mod crash;
mod mutants;
mod oom;
mod soak;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locked by a test while it runs.
static EXCLUSIVE: Mutex<()> = Mutex::new(());

fn run_exclusively() -> MutexGuard<'static, ()> {
    EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner)
}
