//! Totals of a run, frame by frame, in constant memory. All measures of quality are those of the
//! person with the id 0.

use crate::pose::Frame;
use bodyscript_protocol::message::{Progress, Summary};
use bodyscript_protocol::pose::{LANDMARKS, Pose, mean_visibility};
use bodyscript_protocol::warning::Warnings;
use serde::Serialize;
use std::ops::Range;

/// Landmarks less visible than this are guesses and do not count for the jitter.
const JITTER_VISIBILITY_MIN: f32 = 0.5;

/// Running totals.
#[derive(Debug)]
pub(crate) struct Statistics {
    /// Width and height of the picture in units of its diagonal.
    size: [f64; 2],
    frames_processed: u32,
    frames_detected: u32,
    track_losses: u32,
    people: u32,
    visibility_sum: f64,
    /// The poses of the last two frames, the latest first, if both have one of the same track.
    last: [Option<Pose>; 2],
    /// The track of the latest pose.
    track: u32,
    /// Whether the person was detected in the last frame.
    was_detected: bool,
    jitter: MeanSquare,
}

#[derive(Debug, Default)]
struct MeanSquare {
    sum: f64,
    count: u32,
}

/// The totals as they appear in JSON artefacts.
#[derive(Debug, Serialize)]
pub(super) struct StatisticsReport {
    /// Frames decoded.
    frames_decoded: u32,
    /// Frames processed.
    frames_processed: u32,
    /// Frames with a person.
    frames_detected: u32,
    /// Share of the processed frames with a person.
    detection_rate: f64,
    /// Mean visibility over the frames with a person.
    average_quality: f32,
    /// How often the person was detected in one processed frame and not in the next.
    track_losses: u32,
    /// Root mean square of the second difference of the landmarks' positions over three processed
    /// frames, as a fraction of the picture's diagonal.
    jitter: f32,
    /// How many people were distinguished.
    people: u32,
}

impl Statistics {
    /// The state before the first frame of a video of this size, in pixels.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let (width, height) = (f64::from(width), f64::from(height));
        let diagonal = width.hypot(height).max(1.0);
        Self {
            size: [width / diagonal, height / diagonal],
            frames_processed: 0,
            frames_detected: 0,
            track_losses: 0,
            people: 0,
            visibility_sum: 0.0,
            last: [None; 2],
            track: 0,
            was_detected: false,
            jitter: MeanSquare::default(),
        }
    }

    /// Counts one frame; returns the mean visibility of its pose, 0 without one.
    pub(crate) fn add(&mut self, frame: &Frame<'_>) -> f32 {
        self.frames_processed += 1;
        let highest = frame.people.last().map_or(0, |person| person.id + 1);
        self.people = self.people.max(highest);
        let is_detected = frame.first_detected().is_some();
        let was_detected = std::mem::replace(&mut self.was_detected, is_detected);
        self.track_losses += u32::from(was_detected && !is_detected);
        let Some(person) = frame.first() else {
            self.last = [None; 2];
            return 0.0;
        };
        if std::mem::replace(&mut self.track, person.track) != person.track {
            self.last = [None; 2];
        }
        if let [Some(last), Some(before)] = &self.last {
            self.jitter.add(&person.pose, last, before, self.size);
        }
        self.last = [Some(person.pose), self.last[0]];
        if !is_detected {
            return 0.0;
        }
        let visibility = mean_visibility(&person.pose);
        self.frames_detected += 1;
        self.visibility_sum += f64::from(visibility);
        visibility
    }

    /// The counts so far.
    pub(crate) const fn progress(&self) -> Progress {
        Progress { frames_done: self.frames_processed, frames_detected: self.frames_detected }
    }

    /// The totals of a run over the frames of these numbers.
    pub(crate) fn summary(&self, frames: Range<u32>, warnings: Warnings) -> Summary {
        let mean = self.visibility_sum / f64::from(self.frames_detected.max(1));
        Summary {
            first_frame: frames.start,
            frames_decoded: frames.end - frames.start,
            frames_processed: self.frames_processed,
            frames_detected: self.frames_detected,
            mean_visibility: mean as f32,
            track_losses: self.track_losses,
            jitter: self.jitter.root(),
            people: self.people,
            warnings,
        }
    }
}

