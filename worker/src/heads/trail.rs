//! One head through time: where it was seen last, and what is covered while it is not seen.

use super::cover::Cover;
use super::head::{Head, distance};

/// How long a head is covered before it is first and after it is last seen, and how long it may be unseen in
/// between, in seconds.
pub(super) const LOST_S_MAX: f64 = 3.0;
/// The same for one that was seen in fewer frames than [`SIGHTINGS_MIN`], in which something else may look like a head.
const BRIEF_LOST_S_MAX: f64 = 0.25;
const SIGHTINGS_MIN: u32 = 3;
/// A head that was unseen for longer than this may have been taken for another one.
const DOUBT_S: f64 = 0.25;
/// How much larger a cover is for each second from when the head was seen, in radii, and at most.
const GROWTH_PER_S: f64 = 0.5;
const GROWTH_MAX: f64 = 1.5;
/// For how long a head that is not seen is expected to go on as it did, in seconds.
const COURSE_S_MAX: f64 = 0.5;
/// How far a head may have moved between two sightings, in radii: from one frame to the next, and for each second more.
const REACH: f32 = 2.0;
const REACH_PER_S: f32 = 12.0;

/// One head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trail {
    /// When it was seen last, in seconds.
    pub(super) time_s: f64,
    head: Head,
    /// Pixels a second.
    velocity: [f32; 2],
    /// Whether what is taken for the same head was seen later.
    is_continued: bool,
    /// When and where it was seen first.
    first: (f64, Head),
    /// In how many frames it was seen.
    sightings: u32,
}

impl Trail {
    /// A head that is seen for the first time.
    pub(super) const fn new(time_s: f64, head: Head) -> Self {
        let first = (time_s, head);
        Self { time_s, head, velocity: [0.0; 2], is_continued: false, first, sightings: 1 }
    }

    /// How badly a head fits, from 0 to 1; none if it is another one.
    pub(super) fn cost(&self, time_s: f64, head: &Head) -> Option<f32> {
        let reach = REACH + REACH_PER_S * (time_s - self.time_s) as f32;
        let [last, expected] =
            [self.head.center, self.expected(time_s)].map(|at| distance(at, head.center));
        let cost = last.min(expected) / (reach * self.head.radius.max(head.radius));
        (!self.is_continued && cost <= 1.0).then_some(cost)
    }

    /// Whether a head that is seen now may be another one, however well it fits.
    pub(super) fn is_in_doubt_at(&self, time_s: f64) -> bool {
        time_s - self.time_s > DOUBT_S
    }

    /// Goes on with a head that is seen now. If it may be another one, the trail ends, and the one that goes on is
    /// returned.
    pub(super) fn go_on(&mut self, time_s: f64, head: Head) -> Option<Self> {
        let elapsed = time_s - self.time_s;
        let sightings = self.sightings.saturating_add(1);
        let mut next = Self { first: self.first, sightings, ..Self::new(time_s, head) };
        if elapsed > 0.0 {
            let step = |axis: usize| head.center[axis] - self.head.center[axis];
            next.velocity = [step(0), step(1)].map(|step| step / elapsed as f32);
        }
        if self.is_in_doubt_at(time_s) {
            self.is_continued = true;
            return Some(next);
        }
        *self = next;
        None
    }

    /// Whether it was seen often enough now to be a head for certain.
    pub(super) const fn has_become_certain(&self) -> bool {
        self.sightings == SIGHTINGS_MIN
    }

    /// For how long it is covered before it is first and after it is last seen, in seconds.
    pub(super) const fn lost_s_max(&self) -> f64 {
        if self.sightings < SIGHTINGS_MIN { BRIEF_LOST_S_MAX } else { LOST_S_MAX }
    }

    /// Itself when it was seen first.
    pub(super) const fn at_first(&self) -> Self {
        let (time_s, head) = self.first;
        Self { time_s, head, velocity: [0.0; 2], ..*self }
    }

    /// What is covered at another time than the one at which the head is seen.
    pub(super) fn cover_at(&self, time_s: f64) -> Cover {
        let radius = grown(self.head.radius, (time_s - self.time_s).abs());
        Cover { ends: [self.head.center, self.expected(time_s)], radius }
    }

    /// What is covered at a time between the last sighting and the next one: all the way between them.
    pub(super) fn cover_until(&self, (next_s, next): (f64, Head), time_s: f64) -> Cover {
        let since = (time_s - self.time_s).min(next_s - time_s);
        let radius = grown(self.head.radius.max(next.radius), since);
        Cover { ends: [self.head.center, next.center], radius }
    }

    /// Where the head is expected, if it goes on as it did.
    fn expected(&self, time_s: f64) -> [f32; 2] {
        let elapsed = (time_s - self.time_s).clamp(0.0, COURSE_S_MAX) as f32;
        let [x, y] = self.head.center;
        [x + elapsed * self.velocity[0], y + elapsed * self.velocity[1]]
    }
}

fn grown(radius: f32, seconds: f64) -> f32 {
    radius * (1.0 + GROWTH_PER_S * seconds).min(GROWTH_MAX) as f32
}
