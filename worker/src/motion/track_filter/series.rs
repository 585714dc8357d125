//! The steps on the series of each landmark: outliers, gaps, low pass.

use super::{FilteredFrame, Recorded, TrackFilterSettings};
use crate::motion::landmark_set::LandmarkSet;
use crate::motion::outliers::median;
use crate::motion::savitzky_golay::SavitzkyGolay;
use crate::motion::{Butterworth, even_times, gaps};
use bodyscript_protocol::options::LowPass;
use bodyscript_protocol::pose::{LANDMARKS, Landmark, Pose};

/// Deviations up to this, in metres, are no outliers.
const TOLERANCE_M: f64 = 0.03;
/// Coordinates of a landmark: three in the picture, three in metres.
const COORDINATES: usize = 6;
/// Visibility and presence.
const CONFIDENCES: usize = 2;
/// Cut-off frequency of the Butterworth filter, in hertz. Where that is not below half the rate, nothing is removed.
const CUTOFF_HZ: f64 = 6.0;
/// Time of a window of the Savitzky-Golay filter, in seconds, and the degree of its polynomials.
const WINDOW_S: f64 = 0.23;
const ORDER: usize = 3;

/// Looks for outliers in the frames from some frame on.
pub(super) fn find_outliers(frames: &mut [Recorded], from: usize, settings: &TrackFilterSettings) {
    let times = times(frames);
    let poses: Vec<Option<Pose>> = frames.iter().map(Recorded::pose).collect();
    let tolerances = tolerances(&poses, settings.aspect);
    frames[from..].iter_mut().for_each(|frame| frame.outliers = LandmarkSet::default());
    for landmark in 0..LANDMARKS {
        let series = Series::of(&poses, landmark);
        for (values, tolerance) in series.coordinates.iter().zip(tolerances) {
            settings.outliers.find(&times, (values, from), tolerance, |i| {
                frames[i].outliers.insert(landmark);
            });
        }
    }
}

/// The frames, filtered.
pub(super) fn filter(frames: &[Recorded], settings: &TrackFilterSettings) -> Vec<FilteredFrame> {
    let times = times(frames);
    let poses: Vec<Option<Pose>> = frames.iter().map(Recorded::pose).collect();
    let mut filled = vec![LandmarkSet::default(); frames.len()];
    let mut filtered = vec![[Landmark::default(); LANDMARKS]; frames.len()];
    for landmark in 0..LANDMARKS {
        let mut series = Series::of(&poses, landmark);
        let is_outlier = |frame: &Recorded| frame.outliers.contains(landmark);
        let is_outlier: Vec<bool> = frames.iter().map(is_outlier).collect();
        let is_filled = series.filter(&times, &is_outlier, settings);
        for (i, pose) in filtered.iter_mut().enumerate() {
            pose[landmark] = series.landmark(i);
            if is_filled[i] {
                filled[i].insert(landmark);
            }
        }
    }
    let complete = |(frame, (pose, filled)): (&Recorded, (Pose, LandmarkSet))| {
        let is_known = pose.iter().all(|landmark| !landmark.x.is_nan());
        FilteredFrame {
            time: frame.time,
            raw: frame.raw,
            pose: is_known.then_some(pose),
            filled: if is_known { filled } else { LandmarkSet::default() },
            exchanged: frame.exchanged,
        }
    };
    frames.iter().zip(filtered.into_iter().zip(filled)).map(complete).collect()
}

fn times(frames: &[Recorded]) -> Vec<f64> {
    frames.iter().map(|frame| frame.time).collect()
}

/// What counts as no outlier, by coordinate. In the picture it is what that much of the person usually measures; its
/// depth is not checked, as it follows from that in metres.
fn tolerances(poses: &[Option<Pose>], aspect: f64) -> [f64; COORDINATES] {
    let mut scales: Vec<f64> = poses.iter().flatten().map(|pose| scale(pose, aspect)).collect();
    let scale = if scales.is_empty() { 0.0 } else { median(&mut scales) };
    let (x, y) = (TOLERANCE_M * scale / aspect, TOLERANCE_M * scale);
    [x, y, f64::INFINITY, TOLERANCE_M, TOLERANCE_M, TOLERANCE_M]
}

