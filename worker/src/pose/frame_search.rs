//! Searches one frame for the first person in several enhanced versions of the picture, and keeps
//! the pose with the highest visibility. Called by `tracker` for every mode but `track`.

use super::enhance::{Enhancement, Enhancer};
use super::landmarks::PoseEstimate;
use super::pipeline::{Cancelled, ItemContext, Task};
use crate::picture::{Picture, Pixels, RgbPicture};
use bodyscript_protocol::options::Mode;
use bodyscript_protocol::pose::mean_visibility;
use std::mem;

/// Mean visibility above which no further enhancements are tried, except by `quality`.
const GOOD_VISIBILITY: f32 = 0.9;
/// `smart` tries the most enhancements when the last frame was below this.
const POOR_VISIBILITY: f32 = 0.7;
/// `smart` tries a few more enhancements when the last frame was below this.
const FAIR_VISIBILITY: f32 = 0.85;
/// How many of the most successful enhancements `smart` tries besides.
const FAVOURITES: usize = 3;

/// The pose with the highest visibility in one frame.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BestEstimate {
    /// The pose, in the coordinates of the original picture.
    pub(super) estimate: PoseEstimate,
    /// The enhancement it was found with.
    pub(super) enhancement: Enhancement,
    visibility: f32,
}

/// Results of the frames so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SearchHistory {
    /// Mean visibility in the last frame; 0 without a person.
    last: f32,
    /// How often each enhancement was the best, in the order of [`Enhancement::ALL`].
    wins: [u32; Enhancement::ALL.len()],
}

/// Memory for the enhanced pictures of a frame, reused from frame to frame.
#[derive(Debug, Default)]
pub(super) struct SearchBuffers {
    /// The frame in RGB, from which enhanced pictures are computed.
    rgb: RgbPicture,
    enhancer: Enhancer,
}

impl SearchBuffers {
    /// Bytes for each pixel of a picture.
    pub(super) const BYTES_PER_PIXEL: usize = 3 + Enhancer::BYTES_PER_PIXEL;
}

/// The best of the poses that `estimate` returns for the pictures that the mode tries, one after the
/// other; the first of equals. `estimate` returns poses in the coordinates of the original picture.
///
/// # Errors
/// The pipeline is cancelled.
pub(super) fn search<T: Task<State = SearchHistory>>(
    mode: Mode,
    picture: &Picture,
    SearchBuffers { rgb, enhancer }: &mut SearchBuffers,
    context: &ItemContext<'_, T>,
    estimate: impl Fn(&dyn Pixels, Enhancement) -> Option<PoseEstimate>,
) -> Result<Option<BestEstimate>, Cancelled> {
    let mut best: Option<BestEstimate> = None;
    let mut is_converted = false;
    // Returns whether the search is complete.
    let mut try_one = |enhancement| -> Result<bool, Cancelled> {
        context.check_cancelled()?;
        let enhanced: &dyn Pixels = match enhancement {
            Enhancement::Original => picture,
            _ => {
                if !mem::replace(&mut is_converted, true) {
                    rgb.convert(picture);
                }
                enhancer.apply(rgb, enhancement)
            }
        };
        let Some(estimate) = estimate(enhanced, enhancement) else { return Ok(false) };
        let visibility = mean_visibility(&estimate.pose);
        if best.as_ref().is_none_or(|best| visibility > best.visibility) {
            best = Some(BestEstimate { estimate, enhancement, visibility });
        }
        Ok(visibility > GOOD_VISIBILITY && mode != Mode::Quality)
    };
    for enhancement in fixed_enhancements(mode) {
        if try_one(*enhancement)? {
            return Ok(best);
        }
    }
    if mode == Mode::Smart {
        for enhancement in context.state()?.adaptive_enhancements() {
            if try_one(enhancement)? {
                break;
            }
        }
    }
    Ok(best)
}

