//! The clock on which results expire: it never jumps and survives restarts.
//!
//! It counts the uptime of the host since the state folder was created. Within one boot it follows
//! CLOCK_BOOTTIME (clock_gettime(2)), which continues during a suspend and while the service is
//! stopped; after a reboot it continues from the time last stored in the journal. Changes of the
//! wall clock do not affect it.

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment on the service's clock, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment(i64);

impl Moment {
    /// From the journal.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// For the journal.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// The time since an earlier moment; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The time since the boot, suspends included.
pub(crate) fn uptime() -> Duration {
    Duration::from_millis(up_ms().unsigned_abs())
}

/// The wall clock, for people, in whole milliseconds as stored in the journal.
pub fn wall() -> Timestamp {
    #[cfg(test)]
    if let Some((_, wall)) = simulated::now() {
        return wall;
    }
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The state of the clock that the journal stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    boot_id: String,
    ahead_ms: i64,
    seen: Moment,
}

/// The current boot, and the time since it.
#[derive(Debug, Clone)]
struct Boot {
    id: String,
    up_ms: i64,
}

impl Boot {
    fn now() -> Self {
        Self { id: boot_id(), up_ms: up_ms() }
    }
}

/// The service's clock.
#[derive(Debug, Clone)]
pub struct Clock {
    boot_id: String,
    /// Difference to the time since the boot.
    ahead_ms: i64,
    /// Whether its moments are those of a wall clock that hosts share.
    is_shared: bool,
}

impl Clock {
    /// Continues from a stored state, or starts at zero.
    pub fn resume(saved: Option<&Saved>) -> Self {
        Self::resume_at(saved, Boot::now())
    }

    fn resume_at(saved: Option<&Saved>, boot: Boot) -> Self {
        let ahead_ms = match saved {
            None => 0,
            Some(saved) if saved.boot_id == boot.id => saved.ahead_ms,
            Some(saved) => saved.seen.0.saturating_sub(boot.up_ms),
        };
        Self { boot_id: boot.id, ahead_ms, is_shared: false }
    }

    /// Continues from the wall clock of a database that hosts share, in milliseconds since 1970. Their own wall clocks
    /// may differ.
    pub(crate) fn shared(now_ms: i64) -> Self {
        let Boot { id, up_ms } = Boot::now();
        Self { boot_id: id, ahead_ms: now_ms.saturating_sub(up_ms), is_shared: true }
    }

    /// The time for people.
    pub(crate) fn wall(&self) -> Timestamp {
        let shared = self.is_shared.then(|| Timestamp::from_millisecond(self.now().0).ok());
        shared.flatten().unwrap_or_else(wall)
    }

    /// The current time.
    pub fn now(&self) -> Moment {
        Moment(up_ms().saturating_add(self.ahead_ms))
    }

    /// The state to store.
    pub fn save(&self) -> Saved {
        Saved { boot_id: self.boot_id.clone(), ahead_ms: self.ahead_ms, seen: self.now() }
    }
}

/// The kernel's id of this boot (proc_sys_kernel(5)). Without one every start counts as a boot,
/// which makes results live longer, never shorter.
fn boot_id() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map_or_else(|_| format!("unknown-{}", std::process::id()), |id| id.trim().to_owned())
}

/// Milliseconds since the boot, suspends included.
fn up_ms() -> i64 {
    #[cfg(test)]
    if let Some((up_ms, _)) = simulated::now() {
        return up_ms;
    }
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has it since 2.6.39");
    i64::try_from(Duration::from(time).as_millis()).unwrap_or(i64::MAX)
}

/// Replaces both clocks of the kernel on one thread.
#[cfg(test)]
pub(crate) mod simulated {
    use jiff::Timestamp;
    use std::cell::RefCell;

    /// Returns the milliseconds since the boot and the wall clock.
    type Source = Box<dyn Fn() -> (i64, Timestamp)>;

    thread_local!(static SOURCE: RefCell<Option<Source>> = const { RefCell::new(None) });

    /// Uses this source on the current thread from now on.
    pub(crate) fn follow(source: impl Fn() -> (i64, Timestamp) + 'static) {
        SOURCE.set(Some(Box::new(source)));
    }

    pub(super) fn now() -> Option<(i64, Timestamp)> {
        SOURCE.with_borrow(|source| source.as_ref().map(|source| source()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(id: &str, up_ms: i64) -> Boot {
        Boot { id: id.into(), up_ms }
    }

    #[test]
    fn a_restart_within_a_boot_loses_no_time() {
        let saved = Saved { boot_id: "a".into(), ahead_ms: 5_000, seen: Moment(6_000) };
        // The service was stopped from 1 s to 100 s after the boot.
        let clock = Clock::resume_at(Some(&saved), boot("a", 100_000));
        assert_eq!(clock.ahead_ms + 100_000, 105_000);
    }

    #[test]
    fn after_a_reboot_the_clock_continues_from_the_last_stored_time() {
        let saved = Saved { boot_id: "a".into(), ahead_ms: 5_000, seen: Moment(65_000) };
        for up_ms in [10_000, 90_000] {
            let clock = Clock::resume_at(Some(&saved), boot("b", up_ms));
            assert_eq!(clock.ahead_ms + up_ms, 65_000);
        }
    }

    #[test]
    fn a_saved_clock_continues() {
        let clock = Clock::resume(None);
        let saved = clock.save();
        let resumed = Clock::resume(Some(&saved));
        assert!(resumed.now() >= saved.seen);
        assert!(resumed.now().since(saved.seen) < Duration::from_secs(60));
        assert_eq!(saved.seen.since(resumed.now() /* later */), Duration::ZERO);
    }
}
