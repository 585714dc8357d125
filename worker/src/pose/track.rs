//! Follows one person through the frames of a video, or looks at each frame alone.

use super::Estimator;
use super::model::ModelError;
use super::roi::Roi;
use super::smooth::Smoother;
use crate::picture::Picture;
use bodyscript_protocol::message::Mode;
use bodyscript_protocol::pose::Pose;
use std::time::Duration;

/// What is remembered from frame to frame.
#[derive(Debug)]
pub enum Tracker {
    /// Nothing.
    Alone,
    /// Where the person will be, if one was seen in the frame before, and how it moved.
    Following(Option<Roi>, Box<Smoother>),
}

impl Tracker {
    /// A tracker for a mode, before the first frame.
    pub fn new(mode: Mode) -> Self {
        match mode {
            Mode::Track => Self::Following(None, Box::default()),
            Mode::Static | Mode::UltraFast | Mode::Fast | Mode::Smart | Mode::Quality => {
                Self::Alone
            }
        }
    }

    /// The pose in the next frame, and the name of what found it.
    pub fn next(
        &mut self,
        estimator: &Estimator,
        picture: &Picture,
        pts: Duration,
    ) -> Result<Option<(Pose, &'static str)>, ModelError> {
        match self {
            Self::Alone => Ok(estimator.single(picture)?.map(|pose| (pose, "original"))),
            Self::Following(next, smoother) => {
                let strategy = if next.is_some() { "track" } else { "detect" };
                let pose = follow((next, smoother), estimator, picture, pts)?;
                Ok(pose.map(|pose| (pose, strategy)))
            }
        }
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
    let found = smoother.apply(found, pts, [picture.width as f32, picture.height as f32]);
    let [center, on_circle] = found.alignment;
    *next = Some(Roi::from_alignment(center, on_circle));
    Ok(Some(found.pose))
}
