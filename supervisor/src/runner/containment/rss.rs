//! The resident size of a worker, sampled from procfs.
//!
//! Sampled by `drive` several times a second. It enforces the cap only where no cgroup does.

use crate::runner::containment::orphans;
use nix::unistd::Pid;
use procfs::process::Process;
use std::time::Duration;

/// Time between two samples.
pub(crate) const PERIOD: Duration = Duration::from_millis(50);

/// The result of one sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Resident size now, in bytes.
    pub(crate) rss_bytes: u64,
    /// Largest resident size so far, in bytes; for the worker alone it is the kernel's own record.
    pub(crate) peak_bytes: u64,
}

/// Samples one worker.
#[derive(Debug)]
pub(crate) struct Watch {
    worker: Pid,
    scope: Scope,
    peak_bytes: u64,
}

/// Which processes are added up.
#[derive(Debug, Clone, Copy)]
enum Scope {
    Worker,
    Tree,
}

impl Watch {
    /// Samples a worker, which must not be reaped meanwhile.
    pub(crate) const fn on(worker: Pid) -> Self {
        Self { worker, scope: Scope::Worker, peak_bytes: 0 }
    }

    /// Samples a worker and its descendants, where no cgroup adds them up.
    pub(crate) const fn on_tree(worker: Pid) -> Self {
        Self { worker, scope: Scope::Tree, peak_bytes: 0 }
    }

    /// Takes a sample. A process that has exited counts as 0.
    pub(crate) fn sample(&mut self) -> Sample {
        let (own, high_water) = resident(self.worker);
        let others = match self.scope {
            Scope::Worker => Vec::new(),
            Scope::Tree => orphans::descendants(self.worker),
        };
        let rss_bytes = own + others.into_iter().map(|pid| resident(pid).0).sum::<u64>();
        self.peak_bytes = self.peak_bytes.max(rss_bytes).max(high_water);
        Sample { rss_bytes, peak_bytes: self.peak_bytes }
    }
}

/// `VmRSS` and `VmHWM` in bytes (proc_pid_status(5)).
fn resident(pid: Pid) -> (u64, u64) {
    let status = Process::new(pid.as_raw()).and_then(|process| process.status());
    let bytes = |kibibytes: Option<u64>| kibibytes.unwrap_or(0) * 1024;
    status.map_or((0, 0), |status| (bytes(status.vmrss), bytes(status.vmhwm)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touched_memory_is_sampled_and_stays_in_the_peak() {
        const BYTES: usize = 32 << 20;
        let mut watch = Watch::on(Pid::this());
        let before = watch.sample();
        let touched = std::hint::black_box(vec![1_u8; BYTES]);
        let during = watch.sample();
        assert!(during.rss_bytes >= before.rss_bytes + BYTES as u64 / 2, "{before:?} {during:?}");
        drop(touched);
        assert!(watch.sample().peak_bytes >= during.rss_bytes);
    }

    #[test]
    fn a_process_that_does_not_exist_has_no_memory() {
        assert_eq!(Watch::on(Pid::from_raw(i32::MAX)).sample(), Sample::default());
    }
}
