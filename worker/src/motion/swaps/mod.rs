//! Undoes exchanges of left and right: of the whole body, of the arms, of the legs.
//!
//! A network that takes a person seen from the side or from behind for one seen from the other side gives each left
//! landmark the place of the right one, for some frames. An exchange changes neither the sum of both places nor
//! anything else but the sign of their difference, so what has to be decided for each frame is that sign: it is chosen
//! so that the differences change as evenly as possible ([`continuity`]), first for all landmarks together, then for
//! arms and for legs. Differences in metres are used: they are known in depth too, where legs that pass each other in a
//! picture from the side are apart.
//!
//! An exchange is undone only if that makes the movement smoother by more than a change of sides is taken to be
//! unlikely, and the less likely the longer it lasts. It is unlikely as well while the body looks right as it is: toes
//! point where the trunk faces, elbows and knees are on their own sides.

mod continuity;

use super::landmark_set::LandmarkSet;
use super::outliers::median;
use super::vector::{Vector, add, cross, dot, length, subtract, unit};
use bodyscript_protocol::pose::{Pose, mirror_of};
use continuity::{Cost, Differences};

/// Frames further apart than this, in seconds, say nothing about each other: in this time a leg passes the other one.
const STEP_S_MAX: f64 = 0.11;

/// Left landmarks of each part; the right ones are their mirrors.
const BODY: [usize; 16] = [1, 2, 3, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
const HEAD: &[usize] = &[1, 2, 3, 7, 9];
const BELOW_HEAD: &[usize] = &[11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
const LIMBS: [Limb; 2] = [
    Limb { pairs: &[13, 15, 17, 19, 21], root: &[11], opposite: 23 },
    Limb { pairs: &[25, 27, 29, 31], root: &[23], opposite: 11 },
];

/// A pair of limbs. Its root is exchanged together with it, or keeps its sides.
struct Limb {
    pairs: &'static [usize],
    root: &'static [usize],
    /// The pair at the other end of the trunk, which is not exchanged with it.
    opposite: usize,
}

/// Costs are in units of the usual distance of left and right. A change of sides without exchange costs about four
/// for each end of a run: it reverses the difference, which shows twice in how evenly it changes.
const SWITCH: f64 = 1.0;
/// Of one second of exchange of the body, and of that if the toes point forwards.
const BODY_SECOND: f64 = 0.25;
const TOES_SECOND: f64 = 10.0;
/// Of one second of exchange of a limb, and of that if the limb is on its own side.
const LIMB_SECOND: f64 = 0.5;
const SIDE_SECOND: f64 = 10.0;
/// Of a change of what is exchanged together with another part, when that changes.
const FOLLOWER_SWITCH: f64 = 0.2;
/// Of what must not happen.
const FORBIDDEN: f64 = 1e9;

/// The poses of one person, with their times in seconds.
#[derive(Clone, Copy)]
pub(super) struct Poses<'a> {
    pub(super) times: &'a [f64],
    pub(super) poses: &'a [Pose],
}

/// The exchanged landmarks of each pose; none of the first `settled` ones.
pub(super) fn find(poses: Poses<'_>, settled: usize) -> Vec<LandmarkSet> {
    let mut found = Vec::with_capacity(poses.times.len());
    for piece in poses.times.chunk_by(|last, next| next - last <= STEP_S_MAX) {
        let range = found.len()..found.len() + piece.len();
        let piece = Poses { times: piece, poses: &poses.poses[range.clone()] };
        found.extend(find_in_piece(piece, settled.saturating_sub(range.start)));
    }
    found
}

/// The pose with these landmarks and their mirrors exchanged.
pub(super) fn exchange(pose: &Pose, exchanged: LandmarkSet) -> Pose {
    std::array::from_fn(|i| pose[if exchanged.contains(i) { mirror_of(i) } else { i }])
}

fn find_in_piece(Poses { times, poses }: Poses<'_>, settled: usize) -> Vec<LandmarkSet> {
    let mut piece = Piece {
        times,
        poses: poses.to_vec(),
        found: vec![LandmarkSet::default(); poses.len()],
        settled,
    };
    let facing: Vec<f64> = poses.iter().map(toes_forwards).collect();
    let body = piece.cheapest(&BODY, |frame| BODY_SECOND + TOES_SECOND * facing[frame].max(0.0));
    piece.exchange(BELOW_HEAD, &body);
    for Limb { pairs, root, opposite } in &LIMBS {
        let on_side: Vec<f64> =
            piece.poses.iter().map(|pose| on_own_side(pose, pairs[0], *opposite)).collect();
        let limb =
            piece.cheapest(pairs, |frame| LIMB_SECOND + SIDE_SECOND * on_side[frame].max(0.0));
        piece.exchange(pairs, &limb);
        piece.exchange_together(root, &limb);
    }
    piece.exchange_together(HEAD, &body);
    piece.found
}

/// Poses close in time, and what was found to be exchanged in them so far, which is undone.
struct Piece<'a> {
    times: &'a [f64],
    poses: Vec<Pose>,
    found: Vec<LandmarkSet>,
    settled: usize,
}