/// How many heights of the picture a metre of the person measures.
fn scale(pose: &Pose, aspect: f64) -> f64 {
    let middle = |value: fn(&Landmark) -> f32| (value(&pose[23]) + value(&pose[24])) / 2.0;
    let (x, y) = (middle(|landmark| landmark.x), middle(|landmark| landmark.y));
    let (mut heights, mut metres) = (0.0, 0.0);
    for landmark in pose {
        heights += (f64::from(landmark.x - x) * aspect).hypot(f64::from(landmark.y - y));
        metres += f64::from(landmark.world[0]).hypot(f64::from(landmark.world[1]));
    }
    heights / metres
}

/// One landmark in time.
struct Series {
    coordinates: [Vec<f64>; COORDINATES],
    confidences: [Vec<f64>; CONFIDENCES],
}

impl Series {
    fn of(poses: &[Option<Pose>], landmark: usize) -> Self {
        let values = |value: &dyn Fn(&Landmark) -> f32| -> Vec<f64> {
            let known = |pose: &Option<Pose>| pose.map(|pose| f64::from(value(&pose[landmark])));
            poses.iter().map(|pose| known(pose).unwrap_or(f64::NAN)).collect()
        };
        let world = |axis: usize| values(&|landmark| landmark.world[axis]);
        Self {
            coordinates: [
                values(&|landmark| landmark.x),
                values(&|landmark| landmark.y),
                values(&|landmark| landmark.z),
                world(0),
                world(1),
                world(2),
            ],
            confidences: [
                values(&|landmark| landmark.visibility),
                values(&|landmark| landmark.presence),
            ],
        }
    }

    /// Replaces outliers, fills gaps and removes noise; returns which values are new.
    fn filter(
        &mut self,
        times: &[f64],
        is_outlier: &[bool],
        settings: &TrackFilterSettings,
    ) -> Vec<bool> {
        let mut is_filled = Vec::new();
        for values in &mut self.coordinates {
            is_filled = fill(times, values, is_outlier, settings.gap_s_max);
            for run in gaps::runs(times, values, settings.gap_s_max) {
                remove_noise(&times[run.clone()], &mut values[run], settings.low_pass);
            }
        }
        for values in &mut self.confidences {
            gaps::fill(times, values, settings.gap_s_max);
        }
        is_filled
    }

    fn landmark(&self, i: usize) -> Landmark {
        let [x, y, z, world_x, world_y, world_z] =
            self.coordinates.each_ref().map(|values| values[i] as f32);
        let [visibility, presence] = self.confidences.each_ref().map(|values| values[i] as f32);
        Landmark { x, y, z, visibility, presence, world: [world_x, world_y, world_z] }
    }
}

/// Fills what is missing, and replaces outliers; one that cannot be replaced, at an end or beside a long gap, stays.
/// Returns which values are new.
fn fill(times: &[f64], values: &mut [f64], is_outlier: &[bool], gap_s_max: f64) -> Vec<bool> {
    let original = values.to_vec();
    let outliers = || (0..original.len()).filter(|i| is_outlier[*i]);
    outliers().for_each(|i| values[i] = f64::NAN);
    let mut is_new: Vec<bool> = values.iter().map(|value| value.is_nan()).collect();
    gaps::fill(times, values, gap_s_max);
    for i in outliers().filter(|i| values[*i].is_nan()).collect::<Vec<_>>() {
        values[i] = original[i];
        is_new[i] = false;
    }
    gaps::fill(times, values, gap_s_max);
    is_new.iter_mut().zip(values).for_each(|(is_new, value)| *is_new &= !value.is_nan());
    is_new
}

fn remove_noise(times: &[f64], values: &mut [f64], low_pass: LowPass) {
    match low_pass {
        LowPass::Butterworth => even_times::apply(times, values, |values, rate_hz| {
            if let Some(filter) = Butterworth::new(CUTOFF_HZ, rate_hz) {
                filter.apply(values);
            }
        }),
        LowPass::SavitzkyGolay => {
            let [Some(first), Some(last)] = [times.first(), times.last()] else { return };
            let interval = (last - first) / (times.len() as f64 - 1.0).max(1.0);
            let window = (WINDOW_S / interval).round() as usize | 1;
            SavitzkyGolay { window, order: ORDER }.apply(times, values);
        }
    }
}
