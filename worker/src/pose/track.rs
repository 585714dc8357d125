//! Follows people through the frames of a video, or looks at each frame alone.
//!
//! The first person is followed as if nobody else were there, so that asking for more people
//! changes nothing about the first; everybody else is left to `companions`.

use super::Estimator;
use super::best::Best;
use super::companions::{Carrying, Companions, Moment};
use super::landmarks::Found;
use super::roi::Roi;
use super::smooth::Smoother;
use crate::inference::ModelError;
use crate::output::Person;
use crate::picture::Picture;
use bodyscript_protocol::options::{Mode, Options};
use std::num::NonZeroU32;
use std::time::Duration;

/// What is remembered from frame to frame.
#[derive(Debug)]
pub struct Tracker {
    first: First,
    /// Everybody else, if more than one person is asked for.
    companions: Option<Companions>,
}

/// How the first person is looked for.
#[derive(Debug)]
enum First {
    /// How well each frame was seen, and in which picture.
    Alone(Box<Best>),
    /// Where the person will be, if one was seen in the frame before, and how it moved.
    Following(Option<Roi>, Box<Smoother>),
}

impl Tracker {
    /// A tracker for a mode, before the first frame, on so many threads at most.
    pub fn new(options: &Options, threads: NonZeroU32) -> Self {
        let (first, carrying) = match options.mode {
            Mode::Track => (
                First::Following(None, Box::new(Smoother::new(options.smoothing))),
                Carrying::Region(options.smoothing),
            ),
            Mode::Static | Mode::UltraFast | Mode::Fast | Mode::Smart | Mode::Quality => {
                (First::Alone(Box::new(Best::new(options.mode, threads))), Carrying::Number)
            }
        };
        let more = options.people_max.saturating_sub(1) as usize;
        Self { first, companions: (more > 0).then(|| Companions::new(more, carrying)) }
    }

    /// The people in the next frame, by rising number.
    pub fn next(
        &mut self,
        estimator: &Estimator,
        picture: &Picture,
        pts: Duration,
    ) -> Result<Vec<Person>, ModelError> {
        let now = Moment { estimator, picture, pts };
        let first = self.first.next(now)?;
        let others = match &mut self.companions {
            Some(companions) => companions.next(now, first.as_ref().map(|(found, _)| found))?,
            None => Vec::new(),
        };
        let first = first.map(|(found, strategy)| Person { id: 0, pose: found.pose, strategy });
        Ok(first.into_iter().chain(others).collect())
    }
}

impl First {
    /// The person, and the name of what found it.
    fn next(&mut self, now: Moment<'_>) -> Result<Option<(Found, &'static str)>, ModelError> {
        match self {
            Self::Alone(best) => {
                let seen = best.next(now.picture, |variant, enhancement| {
                    let found = now.estimator.single(variant)?;
                    Ok(found.map(|found| enhancement.undo(found, now.picture.width())))
                })?;
                Ok(seen.map(|(found, enhancement)| (found, enhancement.name())))
            }
            Self::Following(next, smoother) => {
                let strategy = if next.is_some() { "track" } else { "detect" };
                Ok(follow((next, smoother), now)?.map(|found| (found, strategy)))
            }
        }
    }
}

/// Looks where the person should be; if nobody is followed, detects and begins to follow.
fn follow(
    (next, smoother): (&mut Option<Roi>, &mut Smoother),
    now: Moment<'_>,
) -> Result<Option<Found>, ModelError> {
    let roi = match next.take() {
        Some(roi) => Some(roi),
        None => now.estimator.detect(now.picture)?.first().copied(),
    };
    let found = match roi {
        Some(roi) => now.estimator.landmarks(now.picture, &roi)?,
        None => None,
    };
    let Some(found) = found else {
        smoother.lose_track();
        return Ok(None);
    };
    let size = [now.picture.width() as f32, now.picture.height() as f32];
    let found = smoother.apply(found, now.pts, size);
    let [center, on_circle] = found.alignment;
    *next = Some(Roi::from_alignment(center, on_circle));
    Ok(Some(found))
}
