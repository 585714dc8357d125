//! The times of the frames of an animation, by how long each is shown. Pure; called by `gif` and `apng`.

use std::time::Duration;

/// Delays up to this one are replaced.
const DELAY_REPLACED_MAX: Duration = Duration::from_millis(10);
/// What replaces them.
const DELAY_DEFAULT: Duration = Duration::from_millis(100);

/// How long a frame is shown that states this delay. As in browsers: files that state none, or one
/// that no screen could show, are meant to play at ten frames a second.
pub(super) fn shown_for(stated: Duration) -> Duration {
    if stated <= DELAY_REPLACED_MAX { DELAY_DEFAULT } else { stated }
}

/// The delays of an animation so far.
#[derive(Debug, Default)]
pub(super) struct Pace {
    total: Duration,
    /// The delay of all frames so far, if it is the same.
    step: Option<Duration>,
    varies: bool,
}

impl Pace {
    /// Adds a frame that states this delay; returns its time.
    pub(super) fn add(&mut self, stated: Duration) -> Duration {
        let (time, delay) = (self.total, shown_for(stated));
        self.varies |= *self.step.get_or_insert(delay) != delay;
        self.total = self.total.saturating_add(delay);
        time
    }

    /// How long all frames are shown together.
    pub(super) const fn total(&self) -> Duration {
        self.total
    }

    /// Frames per second as a fraction, if all frames are shown equally long.
    pub(super) fn rate(&self) -> Option<(i32, i32)> {
        let step = self.step.filter(|_| !self.varies)?;
        let micros = i32::try_from(step.as_micros()).ok()?;
        Some((1_000_000, micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn delays_of_a_hundredth_of_a_second_and_less_become_a_tenth() {
        for (stated, shown) in [(0, 100), (10, 100), (20, 20), (5000, 5000)] {
            assert_eq!(shown_for(ms(stated)), ms(shown), "{stated} ms");
        }
    }

    #[test]
    fn a_frame_comes_when_those_before_it_have_been_shown() {
        let mut pace = Pace::default();
        assert_eq!([60, 0, 70].map(|delay| pace.add(ms(delay))), [ms(0), ms(60), ms(160)]);
        assert_eq!((pace.total(), pace.rate()), (ms(230), None));
    }

    #[test]
    fn equal_delays_are_a_rate() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            pace.add(ms(40));
        }
        assert_eq!(pace.rate(), Some((1_000_000, 40_000)));
        assert_eq!(Pace::default().rate(), None);
    }
}
