//! Looks at each frame alone, in several enhanced pictures of it, and keeps what is seen best.
//! Called by `track` for every mode but `track`.

use super::enhance::{Canvas, Enhancement};
use super::landmarks::Found;
use super::side_by_side::{self, Round};
use crate::inference::ModelError;
use crate::picture::{Picture, Pixels, RgbPicture};
use bodyscript_protocol::options::Mode;
use bodyscript_protocol::pose::mean_visibility;
use std::mem;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::{Mutex, OnceLock};

/// A result this visible needs no further pictures; `quality` looks on all the same.
const GOOD_ENOUGH: f32 = 0.9;
/// `smart` tries the most when the last frame was seen worse than this.
const POOR: f32 = 0.7;
/// `smart` tries a little more when the last frame was seen worse than this. Otherwise one picture is
/// likely to do, and its result is awaited before others are looked at beside it.
const FAIR: f32 = 0.85;
/// How many of the pictures that have served best `smart` tries besides.
const FAVOURITES: usize = 3;
/// Most pictures that are looked at side by side, whatever the processors: each takes memory.
const LANES_MAX: u32 = 4;
/// What enhanced pictures may take of it together, where there is more than one.
const CANVAS_BYTES_MAX: usize = 32 << 20;

/// What is tried, and what has served so far.
#[derive(Debug)]
pub struct Best {
    mode: Mode,
    /// Mean visibility in the last frame; 0 without a person.
    last: f32,
    /// How often each enhancement was the best, in the order of [`Enhancement::ALL`].
    wins: [u32; Enhancement::ALL.len()],
    /// The picture in RGB, which enhanced ones are made from.
    rgb: Mutex<RgbPicture>,
    /// One for each picture that is looked at at a time.
    canvases: Vec<Canvas>,
}

/// A person that was seen.
struct Seen {
    found: Found,
    visibility: f32,
}

impl Seen {
    fn new(found: Found) -> Self {
        Self { visibility: mean_visibility(&found.pose), found }
    }
}

impl Best {
    /// Before the first frame, on so many threads at most.
    pub fn new(mode: Mode, threads: NonZeroU32) -> Self {
        let lanes = threads.get().min(LANES_MAX) as usize;
        let canvases = (0..lanes).map(|_| Canvas::default()).collect();
        Self { mode, last: 0.0, wins: Default::default(), rgb: Mutex::default(), canvases }
    }

    /// What `look` sees best, in which picture. What it finds in an enhanced picture it gives as
    /// it lies in the original. It is called from several threads.
    pub fn next(
        &mut self,
        picture: &Picture,
        look: impl Fn(&dyn Pixels, Enhancement) -> Result<Option<Found>, ModelError> + Sync,
    ) -> Result<Option<(Found, Enhancement)>, ModelError> {
        let plan = self.plan();
        let (mode, lanes) = (self.mode, self.lanes(picture.size()));
        // A frame is likely to be seen about as well as the last one.
        let is_easy = mode != Mode::Quality && self.last >= FAIR;
        let round = Round::new(plan.len(), if is_easy { 1 } else { plan.len() });
        let converted = OnceLock::new();
        let convert = || {
            let mut rgb = self.rgb.lock().map(|mut kept| mem::take(&mut *kept)).unwrap_or_default();
            rgb.convert(picture);
            rgb
        };
        let seen = side_by_side::run(round, &mut self.canvases[..lanes], |number, canvas| {
            let enhancement = plan[number];
            let shown: &dyn Pixels = match enhancement {
                Enhancement::Original => picture,
                _ => canvas.show(converted.get_or_init(convert), enhancement),
            };
            match look(shown, enhancement) {
                Ok(found) => match found.map(Seen::new) {
                    Some(seen) if seen.visibility > GOOD_ENOUGH && mode != Mode::Quality => {
                        ControlFlow::Break(Ok(Some(seen)))
                    }
                    seen => ControlFlow::Continue(Ok(seen)),
                },
                Err(error) => ControlFlow::Break(Err(error)),
            }
        });
        if let Some(rgb) = converted.into_inner() {
            // Kept for its memory.
            self.rgb = Mutex::new(rgb);
        }
        self.choose(plan.into_iter().zip(seen))
    }

    /// The best seen, and the first of equals.
    fn choose(
        &mut self,
        seen: impl Iterator<Item = (Enhancement, Result<Option<Seen>, ModelError>)>,
    ) -> Result<Option<(Found, Enhancement)>, ModelError> {
        let mut best: Option<(Seen, Enhancement)> = None;
        for (enhancement, seen) in seen {
            let Some(seen) = seen? else { continue };
            if best.as_ref().is_none_or(|(best, _)| seen.visibility > best.visibility) {
                best = Some((seen, enhancement));
            }
        }
        self.last = best.as_ref().map_or(0.0, |(best, _)| best.visibility);
        if let Some((_, enhancement)) = &best {
            self.wins[*enhancement as usize] += 1;
        }
        Ok(best.map(|(seen, enhancement)| (seen.found, enhancement)))
    }

