//! What is covered in each frame of a video, from the heads that are seen in its frames. Called by `job`.
//!
//! ```text
//! before the first sighting   a circle that is larger the longer it is until then
//! seen                        a circle
//! between two sightings       the whole way between them, wider in the middle of the time
//! after the last sighting     a circle that grows, drawn out to where the head was going
//! ```
//!
//! What is seen in too few frames to be a head for certain is covered likewise, for a moment only.
//!
//! A frame waits for those of the following seconds, so memory depends on that time and not on the video's.

use super::cover::Cover;
use super::head::Head;
use super::trail::{LOST_S_MAX, Trail};
use bodyscript_protocol::layout::RECORDED_HEADS_MAX;
use std::collections::VecDeque;

/// Most frames that wait: those of three seconds at 240 frames per second. Times of a damaged video may stand still.
const FRAMES_MAX: usize = 768;
/// Most heads that are followed; with more, everything is covered. A frame may have more.
const TRAILS_MAX: usize = RECORDED_HEADS_MAX - 1;
/// Most covers of a frame; a frame that needs more is covered as a whole.
const COVERS_MAX: usize = 128;

/// The frames whose covers are not all known.
#[derive(Debug, Default)]
pub(crate) struct Covering {
    waiting: VecDeque<WaitingFrame>,
    trails: Vec<Trail>,
    /// Everything is covered before this time: a head may be there that is not followed.
    crowded_until_s: f64,
    is_finished: bool,
}

#[derive(Debug)]
struct WaitingFrame {
    time_s: f64,
    covers: Vec<Cover>,
}

impl WaitingFrame {
    fn add(&mut self, cover: Cover) {
        if self.covers.first() == Some(&Cover::EVERYTHING) {
            return;
        }
        if self.covers.len() < COVERS_MAX {
            self.covers.push(cover);
        } else {
            self.cover_everything();
        }
    }

    fn cover_everything(&mut self) {
        self.covers = vec![Cover::EVERYTHING];
    }
}

impl Covering {
    /// Adds the next frame and the heads that are seen in it; there are none in one that was not searched.
    pub(crate) fn push(&mut self, time_s: f64, heads: &[Head]) {
        // The clock of a damaged video may go back.
        let time_s = self.waiting.back().map_or(time_s, |last| last.time_s.max(time_s));
        let covers = heads.iter().map(Head::cover).collect();
        self.waiting.push_back(WaitingFrame { time_s, covers });
        self.trails.retain(|trail| time_s - trail.time_s <= trail.lost_s_max());
        let matches = self.matches(time_s, heads);
        if let Some(frame) = self.waiting.back_mut() {
            for (at, trail) in self.trails.iter().enumerate() {
                if !matches.contains(&Some(at)) || trail.is_in_doubt_at(time_s) {
                    frame.add(trail.cover_at(time_s));
                }
            }
        }
        let new = self.follow(time_s, heads.iter().zip(matches));
        self.trails.extend(new);
        if self.trails.len() > TRAILS_MAX {
            self.trails.drain(..self.trails.len() - TRAILS_MAX);
            self.waiting.iter_mut().for_each(WaitingFrame::cover_everything);
            self.crowded_until_s = time_s + LOST_S_MAX;
        }
        if time_s < self.crowded_until_s
            && let Some(frame) = self.waiting.back_mut()
        {
            frame.cover_everything();
        }
    }

    /// Goes on with the trails of these heads, where they have one; returns those that begin.
    fn follow<'a>(
        &mut self,
        time_s: f64,
        heads: impl Iterator<Item = (&'a Head, Option<usize>)>,
    ) -> Vec<Trail> {
        let mut new = Vec::new();
        for (head, trail) in heads {
            match trail.map(|at| &mut self.trails[at]) {
                Some(trail) => {
                    for frame in frames_since(&mut self.waiting, trail.time_s) {
                        frame.add(trail.cover_until((time_s, *head), frame.time_s));
                    }
                    let next = trail.go_on(time_s, *head);
                    let latest = next.as_ref().unwrap_or(trail);
                    if latest.has_become_certain() {
                        cover_before(&mut self.waiting, &latest.at_first());
                    }
                    new.extend(next);
                }
                None => {
                    let trail = Trail::new(time_s, *head);
                    cover_before(&mut self.waiting, &trail);
                    new.push(trail);
                }
            }
        }
        new
    }

