//! The track of one person besides the first: who it is, and the region of the next frame. Called by
//! `people_tracker`.

use super::continuity::GAP_MAX;
use super::detection::Detection;
use super::estimator::CurrentFrame;
use super::identity::Identity;
use super::person::Person;
use super::roi::Roi;
use super::smooth::Smoother;
use bodyscript_protocol::options::Smoothing;
use std::time::Duration;

/// How long a lost person keeps the id.
pub(super) const LOST_MAX: Duration = Duration::from_secs(2);

/// What is tracked from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrackingMode {
    /// The regions of the people, with smoothed landmarks.
    Regions(Smoothing),
    /// The ids alone; each frame is processed independently.
    IdsOnly,
}

/// The track of one person.
#[derive(Debug)]
pub(super) struct Track {
    id: u32,
    /// Number of the track among those of the person.
    number: u32,
    /// Whether the person was detected in the last frame, and not lost.
    pub(super) is_active: bool,
    /// Whether a frame was processed without the person since the last detection.
    is_missing: bool,
    /// The region that is searched in the next frame.
    pub(super) roi: Roi,
    identity: Identity,
    smoother: Smoother,
}

impl Track {
    /// A track that begins with this detection, which is still to be added by [`Self::update`].
    pub(super) fn new(id: u32, pts: Duration, detection: &Detection, mode: TrackingMode) -> Self {
        let smoothing = match mode {
            TrackingMode::Regions(smoothing) => smoothing,
            TrackingMode::IdsOnly => Smoothing::Off,
        };
        Self {
            id,
            number: 0,
            is_active: false,
            is_missing: false,
            roi: detection.estimate.next_roi(),
            identity: Identity::new(pts, detection),
            smoother: Smoother::new(smoothing),
        }
    }

    /// Presentation time of the last detection.
    pub(super) const fn last_seen(&self) -> Duration {
        self.identity.last_seen()
    }

    /// Marks the person as lost.
    pub(super) fn mark_lost(&mut self) {
        if self.is_active {
            self.is_active = false;
            self.smoother.lose_track();
        }
    }

    /// Records that a frame was processed without the person, if the person is lost.
    pub(super) const fn end_frame(&mut self) {
        self.is_missing = !self.is_active;
    }

    /// Adds a detection of the person.
    pub(super) fn update(
        &mut self,
        frame: CurrentFrame<'_>,
        detection: Detection,
        mode: TrackingMode,
    ) -> Person {
        if self.is_missing && frame.pts.saturating_sub(self.last_seen()) > GAP_MAX {
            self.number += 1;
            self.smoother.reset();
        }
        let estimate = match mode {
            TrackingMode::Regions(_) => {
                self.smoother.apply(detection.estimate, frame.pts, frame.size_px())
            }
            TrackingMode::IdsOnly => detection.estimate,
        };
        let roi = estimate.next_roi();
        self.identity.update(frame.pts, roi, &detection.appearance);
        (self.roi, self.is_active) = (roi, true);
        let (id, track, strategy) = (self.id, self.number, detection.strategy);
        Person { id, track, pose: estimate.pose, strategy, filtered: None }
    }

    /// Whether a detection in the region of this active track is still of the person.
    pub(super) fn is_continued_by(&self, pts: Duration, detection: &Detection) -> bool {
        self.identity.is_continued_by(pts, detection)
    }

    /// Whether a detection may be of this lost person.
    pub(super) fn matches(&self, pts: Duration, detection: &Detection) -> bool {
        self.identity.is_found_again_by(pts, detection)
    }

    /// How badly a detection fits this person.
    pub(super) fn match_cost(&self, pts: Duration, detection: &Detection) -> f32 {
        self.identity.match_cost(pts, detection)
    }
}
