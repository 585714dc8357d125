//! Clips of a rendered figure, how near landmarks are to its joints, and their jitter.

use crate::fixture::{Clip, footage};
use crate::pose_table::{PoseTable, Row};
use std::collections::BTreeMap;

/// Hips, whose middle is the position of a person.
const HIPS: [usize; 2] = [23, 24];
/// Figures nearer to each other than this share of the width are not told apart by their positions.
const APART_MIN: f64 = 0.15;

/// Frames of a clip of [`walking`], [`walking_fast`] and [`standing`].
pub const FRAMES: u32 = 40;
/// Share of the light in [`Condition::Dark`]: the brightest value is 13 of 255.
const DARK_LIGHT: f64 = 0.05;
/// Radius of the blur in [`Condition::Blurred`], in pixels of a picture of 480 rows.
const BLUR_RADIUS: u32 = 10;

/// Under what a figure is filmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// In good light and focus.
    Ordinary,
    /// With a twentieth of the values of all pixels.
    Dark,
    /// Out of focus.
    Blurred,
}

impl Condition {
    /// All conditions.
    pub const ALL: [Self; 3] = [Self::Ordinary, Self::Dark, Self::Blurred];

    /// What documents call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Dark => "dark",
            Self::Blurred => "blurred",
        }
    }

    /// A walk of so many frames.
    pub fn clip(self, frames: u32) -> Clip {
        let clip = Clip::new().size(640, 480).frames(frames);
        match self {
            Self::Ordinary => clip,
            Self::Dark => clip.light(DARK_LIGHT),
            Self::Blurred => clip.blur(BLUR_RADIUS),
        }
    }
}

fn clip(width: u32, height: u32, yaw: f32) -> Clip {
    Clip::new().frames(FRAMES).size(width, height).yaw(yaw)
}

/// Figures that walk, at several sizes and yaws: the name of the file and the clip.
pub fn walking() -> Vec<(&'static str, Clip)> {
    vec![
        ("small_front", clip(320, 240, 0.0)),
        ("small_left", clip(320, 240, 0.6)),
        ("middle_front", clip(640, 480, 0.0)),
        ("middle_right", clip(640, 480, -0.6)),
        ("middle_side", clip(640, 480, 1.2)),
        ("upright_left", clip(360, 640, 0.4)),
        ("wide_front", clip(1280, 720, 0.2)),
    ]
}

/// Figures that walk twice as fast: the name of the file and the clip.
pub fn walking_fast() -> Vec<(&'static str, Clip)> {
    vec![
        ("brisk_front", clip(640, 480, 0.1).footage(footage::walking_fast)),
        ("brisk_side", clip(640, 480, -1.0).footage(footage::walking_fast)),
    ]
}

/// Figures that stand still: the name of the file and the clip.
pub fn standing() -> Vec<(&'static str, Clip)> {
    vec![
        ("still_small", clip(320, 240, 0.2).footage(footage::standing)),
        ("still_middle", clip(640, 480, -0.4).footage(footage::standing)),
    ]
}

/// Quality of the landmarks of one clip.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Frames with the person.
    pub frames: usize,
    /// Mean distance from the true joints, as a share of the diagonal; not a number without frames.
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
