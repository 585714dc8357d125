//! Converts poses from fractions of the processed area to fractions of the whole picture, which is what
//! the tables state. Called by `run`; pure.

use crate::pose::{FilterTrace, Person};
use bodyscript_protocol::options::{Part, PixelArea};
use bodyscript_protocol::pose::Landmark;

/// Where the area lies in the whole picture, as fractions of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
}

impl Area {
    /// The area of a part of pictures of this size; none if it is the whole picture.
    pub(super) fn of(part: &Part, whole: [u32; 2]) -> Option<Self> {
        let PixelArea { x, y, width, height } = part.crop?.pixels(whole);
        let [across, down] = whole.map(|side| side as f32);
        let (x, y) = (x as f32 / across, y as f32 / down);
        Some(Self { x, y, width: width as f32 / across, height: height as f32 / down })
    }

    /// The same people in the whole picture.
    pub(super) fn in_whole(&self, people: &[Person]) -> Vec<Person> {
        let mut people = people.to_vec();
        for person in &mut people {
            for landmark in &mut person.pose {
                let Landmark { x, y, z, .. } = *landmark;
                [landmark.x, landmark.y, landmark.z] = self.position([x, y, z]);
            }
            if let Some(FilterTrace { raw: Some(raw), .. }) = &mut person.filtered {
                raw.iter_mut().for_each(|position| *position = self.position(*position));
            }
        }
        people
    }

    fn position(&self, [x, y, z]: [f32; 3]) -> [f32; 3] {
        // Depth has the scale of x.
        [self.x + x * self.width, self.y + y * self.height, z * self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::pose::LANDMARKS;

    #[test]
    fn the_corners_of_the_area_are_where_they_are_in_the_picture() {
        let crop = Some("0.25,0.5,0.5,0.25".parse().expect("an area"));
        let area = Area::of(&Part { crop, ..Part::default() }, [1280, 720]).expect("an area");
        for (inner, whole) in [([0.0, 0.0], [0.25, 0.5]), ([1.0, 1.0], [0.75, 0.75])] {
            let [x, y] = inner;
            let pose = [Landmark { x, y, z: -0.5, ..Landmark::default() }; LANDMARKS];
            let person = Person { id: 0, track: 0, pose, strategy: "track", filtered: None };
            let Landmark { x, y, z, .. } = area.in_whole(&[person])[0].pose[7];
            assert_eq!(([x, y], z), (whole, -0.25));
        }
        assert!(Area::of(&Part::default(), [1280, 720]).is_none());
    }
}
