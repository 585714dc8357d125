//! The two models together, ready to run.

use super::detector::Detector;
use super::landmarks::{Landmarker, PoseEstimate};
use super::roi::Roi;
use crate::heads::Head;
use crate::inference::ModelError;
use crate::picture::{Picture, Pixels};
use bodyscript_protocol::options::LandmarkModel;
use std::fs::File;
use std::time::Duration;

/// Score of the detector from which on a head counts without a pose.
const SURE_SCORE: f32 = 0.5;

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
        self.detector.detect(picture).into_iter().map(|person| person.roi).collect()
    }

    /// The pose of the person in a region, or nothing if the region contains none.
    pub fn landmarks(&self, picture: &dyn Pixels, roi: &Roi) -> Option<PoseEstimate> {
        self.landmarker.estimate(picture, roi)
    }

    /// The heads of all people in a picture, in which these are known already. A person counts who is known, of whom
    /// the detector is sure, or whose head the landmark model sees in the same place.
    pub(crate) fn heads(&self, picture: &dyn Pixels, known: Vec<Head>) -> Vec<Head> {
        let size = picture.size().map(|side| side as f32);
        let mut heads = known.clone();
        for person in self.detector.detect(picture) {
            let is_known = |face: &Head| known.iter().any(|it| it.contains(face));
            if person.head.as_ref().is_some_and(is_known) {
                heads.extend(person.head);
                continue;
            }
            let estimate = self.landmarks(picture, &person.roi);
            let seen = estimate.and_then(|estimate| Head::of_pose(&estimate.pose, size));
            let is_same = seen.zip(person.head).is_some_and(|(seen, head)| head.contains(&seen));
            if is_same || person.score >= SURE_SCORE {
                heads.extend(seen.into_iter().chain(person.head));
            }
        }
        heads
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ModelName;
    use crate::picture::RgbPicture;
    use bodyscript_mannequin::{Camera, Pose, Scene, project, render};
    use std::path::Path;

    #[test]
    fn the_heads_of_all_people_are_found() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let open = |name: &str| File::open(folder.join(name)).expect("a model of the source tree");
        let model = LandmarkModel::Lite;
        let landmarks = (model, open(model.file_name()));
        let detector = open(ModelName::Detector.file_name());
        let estimator = Estimator::load(detector, landmarks).expect("the models");
        let scene = Scene::side_by_side(&[Pose::still(); 2], 0.95);
        let camera = Camera::new(480, 270);
        let picture = RgbPicture { width: 480, height: 270, rgb: render(&scene, &camera).data };
        let found = estimator.heads(&picture, Vec::new());
        for figure in &scene.figures {
            let truth = project(figure, &camera);
            let ears = [7, 8].map(|ear| [truth[ear].x * 480.0, truth[ear].y * 270.0]);
            let middle = [(ears[0][0] + ears[1][0]) / 2.0, (ears[0][1] + ears[1][1]) / 2.0];
            let head = Head { center: middle, radius: 0.0 };
            assert!(found.iter().any(|it| it.contains(&head)), "{middle:?}: {found:?}");
        }
    }
}
