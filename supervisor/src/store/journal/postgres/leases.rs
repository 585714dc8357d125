//! Which of the hosts that share the journal are lost: those whose beat was seen unchanged for the whole lease. Pure.
//!
//! Each host measures with its own uptime, so that no clocks are compared. A gap in its own reading, because the
//! database did not answer or this process did not run, says nothing of the others: all observations begin anew then,
//! and an outage takes no host for lost.

use crate::policy::host::HostId;
use std::collections::HashMap;
use std::time::Duration;

/// The part of the lease in which beats have to be read again.
const READ_WITHIN: u32 = 2;

/// The beats of other hosts as this one has observed them.
#[derive(Debug)]
pub(crate) struct Leases {
    lease: Duration,
    read_at: Option<Duration>,
    /// The last beat, and when it was first seen.
    beats: HashMap<HostId, (i64, Duration)>,
}

impl Leases {
    pub(crate) fn new(lease: Duration) -> Self {
        Self { lease, read_at: None, beats: HashMap::new() }
    }

    /// Takes the beats of all other hosts, read at this uptime; returns those whose lease is over.
    pub(crate) fn observe(
        &mut self,
        beats: impl IntoIterator<Item = (HostId, i64)>,
        now: Duration,
    ) -> Vec<(HostId, i64)> {
        let read_at = self.read_at.replace(now);
        let is_gap = read_at.is_none_or(|at| now.saturating_sub(at) > self.lease / READ_WITHIN);
        let before = std::mem::take(&mut self.beats);
        let mut lost = Vec::new();
        for (host, beat) in beats {
            let since = match before.get(&host) {
                Some((seen, since)) if *seen == beat && !is_gap => *since,
                _ => now,
            };
            self.beats.insert(host, (beat, since));
            if now.saturating_sub(since) >= self.lease {
                lost.push((host, beat));
            }
        }
        lost
    }

    /// When the last beat of a host was first seen.
    pub(crate) fn seen_at(&self, host: HostId) -> Option<Duration> {
        self.beats.get(&host).map(|(_, since)| *since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(20);

    fn hosts() -> [HostId; 2] {
        [1, 2].map(HostId::from_journal)
    }

    /// Reads each second; the second host beats every four seconds until `beats_until`. Returns when each was lost.
    fn lost(seconds: impl Iterator<Item = u64>, beats_until: u64) -> Vec<(u64, HostId)> {
        let [silent, beating] = hosts();
        let mut leases = Leases::new(LEASE);
        let mut lost = Vec::new();
        for s in seconds {
            let beats = [(silent, 7), (beating, s.min(beats_until) as i64 / 4)];
            let now = leases.observe(beats, Duration::from_secs(s));
            lost.extend(now.into_iter().map(|(host, _)| (s, host)));
        }
        lost
    }

    #[test]
    fn a_host_is_lost_once_its_beat_was_unchanged_for_the_lease() {
        let [silent, beating] = hosts();
        assert_eq!(lost(0..=20, 100), [(20, silent)]);
        let both = lost(0..=28, 8);
        assert_eq!(both.iter().find(|(_, host)| *host == beating), Some(&(28, beating)));
    }

    #[test]
    fn a_beat_was_seen_when_it_changed() {
        let [silent, beating] = hosts();
        let mut leases = Leases::new(LEASE);
        for (s, beat) in [(1, 7), (2, 7), (3, 8), (4, 8)] {
            leases.observe([(silent, 7), (beating, beat)], Duration::from_secs(s));
        }
        assert_eq!(leases.seen_at(silent), Some(Duration::from_secs(1)));
        assert_eq!(leases.seen_at(beating), Some(Duration::from_secs(3)));
        assert_eq!(leases.seen_at(HostId::ALONE), None);
    }

    #[test]
    fn a_gap_in_reading_begins_all_observations_anew() {
        let [silent, _] = hosts();
        assert_eq!(lost((0..10).chain(21..=40), 100), []);
        assert_eq!(lost((0..10).chain(21..=41), 100), [(41, silent)]);
    }
}
