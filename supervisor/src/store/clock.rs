//! The clock by which results age: it never jumps and survives restarts.
//!
//! It counts the time the host has been up since the state folder was made. Within one boot it
//! follows CLOCK_BOOTTIME (clock_gettime(2)), which runs on through a suspend and through the
//! end of this program; after a reboot it goes on from where the journal last saw it. Setting
//! the wall clock does not touch it.

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment on the service's clock, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment(i64);

impl Moment {
    /// From what a journal keeps.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// For a journal to keep.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// The time from an earlier moment to this one; none if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The wall clock, for people, to the millisecond: finer tells nobody anything, and this is what
/// the journal keeps.
pub fn wall() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// What a journal keeps of the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    boot_id: String,
    ahead_ms: i64,
    seen: Moment,
}

/// Which boot this is, and how long ago it was.
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

/// The clock.
#[derive(Debug, Clone)]
pub struct Clock {
    boot_id: String,
    /// How far it is ahead of the time since the boot.
    ahead_ms: i64,
}

impl Clock {
    /// Goes on from what was saved, or starts.
    pub fn resume(saved: Option<&Saved>) -> Self {
        Self::resume_at(saved, Boot::now())
    }

    fn resume_at(saved: Option<&Saved>, boot: Boot) -> Self {
        let ahead_ms = match saved {
            None => 0,
            Some(saved) if saved.boot_id == boot.id => saved.ahead_ms,
            Some(saved) => saved.seen.0.saturating_sub(boot.up_ms),
        };
        Self { boot_id: boot.id, ahead_ms }
    }

    /// What it shows.
    pub fn now(&self) -> Moment {
        Moment(up_ms().saturating_add(self.ahead_ms))
    }

    /// What a journal is to keep of it.
    pub fn save(&self) -> Saved {
        Saved { boot_id: self.boot_id.clone(), ahead_ms: self.ahead_ms, seen: self.now() }
    }
}

/// The kernel's name of this boot (proc_sys_kernel(5)). Without one every start counts as a boot,
/// which makes results live longer, never shorter.
fn boot_id() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map_or_else(|_| format!("unknown-{}", std::process::id()), |id| id.trim().to_owned())
}

fn up_ms() -> i64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has it since 2.6.39");
    i64::try_from(Duration::from(time).as_millis()).unwrap_or(i64::MAX)
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
        // The program was away from 1 s to 100 s after the boot.
        let clock = Clock::resume_at(Some(&saved), boot("a", 100_000));
        assert_eq!(clock.ahead_ms + 100_000, 105_000);
    }

    #[test]
    fn a_reboot_goes_on_from_what_was_last_seen() {
        let saved = Saved { boot_id: "a".into(), ahead_ms: 5_000, seen: Moment(65_000) };
        for up_ms in [10_000, 90_000] {
            let clock = Clock::resume_at(Some(&saved), boot("b", up_ms));
            assert_eq!(clock.ahead_ms + up_ms, 65_000);
        }
    }

    #[test]
    fn it_runs_and_what_is_saved_resumes() {
        let clock = Clock::resume(None);
        let saved = clock.save();
        let resumed = Clock::resume(Some(&saved));
        assert!(resumed.now() >= saved.seen);
        assert!(resumed.now().since(saved.seen) < Duration::from_secs(60));
        assert_eq!(saved.seen.since(resumed.now() /* later */), Duration::ZERO);
    }
}
