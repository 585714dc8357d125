//! Processes items on several threads and returns them in the order in which they were pushed.
//! Called by `tracker`, for the modes that process each frame independently.
//!
//! ```text
//! push -> waiting -> running, on one thread -> finished -> complete -> pop
//!                       |                                     |
//!                       +--- state: waits for all before -----+
//! ```
//!
//! Items become complete in their order, whichever is finished first, and the state is updated in
//! that order. So all outputs are those of a single thread.

mod queue;

use queue::OrderedQueue;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

/// The processing of one item.
pub(super) trait Task: Send + Sync {
    /// The input; it is returned with its output.
    type Item: Send;
    /// The result.
    type Output: Send;
    /// What earlier items leave to later ones.
    type State: Clone + Default + Send;
    /// Memory that each thread reuses from item to item.
    type Scratch: Default + Send;

    /// Processes one item, on any thread.
    ///
    /// # Errors
    /// The pipeline is cancelled.
    fn run(
        &self,
        item: &Self::Item,
        scratch: &mut Self::Scratch,
        context: &ItemContext<'_, Self>,
    ) -> Result<Self::Output, Cancelled>
    where
        Self: Sized;

    /// Adds the output of an item to the state, in the order of the items.
    fn update_state(state: &mut Self::State, output: &Self::Output);
}

/// The pipeline is cancelled: the output is no longer needed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cancelled;

/// How much may be in the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Number of items that are processed at a time. If it is one, `push` processes the item.
    pub(super) concurrency: usize,
    /// Most items that are kept, including skipped ones.
    pub(super) items_max: usize,
}

type Queue<T> = OrderedQueue<<T as Task>::Item, <T as Task>::Output, <T as Task>::State>;

/// The items in progress. Dropping it cancels them; its threads stop at their next check.
pub(super) struct Pipeline<'scope, T: Task> {
    shared: Arc<Shared<T>>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
    /// Used where there is no other thread.
    scratch: T::Scratch,
    limits: Limits,
}

impl<'scope, T: Task + 'scope> Pipeline<'scope, T> {
    /// Starts the threads, which end with the pipeline. Without any, items are processed as they
    /// are pushed.
    pub(super) fn start(scope: &'scope Scope<'scope, '_>, task: T, limits: Limits) -> Self {
        let queue = Mutex::new(OrderedQueue::new(T::update_state));
        let shared = Arc::new(Shared { task, queue, changed: Condvar::new() });
        let threads = if limits.concurrency > 1 { limits.concurrency } else { 0 };
        let thread = |_| {
            let shared = Arc::clone(&shared);
            let run = move || shared.run_thread(&mut T::Scratch::default());
            Builder::new().name("pose".into()).spawn_scoped(scope, run).ok()
        };
        let threads = (0..threads).filter_map(thread).collect();
        Self { shared, threads, scratch: T::Scratch::default(), limits }
    }

    /// Whether an item has to be popped before another is pushed.
    pub(super) fn is_full(&self) -> bool {
        let queue = self.shared.lock();
        let Limits { concurrency, items_max } = self.limits;
        // Twice as many as are processed, so that one slow item does not stall the others.
        queue.len() >= items_max || queue.unskipped_len() >= 2 * concurrency
    }

    /// Adds an item to be processed.
    pub(super) fn push(&mut self, item: T::Item) {
        self.shared.lock().push(item);
        self.shared.changed.notify_all();
        if self.threads.is_empty() {
            self.shared.process_waiting(&mut self.scratch);
        }
    }

    /// Adds an item that is not processed but keeps its place in the order.
    pub(super) fn push_skipped(&mut self, item: T::Item) {
        self.shared.lock().push_skipped(item);
    }

    /// Waits for the oldest item; none if there is none. A skipped item has no output.
    pub(super) fn pop(&mut self) -> Option<(T::Item, Option<T::Output>)> {
        let mut queue = self.shared.lock();
        while !queue.is_empty() && !queue.is_cancelled() {
            if let Some(popped) = queue.pop() {
                return Some(popped);
            }
            queue = self.shared.wait(queue);
        }
        if queue.is_cancelled() {
            drop(queue);
            // Before the drop, only a panic cancels the pipeline.
            for thread in self.threads.drain(..) {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        }
        None
    }
}

impl<T: Task> Drop for Pipeline<'_, T> {
    fn drop(&mut self) {
        self.shared.cancel();
    }
}

/// The access of a running item to the state and to cancellation.
pub(super) struct ItemContext<'a, T: Task> {
    shared: &'a Shared<T>,
    number: usize,
}

impl<T: Task> ItemContext<'_, T> {
    /// Waits for the state after all items before this one.
    ///
    /// # Errors
    /// The pipeline is cancelled.
    pub(super) fn state(&self) -> Result<T::State, Cancelled> {
        let mut queue = self.shared.lock();
        while !queue.is_cancelled() {
            if let Some(state) = queue.state_before(self.number) {
                return Ok(state.clone());
            }
            queue = self.shared.wait(queue);
        }
        Err(Cancelled)
    }

    /// To be called repeatedly during long processing.
    ///
    /// # Errors
    /// The pipeline is cancelled.
    pub(super) fn check_cancelled(&self) -> Result<(), Cancelled> {
        if self.shared.lock().is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

/// What the threads share.
struct Shared<T: Task> {
    task: T,
    queue: Mutex<Queue<T>>,
    changed: Condvar,
}

impl<T: Task> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue<T>>) -> MutexGuard<'a, Queue<T>> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel(&self) {
        self.lock().cancel();
        self.changed.notify_all();
    }

    /// Processes items until the pipeline is cancelled.
    fn run_thread(&self, scratch: &mut T::Scratch) {
        let _guard = CancelOnPanic(self);
        let mut queue = self.lock();
        while !queue.is_cancelled() {
            drop(queue);
            self.process_waiting(scratch);
            queue = self.lock();
            if !queue.has_waiting() && !queue.is_cancelled() {
                queue = self.wait(queue);
            }
        }
    }

    /// Processes the waiting items.
    fn process_waiting(&self, scratch: &mut T::Scratch) {
        // A closure, so that the queue is not locked during the processing.
        let next = || self.lock().take();
        while let Some((number, item)) = next() {
            let context = ItemContext { shared: self, number };
            let Ok(output) = self.task.run(&item, scratch, &context) else { return };
            self.lock().finish(number, item, output);
            self.changed.notify_all();
        }
    }
}

/// Cancels the pipeline where a thread panics: the others would wait for its output.
struct CancelOnPanic<'a, T: Task>(&'a Shared<T>);

impl<T: Task> Drop for CancelOnPanic<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.cancel();
        }
    }
}

#[cfg(test)]
mod tests;
