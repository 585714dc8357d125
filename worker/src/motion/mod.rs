//! The movement of landmarks in time, with its future known: errors removed, gaps filled, noise filtered.
//!
//! Pure: values in, values out. A series is a slice of ascending times in seconds and one of values of the same
//! length, of which NaN is a missing one. [`TrackFilter`] applies the steps to the frames of one track, in this order:
//!
//! ```text
//! swaps -> outliers -> gaps -> butterworth or savitzky_golay
//! ```
//!
//! Exchanged sides come first: a short exchange looks like an outlier of both. Outliers come before gaps, which they
//! become, and gaps before the low pass, which needs values at all times.

mod butterworth;
mod even_times;
mod gaps;
mod interpolation;
mod landmark_set;
mod metres;
mod outliers;
mod rotation;
mod savitzky_golay;
mod skeleton;
mod swaps;
mod track_filter;
mod unwrap;
pub mod vector;

pub use butterworth::Butterworth;
pub use landmark_set::LandmarkSet;
pub use metres::{MetresSurvey, MetricScale, Surveyed};
pub use outliers::Hampel;
pub use rotation::Rotation;
pub use skeleton::{
    ENDS, JOINT_COUNT, JOINTS, Joint, Posture, Proportions, Rotations, SKELETON_BYTES_PER_FRAME,
    SkeletonRecording,
};
pub use track_filter::{FilteredFrame, TrackFilter, TrackFilterSettings};
pub use unwrap::Unwrapper;

#[cfg(test)]
mod scipy_tests;
#[cfg(test)]
pub(crate) mod synthetic_walk;
