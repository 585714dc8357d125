//! Finds the heads in the frames of a first pass, for a job that covers them: those of the people who are followed,
//! and of all others whom the detector sees. Called by `two_passes`.

use crate::heads::Head;
use crate::pose::{Estimator, Person, VideoFrame};
use std::time::Duration;

/// Frames that are not processed are searched as well, so often: whoever hides from the sampling is seen in between.
const INTERVAL: Duration = Duration::from_millis(100);

/// The search through one video.
pub(super) struct HeadSearch<'a> {
    estimator: &'a Estimator,
    /// Time in the file of the frame that was searched last.
    searched_at: Option<Duration>,
}

impl<'a> HeadSearch<'a> {
    /// Before the first frame.
    pub(super) const fn new(estimator: &'a Estimator) -> Self {
        Self { estimator, searched_at: None }
    }

    /// The heads in the next frame, those of the people who are followed first. There is nobody in a frame that is not
    /// processed.
    pub(super) fn heads(&mut self, frame: &VideoFrame, people: Option<&[Person]>) -> Vec<Head> {
        let is_due = |last: Duration| frame.pts.saturating_sub(last) >= INTERVAL;
        if people.is_none() && !self.searched_at.is_none_or(is_due) {
            return Vec::new();
        }
        self.searched_at = Some(frame.pts);
        let size = [frame.picture.width() as f32, frame.picture.height() as f32];
        let people = people.unwrap_or_default().iter();
        let known = people.filter_map(|person| Head::of_pose(&person.pose, size)).collect();
        Head::merged(&self.estimator.heads(&frame.picture, known))
    }
}
