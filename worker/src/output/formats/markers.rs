//! What the formats of marker trajectories have in common: place, unit and axes of a marker, and the rate of the frames.

use crate::motion::MetricScale;
use crate::output::writer::WriterContext;
use crate::pose::Person;
use bodyscript_protocol::layout::MarkerUnit;
use bodyscript_protocol::pose::{LANDMARKS, Landmark};
use std::time::Duration;

/// Millimetres in a metre.
const MM: f32 = 1000.0;
/// How far the measured rate may be from the stated one for the stated one to be used.
const RATE_TOLERANCE: f64 = 0.01;

/// Where the markers of the first person are. X is to the right of the picture, Y up, and Z to the camera.
#[derive(Debug, Clone, Copy)]
pub(super) struct Markers {
    /// If positions in metres are asked for and known.
    metres: Option<MetricScale>,
}

impl Markers {
    /// In the scene if its scale is known, else relative to the hips.
    pub(super) const fn new(metres: Option<MetricScale>) -> Self {
        Self { metres }
    }

    /// The unit of all markers.
    pub(super) const fn unit(&self) -> MarkerUnit {
        match self.metres {
            Some(_) => MarkerUnit::Metres,
            None => MarkerUnit::Millimetres,
        }
    }

    /// The landmarks of the first person.
    pub(super) fn of(&self, person: &Person) -> [[f32; 3]; LANDMARKS] {
        let in_scene = person.in_scene(self.metres);
        in_scene.unwrap_or_else(|| person.pose.each_ref().map(from_hips))
    }
}

/// Millimetres from the middle of the hips.
fn from_hips(landmark: &Landmark) -> [f32; 3] {
    let [x, y, z] = landmark.world;
    // Adding zero makes a negative zero positive.
    [x * MM, -y * MM + 0.0, -z * MM + 0.0]
}

/// Counts the rows of a table, and derives their rate.
pub(super) struct RowRate {
    /// Frames per second of life that the video states, and rows per second that follow from it.
    stated: Option<[f64; 2]>,
    rows: u32,
    first: Duration,
    last: Duration,
}

impl RowRate {
    /// For the video of a job.
    pub(super) fn of(context: &WriterContext<'_>) -> Self {
        let options = &context.start.parameters.options;
        let (num, den) = context.facts.frame_rate;
        let stated = (num > 0 && den > 0).then(|| f64::from(num) / f64::from(den));
        let camera = stated.map(|rate| rate * options.slow_motion.to_f64());
        Self::new(camera, options.sampling.interval())
    }

    /// For a video with so many frames per second of life, if that is stated, of which every `interval`-th frame is
    /// processed, if that is how they are chosen.
    pub(super) fn new(camera: Option<f64>, interval: Option<u32>) -> Self {
        let stated = camera.zip(interval).map(|(rate, n)| [rate, rate / f64::from(n)]);
        Self { stated, rows: 0, first: Duration::ZERO, last: Duration::ZERO }
    }

    /// Counts a row.
    pub(super) fn add(&mut self, time: Duration) {
        if self.rows == 0 {
            self.first = time;
        }
        self.last = time;
        self.rows += 1;
    }

    /// The rows so far.
    pub(super) const fn rows(&self) -> u32 {
        self.rows
    }

    /// Frames per second of the camera and rows per second. The measured rate is used where the
    /// video states no rate, or one that contradicts its times.
    pub(super) fn per_second(&self) -> [f64; 2] {
        let seconds = (self.last.saturating_sub(self.first)).as_secs_f64();
        let measured = (seconds > 0.0).then(|| f64::from(self.rows - 1) / seconds);
        match (self.stated, measured) {
            (Some(stated), None) => stated,
            (Some(stated), Some(rate)) if (rate / stated[1] - 1.0).abs() < RATE_TOLERANCE => stated,
            (_, Some(rate)) => [rate, rate],
            // At most one row, of unknown rate; readers reject zero.
            (None, None) => [1.0, 1.0],
        }
    }
}
