//! Who of the people that were found is chosen as person 0, and the numbers of the others. Pure; called
//! by `two_passes`, for a job that chooses a person.

use super::area::Area;
use crate::pose::{Person, VideoFrame};
use bodyscript_protocol::options::{Click, PersonChoice};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most people who are remembered; of more, those who are in view shortest are forgotten.
const CANDIDATES_MAX: usize = 1024;
/// A person in view for a smaller share of the longest time does not count as central.
const CENTRAL_SHARE_MIN: f64 = 0.5;
/// The middle of the picture.
const MIDDLE: [f32; 2] = [0.5, 0.5];

/// What is known of the people found so far.
#[derive(Debug)]
pub(super) struct Candidates {
    choice: PersonChoice,
    /// The area of the picture in which they are, if it is not the whole.
    area: Option<Area>,
    people: BTreeMap<u32, Candidate>,
}

/// One of the people.
#[derive(Debug, Default)]
struct Candidate {
    /// Frames with the person.
    frames: u32,
    /// Sum of the shares of the picture that the person takes.
    size: f64,
    /// Sum of the distances from the middle of the picture, in its widths and heights.
    from_middle: f64,
    /// How far from the time of the click the person was seen, and then how far from its place.
    from_click: Option<(Duration, f32)>,
}

impl Candidates {
    /// Before the first frame.
    pub(super) fn new(choice: PersonChoice, area: Option<Area>) -> Self {
        Self { choice, area, people: BTreeMap::new() }
    }

    /// Adds the people of a frame.
    pub(super) fn add(&mut self, frame: &VideoFrame, people: &[Person]) {
        let in_whole = self.area.map(|area| area.in_whole(people));
        for person in in_whole.as_deref().unwrap_or(people) {
            let [left, top, right, bottom] = person.bounds();
            let at = [(left + right) / 2.0, (top + bottom) / 2.0];
            let candidate = self.people.entry(person.id).or_default();
            candidate.frames += 1;
            candidate.size += f64::from((right - left) * (bottom - top));
            candidate.from_middle += f64::from(distance(at, MIDDLE));
            if let PersonChoice::At(Click { x, y, time }) = self.choice {
                let place = [x, y].map(|fraction| fraction.to_f64() as f32);
                let nearest = place_in([left, top, right, bottom], place);
                let from_click = (time.seconds().abs_diff(frame.pts), distance(nearest, place));
                if candidate.from_click.is_none_or(|before| from_click < before) {
                    candidate.from_click = Some(from_click);
                }
            }
        }
        if self.people.len() > CANDIDATES_MAX {
            let shortest = self.people.iter().min_by_key(|(_, candidate)| candidate.frames);
            if let Some(id) = shortest.map(|(id, _)| *id) {
                self.people.remove(&id);
            }
        }
    }

    /// The number of the chosen one, if there is one.
    pub(super) fn chosen(&self) -> Option<u32> {
        let longest = self.people.values().map(|candidate| candidate.frames).max()?;
        let least_for = |cost: &dyn Fn(&Candidate) -> f64| {
            let people = self.people.iter();
            let costs = people.map(|(id, candidate)| (*id, cost(candidate)));
            costs.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(id, _)| id)
        };
        match self.choice {
            PersonChoice::Largest => least_for(&|it| -it.size),
            PersonChoice::Longest => least_for(&|it| -f64::from(it.frames)),
            PersonChoice::Central => least_for(&|it| {
                let counts = f64::from(it.frames) >= CENTRAL_SHARE_MIN * f64::from(longest);
                if counts { it.from_middle / f64::from(it.frames) } else { f64::INFINITY }
            }),
            PersonChoice::Number(number) => self.people.contains_key(&number).then_some(number),
            PersonChoice::At(_) => {
                let seen = self.people.iter().filter_map(|(id, it)| Some((*id, it.from_click?)));
                seen.min_by(|(_, a), (_, b)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
                    .map(|(id, _)| id)
            }
        }
    }
}

