//! From pictures to poses: the BlazePose graph.
//!
//! ```text
//! picture -> detector -> roi -> crop -> landmarks -> pose
//!                         ^                 |
//!                         +---- tracker ----+   the next frame's roi, without detecting again
//! ```
//!
//! Source: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking" (2020), and the
//! published MediaPipe Pose graphs, whose constants are used so that the results agree.

mod anchors;
mod appearance;
mod continuity;
mod crop;
mod detection;
mod detector;
mod enhance;
mod estimator;
mod frame_search;
mod identity;
mod landmarks;
mod people_tracker;
mod person;
mod pipeline;
mod primary_tracker;
mod roi;
mod smooth;
mod track;
mod tracker;

pub(crate) use continuity::GAP_MAX;
pub use crop::{Border, ValueRange, crop};
pub use enhance::{Enhancement, Enhancer};
pub use estimator::Estimator;
pub use landmarks::PoseEstimate;
pub(crate) use person::{FILLED, FilterTrace, Frame, Person, strategies};
pub use roi::Roi;
pub use smooth::Smoother;
pub(crate) use tracker::{TrackedFrame, Tracker, VideoFrame, frames_at_a_time, search_bytes};
