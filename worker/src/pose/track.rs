//! Follows people through the frames of a video, or looks at each frame alone.
//!
//! The first person is followed as if nobody else were there, so that asking for more people
//! changes nothing about the first; everybody else is left to `companions`. Frames that are looked
//! at alone are looked at on several threads (`pipeline`); what is carried from frame to frame is
//! carried in their order.

use super::Estimator;
use super::best::{self, Easel, Record, Sight};
use super::companions::{self, Body, Carrying, Companions, Moment};
use super::landmarks::Found;
use super::pipeline::{Limits, Pipeline, Stop, Turn, Work};
use super::roi::Roi;
use super::smooth::Smoother;
use crate::inference::ModelError;
use crate::output::Person;
use crate::picture::Picture;
use bodyscript_protocol::options::{Mode, Options};
use std::num::NonZeroU32;
use std::thread::Scope;
use std::time::Duration;

/// Most frames that are looked at at a time, whatever the processors: each takes memory.
const LANES_MAX: usize = 4;
/// What the frames in the tracker and the enhanced pictures of them may take together, where more
/// than one frame is looked at at a time.
const BYTES_MAX: usize = 96 << 20;
/// Most bytes that a frame takes for each of its pixels: each has chroma of its own.
const FRAME_BYTES_PER_PIXEL: usize = 3;

/// A frame on its way from the decoder to the encoders.
#[derive(Debug, Default)]
pub struct Shot {
    /// Number of the frame in the video, from 0.
    pub id: u32,
    /// Presentation time.
    pub pts: Duration,
    /// The frame.
    pub picture: Picture,
}

/// A frame, and who is in it by rising number; nothing is said of who is in one that passed.
pub type Tracked = (Shot, Option<Vec<Person>>);

/// Takes frames one by one and gives them back in the same order, with the people in them.
pub struct Tracker<'scope> {
    estimator: &'scope Estimator,
    looking: Looking<'scope>,
    /// Everybody but the first person, if more than one is asked for.
    companions: Option<Companions>,
}

/// How the first person is looked for.
enum Looking<'scope> {
    /// In each frame alone.
    Alone(Pipeline<'scope, Alone<'scope>>),
    /// Where the person was before; one frame at a time.
    Following(Box<Follower>, Option<Tracked>),
}

impl<'scope> Tracker<'scope> {
    /// A tracker before the first frame, for frames of this size, on so many threads at most.
    pub fn start(
        scope: &'scope Scope<'scope, '_>,
        estimator: &'scope Estimator,
        options: &Options,
        (threads, size): (NonZeroU32, [u32; 2]),
    ) -> Self {
        let more = options.people_max.saturating_sub(1) as usize;
        let (looking, carrying) = match options.mode {
            Mode::Track => {
                let smoother = Smoother::new(options.smoothing);
                let follower = Box::new(Follower { next: None, smoother });
                (Looking::Following(follower, None), Carrying::Region(options.smoothing))
            }
            mode => {
                let alone = Alone { estimator, mode, more };
                let pipeline = Pipeline::start(scope, alone, limits(threads, size));
                (Looking::Alone(pipeline), Carrying::Number)
            }
        };
        let companions = (more > 0).then(|| Companions::new(more, carrying));
        Self { estimator, looking, companions }
    }

    /// Whether a frame is to be taken out before another is put in.
    pub fn is_full(&self) -> bool {
        match &self.looking {
            Looking::Alone(pipeline) => pipeline.is_full(),
            Looking::Following(_, done) => done.is_some(),
        }
    }

    /// Has a frame looked at.
    ///
    /// # Errors
    /// A model fails.
    pub fn push(&mut self, shot: Shot) -> Result<(), ModelError> {
        match &mut self.looking {
            Looking::Alone(pipeline) => pipeline.push(shot),
            Looking::Following(follower, done) => {
                let now = moment(self.estimator, &shot);
                let strategy = if follower.next.is_some() { "track" } else { "detect" };
                let first = follower.follow(now)?;
                let others = match &mut self.companions {
                    Some(companions) => companions.next(now, first.as_ref())?,
                    None => Vec::new(),
                };
                *done = Some((shot, Some(people(first.map(|it| (it, strategy)), others))));
            }
        }
        Ok(())
    }

    /// Lets a frame pass between the others.
    pub fn pass(&mut self, shot: Shot) {
        match &mut self.looking {
            Looking::Alone(pipeline) => pipeline.pass(shot),
            Looking::Following(_, done) => *done = Some((shot, None)),
        }
    }

