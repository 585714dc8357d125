//! The two models together, ready to run.

use super::detector::Detector;
use super::landmarks::{Landmarker, PoseEstimate};
use super::roi::Roi;
use crate::inference::ModelError;
use crate::picture::{Picture, Pixels};
use bodyscript_protocol::options::LandmarkModel;
use std::fs::File;
use std::time::Duration;

/// The two models, ready to run.
pub struct Estimator {
    detector: Detector,
    landmarker: Landmarker,
}

impl Estimator {
    /// Reads both models from their files and checks them against the manifest.
    pub fn load(detector: File, landmarks: (LandmarkModel, File)) -> Result<Self, ModelError> {
        Ok(Self { detector: Detector::load(detector)?, landmarker: Landmarker::load(landmarks)? })
    }

    /// The regions of the people, the most prominent first.
    pub fn detect(&self, picture: &dyn Pixels) -> Vec<Roi> {
        self.detector.detect(picture)
    }

    /// The pose of the person in a region, or nothing if the region contains none.
    pub fn landmarks(&self, picture: &dyn Pixels, roi: &Roi) -> Option<PoseEstimate> {
        self.landmarker.estimate(picture, roi)
    }

    /// The most prominent person in a picture, without tracking.
    pub(super) fn single(&self, picture: &dyn Pixels) -> Option<PoseEstimate> {
        let roi = *self.detect(picture).first()?;
        self.landmarks(picture, &roi)
    }
}

/// One frame and the models to process it with.
#[derive(Clone, Copy)]
pub(super) struct CurrentFrame<'a> {
    /// The models.
    pub(super) estimator: &'a Estimator,
    /// The frame.
    pub(super) picture: &'a Picture,
    /// Its time in life.
    pub(super) pts: Duration,
}

impl CurrentFrame<'_> {
    /// Width and height in pixels.
    pub(super) fn size_px(&self) -> [f32; 2] {
        [self.picture.width() as f32, self.picture.height() as f32]
    }
}
