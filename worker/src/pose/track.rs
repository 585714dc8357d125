//! Follows one person through the frames of a video, or looks at each frame alone.

use super::Estimator;
use super::best::Best;
use super::model::ModelError;
use super::roi::Roi;
use super::smooth::Smoother;
use crate::output::Person;
use crate::picture::Picture;
use bodyscript_protocol::options::{Mode, Options};
use bodyscript_protocol::pose::Pose;
use std::time::Duration;

/// What is remembered from frame to frame.
#[derive(Debug)]
pub enum Tracker {
    /// How well each frame was seen, and in which picture.
    Alone(Box<Best>),
    /// Where the person will be, if one was seen in the frame before, and how it moved.
    Following(Option<Roi>, Box<Smoother>),
}

impl Tracker {
    /// A tracker for a mode, before the first frame.
    pub fn new(options: &Options) -> Self {
        match options.mode {
            Mode::Track => Self::Following(None, Box::new(Smoother::new(options.smoothing))),
            Mode::Static | Mode::UltraFast | Mode::Fast | Mode::Smart | Mode::Quality => {
                Self::Alone(Box::new(Best::new(options.mode)))
            }
        }
    }

    /// The people in the next frame.
    pub fn next(
        &mut self,
        estimator: &Estimator,
        picture: &Picture,
        pts: Duration,
    ) -> Result<Vec<Person>, ModelError> {
        let (pose, strategy) = match self {
            Self::Alone(best) => {
                let seen = best.next(picture, |variant, enhancement| {
                    let found = estimator.single(variant)?;
                    Ok(found.map(|found| enhancement.undo(found, variant.width)))
                })?;
                let strategy = seen.as_ref().map_or("", |(_, enhancement)| enhancement.name());
                (seen.map(|(found, _)| found.pose), strategy)
            }
            Self::Following(next, smoother) => {
                let strategy = if next.is_some() { "track" } else { "detect" };
                (follow((next, smoother), estimator, picture, pts)?, strategy)
            }
        };
        Ok(pose.into_iter().map(|pose| Person { id: 0, pose, strategy }).collect())
    }
}

/// Looks where the person should be; if nobody is followed, detects and begins to follow.
fn follow(
    (next, smoother): (&mut Option<Roi>, &mut Smoother),
    estimator: &Estimator,
    picture: &Picture,
    pts: Duration,
) -> Result<Option<Pose>, ModelError> {
    let roi = match next.take() {
        Some(roi) => Some(roi),
        None => estimator.detect(picture)?,
    };
    let found = match roi {
        Some(roi) => estimator.landmarks(picture, &roi)?,
        None => None,
    };
    let Some(found) = found else {
        smoother.lose_track();
        return Ok(None);
    };
    let size = [picture.width as f32, picture.height as f32];
    let found = smoother.apply(found, pts, size);
    let [center, on_circle] = found.alignment;
    *next = Some(Roi::from_alignment(center, on_circle));
    Ok(Some(found.pose))
}
