//! Looks at each frame alone, in several enhanced pictures of it, and keeps what is seen best.
//! Called by `track` for every mode but `track`.

use super::enhance::{Canvas, Enhancement};
use super::landmarks::Found;
use crate::inference::ModelError;
use crate::picture::Picture;
use bodyscript_protocol::options::Mode;
use bodyscript_protocol::pose::mean_visibility;

/// A result this visible needs no further pictures; `quality` looks on all the same.
const GOOD_ENOUGH: f32 = 0.9;
/// `smart` tries the most when the last frame was seen worse than this.
const POOR: f32 = 0.7;
/// `smart` tries a little more when the last frame was seen worse than this.
const FAIR: f32 = 0.85;
/// How many of the pictures that have served best `smart` tries besides.
const FAVOURITES: usize = 3;

/// What is tried, and what has served so far.
#[derive(Debug)]
pub struct Best {
    mode: Mode,
    /// Mean visibility in the last frame; 0 without a person.
    last: f32,
    /// How often each enhancement was the best, in the order of [`Enhancement::ALL`].
    wins: [u32; Enhancement::ALL.len()],
    canvas: Canvas,
}

impl Best {
    /// Before the first frame.
    pub fn new(mode: Mode) -> Self {
        Self { mode, last: 0.0, wins: Default::default(), canvas: Canvas::default() }
    }

    /// What `look` sees best, in which picture. What it finds in an enhanced picture it gives as
    /// it lies in the original.
    pub fn next(
        &mut self,
        picture: &Picture,
        mut look: impl FnMut(&Picture, Enhancement) -> Result<Option<Found>, ModelError>,
    ) -> Result<Option<(Found, Enhancement)>, ModelError> {
        let mut best: Option<(Found, Enhancement)> = None;
        let plan = self.plan();
        self.last = 0.0;
        for enhancement in plan {
            let seen = match enhancement {
                Enhancement::Original => look(picture, enhancement)?,
                _ => look(self.canvas.show(picture, enhancement), enhancement)?,
            };
            let Some(found) = seen else { continue };
            let visibility = mean_visibility(&found.pose);
            if best.is_none() || visibility > self.last {
                self.last = visibility;
                best = Some((found, enhancement));
            }
            if self.last > GOOD_ENOUGH && self.mode != Mode::Quality {
                break;
            }
        }
        if let Some((_, enhancement)) = &best {
            self.wins[*enhancement as usize] += 1;
        }
        Ok(best)
    }

    /// The pictures to try, in order.
    fn plan(&self) -> Vec<Enhancement> {
        use Enhancement::{
            Bilateral, Bright, Clahe, Gaussian, LowerEnhanced, Mirrored, Original, VeryBright,
        };
        let more: &[Enhancement] = match self.mode {
            Mode::Track | Mode::Static => return vec![Original],
            Mode::UltraFast => &[Mirrored],
            Mode::Fast => &[Mirrored, Bright, Gaussian, LowerEnhanced],
            Mode::Quality => return Enhancement::ALL.to_vec(),
            Mode::Smart if self.last < POOR => {
                &[Bright, VeryBright, LowerEnhanced, Mirrored, Bilateral]
            }
            Mode::Smart if self.last < FAIR => &[Mirrored, LowerEnhanced],
            Mode::Smart => &[Mirrored],
        };
        let favourites = if self.mode == Mode::Smart { self.favourites() } else { Vec::new() };
        let mut plan = vec![Original, Clahe];
        for enhancement in more.iter().copied().chain(favourites) {
            if !plan.contains(&enhancement) {
                plan.push(enhancement);
            }
        }
        plan
    }

    /// Those that have been the best most often.
    fn favourites(&self) -> Vec<Enhancement> {
        let wins = |enhancement: &Enhancement| self.wins[*enhancement as usize];
        let mut ranked: Vec<_> = Enhancement::ALL.into_iter().filter(|it| wins(it) > 0).collect();
        ranked.sort_by_key(|it| std::cmp::Reverse(wins(it)));
        ranked.truncate(FAVOURITES);
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::Enhancement::{
        Bilateral, Bright, Clahe, Gaussian, LowerEnhanced, Mirrored, Original, VeryBright,
    };
    use super::*;
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};

    /// A frame in which each enhancement shows the person this well; what was tried, and the best.
    fn frame(
        best: &mut Best,
        visibility: impl Fn(Enhancement) -> f32,
    ) -> (Vec<Enhancement>, Option<Enhancement>) {
        let mut tried = Vec::new();
        let seen = best.next(&Picture::new(16, 16), |_, enhancement| {
            tried.push(enhancement);
            let visibility = visibility(enhancement);
            let pose = [Landmark { visibility, ..Landmark::default() }; LANDMARKS];
            Ok((visibility > 0.0).then_some(Found { pose, alignment: [[0.0; 2]; 2] }))
        });
        (tried, seen.expect("no model runs").map(|(_, enhancement)| enhancement))
    }

    fn tried(mode: Mode, visibility: f32) -> Vec<Enhancement> {
        frame(&mut Best::new(mode), |_| visibility).0
    }

    #[test]
    fn each_mode_tries_its_own_pictures() {
        assert_eq!(tried(Mode::Static, 0.5), [Original]);
        assert_eq!(tried(Mode::UltraFast, 0.5), [Original, Clahe, Mirrored]);
        let fast = [Original, Clahe, Mirrored, Bright, Gaussian, LowerEnhanced];
        assert_eq!(tried(Mode::Fast, 0.5), fast);
        assert_eq!(tried(Mode::Quality, 0.5), Enhancement::ALL);
    }

    #[test]
    fn a_good_result_ends_the_search_outside_quality() {
        assert_eq!(tried(Mode::Fast, 0.91), [Original]);
        assert_eq!(tried(Mode::Fast, 0.9).len(), 6);
        assert_eq!(tried(Mode::Quality, 0.91), Enhancement::ALL);
    }

    #[test]
    fn the_most_visible_result_wins_and_the_first_of_equals() {
        let best =
            |visibility: fn(Enhancement) -> f32| frame(&mut Best::new(Mode::Quality), visibility).1;
        assert_eq!(best(|it| if it == Gaussian { 0.8 } else { 0.5 }), Some(Gaussian));
        assert_eq!(best(|_| 0.5), Some(Original));
        assert_eq!(best(|_| 0.0), None);
    }

    #[test]
    fn smart_tries_less_the_better_the_last_frame_went_and_remembers_what_served() {
        let mut best = Best::new(Mode::Smart);
        let thorough = [Original, Clahe, Bright, VeryBright, LowerEnhanced, Mirrored, Bilateral];
        let bilateral = |it| if it == Bilateral { 0.75 } else { 0.5 };
        assert_eq!(frame(&mut best, bilateral), (thorough.to_vec(), Some(Bilateral)));
        let fair = vec![Original, Clahe, Mirrored, LowerEnhanced, Bilateral];
        assert_eq!(frame(&mut best, |_| 0.87), (fair, Some(Original)));
        let good = vec![Original, Clahe, Mirrored, Bilateral];
        assert_eq!(frame(&mut best, |_| 0.0), (good, None));
        assert_eq!(frame(&mut best, |_| 0.5).0, thorough);
    }
}
