//! The guard of one cage and its worker: in every case both are gone in the end.
//!
//! Created by `spawn_worker`, ended by `drive` through [`ContainedProcess::tear_down`]. If that is
//! not reached (a panic, a runtime that shuts down), dropping it does the same within a time limit.

use crate::runner::containment::cage::{Cage, CageError, Counters};
use crate::runner::containment::orphans;
use crate::runner::containment::spawn::{Reaped, reap};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time between two checks of a cage that is not yet empty.
const PAUSE: Duration = Duration::from_millis(1);

/// Time between two log lines about a cage that does not become empty.
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// How long processes that have left an empty cage may take to become reapable.
const STRAGGLER_TIMEOUT: Duration = Duration::from_millis(100);

/// How long a destructor may take.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

/// The result of a teardown.
#[derive(Debug, Default)]
pub(crate) struct Teardown {
    /// The worker's exit; none if there was no process or it was not a child of the supervisor.
    pub(crate) reaped: Option<Reaped>,
    /// The final counters of the cage.
    pub(crate) counters: Counters,
}

/// A cage, and its worker until it is reaped.
#[derive(Debug)]
pub(crate) struct ContainedProcess {
    cage: Option<Box<dyn Cage>>,
    worker: Option<Pid>,
}

impl ContainedProcess {
    /// Guards an empty cage.
    pub(crate) fn new(cage: Box<dyn Cage>) -> Self {
        Self { cage: Some(cage), worker: None }
    }

    /// Guards a worker as well.
    pub(crate) fn set_worker(&mut self, worker: Pid) {
        self.worker = Some(worker);
    }

    /// The cage.
    pub(crate) fn cage(&self) -> &dyn Cage {
        self.cage.as_deref().expect("only `remove_cage` takes the cage, when the guard ends")
    }

    /// Raises the memory cap.
    pub(crate) fn raise_cap(&self, memory_bytes_max: u64) -> Result<(), CageError> {
        self.cage().raise(self.worker, memory_bytes_max)
    }

    /// Sends SIGKILL to the worker and everything else in the cage.
    pub(crate) fn kill(&self) {
        if let Some(worker) = self.worker {
            // Also if the cage fails: the worker is a child that is not reaped.
            let _ = kill(worker, Signal::SIGKILL);
        }
        if let Some(Err(error)) = self.cage.as_ref().map(|cage| cage.kill(self.worker)) {
            tracing::error!(%error, "cannot kill a cage");
        }
    }

    /// Kills everything inside, waits until it is gone, reads the counters and removes the cage.
    /// Blocks for as long as the kernel needs: a process that cannot be killed keeps its memory,
    /// and its memory reservation must last as long.
    pub(crate) fn tear_down(mut self) -> Teardown {
        let mut next_log = Instant::now() + LOG_PERIOD;
        let mut reaped = None;
        while !self.kill_and_check(&mut reaped) {
            if Instant::now() >= next_log {
                tracing::error!(worker = ?self.worker, "a cage does not become empty");
                next_log += LOG_PERIOD;
            }
            sleep(PAUSE);
        }
        reap_stragglers();
        let counters = self.cage().counters().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the counters of a cage");
            Counters::default()
        });
        self.remove_cage();
        Teardown { reaped, counters }
    }

    fn kill_and_check(&mut self, reaped: &mut Option<Reaped>) -> bool {
        self.kill();
        if let Some(worker) = self.worker {
            match reap(worker) {
                Ok(None) => return false,
                Ok(end) => *reaped = end,
                Err(error) => tracing::error!(%error, "cannot wait for a worker"),
            }
            self.worker = None;
            self.kill();
        }
        self.cage().is_empty().unwrap_or_else(log_unreadable)
    }

    fn remove_cage(&mut self) {
        let Some(cage) = self.cage.take() else { return };
        let deadline = Instant::now() + DROP_TIMEOUT;
        // The last process may still be leaving the group.
        while let Err(error) = cage.remove() {
            if Instant::now() >= deadline {
                tracing::error!(%error, "cannot remove a cage; the next start removes it");
                return;
            }
            sleep(PAUSE);
        }
    }
}

/// A group is empty a moment before its last processes are children of the supervisor. A process
/// that takes longer belongs to another cage, whose teardown reaps it.
fn reap_stragglers() {
    let deadline = Instant::now() + STRAGGLER_TIMEOUT;
    while !orphans::reap().found_none() && Instant::now() < deadline {
        sleep(PAUSE);
    }
}

/// A cage that cannot be read is empty: its group is gone.
fn log_unreadable(error: CageError) -> bool {
    tracing::error!(%error, "cannot read whether a cage is empty");
    true
}

impl Drop for ContainedProcess {
    fn drop(&mut self) {
        if self.cage.is_none() {
            return;
        }
        let deadline = Instant::now() + DROP_TIMEOUT;
        while !self.kill_and_check(&mut None) && Instant::now() < deadline {
            sleep(PAUSE);
        }
        reap_stragglers();
        self.remove_cage();
    }
}
