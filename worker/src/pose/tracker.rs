//! Tracks people through the frames of a video, or processes each frame independently.
//!
//! The first person is tracked as if there were no others, so that requesting more people does not
//! change the result for the first; the others are left to `people_tracker`. Independent frames are
//! processed on several threads (`pipeline`); state between frames is updated in frame order.

use super::continuity::Continuity;
use super::detection::Detection;
use super::estimator::{CurrentFrame, Estimator};
use super::frame_search::{self, BestEstimate, SearchBuffers, SearchHistory};
use super::people_tracker::{self, PeopleTracker};
use super::person::Person;
use super::pipeline::{Cancelled, ItemContext, Limits, Pipeline, Task};
use super::primary_tracker::PrimaryTracker;
use super::track::TrackingMode;
use crate::picture::Picture;
use bodyscript_protocol::options::{Mode, Options};
use std::num::NonZeroU32;
use std::thread::Scope;
use std::time::Duration;

/// Most frames that are processed at a time, whatever the number of processors: each takes memory.
const CONCURRENCY_MAX: usize = 4;
/// Memory of the frames in the tracker and of their enhanced pictures, where more than one frame is
/// processed at a time.
const BYTES_MAX: usize = 96 << 20;
/// Most bytes of a frame for each pixel: chroma may not be subsampled.
const FRAME_BYTES_PER_PIXEL: usize = 3;

/// A frame between the decoder and the encoders.
#[derive(Debug, Default)]
pub(crate) struct VideoFrame {
    /// Number of the frame in the video, from 0.
    pub(crate) id: u32,
    /// Presentation time in the file.
    pub(crate) pts: Duration,
    /// Time in life.
    pub(crate) time: Duration,
    /// The frame.
    pub(crate) picture: Picture,
}

/// A frame and the people in it, by ascending id; none for a skipped frame.
pub(crate) type TrackedFrame = (VideoFrame, Option<Vec<Person>>);

/// Takes frames one by one and returns them in the same order, with the people in them.
pub(crate) struct Tracker<'scope> {
    estimator: &'scope Estimator,
    method: Method<'scope>,
    /// Tracks all but the first person, if more than one is requested.
    others: Option<PeopleTracker>,
}

/// How the first person is found, if one person is: otherwise all are the others.
enum Method<'scope> {
    /// In each frame independently.
    Independent(Pipeline<'scope, FrameTask<'scope>>, Option<Continuity>),
    /// By tracking; one frame at a time.
    Tracking(Option<Box<PrimaryTracker>>, Option<TrackedFrame>),
}

impl<'scope> Tracker<'scope> {
    /// A tracker before the first frame, for frames of this size, with at most this many threads.
    pub(crate) fn start(
        scope: &'scope Scope<'scope, '_>,
        estimator: &'scope Estimator,
        options: &Options,
        (threads, size): (NonZeroU32, [u32; 2]),
    ) -> Self {
        let followed_max = options.followed_max() as usize;
        // Where somebody is chosen, all are followed in the same way, and none takes another's number.
        let has_first = options.person.is_none();
        let others_max = followed_max - usize::from(has_first);
        let smoothing = options.filter.smoothing();
        let (method, mode) = match options.mode {
            Mode::Track => {
                let primary = has_first.then(|| Box::new(PrimaryTracker::new(smoothing)));
                (Method::Tracking(primary, None), TrackingMode::Regions(smoothing))
            }
            mode => {
                let task = FrameTask { estimator, mode, others_max: followed_max - 1 };
                let pipeline = Pipeline::start(scope, task, limits(threads, size));
                let continuity = has_first.then(Continuity::default);
                (Method::Independent(pipeline, continuity), TrackingMode::IdsOnly)
            }
        };
        let first_id = u32::from(has_first);
        let others = (others_max > 0).then(|| PeopleTracker::new(others_max, first_id, mode));
        Self { estimator, method, others }
    }

    /// Whether a frame has to be popped before another is pushed.
    pub(crate) fn is_full(&self) -> bool {
        match &self.method {
            Method::Independent(pipeline, _) => pipeline.is_full(),
            Method::Tracking(_, done) => done.is_some(),
        }
    }

    /// Adds a frame to be processed.
    pub(crate) fn push(&mut self, frame: VideoFrame) {
        match &mut self.method {
            Method::Independent(pipeline, _) => pipeline.push(frame),
            Method::Tracking(primary, done) => {
                let current = current(self.estimator, &frame);
                let first = primary.as_mut().and_then(|primary| primary.track(current));
                let (first, estimate) = first.unzip();
                let track = |others: &mut PeopleTracker| others.track(current, estimate.as_ref());
                let others = self.others.as_mut().map(track).unwrap_or_default();
                *done = Some((frame, Some(first.into_iter().chain(others).collect())));
            }
        }
    }

    /// Adds a frame that is not processed but keeps its place in the order.
    pub(crate) fn push_skipped(&mut self, frame: VideoFrame) {
        match &mut self.method {
            Method::Independent(pipeline, _) => pipeline.push_skipped(frame),
            Method::Tracking(_, done) => *done = Some((frame, None)),
        }
    }

