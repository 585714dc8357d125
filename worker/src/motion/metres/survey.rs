//! Measures a person in all frames, to know the scale of the scene.

use super::even_sample::EvenSample;
use super::floor::{SOLES, Slope, StandingFeet};
use super::stature::{BodySize, Stature};
use super::{MetricScale, Pixel, pixel};
use crate::motion::outliers::median;
use bodyscript_protocol::pose::Pose;

/// For how long a person has to be seen, in seconds.
const SEEN_S_MIN: f64 = 0.5;
/// Poses that are kept.
const BODIES_MAX: usize = 1024;
/// The size in pixels is compared between so many parts of the time.
const PERIODS: usize = 4;
/// A size that changes by more than this factor from one period to another shows that the depth changes.
const SIZE_CHANGE_MAX: f64 = 1.1;

/// What is measured so far.
#[derive(Debug)]
pub struct MetresSurvey {
    size: [f64; 2],
    bodies: EvenSample<BodySize, BODIES_MAX>,
    feet: StandingFeet,
    first: Option<First>,
    last_time: f64,
}

/// The first pose.
#[derive(Debug, Clone, Copy)]
struct First {
    time: f64,
    hips: Pixel,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surveyed {
    /// The scale; none if the person was not seen well enough.
    pub scale: Option<MetricScale>,
    /// Whether the person comes nearer or goes away.
    pub depth_changes: bool,
}

impl MetresSurvey {
    /// Before the first pose in a video of this size in pixels.
    pub fn new(size: [u32; 2]) -> Self {
        Self {
            size: size.map(f64::from),
            bodies: EvenSample::default(),
            feet: StandingFeet::default(),
            first: None,
            last_time: 0.0,
        }
    }

    /// Adds the next pose of a track; times are in seconds.
    pub fn add(&mut self, (time, track): (f64, u32), pose: &Pose) {
        let place = |landmark: usize| pixel(pose[landmark].x, pose[landmark].y, self.size);
        let ([left, right], soles) = ([23, 24].map(place), SOLES.map(place));
        let hips = [(left[0] + right[0]) / 2.0, (left[1] + right[1]) / 2.0];
        self.first.get_or_insert(First { time, hips });
        self.last_time = time;
        let body = BodySize::of(pose, self.size);
        if let Some(pixels_per_metre) = body.pixels_per_model_metre() {
            self.feet.add((time, track), soles, pixels_per_metre);
        }
        self.bodies.add(body);
    }

    /// The scale of the scene if the person is this tall, in metres.
    pub fn finish(&self, height_m: f64) -> Surveyed {
        let bodies = self.bodies.values();
        let depth_changes = depth_changes(bodies);
        // How high the feet are in the picture says how far away they are, and nothing of the slope then.
        let slope = if depth_changes { Slope::Level } else { Slope::Measured };
        let scale = self.first.zip(Stature::of(bodies)).and_then(|(First { time, hips }, it)| {
            let floor = self.feet.floor(slope, it.pixels / it.model)?;
            (self.last_time - time >= SEEN_S_MIN).then(|| MetricScale {
                size: self.size,
                metres_per_pixel: height_m / it.pixels,
                model_scale: height_m / it.model,
                origin: floor.below(hips),
                along: floor.along(),
            })
        });
        Surveyed { scale, depth_changes: depth_changes && scale.is_some() }
    }
}

/// Whether the size in pixels differs from one period to another.
fn depth_changes(bodies: &[BodySize]) -> bool {
    let mut sizes: Vec<f64> = bodies.iter().filter_map(BodySize::pixels_per_model_metre).collect();
    let count = sizes.len();
    if count < PERIODS {
        return false;
    }
    let mut in_period =
        |n: usize| median(&mut sizes[n * count / PERIODS..(n + 1) * count / PERIODS]);
    let sizes: [f64; PERIODS] = std::array::from_fn(&mut in_period);
    let least = sizes.iter().copied().fold(f64::INFINITY, f64::min);
    let most = sizes.iter().copied().fold(0.0, f64::max);
    most > SIZE_CHANGE_MAX * least
}
