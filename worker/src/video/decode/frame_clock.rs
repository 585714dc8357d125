//! Gives each frame its time on the timeline of the output: its own stamp, or one by a rule where that
//! cannot be used. Pure; called by `decode` for every frame, in order.
//!
//! A stamp is usable if it is later than the frame before, by at least [`STEP_MIN`]. A frame without
//! a usable stamp is placed half way between the frame before and the next one, if that has a usable
//! stamp, otherwise one nominal frame duration after the frame before.

use std::time::Duration;

/// Least distance between two frames. Decoders count missing stamps up by nanoseconds, and no camera
/// takes a thousand pictures a second.
const STEP_MIN: Duration = Duration::from_millis(1);

/// Places frames one by one.
#[derive(Debug, Default)]
pub(super) struct FrameClock {
    last: Option<Duration>,
    has_guessed: bool,
}

impl FrameClock {
    /// Time of the last frame.
    pub(super) fn last(&self) -> Option<Duration> {
        self.last
    }

    /// Whether the time of a frame was derived from others.
    pub(super) fn has_guessed(&self) -> bool {
        self.has_guessed
    }

    /// Places a frame by its stamp; none if it cannot be used.
    pub(super) fn place(&mut self, stamp: Option<Duration>) -> Option<Duration> {
        let stamp = stamp.filter(|stamp| self.is_usable(*stamp))?;
        self.last = Some(stamp);
        self.last
    }

    /// Places a frame without a usable stamp, by the stamp of the next one.
    pub(super) fn guess(&mut self, next: Option<Duration>, frame_duration: Duration) -> Duration {
        self.has_guessed = true;
        let time = match (self.last, next) {
            (None, _) => Duration::ZERO,
            // Half of a step that leaves room for both.
            (Some(last), Some(next)) if next >= last + 2 * STEP_MIN => last + (next - last) / 2,
            (Some(last), _) => last + frame_duration.max(STEP_MIN),
        };
        self.last = Some(time);
        time
    }

    fn is_usable(&self, stamp: Duration) -> bool {
        self.last.is_none_or(|last| stamp >= last + STEP_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(40);

    /// Times of frames with these stamps, in milliseconds.
    fn placed(stamps: &[Option<u64>]) -> (Vec<f64>, bool) {
        let mut clock = FrameClock::default();
        let stamps: Vec<_> = stamps.iter().map(|stamp| stamp.map(Duration::from_millis)).collect();
        let times = (0..stamps.len()).map(|n| {
            let next = stamps.get(n + 1).copied().flatten();
            let time = clock.place(stamps[n]).unwrap_or_else(|| clock.guess(next, FRAME));
            time.as_secs_f64() * 1000.0
        });
        (times.collect(), clock.has_guessed())
    }

    #[test]
    fn rising_stamps_are_kept() {
        let stamps = [Some(500), Some(501), Some(600), Some(9000)];
        assert_eq!(placed(&stamps), (vec![500.0, 501.0, 600.0, 9000.0], false));
    }

    #[test]
    fn an_equal_backward_or_missing_stamp_is_placed_half_way_to_the_next() {
        for odd in [Some(100), Some(30), None] {
            let stamps = [Some(0), Some(100), odd, Some(200), Some(300)];
            assert_eq!(placed(&stamps), (vec![0.0, 100.0, 150.0, 200.0, 300.0], true), "{odd:?}");
        }
        let pairs = [Some(0), Some(0), Some(40), Some(40)];
        assert_eq!(placed(&pairs), (vec![0.0, 20.0, 40.0, 80.0], true));
    }

    #[test]
    fn without_usable_stamps_times_come_from_the_frame_rate() {
        let expected = (vec![0.0, 40.0, 80.0, 120.0], true);
        assert_eq!(placed(&[None; 4]), expected);
        assert_eq!(placed(&[Some(0); 4]), expected);
    }

    #[test]
    fn stamps_that_start_again_continue_by_the_frame_rate() {
        let stamps = [Some(1000), Some(1040), Some(0), Some(40), Some(80)];
        assert_eq!(placed(&stamps), (vec![1000.0, 1040.0, 1080.0, 1120.0, 1160.0], true));
    }

    #[test]
    fn a_rate_without_end_still_has_steps() {
        let mut clock = FrameClock::default();
        let times = [0; 3].map(|_| clock.guess(None, Duration::ZERO));
        assert_eq!(times, [0, 1, 2].map(Duration::from_millis));
    }
}
