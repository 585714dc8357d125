//! Estimates the 33 landmarks of the person in a region, and the region in the next frame.

use super::crop::{Border, ValueRange, crop};
use super::roi::Roi;
use crate::inference::{Model, ModelError, ModelName, sigmoid};
use crate::picture::Pixels;
use bodyscript_protocol::options::LandmarkModel;
use bodyscript_protocol::pose::{LANDMARKS, Landmark, Pose, mirror_of};
use std::fs::File;

/// Least score of the detector, and least pose flag of the landmark model, for a person to count.
pub(super) const CONFIDENCE_MIN: f32 = 0.2;
/// Side of the model's input, in pixels.
const INPUT_SIDE: usize = 256;
/// Landmarks the model gives: the 33, two alignment points, four that are not used.
const RAW_LANDMARKS: usize = 39;
/// Values of a raw landmark: x, y, z, visibility, presence.
const RAW_VALUES: usize = 5;
/// The model's outputs, in the order of the manifest.
const RAW: usize = 0;
const FLAG: usize = 1;
const HEATMAPS: usize = 2;
const WORLD: usize = 3;
/// Side of the heatmaps, in cells.
const HEATMAP_SIDE: usize = 64;
/// Cells to each side of a landmark that refine it: a window of 9 x 9. MediaPipe's graph states 7,
/// but its calculator uses the default of 9, and its results agree with no other value.
const REFINE_REACH: usize = 4;
/// Least peak of a heatmap, as a probability, for it to refine a landmark.
const REFINE_CONFIDENCE_MIN: f32 = 0.5;

/// The landmark model.
pub(super) struct Landmarker {
    model: Model,
}

/// The pose of a person in a region.
#[derive(Debug, Clone, PartialEq)]
pub struct PoseEstimate {
    /// The landmarks, in fractions of the picture and in metres.
    pub pose: Pose,
    /// The two points that give the region for the next frame, in pixels: the middle of the hips
    /// and a point on the circle around the whole body.
    pub alignment: [[f32; 2]; 2],
}

impl PoseEstimate {
    /// The region of the person in the next frame.
    pub(super) fn next_roi(&self) -> Roi {
        Roi::from_alignment(self.alignment[0], self.alignment[1])
    }

    /// The pose in the mirrored picture, which has this width. Left and right landmarks are exchanged
    /// as well: a left hand in the mirror is a right one.
    #[must_use]
    pub(super) fn mirrored(self, width: f32) -> Self {
        let pose = std::array::from_fn(|i| {
            let landmark = self.pose[mirror_of(i)];
            let [world_x, world_y, world_z] = landmark.world;
            Landmark { x: 1.0 - landmark.x, world: [-world_x, world_y, world_z], ..landmark }
        });
        Self { pose, alignment: self.alignment.map(|[x, y]| [width - x, y]) }
    }
}

/// Positions in the region: x and y as fractions of its side, z on the same scale.
type Position = [f32; 3];

impl Landmarker {
    /// Reads and checks the model.
    pub(super) fn load((model, file): (LandmarkModel, File)) -> Result<Self, ModelError> {
        Ok(Self { model: Model::load(ModelName::Landmarks(model), file)? })
    }

    /// The pose in the region, or nothing if the model detects no person there.
    pub(super) fn estimate(&self, picture: &dyn Pixels, roi: &Roi) -> Option<PoseEstimate> {
        let mut planes = vec![0.0; 3 * INPUT_SIDE * INPUT_SIDE];
        let range = ValueRange { min: 0.0, max: 1.0 };
        crop(picture, roi, Border::Replicate, range, &mut planes);
        let (raw, positions, world) = self.model.run(&planes, |outputs| {
            let is_person = outputs.value(FLAG, 0, 0, 0) >= CONFIDENCE_MIN;
            is_person.then(|| {
                let raw = outputs.values(RAW);
                let positions = refine(&raw, |i, x, y| outputs.value(HEATMAPS, i, y, x));
                (raw, positions, outputs.values(WORLD))
            })
        })?;
        let size = picture.size().map(|side| side as f32);
        let pose = std::array::from_fn(|i| {
            landmark(roi, size, positions[i], &raw[i * RAW_VALUES..], &world[i * 3..])
        });
        let alignment =
            [LANDMARKS, LANDMARKS + 1].map(|i| roi.project(positions[i][0], positions[i][1]));
        Some(PoseEstimate { pose, alignment })
    }
}

