//! Tracks the first person from frame to frame. Called by `tracker` in the mode `track`.

use super::estimator::CurrentFrame;
use super::landmarks::PoseEstimate;
use super::roi::Roi;
use super::smooth::Smoother;
use bodyscript_protocol::options::Smoothing;

/// The track of the first person.
pub(super) struct PrimaryTracker {
    /// The region in the next frame, if the person was detected in the last one.
    next: Option<Roi>,
    smoother: Smoother,
}

impl PrimaryTracker {
    /// A tracker before the first frame.
    pub(super) fn new(smoothing: Smoothing) -> Self {
        Self { next: None, smoother: Smoother::new(smoothing) }
    }

    /// Whether a person is being tracked.
    pub(super) const fn is_tracking(&self) -> bool {
        self.next.is_some()
    }

    /// Estimates the pose in the predicted region; without a track, detects a person first.
    pub(super) fn track(&mut self, frame: CurrentFrame<'_>) -> Option<PoseEstimate> {
        let roi = self.next.take();
        let roi = roi.or_else(|| frame.estimator.detect(frame.picture).first().copied());
        let estimate = roi.and_then(|roi| frame.estimator.landmarks(frame.picture, &roi));
        let Some(estimate) = estimate else {
            self.smoother.lose_track();
            return None;
        };
        let estimate = self.smoother.apply(estimate, frame.pts, frame.size_px());
        self.next = Some(estimate.next_roi());
        Some(estimate)
    }
}
