//! Removes the jitter of a tracked pose without lagging behind fast movement.
//!
//! One-Euro filters (Casiez, Roussel and Vogel, "1 EUR Filter", CHI 2012) on positions, with speed
//! measured relative to the person's size, and an exponential mean on visibility. The constants
//! are those of the published MediaPipe Pose graph.

use super::landmarks::PoseEstimate;
use bodyscript_protocol::options::Smoothing;
use bodyscript_protocol::pose::LANDMARKS;
use std::f32::consts::TAU;
use std::time::Duration;

/// Share of the new value in the running mean of visibility.
const VISIBILITY_SHARE: f32 = 0.1;
/// People smaller than this, in pixels, are not smoothed.
const SIZE_PX_MIN: f32 = 1e-6;
/// Assumed until the second frame.
const FRAME_RATE_INITIAL: f32 = 30.0;

/// Parameters of one kind of One-Euro filter.
#[derive(Debug, Clone, Copy)]
struct Tuning {
    /// Cut-off frequency at rest, in Hz.
    cutoff_min: f32,
    /// How fast the cut-off rises with speed.
    beta: f32,
}

const PICTURE: Tuning = Tuning { cutoff_min: 0.05, beta: 80.0 };
const ALIGNMENT: Tuning = Tuning { cutoff_min: 0.01, beta: 10.0 };
const WORLD: Tuning = Tuning { cutoff_min: 0.1, beta: 40.0 };
/// Cut-off frequency of the speed itself, in Hz.
const SPEED_CUTOFF: f32 = 1.0;

/// The filters of one person.
#[derive(Debug)]
pub struct Smoother {
    smoothing: Smoothing,
    last: Option<Duration>,
    picture: [[OneEuro; 3]; LANDMARKS],
    alignment: [[OneEuro; 2]; 2],
    steady: [SteadyFilters; LANDMARKS],
}

/// The filters of one landmark that are kept when the track is lost.
#[derive(Debug, Default, Clone, Copy)]
struct SteadyFilters {
    world: [OneEuro; 3],
    visibility: Option<f32>,
}

/// The scales of one frame, shared by all filters.
#[derive(Debug, Clone, Copy)]
struct FrameScale {
    /// Frames per second, by the time since the last one.
    rate: f32,
    /// The person's size in pixels.
    person_px: f32,
    /// The picture's width and height in pixels.
    size: [f32; 2],
}

impl Smoother {
    /// Filters without history. Without smoothing only the points that give the next region are
    /// filtered: jitter of the region causes jitter of the models' results.
    pub fn new(smoothing: Smoothing) -> Self {
        Self {
            smoothing,
            last: None,
            picture: [[OneEuro::default(); 3]; LANDMARKS],
            alignment: [[OneEuro::default(); 2]; 2],
            steady: [SteadyFilters::default(); LANDMARKS],
        }
    }

    /// Smooths the pose of one frame; `size` is the picture's, in pixels.
    pub fn apply(
        &mut self,
        mut estimate: PoseEstimate,
        pts: Duration,
        size: [f32; 2],
    ) -> PoseEstimate {
        let rate = match self.last.map(|last| pts.saturating_sub(last)) {
            None => FRAME_RATE_INITIAL,
            Some(Duration::ZERO) => return estimate,
            Some(elapsed) => 1.0 / elapsed.as_secs_f32(),
        };
        self.last = Some(pts);
        let [center, on_circle] = estimate.alignment;
        let person_px = 2.0 * (on_circle[0] - center[0]).hypot(on_circle[1] - center[1]);
        if person_px >= SIZE_PX_MIN {
            self.apply_positions(&mut estimate, FrameScale { rate, person_px, size });
        }
        if self.smoothing == Smoothing::Off {
            return estimate;
        }
        for (filters, landmark) in self.steady.iter_mut().zip(&mut estimate.pose) {
            landmark.visibility = mean(&mut filters.visibility, landmark.visibility);
            for (filter, value) in filters.world.iter_mut().zip(&mut landmark.world) {
                *value = filter.apply(*value, 1.0, rate, WORLD);
            }
        }
        estimate
    }

    /// Forgets everything: the next detection is of somebody else.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.smoothing);
    }

    /// Forgets the person's position: the next detection may be elsewhere. The visibility of the
    /// landmarks and the shape of the body are kept.
    pub fn lose_track(&mut self) {
        let Self { picture, alignment, .. } = Self::new(self.smoothing);
        (self.picture, self.alignment) = (picture, alignment);
    }

    fn apply_positions(
        &mut self,
        estimate: &mut PoseEstimate,
        FrameScale { rate, person_px, size }: FrameScale,
    ) {
        for (filters, point) in self.alignment.iter_mut().zip(&mut estimate.alignment) {
            for (filter, value) in filters.iter_mut().zip(point) {
                *value = filter.apply(*value, 1.0 / person_px, rate, ALIGNMENT);
            }
        }
        if self.smoothing == Smoothing::Off {
            return;
        }
        let [width, height] = size;
        for (filters, landmark) in self.picture.iter_mut().zip(&mut estimate.pose) {
            let axes =
                [(&mut landmark.x, width), (&mut landmark.y, height), (&mut landmark.z, width)];
            for (filter, (value, px)) in filters.iter_mut().zip(axes) {
                *value = filter.apply(*value * px, 1.0 / person_px, rate, PICTURE) / px;
            }
        }
    }
}

fn mean(state: &mut Option<f32>, value: f32) -> f32 {
    let smooth = state.map_or(value, |last| last + VISIBILITY_SHARE * (value - last));
    *state = Some(smooth);
    smooth
}

/// The filter of one value over time.
#[derive(Debug, Default, Clone, Copy)]
struct OneEuro {
    last_raw: Option<f32>,
    smooth: f32,
    speed: f32,
}

impl OneEuro {
    fn apply(&mut self, value: f32, speed_scale: f32, rate: f32, tuning: Tuning) -> f32 {
        let Some(last_raw) = self.last_raw.replace(value) else {
            self.smooth = value;
            return value;
        };
        let speed = (value - last_raw) * speed_scale * rate;
        self.speed += share(SPEED_CUTOFF, rate) * (speed - self.speed);
        let cutoff = tuning.cutoff_min + tuning.beta * self.speed.abs();
        self.smooth += share(cutoff, rate) * (value - self.smooth);
        self.smooth
    }
}

/// Share of the new value in an exponential mean with a cut-off frequency.
fn share(cutoff: f32, rate: f32) -> f32 {
    1.0 / (1.0 + rate / (TAU * cutoff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_damped_and_a_step_is_followed() {
        let mut filter = OneEuro::default();
        let mut swing = 0.0_f32;
        for i in 0..60 {
            let noise = if i % 2 == 0 { 0.0005 } else { -0.0005 };
            let smooth = filter.apply(1.0 + noise, 1.0, 30.0, PICTURE);
            if i > 30 {
                swing = swing.max((smooth - 1.0).abs());
            }
        }
        assert!(swing < 0.0004, "{swing}");
        for _ in 0..6 {
            filter.apply(2.0, 1.0, 30.0, PICTURE);
        }
        assert!((filter.smooth - 2.0).abs() < 0.05, "{filter:?}");
    }
}