    /// The trail of each head: the best pairs first, and each trail once.
    fn matches(&self, time_s: f64, heads: &[Head]) -> Vec<Option<usize>> {
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (at, head) in heads.iter().enumerate() {
            let costs = self.trails.iter().map(|trail| trail.cost(time_s, head)).enumerate();
            pairs.extend(costs.filter_map(|(trail, cost)| Some((cost?, at, trail))));
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut matches = vec![None; heads.len()];
        for (_, head, trail) in pairs {
            if matches[head].is_none() && !matches.contains(&Some(trail)) {
                matches[head] = Some(trail);
            }
        }
        matches
    }

    /// No frame follows.
    pub(crate) const fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The covers of the oldest frame, once they are known.
    pub(crate) fn pop(&mut self) -> Option<Vec<Cover>> {
        let [first, last] = [self.waiting.front()?, self.waiting.back()?].map(|it| it.time_s);
        let is_complete = last - first > LOST_S_MAX || self.waiting.len() > FRAMES_MAX;
        (is_complete || self.is_finished).then(|| self.waiting.pop_front())?.map(|it| it.covers)
    }
}

/// Covers a head before it is first seen.
fn cover_before(waiting: &mut VecDeque<WaitingFrame>, first: &Trail) {
    let from_s = first.time_s - first.lost_s_max();
    for frame in waiting.iter_mut().filter(|it| (from_s..first.time_s).contains(&it.time_s)) {
        frame.add(first.cover_at(frame.time_s));
    }
}

/// The waiting frames before the latest one that are after this time.
fn frames_since(
    waiting: &mut VecDeque<WaitingFrame>,
    time_s: f64,
) -> impl Iterator<Item = &mut WaitingFrame> {
    waiting.iter_mut().rev().skip(1).take_while(move |frame| frame.time_s > time_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FPS: f64 = 30.0;

    fn head(x: f32) -> Head {
        Head { center: [x, 100.0], radius: 20.0 }
    }

    /// The covers of each frame, of which these heads are seen in each.
    fn covers(frames: impl IntoIterator<Item = Vec<Head>>) -> Vec<Vec<Cover>> {
        let mut covering = Covering::default();
        let mut covers = Vec::new();
        for (n, heads) in frames.into_iter().enumerate() {
            covering.push(n as f64 / FPS, &heads);
            covers.extend(std::iter::from_fn(|| covering.pop()));
        }
        covering.finish();
        covers.extend(std::iter::from_fn(|| covering.pop()));
        covers
    }

    fn is_covered(covers: &[Cover], head: Head, growth: f32) -> bool {
        covers.iter().any(|cover| cover.contains(head.center, growth * head.radius))
    }

    #[test]
    fn a_head_that_is_seen_in_all_frames_has_one_circle_in_each() {
        let at = |n: usize| head(3.0 * n as f32);
        let covers = covers((0..300).map(|n| vec![at(n)]));
        assert_eq!(covers.len(), 300);
        for (n, covers) in covers.iter().enumerate() {
            assert_eq!(*covers, [at(n).cover()], "{n}");
        }
    }

    #[test]
    fn between_two_sightings_the_whole_way_is_covered_and_more() {
        let at = |n: usize| head(100.0 + 2.0 * n as f32);
        let seen = |n: usize| if (60..120).contains(&n) { vec![] } else { vec![at(n)] };
        let covers = covers((0..200).map(seen));
        for (n, covers) in covers[60..120].iter().enumerate() {
            for place in [at(60), at(90), at(119)] {
                assert!(is_covered(covers, place, 1.0), "{n}: {place:?}");
            }
        }
        assert!(is_covered(&covers[90], at(90), 1.4), "a second after it was seen");
        // The head that was found again may have been another one.
        assert!(is_covered(&covers[140], at(59), 1.4));
        assert_eq!(covers[160], [at(160).cover()]);
    }

    #[test]
    fn before_the_first_and_after_the_last_sighting_a_head_is_covered_for_three_seconds() {
        let covers = covers((0..400).map(|n| match n {
            150..200 => vec![head(300.0)],
            _ => vec![],
        }));
        let is_covered_at = |n: usize, growth| is_covered(&covers[n], head(300.0), growth);
        assert!(is_covered_at(149, 1.0) && is_covered_at(200, 1.0));
        assert!(is_covered_at(120, 1.4) && is_covered_at(229, 1.4), "a second away");
        assert!(is_covered_at(61, 1.5) && is_covered_at(288, 1.5));
        assert!(covers[58].is_empty() && covers[291].is_empty());
    }

    #[test]
    fn what_looks_like_a_head_in_two_frames_is_covered_for_a_moment() {
        let covers = covers((0..200).map(|n| match n {
            100..102 => vec![head(300.0)],
            _ => vec![],
        }));
        assert!(covers[94..108].iter().all(|covers| is_covered(covers, head(300.0), 1.0)));
        assert!(covers[..92].iter().chain(&covers[110..]).all(Vec::is_empty));
    }

    #[test]
    fn a_head_that_is_lost_on_its_way_is_covered_where_it_goes() {
        let at = |n: usize| head(100.0 + 6.0 * n as f32);
        let covers = covers((0..60).map(|n| if n < 40 { vec![at(n)] } else { vec![] }));
        for (covers, n) in covers[40..54].iter().zip(40..) {
            assert!(is_covered(covers, at(n), 1.0), "{n}");
        }
    }

    #[test]
    fn two_heads_that_pass_each_other_are_both_covered() {
        let [right, left] =
            [|n: usize| head(4.0 * n as f32), |n: usize| head(400.0 - 4.0 * n as f32)];
        // The one behind is hidden for a while.
        let seen = |n: usize| match n {
            42..58 => vec![right(n)],
            _ => vec![right(n), left(n)],
        };
        for (n, covers) in covers((0..100).map(seen)).iter().enumerate() {
            assert!(is_covered(covers, right(n), 1.0) && is_covered(covers, left(n), 1.0), "{n}");
        }
    }

    #[test]
    fn more_heads_than_are_followed_cover_everything() {
        let crowd = |n: usize| (0..TRAILS_MAX + n).map(|it| head(100.0 * it as f32)).collect();
        assert_ne!(covers([crowd(0)]), [vec![Cover::EVERYTHING]]);
        assert_eq!(covers([crowd(1)]), [vec![Cover::EVERYTHING]]);
        let covers = covers((0..300).map(|n| if n == 100 { crowd(1) } else { vec![] }));
        for (n, covers) in covers.iter().enumerate().take(189).skip(11) {
            assert_eq!(*covers, [Cover::EVERYTHING], "{n}");
        }
        assert!(covers[8].is_empty() && covers[192].is_empty());
    }

    #[test]
    fn a_frame_with_more_covers_than_it_may_have_is_covered_as_a_whole() {
        let mut frame = WaitingFrame { time_s: 0.0, covers: vec![head(0.0).cover(); COVERS_MAX] };
        frame.add(head(1.0).cover());
        frame.add(head(2.0).cover());
        assert_eq!(frame.covers, [Cover::EVERYTHING]);
    }

    #[test]
    fn frames_do_not_wait_for_a_clock_that_stands_still() {
        let mut covering = Covering::default();
        (0..=FRAMES_MAX).for_each(|_| covering.push(1.0, &[head(0.0)]));
        assert_eq!(covering.pop(), Some(vec![head(0.0).cover()]));
        assert_eq!(covering.pop(), None);
    }
}