/// The place within the bounds that is nearest to this one.
fn place_in([left, top, right, bottom]: [f32; 4], [x, y]: [f32; 2]) -> [f32; 2] {
    [x.max(left).min(right), y.max(top).min(bottom)]
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Gives the chosen one the number 0, and the others numbers from 1 in the order in which they come.
#[derive(Debug, Clone)]
pub(super) struct Renumbering {
    numbers: BTreeMap<u32, u32>,
    next: u32,
    people_max: usize,
}

impl Renumbering {
    /// For a video with so many people in a frame at most, of whom this one is chosen.
    pub(super) fn new(chosen: Option<u32>, people_max: u32) -> Self {
        let numbers = chosen.map(|id| (id, 0)).into_iter().collect();
        Self { numbers, next: 1, people_max: people_max as usize }
    }

    /// The people of the next frame by their new numbers: the chosen one first, then those with the lowest
    /// old numbers, as many as there may be.
    pub(super) fn apply(&mut self, people: Vec<Person>) -> Vec<Person> {
        let (chosen, others): (Vec<Person>, Vec<Person>) =
            people.into_iter().partition(|person| self.numbers.get(&person.id) == Some(&0));
        let places = self.people_max - 1;
        let mut renumbered = chosen;
        renumbered.extend(others.into_iter().take(places));
        for person in &mut renumbered {
            person.id = *self.numbers.entry(person.id).or_insert_with(|| {
                self.next += 1;
                self.next - 1
            });
        }
        renumbered.sort_by_key(|person| person.id);
        renumbered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::pose::LANDMARKS;
    use bodyscript_protocol::pose::{Landmark, Pose};

    /// A body of this size around a place.
    fn person(id: u32, [x, y]: [f32; 2], size: f32) -> Person {
        let corner = |n: usize| if n.is_multiple_of(2) { -size / 2.0 } else { size / 2.0 };
        let landmark = |n| Landmark { x: x + corner(n), y: y + corner(n), ..Landmark::default() };
        let pose: Pose = std::array::from_fn(landmark);
        assert_eq!(pose.len(), LANDMARKS);
        Person { id, track: 0, pose, strategy: "track", filtered: None }
    }

    /// Somebody small in the middle, somebody large for a moment, somebody who stays at the side.
    fn frames() -> Vec<Vec<Person>> {
        let small = || person(0, [0.5, 0.5], 0.2);
        let (large, side) = (|| person(1, [0.3, 0.5], 0.4), || person(2, [0.8, 0.5], 0.25));
        vec![
            vec![small(), side()],
            vec![small(), large(), side()],
            vec![small(), large(), side()],
            vec![side()],
        ]
    }

    fn chosen(choice: &str) -> Option<u32> {
        let choice = choice.parse().expect("a choice");
        let mut candidates = Candidates::new(choice, None);
        for (id, people) in (0..).zip(frames()) {
            let frame =
                VideoFrame { id, pts: Duration::from_secs(id.into()), ..Default::default() };
            candidates.add(&frame, &people);
        }
        candidates.chosen()
    }

    #[test]
    fn each_choice_finds_its_person() {
        assert_eq!(chosen("largest"), Some(1), "0.32 in sum, the one at the side 0.25");
        assert_eq!(chosen("central"), Some(0));
        assert_eq!(chosen("longest"), Some(2));
        assert_eq!((chosen("1"), chosen("3")), (Some(1), None));
        assert_eq!(chosen("0.3,0.5,1"), Some(1));
        assert_eq!(chosen("0.3,0.5,3"), Some(2), "the only one at that time");
        assert_eq!(chosen("0.85,0.55,0"), Some(2));
        assert_eq!(Candidates::new(PersonChoice::Longest, None).chosen(), None);
    }

    #[test]
    fn the_chosen_one_is_first_and_the_others_follow_as_they_come() {
        let numbers = |chosen, people_max| {
            let mut renumbering = Renumbering::new(chosen, people_max);
            let frames = frames().into_iter().map(|people| {
                let people = renumbering.apply(people);
                people.iter().map(|person| person.id).collect::<Vec<_>>()
            });
            frames.collect::<Vec<_>>()
        };
        assert_eq!(numbers(Some(1), 1), [vec![], vec![0], vec![0], vec![]]);
        assert_eq!(numbers(Some(2), 3), [vec![0, 1], vec![0, 1, 2], vec![0, 1, 2], vec![0]]);
        assert_eq!(numbers(Some(2), 2), [vec![0, 1], vec![0, 1], vec![0, 1], vec![0]]);
        assert_eq!(numbers(None, 1), [[0_u32; 0]; 4].map(Vec::from));
    }
}