fn landmark(
    roi: &Roi,
    [width, height]: [f32; 2],
    at: Position,
    raw: &[f32],
    world: &[f32],
) -> Landmark {
    let [x, y] = roi.project(at[0], at[1]);
    let [world_x, world_y] = roi.rotate([world[0], world[1]]);
    Landmark {
        x: x / width,
        y: y / height,
        z: at[2] * roi.side / width,
        visibility: sigmoid(raw[3]),
        presence: sigmoid(raw[4]),
        world: [world_x, world_y, world[2]],
    }
}

/// Moves each landmark to the centre of mass of its heatmap near the landmark.
/// `heatmap(i, x, y)` is a cell of the map of landmark `i`.
fn refine(raw: &[f32], heatmap: impl Fn(usize, usize, usize) -> f32) -> [Position; RAW_LANDMARKS] {
    std::array::from_fn(|i| {
        let position: Position =
            std::array::from_fn(|axis| raw[i * RAW_VALUES + axis] / INPUT_SIDE as f32);
        match center_of_mass(|x, y| heatmap(i, x, y), position) {
            Some([x, y]) => [x, y, position[2]],
            None => position,
        }
    })
}

/// The heatmap's centre of mass in the window around a position, if its peak is high enough.
fn center_of_mass(heatmap: impl Fn(usize, usize) -> f32, position: Position) -> Option<[f32; 2]> {
    let side = HEATMAP_SIDE as f32;
    // Truncated towards zero, so that a position just outside counts as the edge.
    let [column, row] = [position[0], position[1]].map(|fraction| (fraction * side) as i64);
    let inside = 0..HEATMAP_SIDE as i64;
    if !inside.contains(&column) || !inside.contains(&row) {
        return None;
    }
    let window = |center: i64| {
        let center = center as usize;
        center.saturating_sub(REFINE_REACH)..(center + REFINE_REACH + 1).min(HEATMAP_SIDE)
    };
    let (mut sum, mut sum_x, mut sum_y, mut peak) = (0.0_f32, 0.0, 0.0, 0.0_f32);
    for y in window(row) {
        for x in window(column) {
            let confidence = sigmoid(heatmap(x, y));
            sum += confidence;
            sum_x += confidence * x as f32;
            sum_y += confidence * y as f32;
            peak = peak.max(confidence);
        }
    }
    (peak >= REFINE_CONFIDENCE_MIN && sum > 0.0).then(|| [sum_x / side / sum, sum_y / side / sum])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirroring_exchanges_left_and_right_landmarks() {
        let mut pose = [Landmark::default(); LANDMARKS];
        pose[15] = Landmark { x: 0.75, y: 0.5, world: [0.25, 0.5, 0.1], ..Landmark::default() };
        let estimate = PoseEstimate { pose, alignment: [[30.0, 40.0], [30.0, 10.0]] };
        let mirrored = estimate.clone().mirrored(100.0);
        let wrist = mirrored.pose[16];
        assert_eq!((wrist.x, wrist.y, wrist.world), (0.25, 0.5, [-0.25, 0.5, 0.1]));
        assert_eq!(mirrored.alignment, [[70.0, 40.0], [70.0, 10.0]]);
        assert_eq!(mirrored.mirrored(100.0), estimate);
    }

    fn cells(heatmap: &[f32]) -> impl Fn(usize, usize) -> f32 {
        |x, y| heatmap[y * HEATMAP_SIDE + x]
    }

    #[test]
    fn a_confident_heatmap_moves_its_landmark_and_an_unconfident_one_does_not() {
        let mut heatmap = vec![-20.0; HEATMAP_SIDE * HEATMAP_SIDE];
        assert_eq!(center_of_mass(cells(&heatmap), [0.5, 0.5, 0.0]), None);
        heatmap[33 * HEATMAP_SIDE + 34] = 5.0;
        let [x, y] = center_of_mass(cells(&heatmap), [0.5, 0.5, 0.0]).expect("a confident heatmap");
        assert!((x - 34.0 / 64.0).abs() < 1e-4 && (y - 33.0 / 64.0).abs() < 1e-4, "{x} {y}");
    }

    #[test]
    fn a_peak_beyond_the_window_or_the_picture_does_not_count() {
        let mut heatmap = vec![-20.0; HEATMAP_SIDE * HEATMAP_SIDE];
        heatmap[32 * HEATMAP_SIDE + 37] = 5.0;
        assert_eq!(center_of_mass(cells(&heatmap), [0.5, 0.5, 0.0]), None);
        assert_eq!(center_of_mass(cells(&heatmap), [1.0, 0.5, 0.0]), None);
        assert_eq!(center_of_mass(cells(&heatmap), [0.5, -0.1, 0.0]), None);
    }
}
