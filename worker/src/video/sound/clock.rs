//! When each packet of sound is heard, on the timeline of the pictures that go out, and which
//! packets are left out. Pure; called by `mod` for every packet, in order.

use std::time::Duration;

/// What a decoder wants to have read before the first sound that is right (RFC 7845: 80 ms for
/// Opus; AAC and MP3 need less). That much from before the start is written and hidden.
const PREROLL_NS: i64 = 80_000_000;
/// Containers round times; packets that follow each other this closely follow each other at once.
const JITTER_NS: u64 = 3_000_000;
/// Least distance between two packets. Not more: it must not add up to anything that is heard.
const STEP_MIN_NS: i64 = 1_000;

/// Gives the packets of one track their times.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// What the first picture's time base is on the container's clock.
    origin: i64,
    /// Nothing that begins then or later is written.
    limit: i64,
    packets_left: u32,
    last: Option<Heard>,
}

/// When a packet is heard, in nanoseconds from the start of the presentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Too early to be of use.
    Before,
    /// Written.
    At(Heard),
    /// Past the limit, as is all that follows.
    Past,
    /// There are more packets than the index of the file has room for.
    TooMany,
}

impl Clock {
    /// For a track whose clock shows `origin` when the presentation starts, up to the limit.
    pub(super) fn new(origin: Duration, limit: Duration, packets_max: u32) -> Self {
        let (origin, limit) = (nanoseconds(origin), nanoseconds(limit));
        Self { origin, limit, packets_left: packets_max, last: None }
    }

    /// The place of a packet that the container shows at `stated` and that lasts `duration`.
    pub(super) fn place(&mut self, stated: Option<i64>, duration: Duration) -> Place {
        let stated = stated.map(|time| time.saturating_sub(self.origin));
        let from = match (stated, self.last) {
            (Some(time), Some(last)) if time.abs_diff(last.to) <= JITTER_NS => last.to,
            (Some(time), _) => time,
            (None, last) => last.map_or(0, |last| last.to),
        };
        let from = self.last.map_or(from, |last| from.max(last.from + STEP_MIN_NS));
        let heard = Heard { from, to: from.saturating_add(nanoseconds(duration)) };
        if from >= self.limit {
            return Place::Past;
        }
        self.last = Some(heard);
        if heard.to <= -PREROLL_NS {
            return Place::Before;
        }
        let Some(left) = self.packets_left.checked_sub(1) else { return Place::TooMany };
        self.packets_left = left;
        Place::At(heard)
    }
}

/// No time here is longer than what fits: that is 292 years.
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

    fn at(from_ms: i64) -> Place {
        Place::At(Heard { from: from_ms * MS, to: (from_ms + 20) * MS })
    }

    #[test]
    fn times_count_from_the_origin_and_late_ones_stay_late() {
        let mut clock = clock();
        assert_eq!(clock.place(Some(5300 * MS), PACKET), at(300));
        assert_eq!(clock.place(Some(5900 * MS), PACKET), at(900));
    }

    #[test]
    fn rounded_times_follow_each_other_and_gaps_and_overlaps_are_kept() {
        let mut clock = clock();
        for (stated, placed) in
            [(5000, 0), (5021, 20), (5039, 40), (5100, 100), (5121, 120), (5130, 130)]
        {
            assert_eq!(clock.place(Some(stated * MS), PACKET), at(placed), "{stated}");
        }
    }

    #[test]
    fn packets_without_a_time_follow_the_one_before() {
        let mut clock = clock();
        assert_eq!(clock.place(None, PACKET), at(0));
        assert_eq!(clock.place(None, PACKET), at(20));
    }

    #[test]
    fn times_that_run_backwards_rise_all_the_same() {
        let mut clock = clock();
        let mut last = 0;
        for stated in [5500 * MS, 5000 * MS, i64::MIN] {
            let Place::At(heard) = clock.place(Some(stated), PACKET) else { panic!("{stated}") };
            assert!(heard.from > last && heard.from < 501 * MS, "{heard:?}");
            last = heard.from;
        }
    }

    #[test]
    fn what_a_decoder_needs_from_before_the_start_is_kept_and_no_more() {
        let mut clock = clock();
        assert_eq!(clock.place(Some(4900 * MS), PACKET), Place::Before);
        assert_eq!(clock.place(Some(4920 * MS), PACKET), at(-80));
    }

    #[test]
    fn nothing_begins_at_the_limit_or_later() {
        let mut clock = clock();
        assert_eq!(clock.place(Some(5999 * MS), PACKET), at(999));
        assert_eq!(clock.place(Some(6019 * MS), PACKET), Place::Past);
        let mut clock = self::clock();
        assert_eq!(clock.place(Some(6000 * MS), PACKET), Place::Past);
        assert_eq!(clock.place(Some(i64::MAX), PACKET), Place::Past);
    }

    #[test]
    fn there_are_no_more_packets_than_fit() {
        let mut clock = Clock::new(Duration::ZERO, Duration::from_secs(1), 2);
        assert!(matches!(clock.place(Some(0), Duration::ZERO), Place::At(_)));
        assert!(matches!(clock.place(Some(0), Duration::ZERO), Place::At(_)));
        assert_eq!(clock.place(Some(0), Duration::ZERO), Place::TooMany);
    }
}
