//! Moves the hips so that the foot that stands stays where it is.
//!
//! Of toes and heels the lowest one stands, and keeps standing until another one is lower by more than a step of noise.
//! From frame to frame the hips move by as much as it moved relative to them, the other way; the lowest of all
//! is on the floor. Flight is not known: who jumps stays on the floor.

use super::joints::SOLES;
use crate::motion::vector::Vector;

/// How much lower another point has to be to stand instead, in metres.
const LOWER_M_MIN: f64 = 0.005;
/// A point this much higher than the lowest one has left the floor, in metres.
const LIFTED_M_MIN: f64 = 0.03;
/// A point that is found again within this of its last place has not moved: noise would add up otherwise, in metres.
const UNMOVED_M_MAX: f64 = 0.01;

/// Points with which feet can stand, relative to the hips.
type Soles = [Vector; SOLES.len()];
/// A place on the floor: x and z.
type Place = [f64; 2];

/// What stands, and where.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Planting {
    standing: Option<usize>,
    /// Where the points stood that did not leave the floor since.
    places: [Option<Place>; SOLES.len()],
    /// The last position of the hips.
    hips: Vector,
}

impl Planting {
    /// The next position of the hips.
    pub(super) fn hips(&mut self, soles: &Soles) -> Vector {
        let height = |point: usize| soles[point][1];
        let lowest = (1..soles.len())
            .fold(0, |lowest, point| if height(point) < height(lowest) { point } else { lowest });
        let is_above = |point: usize, least: f64| height(point) - height(lowest) > least;
        let last = self.standing.and_then(|point| Some((point, self.places[point]?)));
        let hips = last.map_or(self.hips, |(point, place)| hips_above(place, soles[point]));
        let point = match last {
            Some((point, _)) if !is_above(point, LOWER_M_MIN) => point,
            _ => lowest,
        };
        for (other, place) in self.places.iter_mut().enumerate() {
            if is_above(other, LIFTED_M_MIN) {
                *place = None;
            }
        }
        let now = [hips[0] + soles[point][0], hips[2] + soles[point][2]];
        let before =
            self.places[point].filter(|[x, z]| (now[0] - x).hypot(now[1] - z) <= UNMOVED_M_MAX);
        let place = before.unwrap_or(now);
        self.standing = Some(point);
        self.places[point] = Some(place);
        self.hips = hips_above(place, soles[point]);
        self.hips[1] = -height(lowest);
        self.hips
    }

    /// The next pose does not follow from the last one: it goes on at its place.
    pub(super) fn interrupt(&mut self) {
        (self.standing, self.places) = (None, [None; SOLES.len()]);
    }

    /// The last position of the hips.
    pub(super) fn last(&self) -> Vector {
        self.hips
    }
}

fn hips_above([x, z]: Place, sole: Vector) -> Vector {
    [x - sole[0], 0.0, z - sole[2]]
}
