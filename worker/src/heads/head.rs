//! The circle around one head: from the landmarks of a person, or around a face that the detector sees.

use super::cover::Cover;
use bodyscript_protocol::pose::{Landmark, Pose};

/// The landmarks of the face, the ears among them.
const FACE: std::ops::RangeInclusive<usize> = 0..=10;
const EARS: [usize; 2] = [7, 8];
const SHOULDERS: [usize; 2] = [11, 12];
const HIPS: [usize; 2] = [23, 24];

// From the middle between the ears to the crown or the chin it is about 0.13 m. Each of these is more than that for an
// adult, so that hair is covered too, and the largest one counts: a view from the side shortens ears and shoulders, one
// from above the trunk.
/// Radius as a share of the distance between the ears.
const OF_EARS: f32 = 1.0;
/// Radius as a share of the distance between the shoulders.
const OF_SHOULDERS: f32 = 0.45;
/// Radius as a share of the distance from the shoulders to the hips.
const OF_TORSO: f32 = 0.32;
/// Radius as a share of the distance to the farthest landmark of the face.
const OF_FACE: f32 = 1.1;
/// How much larger the circle is for the errors of landmarks.
const MARGIN: f32 = 1.2;
/// How much larger still where the landmarks of the face are not seen.
const UNSEEN_MARGIN: f32 = 1.5;
/// Mean visibility of the landmarks of the face below which they are not seen.
const VISIBILITY_MIN: f32 = 0.5;

/// Radius as a share of that of the detector's circle around the whole body, of which a head is a seventh.
const OF_BODY: f32 = 0.25;

/// Least radius in pixels, and as a share of the picture's longer side.
const PX_MIN: f32 = 6.0;
const SHARE_MIN: f32 = 0.01;

/// A circle around a head, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Head {
    /// The middle.
    pub(crate) center: [f32; 2],
    /// The radius.
    pub(crate) radius: f32,
}

impl Head {
    /// The head of a person in a picture of this size; none if there is no place for it.
    pub(crate) fn of_pose(pose: &Pose, size: [f32; 2]) -> Option<Self> {
        let at = |landmark: &Landmark| [landmark.x * size[0], landmark.y * size[1]];
        let ends = |pair: [usize; 2]| pair.map(|index| at(&pose[index]));
        let middle = |[a, b]: [[f32; 2]; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        let [ears, shoulders, hips] = [EARS, SHOULDERS, HIPS].map(ends);
        let center = middle(ears);
        let face = &pose[FACE];
        let farthest = face.iter().map(|it| distance(at(it), center)).fold(0.0, f32::max);
        let lengths = [
            OF_EARS * distance(ears[0], ears[1]),
            OF_SHOULDERS * distance(shoulders[0], shoulders[1]),
            OF_TORSO * distance(middle(shoulders), middle(hips)),
            OF_FACE * farthest,
        ];
        let visibility = face.iter().map(|it| it.visibility).sum::<f32>() / face.len() as f32;
        let unseen = if visibility < VISIBILITY_MIN { UNSEEN_MARGIN } else { 1.0 };
        let radius = lengths.into_iter().fold(0.0, f32::max) * MARGIN * unseen;
        Self { center, radius }.of_least_size(size)
    }

    /// The head with this middle, of a body within a circle of this radius, in a picture of this size.
    pub(crate) fn of_body(center: [f32; 2], body: f32, size: [f32; 2]) -> Option<Self> {
        Self { center, radius: OF_BODY * body }.of_least_size(size)
    }

    fn of_least_size(self, [width, height]: [f32; 2]) -> Option<Self> {
        let is_finite = self.center.iter().chain([&self.radius]).all(|value| value.is_finite());
        let least = PX_MIN.max(SHARE_MIN * width.max(height));
        is_finite.then_some(Self { radius: self.radius.max(least), ..self })
    }

    /// What covers it.
    pub(super) const fn cover(&self) -> Cover {
        Cover { ends: [self.center; 2], radius: self.radius }
    }

    /// Whether the middle of another one is in this one.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.distance(other) <= self.radius
    }

