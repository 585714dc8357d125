//! Assigns each packet of sound its time on the timeline of the output, and selects the packets to
//! drop. Pure; called by `packet_reader` for every packet, in order.

use std::time::Duration;

/// Decoder pre-roll: what a decoder needs before its output is correct (RFC 7845: 80 ms for Opus; AAC
/// and MP3 need less). That much before the start is written and skipped by players.
const PRE_ROLL_NS: i64 = 80_000_000;
/// Containers round times; packets with a smaller gap are treated as contiguous.
const JITTER_NS: u64 = 3_000_000;
/// Least distance between two packets. Not more: it must not add up to an audible gap.
const STEP_MIN_NS: i64 = 1_000;

/// Assigns the packets of one track their times.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// Start of the output on the container's clock.
    origin: i64,
    /// Packets that begin then or later are dropped.
    limit: i64,
    packets_left: u32,
    last: Option<PlayTime>,
}

/// When a packet is played, in nanoseconds from the start of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlayTime {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// What is done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// Dropped: before the pre-roll.
    TooEarly,
    /// Written at this time.
    At(PlayTime),
    /// Dropped: at or after the limit, like all that follow.
    TooLate,
    /// Dropped: the index of the file has no space for further packets.
    TooMany,
}

impl Clock {
    /// A clock for an output that starts at `origin` and ends at the limit.
    pub(super) fn new(origin: Duration, limit: Duration, packets_max: u32) -> Self {
        let (origin, limit) = (nanoseconds(origin), nanoseconds(limit));
        Self { origin, limit, packets_left: packets_max, last: None }
    }

    /// Places a packet with this stated time and duration.
    pub(super) fn place(&mut self, stated: Option<i64>, duration: Duration) -> Placement {
        let stated = stated.map(|time| time.saturating_sub(self.origin));
        let from = match (stated, self.last) {
            (Some(time), Some(last)) if time.abs_diff(last.to) <= JITTER_NS => last.to,
            (Some(time), _) => time,
            (None, last) => last.map_or(0, |last| last.to),
        };
        let from = self.last.map_or(from, |last| from.max(last.from + STEP_MIN_NS));
        let time = PlayTime { from, to: from.saturating_add(nanoseconds(duration)) };
        if from >= self.limit {
            return Placement::TooLate;
        }
        self.last = Some(time);
        if time.to <= -PRE_ROLL_NS {
            return Placement::TooEarly;
        }
        let Some(left) = self.packets_left.checked_sub(1) else { return Placement::TooMany };
        self.packets_left = left;
        Placement::At(time)
    }
}

/// Converts to nanoseconds; times up to 292 years fit.
fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const PACKET: Duration = Duration::from_millis(20);

    fn clock() -> Clock {
        Clock::new(Duration::from_secs(5), Duration::from_secs(1), 100)
    }

    fn at(from_ms: i64) -> Placement {
        Placement::At(PlayTime { from: from_ms * MS, to: (from_ms + 20) * MS })
    }

    #[test]
    fn times_are_relative_to_the_origin() {
        let mut clock = clock();
        assert_eq!(clock.place(Some(5300 * MS), PACKET), at(300));
        assert_eq!(clock.place(Some(5900 * MS), PACKET), at(900));
    }

    #[test]
    fn rounded_times_become_contiguous_and_gaps_and_overlaps_are_kept() {
        let mut clock = clock();
        for (stated, placed) in
            [(5000, 0), (5021, 20), (5039, 40), (5100, 100), (5121, 120), (5130, 130)]
        {
            assert_eq!(clock.place(Some(stated * MS), PACKET), at(placed), "{stated}");
        }
    }

    #[test]
    fn packets_without_a_time_follow_the_previous_one() {
        let mut clock = clock();
        assert_eq!(clock.place(None, PACKET), at(0));
        assert_eq!(clock.place(None, PACKET), at(20));
    }

    #[test]
    fn decreasing_times_are_made_increasing() {
        let mut clock = clock();
        let mut last = 0;
        for stated in [5500 * MS, 5000 * MS, i64::MIN] {
            let Placement::At(time) = clock.place(Some(stated), PACKET) else { panic!("{stated}") };
            assert!(time.from > last && time.from < 501 * MS, "{time:?}");
            last = time.from;
        }
    }

    #[test]
    fn only_the_pre_roll_before_the_start_is_kept() {
        let mut clock = clock();
        assert_eq!(clock.place(Some(4900 * MS), PACKET), Placement::TooEarly);
        assert_eq!(clock.place(Some(4920 * MS), PACKET), at(-80));
    }

    #[test]
    fn packets_at_or_after_the_limit_are_dropped() {
        let mut clock = clock();
        assert_eq!(clock.place(Some(5999 * MS), PACKET), at(999));
        assert_eq!(clock.place(Some(6019 * MS), PACKET), Placement::TooLate);
        let mut clock = self::clock();
        assert_eq!(clock.place(Some(6000 * MS), PACKET), Placement::TooLate);
        assert_eq!(clock.place(Some(i64::MAX), PACKET), Placement::TooLate);
    }

    #[test]
    fn packets_beyond_the_maximum_number_are_dropped() {
        let mut clock = Clock::new(Duration::ZERO, Duration::from_secs(1), 2);
        assert!(matches!(clock.place(Some(0), Duration::ZERO), Placement::At(_)));
        assert!(matches!(clock.place(Some(0), Duration::ZERO), Placement::At(_)));
        assert_eq!(clock.place(Some(0), Duration::ZERO), Placement::TooMany);
    }
}