impl Piece<'_> {
    /// In which frames these pairs are exchanged, by the cost of one second of exchange.
    fn cheapest(&self, pairs: &[usize], second: impl Fn(usize) -> f64) -> Vec<bool> {
        let step = |frame: usize| match frame.checked_sub(1) {
            Some(last) => self.times[frame] - self.times[last],
            None => 0.0,
        };
        Differences::of(&self.poses, pairs).cheapest(self.times, |frame| Cost {
            switch: SWITCH,
            exchanged: match frame < self.settled {
                true => FORBIDDEN,
                false => step(frame) * second(frame),
            },
        })
    }

    /// Exchanges these pairs together with another part, or not, for each run of frames in which that is exchanged.
    fn exchange_together(&mut self, pairs: &[usize], part: &[bool]) {
        let changes = |frame: usize| frame > 0 && part[frame] != part[frame - 1];
        let exchanged = Differences::of(&self.poses, pairs).cheapest(self.times, |frame| Cost {
            switch: if changes(frame) { FOLLOWER_SWITCH } else { FORBIDDEN },
            exchanged: if part[frame] { 0.0 } else { FORBIDDEN },
        });
        self.exchange(pairs, &exchanged);
    }

    /// Exchanges these pairs in the frames in which they are exchanged.
    fn exchange(&mut self, pairs: &[usize], is_exchanged: &[bool]) {
        let set: LandmarkSet = pairs.iter().flat_map(|left| [*left, mirror_of(*left)]).collect();
        for frame in (0..self.poses.len()).filter(|frame| is_exchanged[*frame]) {
            self.poses[frame] = exchange(&self.poses[frame], set);
            self.found[frame] = self.found[frame].symmetric_difference(set);
        }
    }
}

/// Cosine of the angle between the toes and where the trunk faces, times the visibility of the feet: its sign is the
/// opposite where the sides of the whole body are exchanged.
fn toes_forwards(pose: &Pose) -> f64 {
    let at = |i: usize| pose[i].world.map(f64::from);
    let segment = |from: usize, to: usize| subtract(at(to), at(from));
    let right_to_left = add(segment(12, 11), segment(24, 23));
    let up = add(segment(23, 11), segment(24, 12));
    let toes = add(segment(29, 31), segment(30, 32));
    // Y points down and Z away from the camera, which keeps the axes right-handed.
    let cosine =
        unit(cross(right_to_left, up)).zip(unit(toes)).map(|(forwards, toes)| dot(forwards, toes));
    let visibility =
        [29, 30, 31, 32].map(|i| f64::from(pose[i].visibility)).into_iter().fold(1.0, f64::min);
    cosine.unwrap_or(0.0) * visibility
}

/// Cosine of the angle between a pair of elbows or knees and the girdle at the other end of the trunk.
fn on_own_side(pose: &Pose, left: usize, opposite: usize) -> f64 {
    let at = |i: usize| pose[i].world.map(f64::from);
    let right_to_left = |left: usize| unit(subtract(at(left), at(mirror_of(left))));
    right_to_left(left).zip(right_to_left(opposite)).map_or(0.0, |(limb, girdle)| dot(limb, girdle))
}

#[cfg(test)]
mod tests;