    /// How many pictures are looked at side by side.
    fn lanes(&self, [width, height]: [usize; 2]) -> usize {
        let canvas = (width * height * Canvas::BYTES_PER_PIXEL).max(1);
        (CANVAS_BYTES_MAX / canvas).clamp(1, self.canvases.len())
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
    use crate::picture::Layout;
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};
    use proptest::prelude::*;

    fn found(visibility: f32) -> Option<Found> {
        let pose = [Landmark { visibility, ..Landmark::default() }; LANDMARKS];
        (visibility > 0.0).then_some(Found { pose, alignment: [[0.0; 2]; 2] })
    }

    fn alone(mode: Mode) -> Best {
        Best::new(mode, NonZeroU32::MIN)
    }

    /// A frame in which each enhancement shows the person this well; what was tried, and the best.
    fn frame(
        best: &mut Best,
        visibility: impl Fn(Enhancement) -> f32 + Sync,
    ) -> (Vec<Enhancement>, Option<Enhancement>) {
        let tried = Mutex::new(Vec::new());
        let layout = Layout { width: 16, height: 16, ..Layout::default() };
        let seen = best.next(&Picture::new(layout), |_, enhancement| {
            tried.lock().expect("no panic").push(enhancement);
            Ok(found(visibility(enhancement)))
        });
        let best = seen.expect("no model runs").map(|(_, enhancement)| enhancement);
        (tried.into_inner().expect("no panic"), best)
    }

    fn tried(mode: Mode, visibility: f32) -> Vec<Enhancement> {
        frame(&mut alone(mode), |_| visibility).0
    }

    /// Waits a little, now longer and now shorter.
    fn dawdle(turns: u8) {
        (0..turns).for_each(|_| std::thread::yield_now());
    }

    proptest! {
        #[test]
        fn several_threads_see_what_one_sees(
            mode in prop::sample::select(Mode::ALL.to_vec()),
            threads in 2..6_u32,
            frames in prop::collection::vec(
                prop::collection::vec((prop::sample::select(LEVELS.to_vec()), 0..20_u8), 10),
                1..6,
            ),
        ) {
            let several = NonZeroU32::new(threads).expect("more than none");
            let (mut one, mut several) = (alone(mode), Best::new(mode, several));
            for frame_of in &frames {
                let visibility = |enhancement| frame_of[enhancement as usize].0;
                let (tried_by_one, expected) = frame(&mut one, visibility);
                let (tried_by_several, best) = frame(&mut several, |enhancement| {
                    dawdle(frame_of[enhancement as usize].1);
                    visibility(enhancement)
                });
                prop_assert_eq!(best, expected);
                prop_assert!(tried_by_one.iter().all(|it| tried_by_several.contains(it)));
                prop_assert_eq!((one.last, one.wins), (several.last, several.wins));
            }
        }
    }

    #[test]
    fn a_person_who_is_seen_well_costs_no_needless_look() {
        let mut best = Best::new(Mode::Fast, NonZeroU32::new(4).expect("more than none"));
        frame(&mut best, |_| 0.95);
        // Long enough for others to begin, if they were let.
        let seen = |_| {
            (0..20).for_each(|_| dawdle(u8::MAX));
            0.95
        };
        assert_eq!(frame(&mut best, seen).0, [Original]);
    }

    /// Visibilities on both sides of each limit, so that there are equals.
    const LEVELS: [f32; 6] = [0.0, 0.5, 0.6, 0.8, 0.89, 0.95];

    #[test]
    fn large_pictures_are_looked_at_one_after_the_other() {
        let lanes = |width, height| Best::new(Mode::Fast, NonZeroU32::MAX).lanes([width, height]);
        assert_eq!((lanes(1280, 720), lanes(1920, 1080), lanes(3840, 2160)), (4, 4, 1));
        assert_eq!(alone(Mode::Fast).lanes([16, 16]), 1);
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
            |visibility: fn(Enhancement) -> f32| frame(&mut alone(Mode::Quality), visibility).1;
        assert_eq!(best(|it| if it == Gaussian { 0.8 } else { 0.5 }), Some(Gaussian));
        assert_eq!(best(|_| 0.5), Some(Original));
        assert_eq!(best(|_| 0.0), None);
    }

    #[test]
    fn smart_tries_less_the_better_the_last_frame_went_and_remembers_what_served() {
        let mut best = alone(Mode::Smart);
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
