//! The guard of one cage and the process in it: whatever happens, both are gone in the end.
//!
//! Made by `birth`, ended by `attempt` through [`ContainedProcess::tear_down`]. If that never comes (a panic, a
//! runtime that ends), dropping it does the same as far as a destructor can.

use crate::runner::containment::cage::{Cage, CageError, Counters};
use crate::runner::containment::orphans;
use crate::runner::containment::spawn::{Reaped, reap};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time between two looks at a cage that is not yet empty.
const PAUSE: Duration = Duration::from_millis(1);

/// How often the log says that a cage does not become empty.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(10);

/// How long processes that have left an empty cage may take to end.
const STRAGGLER_PATIENCE: Duration = Duration::from_millis(100);

/// How long a destructor may take.
const DROP_PATIENCE: Duration = Duration::from_secs(2);

/// What is known when all is over.
#[derive(Debug, Default)]
pub(crate) struct Teardown {
    /// The worker's end; none if the process was never there or not ours to wait for.
    pub(crate) reaped: Option<Reaped>,
    /// The cage's last counters.
    pub(crate) counters: Counters,
}

/// A cage, and the worker in it while it is not reaped.
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
    pub(crate) fn hold(&mut self, worker: Pid) {
        self.worker = Some(worker);
    }

    /// The cage.
    pub(crate) fn cage(&self) -> &dyn Cage {
        self.cage.as_deref().expect("the cage is taken by `bury` alone, which takes the guard")
    }

    /// Sends SIGKILL to the worker and everything else in the cage.
    pub(crate) fn kill(&self) {
        if let Some(worker) = self.worker {
            // Also where the cage fails: the worker is ours and not reaped.
            let _ = kill(worker, Signal::SIGKILL);
        }
        if let Some(Err(error)) = self.cage.as_ref().map(|cage| cage.kill(self.worker)) {
            tracing::error!(%error, "cannot kill a cage");
        }
    }

    /// Ends everything inside, waits until it is gone, reads the counters and takes the cage
    /// away. Blocks for as long as the kernel needs: a process it cannot end holds its memory,
    /// and whoever counts on that memory must wait.
    pub(crate) fn tear_down(mut self) -> Teardown {
        let mut complaint = Instant::now() + COMPLAINT_PERIOD;
        let mut reaped = None;
        while !self.is_over(&mut reaped) {
            if Instant::now() >= complaint {
                tracing::error!(worker = ?self.worker, "a cage does not become empty");
                complaint += COMPLAINT_PERIOD;
            }
            sleep(PAUSE);
        }
        reap_stragglers();
        let counters = self.cage().counters().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the counters of a cage");
            Counters::default()
        });
        self.take_away();
        Teardown { reaped, counters }
    }

    fn is_over(&mut self, reaped: &mut Option<Reaped>) -> bool {
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
        self.cage().is_empty().unwrap_or_else(is_gone)
    }

    fn take_away(&mut self) {
        let Some(cage) = self.cage.take() else { return };
        let patience = Instant::now() + DROP_PATIENCE;
        // The last process may still be on its way out of the group.
        while let Err(error) = cage.remove() {
            if Instant::now() >= patience {
                tracing::error!(%error, "a cage stays; the next start sweeps it");
                return;
            }
            sleep(PAUSE);
        }
    }
}

/// A group is empty a moment before the last of its processes have become ours to reap. What
/// takes longer belongs to another cage, where it will not be forgotten either.
fn reap_stragglers() {
    let patience = Instant::now() + STRAGGLER_PATIENCE;
    while !orphans::reap().found_none() && Instant::now() < patience {
        sleep(PAUSE);
    }
}

/// A cage that cannot be looked into holds nothing: its group is gone.
fn is_gone(error: CageError) -> bool {
    tracing::error!(%error, "cannot look into a cage");
    true
}

impl Drop for ContainedProcess {
    fn drop(&mut self) {
        if self.cage.is_none() {
            return;
        }
        let patience = Instant::now() + DROP_PATIENCE;
        while !self.is_over(&mut None) && Instant::now() < patience {
            sleep(PAUSE);
        }
        reap_stragglers();
        self.take_away();
    }
}
