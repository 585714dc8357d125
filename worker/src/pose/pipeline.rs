//! Works on items on several threads and hands them on in the order in which they came. Called by
//! `track`, for the modes that look at each frame alone.
//!
//! ```text
//! push -> waiting -> under way, on one thread -> finished -> settled -> pop
//!                          |                                    |
//!                          +-- memory: waits until all before --+
//! ```
//!
//! Items are settled in their order, whichever is finished first, and each may leave something to
//! those behind it: the memory. So all outcomes are those of one thread.

mod line;

use line::Line;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

/// What is done with each item.
pub trait Work: Send + Sync {
    /// What is worked on; it comes back with its outcome.
    type Item: Send;
    /// What comes of it.
    type Outcome: Send;
    /// Why nothing may come of it, which ends the run.
    type Error: Send;
    /// What the items so far leave to those behind them.
    type Memory: Clone + Default + Send;
    /// What each thread keeps from item to item, for its allocations.
    type Tools: Default + Send;

    /// Works on one item, on any thread.
    ///
    /// # Errors
    /// It fails, or `turn` says to stop.
    fn run(
        &self,
        item: &Self::Item,
        tools: &mut Self::Tools,
        turn: &Turn<'_, Self>,
    ) -> Result<Self::Outcome, Stop<Self::Error>>
    where
        Self: Sized;

    /// Takes what came of an item into the memory, once all before it are in.
    fn remember(memory: &mut Self::Memory, outcome: &Self::Outcome);
}

/// Why work on an item ends without an outcome.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop<E> {
    /// Nobody waits for the outcome any more.
    Abandoned,
    /// The run ends at this item.
    Failed(E),
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

/// How much may be in the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// On how many items is worked at a time. One is worked on by whoever pushes it.
    pub lanes: usize,
    /// How many are kept at most, also of those that only pass.
    pub items_max: usize,
}

/// Items on their way. Dropping it has its threads stop where they next ask.
pub struct Pipeline<'scope, W: Work> {
    shared: Arc<Shared<W>>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
    /// For the work that is done where there is no other thread.
    tools: W::Tools,
    limits: Limits,
}

/// One item and what came of it; nothing if it only passed.
pub type Passed<W> = (<W as Work>::Item, Option<<W as Work>::Outcome>);

impl<'scope, W: Work + 'scope> Pipeline<'scope, W> {
    /// Starts the threads, which end with the pipeline. Without any, items are worked on as they
    /// are pushed.
    pub fn start(scope: &'scope Scope<'scope, '_>, work: W, limits: Limits) -> Self {
        let line = Mutex::new(Line::default());
        let shared = Arc::new(Shared { work, line, changed: Condvar::new() });
        let lanes = if limits.lanes > 1 { limits.lanes } else { 0 };
        let thread = |_| {
            let shared = Arc::clone(&shared);
            let serve = move || shared.serve(&mut W::Tools::default());
            Builder::new().name("pose".into()).spawn_scoped(scope, serve).ok()
        };
        let threads = (0..lanes).filter_map(thread).collect();
        Self { shared, threads, tools: W::Tools::default(), limits }
    }

    /// Whether one is to be popped before another is pushed.
    pub fn is_full(&self) -> bool {
        let line = self.shared.lock();
        let Limits { lanes, items_max } = self.limits;
        // Twice as many as are worked on: one that takes long is not waited for at once.
        line.len() >= items_max || line.to_work_on() >= 2 * lanes
    }

    /// Has an item worked on.
    pub fn push(&mut self, item: W::Item) {
        self.shared.lock().push(item);
        self.shared.changed.notify_all();
        if self.threads.is_empty() {
            self.shared.work_off(&mut self.tools);
        }
    }

    /// Lets an item pass between the others.
    pub fn pass(&mut self, item: W::Item) {
        self.shared.lock().pass(item);
    }

    /// The oldest item, as soon as it is finished; none if there is none.
    ///
    /// # Errors
    /// The work on it failed.
    pub fn pop(&mut self) -> Result<Option<Passed<W>>, W::Error> {
        let mut line = self.shared.lock();
        while !line.is_empty() && !line.is_abandoned() {
            if let Some((item, outcome)) = line.pop() {
                return outcome.map(|outcome| Some((item, outcome)));
            }
            line = self.shared.wait(line);
        }
        if line.is_abandoned() {
            drop(line);
            // Only a panic abandons what is still being popped.
            for thread in self.threads.drain(..) {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        }
        Ok(None)
    }
}

impl<W: Work> Drop for Pipeline<'_, W> {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

/// The place of one item among all.
pub struct Turn<'a, W: Work> {
    shared: &'a Shared<W>,
    number: usize,
}

impl<W: Work> Turn<'_, W> {
    /// What all items before this one leave, as soon as they are settled.
    ///
    /// # Errors
    /// Nobody waits for the outcome any more.
    pub fn memory(&self) -> Result<W::Memory, Stop<W::Error>> {
        let mut line = self.shared.lock();
        while !line.is_abandoned() {
            if let Some(memory) = line.memory_for(self.number) {
                return Ok(memory.clone());
            }
            line = self.shared.wait(line);
        }
        Err(Stop::Abandoned)
    }

    /// To be asked now and then.
    ///
    /// # Errors
    /// Nobody waits for the outcome any more.
    pub fn check(&self) -> Result<(), Stop<W::Error>> {
        if self.shared.lock().is_abandoned() { Err(Stop::Abandoned) } else { Ok(()) }
    }
}

/// What the threads have in common.
struct Shared<W: Work> {
    work: W,
    line: Mutex<Line<W>>,
    changed: Condvar,
}

impl<W: Work> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, Line<W>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, line: MutexGuard<'a, Line<W>>) -> MutexGuard<'a, Line<W>> {
        self.changed.wait(line).unwrap_or_else(PoisonError::into_inner)
    }

    fn abandon(&self) {
        self.lock().abandon();
        self.changed.notify_all();
    }

    /// Works on what comes until nothing more will.
    fn serve(&self, tools: &mut W::Tools) {
        let _guard = AbandonOnPanic(self);
        let mut line = self.lock();
        while !line.is_abandoned() {
            drop(line);
            self.work_off(tools);
            line = self.lock();
            if !line.has_waiting() && !line.is_abandoned() {
                line = self.wait(line);
            }
        }
    }

    /// Works on what waits.
    fn work_off(&self, tools: &mut W::Tools) {
        // A binding of its own, so that the line is not held meanwhile.
        let next = || self.lock().take();
        while let Some((number, item)) = next() {
            let turn = Turn { shared: self, number };
            let outcome = match self.work.run(&item, tools, &turn) {
                Ok(outcome) => Ok(outcome),
                Err(Stop::Failed(error)) => Err(error),
                Err(Stop::Abandoned) => return,
            };
            self.lock().finish(number, item, outcome);
            self.changed.notify_all();
        }
    }
}

/// Has the others stop where a thread panics: they would wait for its outcome.
struct AbandonOnPanic<'a, W: Work>(&'a Shared<W>);

impl<W: Work> Drop for AbandonOnPanic<'_, W> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abandon();
        }
    }
}

#[cfg(test)]
mod tests;
