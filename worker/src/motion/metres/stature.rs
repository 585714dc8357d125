//! How tall a person is in pixels, by the parts of the body from ankles to ears.
//!
//! A part counts where it lies nearly parallel to the picture, by what the landmark model says of its direction, so that
//! neither bent knees nor a side that is turned away make the person shorter.

use super::pixel;
use crate::motion::outliers::median;
use crate::motion::vector::{Vector, add, length, scale, subtract};
use bodyscript_protocol::pose::Pose;

/// The share of a person's height between ankles and ears, as in tables of body measures: ears are at 0.92 of the height
/// and ankles at 0.04.
const MEASURED_SHARE: f64 = 0.88;
/// A part whose picture is shorter than this share of it points too much to the camera or away from it.
const PARALLEL_MIN: f64 = 0.8;
/// Landmarks less visible than this are guesses.
const VISIBILITY_MIN: f32 = 0.5;
/// In how many poses a part has to be measured.
const MEASURED_MIN: usize = 8;
/// Which share of the height has to be measured; the rest follows from the proportions that the landmark model finds.
const MEASURED_PARTS_MIN: f64 = 0.5;

/// Shanks, thighs, trunk, and neck up to the ears.
const PARTS: usize = 4;
/// The lines of the parts: the number of the part, and the landmarks between whose middles the line is.
const LINES: [(usize, [usize; 2], [usize; 2]); 6] = [
    (0, [27, 27], [25, 25]),
    (0, [28, 28], [26, 26]),
    (1, [25, 25], [23, 23]),
    (1, [26, 26], [24, 24]),
    (2, [23, 24], [11, 12]),
    (3, [11, 12], [7, 8]),
];

/// The lengths of the lines in one pose.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodySize([LineLength; LINES.len()]);

#[derive(Debug, Clone, Copy)]
struct LineLength {
    /// In pixels, if it is measured.
    pixels: Option<f64>,
    /// In metres of the landmark model.
    model: f64,
}

impl BodySize {
    /// The lengths in a picture of this size.
    pub(super) fn of(pose: &Pose, size: [f64; 2]) -> Self {
        Self(LINES.map(|(_, from, to)| {
            let place = |landmark: usize| pixel(pose[landmark].x, pose[landmark].y, size);
            let [from_pixel, to_pixel] =
                [from, to].map(|ends| middle(ends.map(|end| [place(end)[0], place(end)[1], 0.0])));
            let [from_model, to_model] =
                [from, to].map(|ends| middle(ends.map(|end| pose[end].world.map(f64::from))));
            let [x, y, z] = subtract(to_model, from_model);
            let (model, in_picture) = (length([x, y, z]), x.hypot(y));
            let is_visible = [from, to]
                .as_flattened()
                .iter()
                .all(|landmark| pose[*landmark].visibility >= VISIBILITY_MIN);
            let is_measured = is_visible && in_picture > PARALLEL_MIN * model;
            let pixels = length(subtract(to_pixel, from_pixel)) * model / in_picture;
            LineLength { pixels: is_measured.then_some(pixels), model }
        }))
    }

    /// How many pixels a metre of the landmark model measures; none if no part is measured.
    pub(super) fn pixels_per_model_metre(&self) -> Option<f64> {
        let measured = self.0.iter().filter_map(|line| Some((line.pixels?, line.model)));
        let (pixels, model) =
            measured.fold((0.0, 0.0), |sum, line| (sum.0 + line.0, sum.1 + line.1));
        (model > 0.0).then(|| pixels / model)
    }
}

fn middle([a, b]: [Vector; 2]) -> Vector {
    scale(add(a, b), 0.5)
}

/// How tall a person is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stature {
    /// In pixels.
    pub(super) pixels: f64,
    /// In metres of the landmark model.
    pub(super) model: f64,
}

impl Stature {
    /// By the medians of many poses; none if too few parts of the body are measured.
    pub(super) fn of(bodies: &[BodySize]) -> Option<Self> {
        let (mut pixels, mut measured, mut model) = (0.0, 0.0, 0.0);
        for part in 0..PARTS {
            let lines = || {
                let lines = bodies.iter().flat_map(|BodySize(lengths)| LINES.iter().zip(lengths));
                lines.filter(|((of, ..), _)| *of == part).map(|(_, length)| length)
            };
            let mut in_model: Vec<f64> = lines().map(|line| line.model).collect();
            let mut in_pixels: Vec<f64> = lines().filter_map(|line| line.pixels).collect();
            if in_model.is_empty() {
                return None;
            }
            let part_model = median(&mut in_model);
            model += part_model;
            if in_pixels.len() >= MEASURED_MIN {
                pixels += median(&mut in_pixels);
                measured += part_model;
            }
        }
        // False for NaN as well.
        let is_measured = measured >= MEASURED_PARTS_MIN * model && pixels > 0.0;
        is_measured.then(|| Self {
            pixels: pixels * model / measured / MEASURED_SHARE,
            model: model / MEASURED_SHARE,
        })
    }
}
