//! Outputs and their order with several threads against those of one.

use super::*;
use proptest::prelude::*;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

/// Doubles numbers, and returns the state before each: how many there were, and the sum of their
/// outputs. Calls a function with each number twice.
struct Doubling<F>(F);

/// A number, how long it takes, and whether it reads the state.
type Item = (u32, u8, bool);
type State = (u32, u32);

/// The doubled number, and the state if it was read.
type Output = (u32, Option<State>);

fn yield_times(count: u8) {
    (0..count).for_each(|_| thread::yield_now());
}

impl<F: Fn(u32) + Send + Sync> Task for Doubling<F> {
    type Item = Item;
    type Output = Output;
    type State = State;
    /// The number of processed items.
    type Scratch = u32;

    fn run(
        &self,
        (number, yields, reads_state): &Item,
        scratch: &mut u32,
        context: &ItemContext<'_, Self>,
    ) -> Result<Output, Cancelled> {
        *scratch += 1;
        yield_times(*yields);
        self.0(*number);
        context.check_cancelled()?;
        self.0(*number);
        let state = if *reads_state { Some(context.state()?) } else { None };
        yield_times(*yields);
        Ok((2 * number, state))
    }

    fn update_state((count, sum): &mut State, (output, _): &Output) {
        (*count, *sum) = (*count + 1, *sum + output);
    }
}

/// Passes all items, some of which are skipped, through a pipeline that is emptied when it is full.
fn process(
    limits: Limits,
    items: &[(Item, bool)],
    call: impl Fn(u32) + Send + Sync,
) -> Vec<(Item, Option<Output>)> {
    thread::scope(|scope| {
        let mut pipeline = Pipeline::start(scope, Doubling(call), limits);
        let mut all = Vec::new();
        for (item, is_skipped) in items {
            if *is_skipped {
                pipeline.push_skipped(*item)
            } else {
                pipeline.push(*item)
            }
            assert!(pipeline.shared.lock().len() <= limits.items_max);
            while pipeline.is_full() {
                all.extend(pipeline.pop());
            }
        }
        all.extend(std::iter::from_fn(|| pipeline.pop()));
        all
    })
}

const ONE: Limits = Limits { concurrency: 1, items_max: 1 };
const FOUR: Limits = Limits { concurrency: 4, items_max: 20 };

/// Items from number 0 on that are processed and read the state.
fn reading(count: u32) -> Vec<(Item, bool)> {
    (0..count).map(|number| ((number, 0, true), false)).collect()
}

proptest! {
    #[test]
    fn outputs_are_those_of_one_thread_in_the_order_of_the_items(
        concurrency in 1..6_usize,
        items_max in 1..12_usize,
        items in prop::collection::vec((any::<(u8, bool)>(), prop::bool::weighted(0.3)), 0..40),
    ) {
        let number = |(at, ((yields, reads), skipped))| ((at, yields % 32, reads), skipped);
        let items: Vec<(Item, bool)> = (0..).zip(items).map(number).collect();
        let outputs = process(Limits { concurrency, items_max }, &items, |_| ());
        prop_assert_eq!(&outputs, &process(ONE, &items, |_| ()));
        prop_assert!(outputs.iter().map(|(item, _)| item).eq(items.iter().map(|(item, _)| item)));
    }
}

#[test]
fn each_item_reads_the_state_after_all_items_before_it() {
    let outputs = process(FOUR, &reading(6), |_| ());
    let states: Vec<_> =
        outputs.into_iter().map(|(_, output)| output.expect("none is skipped").1).collect();
    let expected = [(0, 0), (1, 0), (2, 2), (3, 6), (4, 12), (5, 20)];
    assert_eq!(states, expected.map(Some));
}

#[test]
fn several_items_are_processed_at_a_time() {
    let barrier = Barrier::new(4);
    let outputs = process(FOUR, &reading(4), |_| {
        // Only four threads at the same time pass the barrier.
        barrier.wait();
    });
    assert_eq!(outputs.len(), 4);
}

#[test]
fn with_a_concurrency_of_one_the_pushing_thread_processes_the_items() {
    let here = thread::current().id();
    let outputs = process(Limits { items_max: 20, ..ONE }, &reading(3), |_| {
        assert_eq!(thread::current().id(), here);
    });
    assert_eq!(outputs.len(), 3);
}

#[test]
#[should_panic(expected = "a task panics")]
fn a_panic_in_one_thread_ends_the_run() {
    process(FOUR, &reading(6), |number| assert_ne!(number, 2, "a task panics"));
}

#[test]
fn a_dropped_pipeline_cancels_running_items_and_starts_no_more() {
    let (is_dropped, calls) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let calls = || calls.lock().expect("no panic");
    let wait_until = |condition: &dyn Fn() -> bool| {
        while !condition() {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let task = Doubling(|number| {
            calls().push(number);
            if number == 0 {
                wait_until(&|| is_dropped.load(Ordering::SeqCst));
            }
        });
        let mut pipeline = Pipeline::start(scope, task, Limits { concurrency: 2, items_max: 9 });
        reading(5).into_iter().for_each(|(item, _)| pipeline.push(item));
        // The second item waits for the state of the first, and the first for the drop.
        wait_until(&|| calls().len() == 3);
        drop(pipeline);
        is_dropped.store(true, Ordering::SeqCst);
    });
    calls().sort_unstable();
    assert_eq!(*calls(), [0, 1, 1]);
}
