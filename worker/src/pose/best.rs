//! Looks at one frame alone, in several enhanced pictures of it, and keeps what is seen best.
//! Called by `track` for every mode but `track`.

use super::enhance::{Canvas, Enhancement};
use super::landmarks::Found;
use super::pipeline::{Stop, Turn, Work};
use crate::inference::ModelError;
use crate::picture::{Picture, Pixels, RgbPicture};
use bodyscript_protocol::options::Mode;
use bodyscript_protocol::pose::mean_visibility;
use std::mem;

/// A result this visible needs no further pictures; `quality` looks on all the same.
const GOOD_ENOUGH: f32 = 0.9;
/// `smart` tries the most when the last frame was seen worse than this.
const POOR: f32 = 0.7;
/// `smart` tries a little more when the last frame was seen worse than this.
const FAIR: f32 = 0.85;
/// How many of the pictures that have served best `smart` tries besides.
const FAVOURITES: usize = 3;

/// The person as seen best in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// The person, as it lies in the original.
    pub found: Found,
    /// In which picture.
    pub enhancement: Enhancement,
    visibility: f32,
}

/// How well the frames so far were seen, and in which pictures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Mean visibility in the last frame; 0 without a person.
    last: f32,
    /// How often each enhancement was the best, in the order of [`Enhancement::ALL`].
    wins: [u32; Enhancement::ALL.len()],
}

/// Where enhanced pictures of a frame are made. It keeps its memory from one to the next.
#[derive(Debug, Default)]
pub struct Easel {
    /// The frame in RGB, which enhanced pictures are made from.
    rgb: RgbPicture,
    canvas: Canvas,
}

impl Easel {
    /// Bytes that are held for each pixel of a picture.
    pub const BYTES_PER_PIXEL: usize = 3 + Canvas::BYTES_PER_PIXEL;
}

/// What `look` sees best in the pictures that the mode tries, one after the other; the first of
/// equals. What it finds in an enhanced picture it gives as it lies in the original.
///
/// # Errors
/// A model fails, or nobody waits for the outcome any more.
pub fn search<W: Work<Memory = Record, Error = ModelError>>(
    mode: Mode,
    picture: &Picture,
    Easel { rgb, canvas }: &mut Easel,
    turn: &Turn<'_, W>,
    look: impl Fn(&dyn Pixels, Enhancement) -> Result<Option<Found>, ModelError>,
) -> Result<Option<Sight>, Stop<ModelError>> {
    let mut best: Option<Sight> = None;
    let mut is_converted = false;
    // Whether the search is over.
    let mut try_one = |enhancement| -> Result<bool, Stop<ModelError>> {
        turn.check()?;
        let shown: &dyn Pixels = match enhancement {
            Enhancement::Original => picture,
            _ => {
                if !mem::replace(&mut is_converted, true) {
                    rgb.convert(picture);
                }
                canvas.show(rgb, enhancement)
            }
        };
        let Some(found) = look(shown, enhancement)? else { return Ok(false) };
        let visibility = mean_visibility(&found.pose);
        if best.as_ref().is_none_or(|best| visibility > best.visibility) {
            best = Some(Sight { found, enhancement, visibility });
        }
        Ok(visibility > GOOD_ENOUGH && mode != Mode::Quality)
    };
    for enhancement in first_tried(mode) {
        if try_one(*enhancement)? {
            return Ok(best);
        }
    }
    if mode == Mode::Smart {
        for enhancement in turn.memory()?.tried_besides() {
            if try_one(enhancement)? {
                break;
            }
        }
    }
    Ok(best)
}

/// The pictures to try whatever the frames before were like, in order.
const fn first_tried(mode: Mode) -> &'static [Enhancement] {
    use Enhancement::{Bright, Clahe, Gaussian, LowerEnhanced, Mirrored, Original};
    match mode {
        Mode::Track | Mode::Static => &[Original],
        Mode::UltraFast => &[Original, Clahe, Mirrored],
        Mode::Fast => &[Original, Clahe, Mirrored, Bright, Gaussian, LowerEnhanced],
        Mode::Smart => &[Original, Clahe],
        Mode::Quality => &Enhancement::ALL,
    }
}

impl Record {
    /// Takes in the next frame.
    pub fn add(&mut self, sight: Option<&Sight>) {
        self.last = sight.map_or(0.0, |sight| sight.visibility);
        if let Some(sight) = sight {
            self.wins[sight.enhancement as usize] += 1;
        }
    }

    /// The pictures that `smart` tries behind its first, in order.
    fn tried_besides(&self) -> Vec<Enhancement> {
        use Enhancement::{Bilateral, Bright, LowerEnhanced, Mirrored, VeryBright};
        let more: &[Enhancement] = if self.last < POOR {
            &[Bright, VeryBright, LowerEnhanced, Mirrored, Bilateral]
        } else if self.last < FAIR {
            &[Mirrored, LowerEnhanced]
        } else {
            &[Mirrored]
        };
        let first = first_tried(Mode::Smart);
        let mut besides = Vec::new();
        for enhancement in more.iter().copied().chain(self.favourites()) {
            if !first.contains(&enhancement) && !besides.contains(&enhancement) {
                besides.push(enhancement);
            }
        }
        besides
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
    use super::super::pipeline::{Limits, Pipeline};
    use super::Enhancement::{
        Bilateral, Bright, Clahe, Gaussian, LowerEnhanced, Mirrored, Original, VeryBright,
    };
    use super::*;
    use crate::picture::Layout;
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};
    use proptest::prelude::*;
    use std::sync::Mutex;
    use std::thread;

