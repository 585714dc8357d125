//! Tracks the first person from frame to frame. Called by `tracker` in the mode `track`.

use super::continuity::Continuity;
use super::detection::Detection;
use super::estimator::CurrentFrame;
use super::landmarks::PoseEstimate;
use super::person::Person;
use super::roi::Roi;
use super::smooth::Smoother;
use bodyscript_protocol::options::Smoothing;

/// The track of the first person.
pub(super) struct PrimaryTracker {
    /// The region in the next frame, if the person was detected in the last one.
    next: Option<Roi>,
    continuity: Continuity,
    smoother: Smoother,
}

impl PrimaryTracker {
    /// A tracker before the first frame.
    pub(super) fn new(smoothing: Smoothing) -> Self {
        let continuity = Continuity::default();
        Self { next: None, continuity, smoother: Smoother::new(smoothing) }
    }

    /// Estimates the pose in the predicted region; without a track, detects a person first. Returns
    /// the estimate as well, by which others are told from the person.
    pub(super) fn track(&mut self, frame: CurrentFrame<'_>) -> Option<(Person, PoseEstimate)> {
        let roi = self.next.take();
        let strategy = if roi.is_some() { "track" } else { "detect" };
        let roi = roi.or_else(|| frame.estimator.detect(frame.picture).first().copied());
        let estimate = roi.and_then(|roi| frame.estimator.landmarks(frame.picture, &roi));
        let Some(estimate) = estimate else {
            self.smoother.lose_track();
            self.continuity.miss();
            return None;
        };
        let detection = Detection::of(frame, estimate, strategy);
        if self.continuity.follow(frame.pts, &detection) {
            self.smoother.reset();
        }
        let estimate = self.smoother.apply(detection.estimate.clone(), frame.pts, frame.size_px());
        let roi = estimate.next_roi();
        let track = self.continuity.update(frame.pts, roi, &detection);
        self.next = Some(roi);
        let pose = estimate.pose;
        Some((Person { id: 0, track, pose, strategy, filtered: None }, estimate))
    }
}