    /// The oldest frame that is in the tracker, as soon as it is looked at.
    ///
    /// # Errors
    /// A model fails.
    pub fn pop(&mut self) -> Result<Option<Tracked>, ModelError> {
        let pipeline = match &mut self.looking {
            Looking::Alone(pipeline) => pipeline,
            Looking::Following(_, done) => return Ok(done.take()),
        };
        let Some((shot, seen)) = pipeline.pop()? else { return Ok(None) };
        let seen = seen.map(|Seen { first, others }| {
            let now = moment(self.estimator, &shot);
            let number = |companions: &mut Companions| companions.number(now, others);
            let others = self.companions.as_mut().map(number).unwrap_or_default();
            people(first.map(|sight| (sight.found, sight.enhancement.name())), others)
        });
        Ok(Some((shot, seen)))
    }
}

const fn moment<'a>(estimator: &'a Estimator, shot: &'a Shot) -> Moment<'a> {
    Moment { estimator, picture: &shot.picture, pts: shot.pts }
}

fn people(first: Option<(Found, &'static str)>, others: Vec<Person>) -> Vec<Person> {
    let first = first.map(|(found, strategy)| Person { id: 0, pose: found.pose, strategy });
    first.into_iter().chain(others).collect()
}

/// How many frames of this size are looked at at a time, and how many are kept.
fn limits(threads: NonZeroU32, [width, height]: [u32; 2]) -> Limits {
    let pixels = (width as usize * height as usize).max(1);
    let bytes_per_pixel = BYTES_MAX / pixels;
    // One frame more than are looked at, so that none waits for the next to be decoded.
    let affordable = bytes_per_pixel.saturating_sub(FRAME_BYTES_PER_PIXEL)
        / (Easel::BYTES_PER_PIXEL + FRAME_BYTES_PER_PIXEL);
    let lanes = affordable.min(threads.get() as usize).clamp(1, LANES_MAX);
    if lanes == 1 {
        return Limits { lanes, items_max: 1 };
    }
    let left = bytes_per_pixel - lanes * Easel::BYTES_PER_PIXEL;
    Limits { lanes, items_max: left / FRAME_BYTES_PER_PIXEL }
}

/// Looks at each frame alone.
struct Alone<'a> {
    estimator: &'a Estimator,
    mode: Mode,
    /// How many people are looked for besides the first.
    more: usize,
}

/// Who is seen in one frame.
struct Seen {
    first: Option<Sight>,
    others: Vec<Body>,
}

impl Work for Alone<'_> {
    type Item = Shot;
    type Outcome = Seen;
    type Error = ModelError;
    type Memory = Record;
    type Tools = Easel;

    fn run(
        &self,
        shot: &Shot,
        easel: &mut Easel,
        turn: &Turn<'_, Self>,
    ) -> Result<Seen, Stop<ModelError>> {
        let picture = &shot.picture;
        let first = best::search(self.mode, picture, easel, turn, |variant, enhancement| {
            let found = self.estimator.single(variant)?;
            Ok(found.map(|found| enhancement.undo(found, picture.width())))
        })?;
        let others = match self.more {
            0 => Vec::new(),
            more => {
                let now = moment(self.estimator, shot);
                companions::alone(now, first.as_ref().map(|sight| &sight.found), more)?
            }
        };
        Ok(Seen { first, others })
    }

    fn remember(memory: &mut Record, seen: &Seen) {
        memory.add(seen.first.as_ref());
    }
}

/// Follows the first person.
struct Follower {
    /// Where the person will be, if one was seen in the frame before.
    next: Option<Roi>,
    smoother: Smoother,
}

impl Follower {
    /// Looks where the person should be; if nobody is followed, detects and begins to follow.
    fn follow(&mut self, now: Moment<'_>) -> Result<Option<Found>, ModelError> {
        let roi = match self.next.take() {
            Some(roi) => Some(roi),
            None => now.estimator.detect(now.picture)?.first().copied(),
        };
        let found = match roi {
            Some(roi) => now.estimator.landmarks(now.picture, &roi)?,
            None => None,
        };
        let Some(found) = found else {
            self.smoother.lose_track();
            return Ok(None);
        };
        let size = [now.picture.width() as f32, now.picture.height() as f32];
        let found = self.smoother.apply(found, now.pts, size);
        let [center, on_circle] = found.alignment;
        self.next = Some(Roi::from_alignment(center, on_circle));
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_frames_are_looked_at_one_after_the_other() {
        let limits = |threads, size| {
            let threads = NonZeroU32::new(threads).expect("more than none");
            let Limits { lanes, items_max } = limits(threads, size);
            (lanes, items_max)
        };
        assert_eq!(limits(1, [16, 16]), (1, 1));
        assert_eq!(limits(2, [1280, 720]), (2, 31));
        assert_eq!(limits(64, [1280, 720]), (4, 27));
        assert_eq!(limits(64, [1920, 1080]), (4, 6));
        assert_eq!(limits(64, [2560, 1440]), (2, 4));
        assert_eq!(limits(64, [3840, 2160]), (1, 1));
        assert_eq!(limits(64, [16384, 8192]), (1, 1));
    }
}
