//! The track of one person besides the first: position, velocity and appearance. Called by
//! `people_tracker`.

use super::appearance::Appearance;
use super::estimator::CurrentFrame;
use super::landmarks::PoseEstimate;
use super::person::Person;
use super::roi::Roi;
use super::smooth::Smoother;
use bodyscript_protocol::options::Smoothing;
use std::time::Duration;

/// How long the track of a lost person keeps its id.
pub(super) const LOST_MAX: Duration = Duration::from_secs(2);
/// Share of a new step in the running mean of the velocity.
const VELOCITY_SHARE: f32 = 0.2;
/// How far from the predicted position a lost person may reappear, as a share of the region; and
/// how much farther for each second since the person was lost.
const POSITION_ERROR_MAX: f32 = 0.35;
const POSITION_ERROR_MAX_PER_S: f32 = 0.25;
/// Largest difference in appearance of a lost person that reappears.
const APPEARANCE_DIFFERENCE_MAX: f32 = 0.15;
/// Weight of a difference in appearance against an error in position.
const APPEARANCE_WEIGHT: f32 = 4.0;

/// What is tracked from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrackingMode {
    /// The regions of the people, with smoothed landmarks.
    Regions(Smoothing),
    /// The ids alone; each frame is processed independently.
    IdsOnly,
}

/// A person detected in the current frame.
#[derive(Debug)]
pub(super) struct Detection {
    /// The person's pose.
    pub(super) estimate: PoseEstimate,
    /// The person's appearance.
    pub(super) appearance: Appearance,
    /// The name of the strategy that detected the person.
    pub(super) strategy: &'static str,
}

/// The track of one person.
#[derive(Debug)]
pub(super) struct Track {
    id: u32,
    /// Whether the person was detected in the last frame, and not lost.
    pub(super) is_active: bool,
    /// The region that is searched in the next frame.
    pub(super) roi: Roi,
    /// Pixels a second.
    velocity: [f32; 2],
    /// Presentation time of the last detection.
    pub(super) last_seen: Duration,
    appearance: Appearance,
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
            is_active: false,
            roi: detection.estimate.next_roi(),
            velocity: [0.0; 2],
            last_seen: pts,
            appearance: detection.appearance,
            smoother: Smoother::new(smoothing),
        }
    }

    /// Marks the person as lost.
    pub(super) fn mark_lost(&mut self) {
        if self.is_active {
            self.is_active = false;
            self.smoother.lose_track();
        }
    }

    /// Adds a detection of the person.
    pub(super) fn update(
        &mut self,
        frame: CurrentFrame<'_>,
        detection: Detection,
        mode: TrackingMode,
    ) -> Person {
        let estimate = match mode {
            TrackingMode::Regions(_) => {
                self.smoother.apply(detection.estimate, frame.pts, frame.size_px())
            }
            TrackingMode::IdsOnly => detection.estimate,
        };
        let roi = estimate.next_roi();
        let elapsed = frame.pts.saturating_sub(self.last_seen).as_secs_f32();
        if elapsed > 0.0 {
            let step = [roi.center_x - self.roi.center_x, roi.center_y - self.roi.center_y];
            for (velocity, step) in self.velocity.iter_mut().zip(step) {
                *velocity += VELOCITY_SHARE * (step / elapsed - *velocity);
            }
        }
        self.appearance.update(&detection.appearance);
        (self.roi, self.last_seen, self.is_active) = (roi, frame.pts, true);
        Person { id: self.id, pose: estimate.pose, strategy: detection.strategy }
    }

    /// Distance of a detection from the predicted position, as a share of the region.
    fn position_error(&self, pts: Duration, detection: &Detection) -> f32 {
        let elapsed = pts.saturating_sub(self.last_seen).as_secs_f32();
        let at = detection.estimate.next_roi();
        let dx = at.center_x - self.roi.center_x - self.velocity[0] * elapsed;
        let dy = at.center_y - self.roi.center_y - self.velocity[1] * elapsed;
        dx.hypot(dy) / self.roi.side.max(1.0)
    }

    /// Whether a detection may be of this lost person.
    pub(super) fn matches(&self, pts: Duration, detection: &Detection) -> bool {
        let elapsed = pts.saturating_sub(self.last_seen).as_secs_f32();
        self.position_error(pts, detection)
            <= POSITION_ERROR_MAX + POSITION_ERROR_MAX_PER_S * elapsed
            && self.appearance.difference(&detection.appearance) <= APPEARANCE_DIFFERENCE_MAX
    }

    /// How badly a detection fits this person.
    pub(super) fn match_cost(&self, pts: Duration, detection: &Detection) -> f32 {
        self.position_error(pts, detection)
            + APPEARANCE_WEIGHT * self.appearance.difference(&detection.appearance)
    }
}