/// The enhancements that a mode tries regardless of earlier frames, in order.
const fn fixed_enhancements(mode: Mode) -> &'static [Enhancement] {
    use Enhancement::{Bright, Clahe, Gaussian, LowerEnhanced, Mirrored, Original};
    match mode {
        Mode::Track | Mode::Static => &[Original],
        Mode::UltraFast => &[Original, Clahe, Mirrored],
        Mode::Fast => &[Original, Clahe, Mirrored, Bright, Gaussian, LowerEnhanced],
        Mode::Smart => &[Original, Clahe],
        Mode::Quality => &Enhancement::ALL,
    }
}

impl SearchHistory {
    /// Adds the result of the next frame.
    pub(super) fn add(&mut self, best: Option<&BestEstimate>) {
        self.last = best.map_or(0.0, |best| best.visibility);
        if let Some(best) = best {
            self.wins[best.enhancement as usize] += 1;
        }
    }

    /// The enhancements that `smart` tries after its fixed ones, in order.
    fn adaptive_enhancements(&self) -> Vec<Enhancement> {
        use Enhancement::{Bilateral, Bright, LowerEnhanced, Mirrored, VeryBright};
        let more: &[Enhancement] = if self.last < POOR_VISIBILITY {
            &[Bright, VeryBright, LowerEnhanced, Mirrored, Bilateral]
        } else if self.last < FAIR_VISIBILITY {
            &[Mirrored, LowerEnhanced]
        } else {
            &[Mirrored]
        };
        let fixed = fixed_enhancements(Mode::Smart);
        let mut adaptive = Vec::new();
        for enhancement in more.iter().copied().chain(self.favourites()) {
            if !fixed.contains(&enhancement) && !adaptive.contains(&enhancement) {
                adaptive.push(enhancement);
            }
        }
        adaptive
    }

    /// The enhancements that were the best most often.
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
    use std::cell::RefCell;
    use std::thread;

    fn estimate(visibility: f32) -> Option<PoseEstimate> {
        let pose = [Landmark { visibility, ..Landmark::default() }; LANDMARKS];
        (visibility > 0.0).then_some(PoseEstimate { pose, alignment: [[0.0; 2]; 2] })
    }

    /// A frame: the visibility that each enhancement gives, and how long its estimate takes.
    type FakeFrame = [(f32, u8); Enhancement::ALL.len()];

    /// Searches fake frames.
    struct FakeSearch(Mode);

    impl Task for FakeSearch {
        type Item = FakeFrame;
        /// The tried enhancements, and the best estimate.
        type Output = (Vec<Enhancement>, Option<BestEstimate>);
        type State = SearchHistory;
        type Scratch = SearchBuffers;

        fn run(
            &self,
            frame: &FakeFrame,
            buffers: &mut SearchBuffers,
            context: &ItemContext<'_, Self>,
        ) -> Result<Self::Output, Cancelled> {
            let picture = Picture::new(Layout { width: 16, height: 16, ..Layout::default() });
            let tried = RefCell::new(Vec::new());
            let best = search(self.0, &picture, buffers, context, |_, enhancement| {
                let (visibility, yields) = frame[enhancement as usize];
                (0..yields).for_each(|_| thread::yield_now());
                tried.borrow_mut().push(enhancement);
                estimate(visibility)
            })?;
            Ok((tried.into_inner(), best))
        }

        fn update_state(history: &mut SearchHistory, (_, best): &Self::Output) {
            history.add(best.as_ref());
        }
    }

    /// The tried enhancements and the best estimate of each frame, with this many threads.
    fn search_all(
        mode: Mode,
        concurrency: usize,
        frames: &[FakeFrame],
    ) -> Vec<(Vec<Enhancement>, Option<BestEstimate>)> {
        thread::scope(|scope| {
            let limits = Limits { concurrency, items_max: frames.len() + 1 };
            let mut pipeline = Pipeline::start(scope, FakeSearch(mode), limits);
            frames.iter().for_each(|frame| pipeline.push(*frame));
            let popped = std::iter::from_fn(|| pipeline.pop());
            popped.filter_map(|(_, output)| output).collect()
        })
    }

