//! Chooses the signs of a sequence of vectors so that they change as evenly as possible.
//!
//! What a choice costs is the sum of the second differences of the signed vectors, and the given costs of each change of
//! sign and of each frame with the negative one. The cheapest choice is found exactly, by dynamic programming over the
//! signs of two successive frames (Viterbi, "Error bounds for convolutional codes", IEEE Trans Inf Theory 13:260, 1967).

use super::{Pose, Vector, length, median, mirror_of, subtract};

/// Longest extrapolation of a change, as a multiple of the step that it was seen in.
const EXTRAPOLATION_MAX: f64 = 2.0;

/// What signs cost in one frame, in units of the usual length of the vectors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// A sign other than that of the frame before.
    pub(super) switch: f64,
    /// The negative sign.
    pub(super) exchanged: f64,
}

/// The vectors from the right to the left landmark of some pairs, frame by frame.
pub(super) struct Differences {
    vectors: Vec<Vector>,
    pairs: usize,
}

/// Negative signs of the frame before and of this one, as an index.
const STATES: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

impl Differences {
    /// Of the pairs of these left landmarks.
    pub(super) fn of(poses: &[Pose], pairs: &[usize]) -> Self {
        let at = |pose: &Pose, i: usize| pose[i].world.map(f64::from);
        let difference = |pose: &Pose, left| subtract(at(pose, left), at(pose, mirror_of(left)));
        let vectors = poses
            .iter()
            .flat_map(|pose| pairs.iter().map(move |left| difference(pose, *left)))
            .collect();
        Self { vectors, pairs: pairs.len() }
    }

    /// Which frames have the negative sign in the cheapest choice.
    pub(super) fn cheapest(&self, times: &[f64], cost: impl Fn(usize) -> Cost) -> Vec<bool> {
        let frames = times.len();
        if frames < 3 {
            return vec![false; frames];
        }
        let unit = self.usual_length();
        let of_signs = |frame: usize, [last, this]: [bool; 2]| {
            let Cost { switch, exchanged } = cost(frame);
            let switch = if last == this { 0.0 } else { switch };
            unit * (switch + if this { exchanged } else { 0.0 })
        };
        let mut costs = STATES.map(|[first, second]| {
            of_signs(0, [first, first])
                + of_signs(1, [first, second])
                + self.first_change(first != second)
        });
        // For each frame and state, the sign two frames before.
        let mut origins = vec![[false; 4]; frames];
        for frame in 2..frames {
            let rate = (times[frame] - times[frame - 1]) / (times[frame - 1] - times[frame - 2]);
            let rate = rate.min(EXTRAPOLATION_MAX);
            let uneven =
                STATES.map(|[first, second]| self.unevenness(frame, rate, [first, second]));
            let before = costs;
            for (state, [last, this]) in STATES.into_iter().enumerate() {
                let from = |first: bool| {
                    // Only the signs relative to this frame's matter.
                    before[index([first, last])] + uneven[index([first != this, last != this])]
                };
                let origin = from(true) < from(false);
                origins[frame][state] = origin;
                costs[state] = from(origin) + of_signs(frame, [last, this]);
            }
        }
        trace(&costs, &origins)
    }

    fn usual_length(&self) -> f64 {
        let mean = |vectors: &[Vector]| vectors.iter().copied().map(length).sum::<f64>();
        let mut lengths: Vec<f64> =
            self.vectors.chunks(self.pairs).map(|frame| mean(frame) / self.pairs as f64).collect();
        median(&mut lengths)
    }

    /// Mean distance of the vectors of the first two frames, if their signs are the same or not.
    fn first_change(&self, is_switched: bool) -> f64 {
        let sign = sign(is_switched);
        self.mean(|pair| {
            let [first, second] = [pair, pair + self.pairs].map(|i| self.vectors[i]);
            [0, 1, 2].map(|k| second[k] - sign * first[k])
        })
    }

    /// Mean distance of a frame's vectors from where those of the two frames before lead; true where one of those has
    /// the other sign.
    fn unevenness(&self, frame: usize, rate: f64, [first, second]: [bool; 2]) -> f64 {
        let (first, second) = (sign(first) * rate, sign(second) * (1.0 + rate));
        self.mean(|pair| {
            let at = |back: usize| self.vectors[(frame - back) * self.pairs + pair];
            let [v0, v1, v2] = [at(2), at(1), at(0)];
            [0, 1, 2].map(|k| v2[k] - second * v1[k] + first * v0[k])
        })
    }

    fn mean(&self, vector: impl Fn(usize) -> Vector) -> f64 {
        (0..self.pairs).map(|pair| length(vector(pair))).sum::<f64>() / self.pairs as f64
    }
}

fn sign(is_negative: bool) -> f64 {
    if is_negative { -1.0 } else { 1.0 }
}

fn index([first, second]: [bool; 2]) -> usize {
    2 * usize::from(first) + usize::from(second)
}

/// The signs that lead to the cheapest last state.
fn trace(costs: &[f64; 4], origins: &[[bool; 4]]) -> Vec<bool> {
    let cheapest =
        (1..4).fold(0, |best, state| if costs[state] < costs[best] { state } else { best });
    let [mut last, mut this] = STATES[cheapest];
    let mut signs = vec![false; origins.len()];
    for frame in (0..origins.len()).rev() {
        signs[frame] = this;
        let origin = origins[frame][index([last, this])];
        (last, this) = (origin, last);
    }
    signs
}