    /// Waits for the oldest frame in the tracker; none if there is none.
    pub(crate) fn pop(&mut self) -> Option<TrackedFrame> {
        let (pipeline, continuity) = match &mut self.method {
            Method::Independent(pipeline, continuity) => (pipeline, continuity),
            Method::Tracking(_, done) => return done.take(),
        };
        let (frame, detections) = pipeline.pop()?;
        let people = detections.map(|FrameDetections { first, others }| {
            let current = current(self.estimator, &frame);
            let first =
                first.map(|best| Detection::of(current, best.estimate, best.enhancement.name()));
            let (first, others) = match continuity {
                Some(continuity) => (first_person(current, continuity, first), others),
                None => (None, first.into_iter().chain(others).collect()),
            };
            let assign = |tracker: &mut PeopleTracker| tracker.assign_ids(current, others);
            let others = self.others.as_mut().map(assign).unwrap_or_default();
            first.into_iter().chain(others).collect()
        });
        Some((frame, people))
    }
}

const fn current<'a>(estimator: &'a Estimator, frame: &'a VideoFrame) -> CurrentFrame<'a> {
    CurrentFrame { estimator, picture: &frame.picture, pts: frame.time }
}

/// The first person of an independent frame.
fn first_person(
    frame: CurrentFrame<'_>,
    continuity: &mut Continuity,
    detection: Option<Detection>,
) -> Option<Person> {
    let Some(detection) = detection else {
        continuity.miss();
        return None;
    };
    continuity.follow(frame.pts, &detection);
    let track = continuity.update(frame.pts, detection.estimate.next_roi(), &detection);
    let (pose, strategy) = (detection.estimate.pose, detection.strategy);
    Some(Person { id: 0, track, pose, strategy, filtered: None })
}

/// Memory that finding people takes beyond tracking: frames in progress and their enhanced pictures.
pub(crate) fn search_bytes(mode: Mode, threads: NonZeroU32, size: [u32; 2]) -> u64 {
    let pixels = u64::from(size[0]) * u64::from(size[1]);
    let enhanced = pixels.saturating_mul(SearchBuffers::BYTES_PER_PIXEL as u64);
    match limits(threads, size).concurrency {
        _ if mode == Mode::Track => 0,
        1 => enhanced,
        _ => BYTES_MAX as u64,
    }
}

/// How many frames of this size are processed at a time.
pub(crate) fn frames_at_a_time(mode: Mode, threads: NonZeroU32, size: [u32; 2]) -> usize {
    match mode {
        Mode::Track => 1,
        _ => limits(threads, size).concurrency,
    }
}

/// How many frames of this size are processed at a time, and how many are kept.
fn limits(threads: NonZeroU32, [width, height]: [u32; 2]) -> Limits {
    let pixels = (width as usize * height as usize).max(1);
    let bytes_per_pixel = BYTES_MAX / pixels;
    // One frame more than are processed, so that no thread waits for the next to be decoded.
    let affordable = bytes_per_pixel.saturating_sub(FRAME_BYTES_PER_PIXEL)
        / (SearchBuffers::BYTES_PER_PIXEL + FRAME_BYTES_PER_PIXEL);
    let concurrency = affordable.min(threads.get() as usize).clamp(1, CONCURRENCY_MAX);
    if concurrency == 1 {
        return Limits { concurrency, items_max: 1 };
    }
    let left = bytes_per_pixel - concurrency * SearchBuffers::BYTES_PER_PIXEL;
    Limits { concurrency, items_max: left / FRAME_BYTES_PER_PIXEL }
}

/// Processes one frame independently of the others.
struct FrameTask<'a> {
    estimator: &'a Estimator,
    mode: Mode,
    /// How many people are detected besides the most prominent one.
    others_max: usize,
}

/// The people detected in one frame.
struct FrameDetections {
    first: Option<BestEstimate>,
    others: Vec<Detection>,
}

impl Task for FrameTask<'_> {
    type Item = VideoFrame;
    type Output = FrameDetections;
    type State = SearchHistory;
    type Scratch = SearchBuffers;

    fn run(
        &self,
        frame: &VideoFrame,
        buffers: &mut SearchBuffers,
        context: &ItemContext<'_, Self>,
    ) -> Result<FrameDetections, Cancelled> {
        let picture = &frame.picture;
        let estimate = |enhanced: &dyn crate::picture::Pixels, enhancement: super::Enhancement| {
            let estimate = self.estimator.single(enhanced)?;
            Some(enhancement.undo(estimate, picture.width()))
        };
        let first = frame_search::search(self.mode, picture, buffers, context, estimate)?;
        let others = match self.others_max {
            0 => Vec::new(),
            max => {
                let first = first.as_ref().map(|best| &best.estimate);
                people_tracker::detect_others(current(self.estimator, frame), first, max)
            }
        };
        Ok(FrameDetections { first, others })
    }

    fn update_state(history: &mut SearchHistory, detections: &FrameDetections) {
        history.add(detections.first.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_frames_are_processed_one_at_a_time() {
        let limits = |threads, size| {
            let threads = NonZeroU32::new(threads).expect("more than none");
            let Limits { concurrency, items_max } = limits(threads, size);
            (concurrency, items_max)
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
