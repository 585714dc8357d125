//! Keeps running attempts from filling the disk.
//!
//! Uploads are refused below `disk_free_bytes_min`; the first half of that reserve is for attempts under way. Below
//! the other half the attempt that has written most is stopped, one at a time, and no other is started until
//! uploads would be accepted again. Its files are deleted and its job is queued again, uncounted.

use crate::dispatcher::state::State;
use crate::runner::attempt::exit_report::Stop;
use crate::store::Pressure;

impl State {
    /// Whether attempts wait until the disk has space or accepts writes.
    pub(crate) fn disk_is_awaited(&self) -> bool {
        self.awaits_disk || self.files.folder().refuses_writes()
    }

    /// Stops an attempt if too little space is left, unless one is being stopped already.
    pub(crate) fn protect_disk(&mut self, pressure: Pressure) {
        if !pressure.disk_critical {
            if self.awaits_disk && !pressure.disk {
                self.awaits_disk = false;
                tracing::info!("the disk has space again");
            }
            return;
        }
        if !self.awaits_disk {
            self.awaits_disk = true;
            tracing::error!("less than half of `disk_free_bytes_min` is free: no job is started");
        }
        if let Some((id, results_bytes)) = self.scheduler.stop_largest(Stop::DiskLow) {
            tracing::warn!(job = %id, results_bytes, "an attempt is stopped for lack of disk space");
        }
    }
}
