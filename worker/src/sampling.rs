//! Which frames of the video are processed: by number, or by presentation time. Called by `run`
//! once a frame; pure.

use crate::video::Probe;
use bodyscript_protocol::options::Sampling;
use std::time::Duration;

/// How much too early a frame may be for its tick: containers round times to as much as a
/// millisecond, and the frame meant must not give way to the next one.
const EARLY_MAX: Duration = Duration::from_millis(1);

/// Chooses frames one by one.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    first: Option<Duration>,
    /// Number of the tick that the next frame to process is to reach.
    tick: u64,
}

impl Sampler {
    /// Before the first frame.
    pub const fn new(sampling: Sampling) -> Self {
        Self { sampling, first: None, tick: 0 }
    }

    /// Whether the frame of this number and time is processed. To be asked for each in turn.
    pub fn takes(&mut self, frame_id: u32, pts: Duration) -> bool {
        let milli = match self.sampling {
            Sampling::Interval(frames) => return frame_id.is_multiple_of(frames.get()),
            Sampling::Rate(rate) => u128::from(rate.milli()),
        };
        let elapsed = pts.saturating_sub(*self.first.get_or_insert(pts)) + EARLY_MAX;
        // Ticks are 1000 / milli seconds apart: counted whole, so that none drifts.
        let reached = (elapsed.as_nanos() * milli / 1_000_000_000_000) as u64;
        if reached < self.tick {
            return false;
        }
        self.tick = reached + 1;
        true
    }
}

/// How many frames will be processed, as far as the container tells.
pub fn expected(sampling: Sampling, probe: &Probe) -> u32 {
    let frames = probe.frames_estimate.unwrap_or(0);
    match (sampling, probe.frame_rate) {
        (Sampling::Interval(interval), _) => frames.div_ceil(interval.get()),
        (Sampling::Rate(_), (0, _)) => frames,
        (Sampling::Rate(rate), (num, den)) => {
            let seconds = f64::from(frames) * f64::from(den) / f64::from(num);
            frames.min((seconds * rate.per_second()).ceil() as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(sampling: Sampling, times: impl IntoIterator<Item = f64>) -> Vec<u32> {
        let mut sampler = Sampler::new(sampling);
        let times = times.into_iter().map(Duration::from_secs_f64);
        (0..).zip(times).filter(|(id, pts)| sampler.takes(*id, *pts)).map(|(id, _)| id).collect()
    }

    fn rate(fps: &str) -> Sampling {
        Sampling::Rate(fps.parse().expect("a rate"))
    }

    #[test]
    fn an_interval_counts_frames() {
        let every_third = Sampling::every(3).expect("an interval");
        assert_eq!(taken(every_third, (0..8).map(f64::from)), [0, 3, 6]);
    }

    #[test]
    fn a_rate_goes_by_time_and_starts_with_the_first_frame() {
        let thirtieths = (0..13).map(|k| 0.5 + f64::from(k) / 30.0);
        assert_eq!(taken(rate("10"), thirtieths), [0, 3, 6, 9, 12]);
        let rounded = (0..13).map(|k| (f64::from(k) / 30.0 * 1000.0).round() / 1000.0);
        assert_eq!(taken(rate("10"), rounded), [0, 3, 6, 9, 12]);
    }

    #[test]
    fn a_rate_does_not_drift_where_it_is_no_divisor_of_the_frame_rate() {
        // Of 29.97 frames a second, 25: after 40 s exactly a thousand.
        let times = (0..1199).map(|k| f64::from(k) * 1001.0 / 30_000.0);
        assert_eq!(taken(rate("25"), times).len(), 1000);
    }

    #[test]
    fn a_gap_is_not_made_up_for() {
        assert_eq!(taken(rate("10"), [0.0, 0.05, 1.0, 1.05, 1.1, 1.15]), [0, 2, 4]);
    }

    #[test]
    fn a_rate_above_the_videos_takes_every_frame() {
        assert_eq!(taken(rate("240"), (0..5).map(|k| f64::from(k) / 30.0)).len(), 5);
    }
}
