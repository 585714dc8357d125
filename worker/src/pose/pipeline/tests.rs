use super::*;
use proptest::prelude::*;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

/// Doubles numbers, and says what came before: how many, and the sum of their outcomes. Each number
/// is told twice.
struct Doubling<F>(F);

/// How long an item takes, and whether it needs to know what came before.
type Item = (u32, u8, bool);
type Before = (u32, u32);

/// The doubled number, and what came before if that was asked.
type Outcome = (u32, Option<Before>);

fn dawdle(turns: u8) {
    (0..turns).for_each(|_| thread::yield_now());
}

impl<F: Fn(u32) -> Result<(), &'static str> + Send + Sync> Work for Doubling<F> {
    type Item = Item;
    type Outcome = Outcome;
    type Error = &'static str;
    type Memory = Before;
    /// How many were worked on.
    type Tools = u32;

    fn run(
        &self,
        (number, turns, asks): &Item,
        tools: &mut u32,
        turn: &Turn<'_, Self>,
    ) -> Result<Outcome, Stop<&'static str>> {
        *tools += 1;
        dawdle(*turns);
        self.0(*number)?;
        turn.check()?;
        self.0(*number)?;
        let before = if *asks { Some(turn.memory()?) } else { None };
        dawdle(*turns);
        Ok((2 * number, before))
    }

    fn remember((count, sum): &mut Before, (outcome, _): &Outcome) {
        (*count, *sum) = (*count + 1, *sum + outcome);
    }
}

/// All items, some of which only pass, through a pipeline that is emptied whenever it is full.
fn through(
    limits: Limits,
    items: &[(Item, bool)],
    work: impl Fn(u32) -> Result<(), &'static str> + Send + Sync,
) -> Result<Vec<(Item, Option<Outcome>)>, &'static str> {
    thread::scope(|scope| {
        let mut pipeline = Pipeline::start(scope, Doubling(work), limits);
        let mut all = Vec::new();
        for (item, passes) in items {
            if *passes {
                pipeline.pass(*item)
            } else {
                pipeline.push(*item)
            }
            assert!(pipeline.shared.lock().len() <= limits.items_max);
            while pipeline.is_full() {
                all.extend(pipeline.pop()?);
            }
        }
        while let Some(passed) = pipeline.pop()? {
            all.push(passed);
        }
        Ok(all)
    })
}

const ONE: Limits = Limits { lanes: 1, items_max: 1 };
const FOUR: Limits = Limits { lanes: 4, items_max: 20 };

/// Items from number 0 on that are worked on at once and need to know what came before.
fn asking(count: u32) -> Vec<(Item, bool)> {
    (0..count).map(|number| ((number, 0, true), false)).collect()
}

proptest! {
    #[test]
    fn outcomes_are_those_of_one_thread_in_the_order_of_the_items(
        lanes in 1..6_usize,
        items_max in 1..12_usize,
        items in prop::collection::vec((any::<(u8, bool)>(), prop::bool::weighted(0.3)), 0..40),
        fails in prop::option::weighted(0.2, 0..40_u32),
    ) {
        let number = |(at, ((turns, asks), passes))| ((at, turns % 32, asks), passes);
        let items: Vec<(Item, bool)> = (0..).zip(items).map(number).collect();
        let work = |number| if Some(number) == fails { Err("broken") } else { Ok(()) };
        let limits = Limits { lanes, items_max };
        let outcomes = through(limits, &items, work);
        prop_assert_eq!(&outcomes, &through(ONE, &items, work));
        if let Ok(outcomes) = outcomes {
            prop_assert!(outcomes.iter().map(|(item, _)| item).eq(items.iter().map(|(item, _)| item)));
        }
    }
}

#[test]
fn each_item_is_told_what_all_before_it_left() {
    let outcomes = through(FOUR, &asking(6), |_| Ok(())).expect("none fails");
    let before: Vec<_> =
        outcomes.into_iter().map(|(_, outcome)| outcome.expect("none passes").1).collect();
    let expected = [(0, 0), (1, 0), (2, 2), (3, 6), (4, 12), (5, 20)];
    assert_eq!(before, expected.map(Some));
}

#[test]
fn each_lane_has_a_thread_of_its_own() {
    let all_there = Barrier::new(4);
    let outcomes = through(FOUR, &asking(4), |_| {
        // Nobody gets past this unless the others are on their way at the same time.
        all_there.wait();
        Ok(())
    });
    assert_eq!(outcomes.expect("none fails").len(), 4);
}

#[test]
fn one_lane_is_the_thread_that_pushes() {
    let here = thread::current().id();
    let outcomes = through(Limits { items_max: 20, ..ONE }, &asking(3), |_| {
        assert_eq!(thread::current().id(), here);
        Ok(())
    });
    assert_eq!(outcomes.expect("none fails").len(), 3);
}

#[test]
#[should_panic(expected = "a model gave up")]
fn a_panic_in_one_thread_ends_the_run() {
    let _ = through(FOUR, &asking(6), |number| {
        assert_ne!(number, 2, "a model gave up");
        Ok(())
    });
}

#[test]
fn a_dropped_pipeline_stops_what_is_under_way_and_begins_nothing_more() {
    let (is_dropped, told) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let told = || told.lock().expect("no panic");
    let await_that = |condition: &dyn Fn() -> bool| {
        while !condition() {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let work = Doubling(|number| {
            told().push(number);
            if number == 0 {
                await_that(&|| is_dropped.load(Ordering::SeqCst));
            }
            Ok(())
        });
        let mut pipeline = Pipeline::start(scope, work, Limits { lanes: 2, items_max: 9 });
        asking(5).into_iter().for_each(|(item, _)| pipeline.push(item));
        // The second goes on to wait for what the first leaves, and the first for the drop.
        await_that(&|| told().len() == 3);
        drop(pipeline);
        is_dropped.store(true, Ordering::SeqCst);
    });
    told().sort_unstable();
    assert_eq!(*told(), [0, 1, 1]);
}