impl MeanSquare {
    /// Adds the second differences of the landmarks that are visible in all three frames.
    fn add(&mut self, next: &Pose, last: &Pose, before: &Pose, [width, height]: [f64; 2]) {
        for i in 0..LANDMARKS {
            let three = [&next[i], &last[i], &before[i]];
            if three.iter().any(|at| at.visibility < JITTER_VISIBILITY_MIN) {
                continue;
            }
            let second = |values: [f32; 3]| {
                let [next, last, before] = values.map(f64::from);
                next - 2.0 * last + before
            };
            let x = second(three.map(|at| at.x)) * width;
            let y = second(three.map(|at| at.y)) * height;
            self.sum += x * x + y * y;
            self.count += 1;
        }
    }

    fn root(&self) -> f32 {
        (self.sum / f64::from(self.count.max(1))).sqrt() as f32
    }
}

impl From<&Summary> for StatisticsReport {
    fn from(summary: &Summary) -> Self {
        let processed = f64::from(summary.frames_processed.max(1));
        Self {
            frames_decoded: summary.frames_decoded,
            frames_processed: summary.frames_processed,
            frames_detected: summary.frames_detected,
            detection_rate: f64::from(summary.frames_detected) / processed,
            average_quality: summary.mean_visibility,
            track_losses: summary.track_losses,
            jitter: summary.jitter,
            people: summary.people,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pose::Person;
    use bodyscript_protocol::pose::Landmark;
    use std::time::Duration;

    fn person(id: u32, x: f32, visibility: f32) -> Person {
        let pose = [Landmark { x, visibility, ..Landmark::default() }; LANDMARKS];
        Person { id, track: 0, pose, strategy: "track", filtered: None }
    }

    fn summary(frames: &[Vec<Person>]) -> Summary {
        // Three, four, five: the diagonal of 300 x 400 is 500.
        let mut statistics = Statistics::new(300, 400);
        for (id, people) in (0..).zip(frames) {
            statistics.add(&Frame {
                id,
                time: Duration::ZERO,
                source_time: Duration::ZERO,
                people,
            });
        }
        statistics.summary(0..frames.len() as u32, Warnings::NONE)
    }

    #[test]
    fn uniform_movement_has_no_jitter_and_oscillation_has() {
        let at = |x| vec![person(0, x, 0.9)];
        let even = summary(&[at(0.25), at(0.375), at(0.5), at(0.625)]);
        assert_eq!(even.jitter, 0.0);
        // Second difference 2 * 0.125 of the width, which is 0.6 of the diagonal.
        let oscillating = summary(&[at(0.25), at(0.375), at(0.25), at(0.375)]);
        assert!((oscillating.jitter - 0.15).abs() < 1e-6, "{oscillating:?}");
    }

    #[test]
    fn jitter_needs_three_consecutive_frames_of_a_track_with_visible_landmarks() {
        let at = |x| vec![person(0, x, 0.9)];
        let hidden = |x| vec![person(0, x, 0.4)];
        assert_eq!(summary(&[at(0.1), at(0.9), vec![], at(0.1), at(0.9)]).jitter, 0.0);
        assert_eq!(summary(&[hidden(0.1), hidden(0.9), hidden(0.1)]).jitter, 0.0);
        let other = |x| vec![Person { track: 1, ..person(0, x, 0.9) }];
        assert_eq!(summary(&[at(0.1), at(0.1), other(0.9), other(0.9)]).jitter, 0.0);
    }

    #[test]
    fn track_losses_and_people_are_counted() {
        let (one, both) =
            (vec![person(0, 0.5, 1.0)], vec![person(0, 0.5, 1.0), person(1, 0.2, 0.9)]);
        let other = vec![person(1, 0.2, 0.9)];
        let found = summary(&[vec![], one.clone(), both, other, one, vec![], vec![]]);
        assert_eq!((found.frames_detected, found.track_losses, found.people), (3, 2, 2));
        assert_eq!(found.mean_visibility, 1.0);
    }
}
