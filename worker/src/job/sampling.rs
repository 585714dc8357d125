//! Selects the frames to process, by number or by time in life. Called by `run` for each
//! frame; pure.

use crate::video::Probe;
use bodyscript_protocol::options::{Options, Sampling};
use std::time::Duration;

/// How much too early, by the times of the file, a frame may be for its tick: containers round times to as much as a
/// millisecond, and the intended frame must not be skipped for the next one.
const EARLY_MAX: Duration = Duration::from_millis(1);

/// Selects frames one by one.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    early_max: Duration,
    first: Option<Duration>,
    /// Number of the tick that the next selected frame has to reach.
    tick: u64,
}

impl Sampler {
    /// Before the first frame.
    pub(crate) fn new(options: &Options) -> Self {
        let early_max = options.time_in_life(EARLY_MAX);
        Self { sampling: options.sampling, early_max, first: None, tick: 0 }
    }

    /// Whether the frame of this number, at this time in life, is processed. To be called for each frame in order.
    pub(crate) fn selects(&mut self, frame_id: u32, time: Duration) -> bool {
        let milli = match self.sampling {
            Sampling::Interval(frames) => return frame_id.is_multiple_of(frames.get()),
            Sampling::Rate(rate) => u128::from(rate.milli()),
        };
        let elapsed = time.saturating_sub(*self.first.get_or_insert(time)) + self.early_max;
        // Ticks are 1000 / milli seconds apart; whole ticks are counted, so that none drifts.
        let reached = (elapsed.as_nanos() * milli / 1_000_000_000_000) as u64;
        if reached < self.tick {
            return false;
        }
        self.tick = reached + 1;
        true
    }
}

/// How many frames will be processed, as far as the container states it.
pub(crate) fn expected(options: &Options, probe: &Probe) -> u32 {
    let frames = probe.frames_estimate.unwrap_or(0);
    match (options.sampling, probe.frame_rate) {
        (Sampling::Interval(interval), _) => frames.div_ceil(interval.get()),
        (Sampling::Rate(_), (0, _)) => frames,
        (Sampling::Rate(rate), (num, den)) => {
            let seconds = f64::from(frames) * f64::from(den) / f64::from(num);
            let seconds = seconds / options.slow_motion.to_f64();
            frames.min((seconds * rate.per_second()).ceil() as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(sampling: Sampling, times: impl IntoIterator<Item = f64>) -> Vec<u32> {
        let mut sampler = Sampler::new(&Options { sampling, ..Options::default() });
        let times = times.into_iter().map(Duration::from_secs_f64);
        (0..).zip(times).filter(|(id, pts)| sampler.selects(*id, *pts)).map(|(id, _)| id).collect()
    }

    fn rate(fps: &str) -> Sampling {
        Sampling::Rate(fps.parse().expect("a rate"))
    }

    #[test]
    fn an_interval_selects_by_frame_number() {
        let every_third = Sampling::every(3).expect("an interval");
        assert_eq!(selected(every_third, (0..8).map(f64::from)), [0, 3, 6]);
    }

    #[test]
    fn a_rate_selects_by_time_and_starts_with_the_first_frame() {
        let thirtieths = (0..13).map(|k| 0.5 + f64::from(k) / 30.0);
        assert_eq!(selected(rate("10"), thirtieths), [0, 3, 6, 9, 12]);
        let rounded = (0..13).map(|k| (f64::from(k) / 30.0 * 1000.0).round() / 1000.0);
        assert_eq!(selected(rate("10"), rounded), [0, 3, 6, 9, 12]);
    }

    #[test]
    fn a_rate_that_does_not_divide_the_frame_rate_does_not_drift() {
        // Of 29.97 frames a second, 25: after 40 s exactly a thousand.
        let times = (0..1199).map(|k| f64::from(k) * 1001.0 / 30_000.0);
        assert_eq!(selected(rate("25"), times).len(), 1000);
    }

    #[test]
    fn frames_missing_in_a_gap_are_not_compensated() {
        assert_eq!(selected(rate("10"), [0.0, 0.05, 1.0, 1.05, 1.1, 1.15]), [0, 2, 4]);
    }

    #[test]
    fn a_rate_above_the_frame_rate_selects_every_frame() {
        assert_eq!(selected(rate("240"), (0..5).map(|k| f64::from(k) / 30.0)).len(), 5);
    }
}
