//! How near landmarks are to the joints of a rendered figure, and their jitter.

use crate::fixture::Clip;
use crate::pose_table::{PoseTable, Row};
use std::collections::BTreeMap;

/// Hips, whose middle is the position of a person.
const HIPS: [usize; 2] = [23, 24];
/// Figures nearer to each other than this share of the width are not told apart by their positions.
const APART_MIN: f64 = 0.15;

/// Quality of the landmarks of one clip.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Frames with the person.
    pub frames: usize,
    /// Mean distance from the true joints, as a share of the diagonal.
    pub mean: f64,
    /// Root mean square of the second difference, as a share of the diagonal.
    pub jitter: f64,
}

impl Figures {
    /// Compares the landmarks of person 0 with the joints of the first figure.
    pub fn measure(clip: &Clip, table: &PoseTable) -> Self {
        let (width, height) = (f64::from(clip.camera().width), f64::from(clip.camera().height));
        let length = |x: f64, y: f64| (x * width).hypot(y * height) / width.hypot(height);
        let (mut sum, mut count) = (0.0, 0.0);
        let (mut squares, mut triples) = (0.0, 0.0);
        for (id, pose) in &table.frames {
            for at in &clip.truth(*id)[0] {
                let row = pose[&at.index];
                sum += length(row.x - f64::from(at.x), row.y - f64::from(at.y));
                count += 1.0;
                let before = |n: u32| table.frames.get(&id.checked_sub(n)?)?.get(&at.index);
                if let (Some(last), Some(first)) = (before(1), before(2)) {
                    let second = |a: f64, b: f64, c: f64| a - 2.0 * b + c;
                    let (x, y) = (second(row.x, last.x, first.x), second(row.y, last.y, first.y));
                    squares += length(x, y).powi(2);
                    triples += 1.0;
                }
            }
        }
        let jitter = (squares / f64::max(triples, 1.0)).sqrt();
        Self { frames: table.frames.len(), mean: sum / count, jitter }
    }
}

/// Which of two figures a pose is of, by its position; none while one is in front of the other.
pub fn figure_of(clip: &Clip, frame: u32, pose: &BTreeMap<usize, Row>) -> Option<usize> {
    let truth = clip.truth(frame);
    let middle =
        |figure: usize| HIPS.iter().map(|hip| f64::from(truth[figure][*hip].x)).sum::<f64>() / 2.0;
    let x = HIPS.iter().map(|hip| pose[hip].x).sum::<f64>() / 2.0;
    let figures = [0, 1].map(middle);
    let [from_first, from_second] = figures.map(|figure| (figure - x).abs());
    let is_apart = (figures[0] - figures[1]).abs() > APART_MIN;
    is_apart.then_some(usize::from(from_second < from_first))
}