    fn found(visibility: f32) -> Option<Found> {
        let pose = [Landmark { visibility, ..Landmark::default() }; LANDMARKS];
        (visibility > 0.0).then_some(Found { pose, alignment: [[0.0; 2]; 2] })
    }

    /// A frame: how well each enhancement shows the person, and how long the look takes.
    type Shown = [(f32, u8); Enhancement::ALL.len()];

    /// Searches frames of which it is known what is seen.
    struct Known(Mode);

    impl Work for Known {
        type Item = Shown;
        /// What was tried, and the best.
        type Outcome = (Vec<Enhancement>, Option<Sight>);
        type Error = ModelError;
        type Memory = Record;
        type Tools = Easel;

        fn run(
            &self,
            shown: &Shown,
            easel: &mut Easel,
            turn: &Turn<'_, Self>,
        ) -> Result<Self::Outcome, Stop<ModelError>> {
            let layout = Layout { width: 16, height: 16, ..Layout::default() };
            let tried = Mutex::new(Vec::new());
            let best = search(self.0, &Picture::new(layout), easel, turn, |_, enhancement| {
                let (visibility, turns) = shown[enhancement as usize];
                // Now longer and now shorter.
                (0..turns).for_each(|_| thread::yield_now());
                tried.lock().expect("no panic").push(enhancement);
                Ok(found(visibility))
            })?;
            Ok((tried.into_inner().expect("no panic"), best))
        }

        fn remember(memory: &mut Record, (_, sight): &Self::Outcome) {
            memory.add(sight.as_ref());
        }
    }

    /// What was tried and found best in each frame, looked at on so many threads.
    fn searched(
        mode: Mode,
        lanes: usize,
        frames: &[Shown],
    ) -> Vec<(Vec<Enhancement>, Option<Sight>)> {
        thread::scope(|scope| {
            let limits = Limits { lanes, items_max: frames.len() + 1 };
            let mut pipeline = Pipeline::start(scope, Known(mode), limits);
            frames.iter().for_each(|frame| pipeline.push(*frame));
            let popped = std::iter::from_fn(|| pipeline.pop().expect("no model runs"));
            popped.filter_map(|(_, outcome)| outcome).collect()
        })
    }

    /// What is tried and found best in a few frames, each seen like this.
    fn in_turn(
        mode: Mode,
        frames: &[&dyn Fn(Enhancement) -> f32],
    ) -> Vec<(Vec<Enhancement>, Option<Enhancement>)> {
        let shown = |of: &&dyn Fn(Enhancement) -> f32| Enhancement::ALL.map(|it| (of(it), 0));
        let frames: Vec<Shown> = frames.iter().map(shown).collect();
        let seen = searched(mode, 1, &frames).into_iter();
        seen.map(|(tried, best)| (tried, best.map(|best| best.enhancement))).collect()
    }

    fn tried(mode: Mode, visibility: f32) -> Vec<Enhancement> {
        in_turn(mode, &[&|_| visibility]).remove(0).0
    }

    /// Visibilities on both sides of each limit, so that there are equals.
    const LEVELS: [f32; 6] = [0.0, 0.5, 0.6, 0.8, 0.89, 0.95];

    proptest! {
        #[test]
        fn several_threads_try_and_see_what_one_does(
            mode in prop::sample::select(Mode::ALL.to_vec()),
            lanes in 2..6_usize,
            frames in prop::collection::vec(
                prop::array::uniform10((prop::sample::select(LEVELS.to_vec()), 0..20_u8)),
                1..12,
            ),
        ) {
            prop_assert_eq!(searched(mode, lanes, &frames), searched(mode, 1, &frames));
        }
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
        let best = |of: &dyn Fn(Enhancement) -> f32| in_turn(Mode::Quality, &[of])[0].1;
        assert_eq!(best(&|it| if it == Gaussian { 0.8 } else { 0.5 }), Some(Gaussian));
        assert_eq!(best(&|_| 0.5), Some(Original));
        assert_eq!(best(&|_| 0.0), None);
    }

    #[test]
    fn smart_tries_less_the_better_the_last_frame_went_and_remembers_what_served() {
        let thorough =
            vec![Original, Clahe, Bright, VeryBright, LowerEnhanced, Mirrored, Bilateral];
        let fair = vec![Original, Clahe, Mirrored, LowerEnhanced, Bilateral];
        let good = vec![Original, Clahe, Mirrored, Bilateral];
        let bilateral = |it| if it == Bilateral { 0.75 } else { 0.5 };
        let seen = in_turn(Mode::Smart, &[&bilateral, &|_| 0.87, &|_| 0.0, &|_| 0.5]);
        let expected = [
            (thorough.clone(), Some(Bilateral)),
            (fair, Some(Original)),
            (good, None),
            (thorough, Some(Original)),
        ];
        assert_eq!(seen, expected);
    }
}
