//! Tries the pictures of one frame on several threads, with the outcome of trying one after the
//! other. Called by `best`.
//!
//! A picture may turn out to be the last that is needed. Those behind it are not started any more,
//! and what was started is discarded. While one that is expected to be the last is under way, none
//! behind it is started at all.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};

/// What is tried, what came of it, and what may be tried next. Pure.
#[derive(Debug)]
pub struct Round<T> {
    results: Vec<Option<T>>,
    /// How many are likely to be needed.
    expected: usize,
    started: usize,
    /// None from here on is needed.
    end: usize,
}

impl<T> Round<T> {
    /// So many to try at most, and so many that are likely to be needed.
    pub fn new(length: usize, expected: usize) -> Self {
        let results = (0..length).map(|_| None).collect();
        Self { results, expected, started: 0, end: length }
    }

    /// The next to try, if one may be tried now.
    pub fn start(&mut self) -> Option<usize> {
        (self.startable() > 0).then(|| {
            self.started += 1;
            self.started - 1
        })
    }

    /// How many may be started now.
    pub fn startable(&self) -> usize {
        let likely = if self.settled() < self.expected { self.expected } else { self.end };
        likely.min(self.end).saturating_sub(self.started)
    }

    /// Takes in what came of one; a break says that no later one is needed.
    pub fn finish(&mut self, number: usize, outcome: ControlFlow<T, T>) {
        let result = match outcome {
            ControlFlow::Continue(result) => result,
            ControlFlow::Break(result) => {
                self.end = self.end.min(number + 1);
                result
            }
        };
        self.results[number] = Some(result);
    }

    /// Whether no other will be started.
    pub const fn is_exhausted(&self) -> bool {
        self.started >= self.end
    }

    /// How many of the first are finished without a gap.
    fn settled(&self) -> usize {
        self.results.iter().take_while(|result| result.is_some()).count()
    }

    /// What came of each that is needed, in their order.
    pub fn into_results(self) -> Vec<T> {
        self.results.into_iter().take(self.end).flatten().collect()
    }
}

