//! From pictures to poses: the BlazePose graph.
//!
//! ```text
//! picture -> detector -> roi -> crop -> landmarks -> pose
//!                         ^                 |
//!                         +---- track ------+   the next frame's roi, without detecting again
//! ```
//!
//! Source: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking" (2020), and the
//! published MediaPipe Pose graphs, whose constants carry over so that the numbers agree.

pub mod anchors;
pub mod best;
pub mod clothes;
pub mod companions;
pub mod crop;
pub mod detector;
pub mod enhance;
pub mod landmarks;
pub mod pipeline;
pub mod roi;
pub mod smooth;
pub mod track;

use crate::inference::ModelError;
use detector::Detector;
use landmarks::{Found, Landmarker};
use roi::Roi;
use std::fs::File;

use crate::picture::Pixels;

/// Least score of the detector, and least pose flag of the landmark model, for a person to count.
pub const CONFIDENCE_MIN: f32 = 0.2;

/// The two models, ready to run.
pub struct Estimator {
    detector: Detector,
    landmarker: Landmarker,
}

impl Estimator {
    /// Reads both models from their files and checks them against the manifest.
    pub fn load(detector: File, landmarks: File) -> Result<Self, ModelError> {
        Ok(Self { detector: Detector::load(detector)?, landmarker: Landmarker::load(landmarks)? })
    }

    /// Where the people are, the most prominent first.
    pub fn detect(&self, picture: &dyn Pixels) -> Result<Vec<Roi>, ModelError> {
        self.detector.detect(picture)
    }

    /// The pose of the person in a region, or nothing if the region holds none.
    pub fn landmarks(&self, picture: &dyn Pixels, roi: &Roi) -> Result<Option<Found>, ModelError> {
        self.landmarker.find(picture, roi)
    }

    /// The most prominent person in a picture seen alone.
    pub fn single(&self, picture: &dyn Pixels) -> Result<Option<Found>, ModelError> {
        match self.detect(picture)?.first() {
            Some(roi) => self.landmarks(picture, roi),
            None => Ok(None),
        }
    }
}