    pub(super) fn distance(&self, other: &Self) -> f32 {
        distance(self.center, other.center)
    }

    /// The smallest circle around both.
    fn around(self, other: Self) -> Self {
        let distance = self.distance(&other);
        if distance + other.radius <= self.radius {
            return self;
        }
        if distance + self.radius <= other.radius {
            return other;
        }
        let radius = (distance + self.radius + other.radius) / 2.0;
        let share = (radius - self.radius) / distance;
        let [[ax, ay], [bx, by]] = [self.center, other.center];
        Self { center: [ax + share * (bx - ax), ay + share * (by - ay)], radius }
    }

    /// One circle for each head, where landmarks and detector may have found the same one; the order is kept.
    pub(crate) fn merged(heads: &[Self]) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for head in heads {
            let (mut head, mut place) = (*head, merged.len());
            while let Some(at) =
                merged.iter().position(|it| it.contains(&head) || head.contains(it))
            {
                head = head.around(merged.remove(at));
                place = place.min(at);
            }
            merged.insert(place, head);
        }
        merged
    }
}

pub(super) fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_mannequin::{Camera, Figure, Pose as Posture, Skeleton, project};
    use bodyscript_protocol::pose::LANDMARKS;

    const SIZE: [f32; 2] = [640.0, 480.0];

    fn pose(figure: &Figure, visibility: f32) -> Pose {
        let truth = project(figure, &Camera::new(640, 480));
        let mut pose = [Landmark::default(); LANDMARKS];
        for landmark in truth {
            let (x, y) = (landmark.x, landmark.y);
            pose[landmark.index] = Landmark { x, y, visibility, ..Landmark::default() };
        }
        pose
    }

    /// Pixels for a metre at the figure.
    fn scale() -> f32 {
        let camera = Camera::new(640, 480);
        camera.focal * 480.0 / camera.distance
    }

    #[test]
    fn a_head_is_covered_with_its_hair_from_all_sides() {
        for turn in [0.0, 0.8, 1.6, 2.4, 3.1] {
            let figure = Figure { turn, ..Posture::still().into() };
            let head = Head::of_pose(&pose(&figure, 1.0), SIZE).expect("a head");
            // The skull of the figure: its middle is between the ears, and no part is farther than this.
            let reach = 0.15 * scale();
            assert!(head.radius > reach && head.radius < 2.0 * reach, "{turn}: {head:?}");
            let landmarks = Skeleton::new(&Posture::still()).landmarks();
            assert!((landmarks[0] - landmarks[7]).length() < 0.15, "the nose is within reach");
        }
    }

    #[test]
    fn an_unseen_face_and_a_small_person_are_covered_by_more() {
        let figure: Figure = Posture::still().into();
        let [seen, unseen] = [1.0, 0.4].map(|visibility| {
            Head::of_pose(&pose(&figure, visibility), SIZE).expect("a head").radius
        });
        assert!(unseen > 1.4 * seen, "{seen}, {unseen}");
        let point = [Landmark { x: 0.5, y: 0.5, ..Landmark::default() }; LANDMARKS];
        assert_eq!(Head::of_pose(&point, SIZE).expect("a head").radius, SHARE_MIN * SIZE[0]);
        let lost = [Landmark { x: f32::NAN, ..Landmark::default() }; LANDMARKS];
        assert_eq!(Head::of_pose(&lost, SIZE), None);
    }

    #[test]
    fn circles_of_one_head_become_one_around_both() {
        let circle = |x, radius| Head { center: [x, 10.0], radius };
        let merged = Head::merged(&[circle(0.0, 10.0), circle(100.0, 10.0), circle(6.0, 8.0)]);
        assert_eq!(merged, [circle(2.0, 12.0), circle(100.0, 10.0)]);
        assert_eq!(Head::merged(&[circle(0.0, 3.0), circle(1.0, 9.0)]), [circle(1.0, 9.0)]);
    }
}
