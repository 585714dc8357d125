//! Removes jobs whose results have expired, and measures how much memory and disk space is free.
//!
//! Part of the dispatcher's loop, except the measurement: statvfs(2) blocks while a file system
//! does not respond, so it runs on a thread of its own.

use crate::dispatcher::state::State;
use crate::policy::retention_rules::RetentionPeriods;
use crate::store::{ENDED_KEPT_MAX, Pressure};

/// Jobs that expire in one sweep, which blocks the loop; the next sweep continues.
const SWEPT_MAX: usize = 1000;

impl State {
    /// Measures in the background, unless the last measurement has not returned yet.
    pub(crate) fn measure(&mut self) {
        if self.measurements.is_empty() {
            let files = self.files.clone();
            let disk_free_bytes_min = self.config.disk_free_bytes_min;
            self.measurements.spawn_blocking(move || {
                files.folder().test_writes();
                Pressure::measure(files.folder(), disk_free_bytes_min)
            });
        }
    }

    /// Removes expired jobs, oldest first.
    pub(crate) fn sweep(&mut self, pressure: Pressure) {
        self.pressure = pressure;
        self.protect_disk(pressure);
        // Those of a shared journal are in the store only.
        if pressure.disk && !self.journal.is_shared() {
            self.discard_videos_beyond(0, "low disk space");
        }
        let periods = RetentionPeriods {
            normal: self.config.result_ttl,
            under_pressure: self.config.pressure_ttl,
        };
        let now = self.clock.now();
        for _ in 0..SWEPT_MAX {
            let Some((ended, id)) = self.jobs.first_ended() else { return };
            let why = match () {
                () if periods.has_expired(now.since(ended), false) => "expired",
                () if periods.has_expired(now.since(ended), pressure.is_short()) => {
                    "low memory or disk space"
                }
                () if self.jobs.ended_len() > ENDED_KEPT_MAX => "limit of jobs reached",
                () => return,
            };
            self.expire(id, why);
        }
    }
}