/// Tries all that are needed, each with one of the lanes: one lane for each thread.
pub fn run<L: Send, T: Send>(
    round: Round<T>,
    lanes: &mut [L],
    work: impl Fn(usize, &mut L) -> ControlFlow<T, T> + Sync,
) -> Vec<T> {
    let shared = Shared { round: Mutex::new(round), changed: Condvar::new() };
    thread::scope(|scope| {
        let (shared, work) = (&shared, &work);
        let mut threads = Vec::new();
        let Some((own, others)) = lanes.split_first_mut() else { return };
        let mut others = others.iter_mut();
        while let Some(number) = shared.next() {
            for lane in others.by_ref().take(shared.lock().startable()) {
                // Without another thread this one does it all.
                let thread = Builder::new().name("pose".into()).spawn_scoped(scope, move || {
                    while let Some(number) = shared.next() {
                        shared.try_one(number, || work(number, lane));
                    }
                });
                threads.extend(thread);
            }
            shared.try_one(number, || work(number, own));
        }
        for thread in threads {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    shared.round.into_inner().unwrap_or_else(PoisonError::into_inner).into_results()
}

/// The round, between the threads.
struct Shared<T> {
    round: Mutex<Round<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Round<T>> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next to try, as soon as one may be tried.
    fn next(&self) -> Option<usize> {
        let mut round = self.lock();
        loop {
            if round.is_exhausted() {
                return None;
            }
            if let Some(number) = round.start() {
                return Some(number);
            }
            round = self.changed.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn try_one(&self, number: usize, work: impl FnOnce() -> ControlFlow<T, T>) {
        let unless_finished = Abandon(self);
        let outcome = work();
        std::mem::forget(unless_finished);
        self.lock().finish(number, outcome);
        self.changed.notify_all();
    }
}

/// Ends the round where a thread panics: the others would wait for its result.
struct Abandon<'a, T>(&'a Shared<T>);

impl<T> Drop for Abandon<'_, T> {
    fn drop(&mut self) {
        self.0.lock().end = 0;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Barrier;

    /// Whether the one with this number is the last that is needed.
    fn outcome(lasts: &[bool], number: usize) -> ControlFlow<usize, usize> {
        if lasts[number] { ControlFlow::Break(number) } else { ControlFlow::Continue(number) }
    }

    /// What trying one after the other comes to.
    fn in_order(lasts: &[bool]) -> Vec<usize> {
        let last = lasts.iter().position(|is_last| *is_last).unwrap_or(lasts.len() - 1);
        (0..=last).collect()
    }

    proptest! {
        #[test]
        fn the_outcome_is_that_of_one_after_the_other_in_whatever_order_they_finish(
            lasts in prop::collection::vec(prop::bool::weighted(0.2), 1..10),
            expected in 1..10_usize,
            lanes in 1..5_usize,
            choices in prop::collection::vec(any::<prop::sample::Index>(), 10),
        ) {
            let mut round = Round::new(lasts.len(), expected);
            let (mut running, mut started) = (Vec::new(), 0);
            let mut choices = choices.into_iter();
            loop {
                while running.len() < lanes && let Some(number) = round.start() {
                    // None is started that is known to be needless, nor twice.
                    prop_assert_eq!(number, started);
                    prop_assert!(round.results[..number].iter().zip(&lasts).all(
                        |(result, is_last)| result.is_none() || !is_last
                    ));
                    started += 1;
                    running.push(number);
                }
                let Some(choice) = choices.next().filter(|_| !running.is_empty()) else { break };
                let number = running.swap_remove(choice.index(running.len()));
                round.finish(number, outcome(&lasts, number));
            }
            prop_assert!(round.is_exhausted() && running.is_empty());
            let expected_results = in_order(&lasts);
            prop_assert!(lanes > 1 || started == expected_results.len());
            prop_assert_eq!(round.into_results(), expected_results);
        }
    }

    #[test]
    fn none_is_started_behind_the_one_that_is_expected_to_be_the_last() {
        let mut round = Round::new(4, 2);
        assert_eq!((round.start(), round.start(), round.start()), (Some(0), Some(1), None));
        round.finish(1, ControlFlow::Continue(()));
        assert_eq!(round.start(), None);
        round.finish(0, ControlFlow::Continue(()));
        assert_eq!((round.start(), round.startable()), (Some(2), 1));
        round.finish(2, ControlFlow::Break(()));
        assert!(round.is_exhausted() && round.start().is_none());
    }

    #[test]
    fn each_lane_has_a_thread_of_its_own() {
        let all_there = Barrier::new(3);
        let mut lanes = [0, 0, 0];
        let results = run(Round::new(3, 3), &mut lanes, |number, lane| {
            // Nobody gets past this unless the others are on their way at the same time.
            all_there.wait();
            *lane += 1;
            ControlFlow::Continue(number)
        });
        assert_eq!((results, lanes), (vec![0, 1, 2], [1, 1, 1]));
    }

    #[test]
    fn one_lane_tries_one_after_the_other() {
        let here = thread::current().id();
        let results = run(Round::new(5, 5), &mut [0], |number, tried| {
            assert_eq!((thread::current().id(), *tried), (here, number));
            *tried += 1;
            outcome(&[false, false, true, false, false], number)
        });
        assert_eq!(results, [0, 1, 2]);
    }

    #[test]
    #[should_panic(expected = "a model gave up")]
    fn a_panic_in_one_thread_ends_the_others() {
        let both_there = Barrier::new(2);
        run(Round::new(4, 2), &mut [(), ()], |number, ()| {
            if number < 2 {
                both_there.wait();
            }
            assert_ne!(number, 1, "a model gave up");
            ControlFlow::Continue(number)
        });
    }
}
