//! Detects the people in a picture and gives the regions for their landmarks.

use super::anchors::{self, INPUT_SIDE};
use super::crop::{Border, ValueRange, crop};
use super::landmarks::CONFIDENCE_MIN;
use super::roi::Roi;
use crate::heads::Head;
use crate::inference::{Model, ModelError, ModelName, sigmoid};
use crate::picture::Pixels;
use std::fs::File;

/// Values of a box: centre, size, and four alignment points of two coordinates.
const BOX_VALUES: usize = 12;
/// Boxes that overlap the best one by more than this (intersection over union) are the same person.
const SAME_PERSON_OVERLAP: f32 = 0.3;
/// Raw scores are clamped to this before the sigmoid, which overflows far beyond it.
const RAW_SCORE_MAX: f32 = 100.0;

/// The detection model with its anchors.
pub(super) struct Detector {
    model: Model,
    anchors: Vec<[f32; 2]>,
}

/// A person in a picture.
pub(super) struct DetectedPerson {
    /// How sure the model is, from 0 to 1.
    pub(super) score: f32,
    /// The region for the landmarks.
    pub(super) roi: Roi,
    /// The head; none if the model gives no place for it.
    pub(super) head: Option<Head>,
}

/// One candidate, in fractions of the model's input.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: f32,
    /// x, y, width, height of the box, then x, y of each alignment point.
    values: [f32; BOX_VALUES],
}

impl Detector {
    /// Reads and checks the model.
    pub(super) fn load(file: File) -> Result<Self, ModelError> {
        Ok(Self { model: Model::load(ModelName::Detector, file)?, anchors: anchors::centers() })
    }

    /// The people, the most prominent first.
    pub(super) fn detect(&self, picture: &dyn Pixels) -> Vec<DetectedPerson> {
        let [width, height] = picture.size();
        let letterbox = Roi::letterbox(width as u32, height as u32);
        let mut planes = vec![0.0; 3 * INPUT_SIDE * INPUT_SIDE];
        let range = ValueRange { min: -1.0, max: 1.0 };
        crop(picture, &letterbox, Border::Zero, range, &mut planes);
        let (boxes, scores) =
            self.model.run(&planes, |outputs| (outputs.values(0), outputs.values(1)));
        let candidates = self.candidates(&boxes, &scores);
        let person = |Candidate { score, values }: Candidate| {
            let point = |at: usize| letterbox.project(values[at], values[at + 1]);
            // Points 0 and 1 span the whole body; 2 and 3 would span the upper body alone.
            let roi = Roi::from_alignment(point(4), point(6));
            // The box has the head in its middle; its size is the same for all people.
            let [left, top, across, down, ..] = values;
            let middle = letterbox.project(left + across / 2.0, top + down / 2.0);
            let body = roi.side / (2.0 * Roi::MARGIN);
            let size = [width as f32, height as f32];
            DetectedPerson { score, roi, head: Head::of_body(middle, body, size) }
        };
        suppress_overlaps(candidates).map(person).collect()
    }

    /// Decodes the boxes that score high enough, the best first.
    fn candidates(&self, boxes: &[f32], scores: &[f32]) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = self
            .anchors
            .iter()
            .zip(boxes.chunks_exact(BOX_VALUES))
            .zip(scores)
            .filter_map(|((anchor, raw), raw_score)| {
                let score = sigmoid(raw_score.clamp(-RAW_SCORE_MAX, RAW_SCORE_MAX));
                let candidate = Candidate { score, values: decode(*anchor, raw) };
                let is_valid = candidate.values[2] >= 0.0 && candidate.values[3] >= 0.0;
                (score >= CONFIDENCE_MIN && is_valid).then_some(candidate)
            })
            .collect();
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        candidates
    }
}

fn decode(anchor: [f32; 2], raw: &[f32]) -> [f32; BOX_VALUES] {
    let scale = INPUT_SIDE as f32;
    let mut values: [f32; BOX_VALUES] = std::array::from_fn(|i| raw[i] / scale);
    for point in [0, 4, 6, 8, 10] {
        values[point] += anchor[0];
        values[point + 1] += anchor[1];
    }
    values[0] -= values[2] / 2.0;
    values[1] -= values[3] / 2.0;
    values
}

/// Weighted non-maximum suppression: the best candidate, averaged by score with all that overlap
/// it; then the best of the rest, and so on.
fn suppress_overlaps(mut candidates: Vec<Candidate>) -> impl Iterator<Item = Candidate> {
    std::iter::from_fn(move || {
        let best = *candidates.first()?;
        let mut total = 0.0;
        let mut sum = [0.0; BOX_VALUES];
        for candidate in candidates.extract_if(.., |c| overlap(c, &best) > SAME_PERSON_OVERLAP) {
            total += candidate.score;
            for (sum, value) in sum.iter_mut().zip(candidate.values) {
                *sum += value * candidate.score;
            }
        }
        if total > 0.0 {
            return Some(Candidate { values: sum.map(|value| value / total), ..best });
        }
        // A box without area overlaps nothing, not even itself.
        candidates.remove(0);
        Some(best)
    })
}

/// Intersection over union of two boxes.
fn overlap(a: &Candidate, b: &Candidate) -> f32 {
    let ([ax, ay, aw, ah, ..], [bx, by, bw, bh, ..]) = (a.values, b.values);
    let width = (ax + aw).min(bx + bw) - ax.max(bx);
    let height = (ay + ah).min(by + bh) - ay.max(by);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let intersection = width * height;
    intersection / (aw * ah + bw * bh - intersection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(score: f32, x: f32) -> Candidate {
        Candidate { score, values: [x, 0.0, 1.0, 1.0, x, x, x, x, x, x, x, x] }
    }

    #[test]
    fn overlapping_candidates_are_averaged_by_score_and_others_stay_separate() {
        let found: Vec<_> = suppress_overlaps(vec![
            candidate(0.75, 0.0),
            candidate(0.25, 0.4),
            candidate(0.2, 5.0),
        ])
        .collect();
        assert_eq!(found.len(), 2);
        let [Candidate { score, values }, _] = found[..] else { unreachable!("two") };
        assert!((values[0] - 0.1).abs() < 1e-6, "{found:?}");
        assert!((values[4] - 0.1).abs() < 1e-6, "{found:?}");
        assert_eq!(score, 0.75, "that of the best");
        assert!((found[1].values[0] - 5.0).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn no_candidates_give_no_people_and_a_box_without_area_gives_one() {
        assert!(suppress_overlaps(Vec::new()).next().is_none());
        let flat = Candidate { score: 0.5, values: [0.0; BOX_VALUES] };
        assert_eq!(suppress_overlaps(vec![flat]).count(), 1);
    }

    #[test]
    fn overlap_is_intersection_over_union() {
        assert!((overlap(&candidate(1.0, 0.0), &candidate(1.0, 0.5)) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(overlap(&candidate(1.0, 0.0), &candidate(1.0, 1.0)), 0.0);
    }
}
