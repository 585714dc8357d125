//! Who is followed: the expected position, size and appearance of a person, and when a detection is of
//! somebody else. Pure; called by `track` and `continuity`.

use super::appearance::Appearance;
use super::detection::Detection;
use super::roi::Roi;
use std::time::Duration;

/// Share of a new step in the running mean of the velocity.
const VELOCITY_SHARE: f32 = 0.2;
/// How far from the predicted position a person may be, as a share of the region; and how much
/// farther for each second since the last detection.
const POSITION_ERROR_MAX: f32 = 0.35;
const POSITION_ERROR_MAX_PER_S: f32 = 0.25;
/// How many times as large or as small the region of the same person may be, and how much more for
/// each second since the last detection.
const SIZE_RATIO_MAX: f32 = 1.5;
const SIZE_RATIO_MAX_PER_S: f32 = 0.5;
/// Largest difference in appearance of the same person.
const APPEARANCE_DIFFERENCE_MAX: f32 = 0.15;
/// Weight of a difference in appearance against an error in position.
const APPEARANCE_WEIGHT: f32 = 4.0;
/// So many detections in a row of another appearance are of somebody else; fewer are an arm in
/// front of the trunk, or light.
const UNLIKE_MAX: u32 = 3;

/// What is known of the person who is followed.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The region of the last detection.
    roi: Roi,
    /// Pixels a second.
    velocity: [f32; 2],
    /// Presentation time of the last detection.
    last_seen: Duration,
    appearance: Appearance,
    /// Detections in a row that do not look like the person.
    unlike: u32,
}

impl Identity {
    /// The person of a first detection.
    pub(super) fn new(pts: Duration, detection: &Detection) -> Self {
        Self {
            roi: detection.estimate.next_roi(),
            velocity: [0.0; 2],
            last_seen: pts,
            appearance: detection.appearance,
            unlike: 0,
        }
    }

    /// Presentation time of the last detection.
    pub(super) const fn last_seen(&self) -> Duration {
        self.last_seen
    }

    /// Adds a detection of the person, whose region in the next frame is this one.
    pub(super) fn update(&mut self, pts: Duration, roi: Roi, appearance: &Appearance) {
        let elapsed = pts.saturating_sub(self.last_seen).as_secs_f32();
        if elapsed > 0.0 {
            let step = [roi.center_x - self.roi.center_x, roi.center_y - self.roi.center_y];
            for (velocity, step) in self.velocity.iter_mut().zip(step) {
                *velocity += VELOCITY_SHARE * (step / elapsed - *velocity);
            }
        }
        if self.looks_like(appearance) {
            (self.unlike, self.appearance) = (0, self.appearance.updated(appearance));
        } else {
            self.unlike += 1;
        }
        (self.roi, self.last_seen) = (roi, pts);
    }

    /// Whether a detection in the region that was predicted is still of the person.
    pub(super) fn is_continued_by(&self, pts: Duration, detection: &Detection) -> bool {
        let is_like = self.looks_like(&detection.appearance);
        self.is_in_place(pts, detection) && (is_like || self.unlike + 1 < UNLIKE_MAX)
    }

    /// Whether a detection may be of the person, who was lost.
    pub(super) fn is_found_again_by(&self, pts: Duration, detection: &Detection) -> bool {
        self.is_in_place(pts, detection) && self.looks_like(&detection.appearance)
    }

    /// How badly a detection fits the person.
    pub(super) fn match_cost(&self, pts: Duration, detection: &Detection) -> f32 {
        self.position_error(pts, detection)
            + APPEARANCE_WEIGHT * self.appearance.difference(&detection.appearance)
    }

    fn looks_like(&self, appearance: &Appearance) -> bool {
        self.appearance.difference(appearance) <= APPEARANCE_DIFFERENCE_MAX
    }

    /// Whether a detection is where the person is expected, and as large.
    fn is_in_place(&self, pts: Duration, detection: &Detection) -> bool {
        let elapsed = pts.saturating_sub(self.last_seen).as_secs_f32();
        let ratio = detection.estimate.next_roi().side.max(1.0) / self.roi.side.max(1.0);
        self.position_error(pts, detection)
            <= POSITION_ERROR_MAX + POSITION_ERROR_MAX_PER_S * elapsed
            && ratio.max(ratio.recip()) <= SIZE_RATIO_MAX + SIZE_RATIO_MAX_PER_S * elapsed
    }

    /// Distance of a detection from the predicted position, as a share of the region.
    fn position_error(&self, pts: Duration, detection: &Detection) -> f32 {
        let elapsed = pts.saturating_sub(self.last_seen).as_secs_f32();
        let at = detection.estimate.next_roi();
        let dx = at.center_x - self.roi.center_x - self.velocity[0] * elapsed;
        let dy = at.center_y - self.roi.center_y - self.velocity[1] * elapsed;
        dx.hypot(dy) / self.roi.side.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pose::landmarks::PoseEstimate;
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};

    /// A person with a region of 200 pixels, or this many times as large.
    fn detection(x: f32, size: f32, colour: f32) -> Detection {
        let alignment = [[x, 200.0], [x, 200.0 - 80.0 * size]];
        let estimate = PoseEstimate { pose: [Landmark::default(); LANDMARKS], alignment };
        let appearance = Appearance::plain(colour);
        Detection { estimate, appearance, strategy: "track" }
    }

    fn at(frame: u32) -> Duration {
        Duration::from_millis(40) * frame
    }

    /// The frame in which somebody else is followed, if ever.
    fn switch(detections: impl IntoIterator<Item = Detection>) -> Option<u32> {
        let mut identity: Option<Identity> = None;
        for (frame, detection) in (0..).zip(detections) {
            let known = identity.get_or_insert_with(|| Identity::new(at(frame), &detection));
            if !known.is_continued_by(at(frame), &detection) {
                return Some(frame);
            }
            known.update(at(frame), detection.estimate.next_roi(), &detection.appearance);
        }
        None
    }

    #[test]
    fn somebody_who_walks_and_comes_nearer_stays_the_same() {
        let step = |n: u32| detection(100.0 + 8.0 * n as f32, 1.0 + 0.02 * n as f32, 0.5);
        assert_eq!(switch((0..50).map(step)), None);
    }

    #[test]
    fn a_leap_or_another_size_is_somebody_else() {
        let stays = || (0..5).map(|_| detection(100.0, 1.0, 0.5));
        assert_eq!(switch(stays().chain([detection(190.0, 1.0, 0.5)])), Some(5));
        assert_eq!(switch(stays().chain([detection(100.0, 1.7, 0.5)])), Some(5));
        assert_eq!(switch(stays().chain([detection(100.0, 0.6, 0.5)])), Some(5));
    }

    #[test]
    fn another_appearance_is_somebody_else_once_it_lasts() {
        let of =
            |colours: &[f32]| switch(colours.iter().map(|colour| detection(100.0, 1.0, *colour)));
        assert_eq!(of(&[0.5, 0.5, 0.8, 0.8, 0.5, 0.5, 0.8, 0.8, 0.5]), None);
        assert_eq!(of(&[0.5, 0.5, 0.8, 0.8, 0.8]), Some(4));
    }
}
