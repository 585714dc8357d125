//! Tracks all people but the first, or all where somebody is chosen. Called by `tracker`, which tracks the
//! first one as if there were no others; a detection claimed by the first person is not assigned to another.
//!
//! ```text
//! active -- nobody in the region, somebody else, or somebody who has a track --> lost
//! lost   -- a detection matches in position, size and appearance --------------> active, same id
//! lost   -- longer than `LOST_MAX` --------------------------------------------> removed
//! ```

use super::detection::Detection;
use super::estimator::CurrentFrame;
use super::landmarks::PoseEstimate;
use super::person::Person;
use super::track::{LOST_MAX, Track, TrackingMode};
use std::time::Duration;

/// How often the detector searches for people without a track.
const DETECTION_INTERVAL: Duration = Duration::from_millis(200);
/// Two poses whose landmarks are nearer to each other than this share of the person's region are
/// of the same person.
const SAME_PERSON_DISTANCE: f32 = 0.08;

/// The tracks of all people but the first.
#[derive(Debug)]
pub(super) struct PeopleTracker {
    mode: TrackingMode,
    /// Most active tracks at a time.
    max: usize,
    tracks: Vec<Track>,
    next_id: u32,
    last_detection: Option<Duration>,
}

impl PeopleTracker {
    /// A tracker for at most this many people, who are numbered from this id on, before the first frame.
    pub(super) fn new(max: usize, first_id: u32, mode: TrackingMode) -> Self {
        Self { mode, max, tracks: Vec::new(), next_id: first_id, last_detection: None }
    }

    /// Tracks the people besides the first into this frame; returns them by ascending id.
    pub(super) fn track(
        &mut self,
        frame: CurrentFrame<'_>,
        first: Option<&PoseEstimate>,
    ) -> Vec<Person> {
        let mut people = Vec::new();
        let mut claimed: Vec<PoseEstimate> = first.cloned().into_iter().collect();
        for (at, detection) in self.follow_active(frame, &claimed) {
            claimed.push(detection.estimate.clone());
            people.push(self.tracks[at].update(frame, detection, self.mode));
        }
        let detections = self.detect_new(frame, &claimed);
        self.assign(frame, people, detections)
    }

    /// Assigns ids to the people detected in an independent frame; returns them by ascending id.
    pub(super) fn assign_ids(
        &mut self,
        frame: CurrentFrame<'_>,
        detections: Vec<Detection>,
    ) -> Vec<Person> {
        self.tracks.iter_mut().for_each(Track::mark_lost);
        self.assign(frame, Vec::new(), detections)
    }

    /// Assigns detections to lost or new tracks, and removes tracks that are lost for too long.
    fn assign(
        &mut self,
        frame: CurrentFrame<'_>,
        mut people: Vec<Person>,
        detections: Vec<Detection>,
    ) -> Vec<Person> {
        for detection in detections {
            let at = self.track_for(frame.pts, &detection);
            people.push(self.tracks[at].update(frame, detection, self.mode));
        }
        self.tracks.iter_mut().for_each(Track::end_frame);
        self.tracks.retain(|track| frame.pts.saturating_sub(track.last_seen()) <= LOST_MAX);
        people.sort_by_key(|person| person.id);
        people
    }