    /// The tried and the best enhancements of frames with these visibilities, on one thread.
    fn search_in_order(
        mode: Mode,
        frames: &[&dyn Fn(Enhancement) -> f32],
    ) -> Vec<(Vec<Enhancement>, Option<Enhancement>)> {
        let fake = |of: &&dyn Fn(Enhancement) -> f32| Enhancement::ALL.map(|it| (of(it), 0));
        let frames: Vec<FakeFrame> = frames.iter().map(fake).collect();
        let results = search_all(mode, 1, &frames).into_iter();
        results.map(|(tried, best)| (tried, best.map(|best| best.enhancement))).collect()
    }

    fn tried(mode: Mode, visibility: f32) -> Vec<Enhancement> {
        search_in_order(mode, &[&|_| visibility]).remove(0).0
    }

    /// Visibilities on both sides of each limit; few, so that equals occur.
    const VISIBILITIES: [f32; 6] = [0.0, 0.5, 0.6, 0.8, 0.89, 0.95];

    proptest! {
        #[test]
        fn several_threads_give_the_results_of_one(
            mode in prop::sample::select(Mode::ALL.to_vec()),
            concurrency in 2..6_usize,
            frames in prop::collection::vec(
                prop::array::uniform10((prop::sample::select(VISIBILITIES.to_vec()), 0..20_u8)),
                1..12,
            ),
        ) {
            prop_assert_eq!(search_all(mode, concurrency, &frames), search_all(mode, 1, &frames));
        }
    }

    #[test]
    fn each_mode_tries_its_own_enhancements() {
        assert_eq!(tried(Mode::Static, 0.5), [Original]);
        assert_eq!(tried(Mode::UltraFast, 0.5), [Original, Clahe, Mirrored]);
        let fast = [Original, Clahe, Mirrored, Bright, Gaussian, LowerEnhanced];
        assert_eq!(tried(Mode::Fast, 0.5), fast);
        assert_eq!(tried(Mode::Quality, 0.5), Enhancement::ALL);
    }

    #[test]
    fn a_good_result_ends_the_search_except_in_quality() {
        assert_eq!(tried(Mode::Fast, 0.91), [Original]);
        assert_eq!(tried(Mode::Fast, 0.9).len(), 6);
        assert_eq!(tried(Mode::Quality, 0.91), Enhancement::ALL);
    }

    #[test]
    fn the_most_visible_result_wins_and_the_first_of_equals() {
        let best = |of: &dyn Fn(Enhancement) -> f32| search_in_order(Mode::Quality, &[of])[0].1;
        assert_eq!(best(&|it| if it == Gaussian { 0.8 } else { 0.5 }), Some(Gaussian));
        assert_eq!(best(&|_| 0.5), Some(Original));
        assert_eq!(best(&|_| 0.0), None);
    }

    #[test]
    fn smart_tries_fewer_the_better_the_last_frame_was_and_repeats_successful_enhancements() {
        let thorough =
            vec![Original, Clahe, Bright, VeryBright, LowerEnhanced, Mirrored, Bilateral];
        let fair = vec![Original, Clahe, Mirrored, LowerEnhanced, Bilateral];
        let good = vec![Original, Clahe, Mirrored, Bilateral];
        let bilateral = |it| if it == Bilateral { 0.75 } else { 0.5 };
        let results = search_in_order(Mode::Smart, &[&bilateral, &|_| 0.87, &|_| 0.0, &|_| 0.5]);
        let expected = [
            (thorough.clone(), Some(Bilateral)),
            (fair, Some(Original)),
            (good, None),
            (thorough, Some(Original)),
        ];
        assert_eq!(results, expected);
    }
}
