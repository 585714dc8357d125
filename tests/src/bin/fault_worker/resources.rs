//! Memory that is reserved or touched, and processes that are left behind or multiply.

use super::MIB;
use bodyscript_protocol::exit::WorkerExit;
use nix::unistd::setsid;
use std::mem::forget;
use std::process::{Child, Command, exit};
use std::{io, thread};

/// Reserves memory without touching it; ends the process if that is refused.
pub(super) fn reserved(mib: usize) -> Vec<u8> {
    let mut memory = Vec::new();
    match memory.try_reserve_exact(mib * MIB) {
        Ok(()) => memory,
        Err(_) => exit(WorkerExit::Memory.code().into()),
    }
}

/// Reserves memory and writes to all of it.
pub(super) fn touched(mib: usize) -> Vec<u8> {
    let mut memory = reserved(mib);
    // Writes within what is reserved; reading it back keeps the writes.
    memory.resize(memory.capacity(), 1);
    std::hint::black_box(memory)
}

/// Starts this program again, in another role.
pub(super) fn spawn(role: &str) -> io::Result<Child> {
    Command::new("/proc/self/exe").arg(role).spawn()
}

/// Leaves a process without a parent, in a session and a group of its own.
pub(super) fn detach() {
    setsid().expect("a child is no group leader");
    forget(spawn("linger").expect("a child"));
}

/// Starts processes that do the same, until that fails; then sleeps.
pub(super) fn multiply() {
    while spawn("bomb").is_ok() {}
    sleep_forever();
}

pub(super) fn sleep_forever() {
    sleep_holding(&[]);
}

/// Sleeps for ever with this memory.
pub(super) fn sleep_holding(memory: &[u8]) {
    loop {
        thread::park();
        std::hint::black_box(memory);
    }
}