    /// Estimates the poses in the regions of the active tracks. A track without a detection, or
    /// whose detection belongs to another person, becomes lost.
    fn follow_active(
        &mut self,
        frame: CurrentFrame<'_>,
        claimed: &[PoseEstimate],
    ) -> Vec<(usize, Detection)> {
        let mut found: Vec<(usize, Detection)> = Vec::new();
        for at in 0..self.tracks.len() {
            if !self.tracks[at].is_active {
                continue;
            }
            let estimate = frame.estimator.landmarks(frame.picture, &self.tracks[at].roi);
            let is_claimed =
                |estimate: &PoseEstimate| claimed.iter().any(|it| is_same(frame, it, estimate));
            let detection = estimate
                .filter(|estimate| !is_claimed(estimate))
                .map(|estimate| Detection::of(frame, estimate, "track"))
                .filter(|detection| self.tracks[at].is_continued_by(frame.pts, detection));
            let Some(detection) = detection else {
                self.tracks[at].mark_lost();
                continue;
            };
            let rival =
                found.iter().position(|(_, it)| is_same(frame, &it.estimate, &detection.estimate));
            match rival {
                None => found.push((at, detection)),
                Some(rival) => {
                    let cost = |track: &Track| track.match_cost(frame.pts, &detection);
                    let holder = found[rival].0;
                    let is_better = cost(&self.tracks[at]) < cost(&self.tracks[holder]);
                    self.tracks[if is_better { holder } else { at }].mark_lost();
                    if is_better {
                        found[rival] = (at, detection);
                    }
                }
            }
        }
        found
    }

    /// Detects people without an active track, if there may be more.
    fn detect_new(&mut self, frame: CurrentFrame<'_>, claimed: &[PoseEstimate]) -> Vec<Detection> {
        let free = self.max - self.tracks.iter().filter(|track| track.is_active).count();
        let since = |last| frame.pts.saturating_sub(last);
        let is_due = self.last_detection.is_none_or(|last| since(last) >= DETECTION_INTERVAL);
        if free == 0 || !is_due {
            return Vec::new();
        }
        self.last_detection = Some(frame.pts);
        detect(frame, claimed, free, "detect")
    }

    /// Index of the lost track that matches the detection best, or of a new one.
    fn track_for(&mut self, pts: Duration, detection: &Detection) -> usize {
        let lost = self.tracks.iter().enumerate().filter(|(_, track)| !track.is_active);
        let known = lost
            .filter(|(_, track)| track.matches(pts, detection))
            .min_by(|(_, a), (_, b)| {
                a.match_cost(pts, detection).total_cmp(&b.match_cost(pts, detection))
            })
            .map(|(at, _)| at);
        known.unwrap_or_else(|| {
            self.tracks.push(Track::new(self.next_id, pts, detection, self.mode));
            self.next_id += 1;
            self.tracks.len() - 1
        })
    }
}

/// Detects at most this many people besides the first in an independent frame.
pub(super) fn detect_others(
    frame: CurrentFrame<'_>,
    first: Option<&PoseEstimate>,
    max: usize,
) -> Vec<Detection> {
    detect(frame, first.map_or(&[], std::slice::from_ref), max, "original")
}

/// Detects at most this many people that are not claimed.
fn detect(
    frame: CurrentFrame<'_>,
    claimed: &[PoseEstimate],
    max: usize,
    strategy: &'static str,
) -> Vec<Detection> {
    let mut detections: Vec<Detection> = Vec::new();
    for roi in frame.estimator.detect(frame.picture) {
        if detections.len() == max {
            break;
        }
        let Some(estimate) = frame.estimator.landmarks(frame.picture, &roi) else { continue };
        let mut known = claimed.iter().chain(detections.iter().map(|it| &it.estimate));
        if !known.any(|other| is_same(frame, other, &estimate)) {
            detections.push(Detection::of(frame, estimate, strategy));
        }
    }
    detections
}

/// Whether two poses are of the same person, by the mean distance of their landmarks.
fn is_same(frame: CurrentFrame<'_>, a: &PoseEstimate, b: &PoseEstimate) -> bool {
    let side = a.next_roi().side.min(b.next_roi().side);
    let [width, height] = frame.size_px();
    let pairs = a.pose.iter().zip(&b.pose);
    let distances = pairs.map(|(a, b)| ((a.x - b.x) * width).hypot((a.y - b.y) * height));
    let mean = distances.sum::<f32>() / a.pose.len() as f32;
    mean < SAME_PERSON_DISTANCE * side
}
