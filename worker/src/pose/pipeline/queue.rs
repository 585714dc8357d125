//! The order of the items in a pipeline: which are waiting, running or complete, and the state that
//! the completed ones leave to the others. Pure.

use std::collections::VecDeque;

/// All items that were not popped yet, the oldest first.
pub(super) struct OrderedQueue<Item, Output, State> {
    slots: VecDeque<Slot<Item, Output>>,
    /// Number of the first slot.
    first: usize,
    /// All slots before this number are complete, and their outputs are in the state.
    completed: usize,
    state: State,
    /// Adds the output of the next item to the state.
    update_state: fn(&mut State, &Output),
    is_cancelled: bool,
}

enum Slot<Item, Output> {
    Waiting(Item),
    Running,
    Finished(Item, Output),
    Skipped(Item),
}

impl<Item, Output, State: Default> OrderedQueue<Item, Output, State> {
    /// An empty queue.
    pub(super) fn new(update_state: fn(&mut State, &Output)) -> Self {
        Self {
            slots: VecDeque::new(),
            first: 0,
            completed: 0,
            state: State::default(),
            update_state,
            is_cancelled: false,
        }
    }

    /// Adds an item to be processed.
    pub(super) fn push(&mut self, item: Item) {
        self.slots.push_back(Slot::Waiting(item));
    }

    /// Adds an item that is not processed.
    pub(super) fn push_skipped(&mut self, item: Item) {
        self.slots.push_back(Slot::Skipped(item));
        self.advance();
    }

    /// The next item to process, with its number.
    pub(super) fn take(&mut self) -> Option<(usize, Item)> {
        if self.is_cancelled {
            return None;
        }
        let at = self.slots.iter().position(|slot| matches!(slot, Slot::Waiting(_)))?;
        let slot = std::mem::replace(&mut self.slots[at], Slot::Running);
        let Slot::Waiting(item) = slot else { return None };
        Some((self.first + at, item))
    }

    /// Puts a processed item back, with its output.
    pub(super) fn finish(&mut self, number: usize, item: Item, output: Output) {
        self.slots[number - self.first] = Slot::Finished(item, output);
        self.advance();
    }

    /// The state after all items before this one, once all of them are complete.
    pub(super) fn state_before(&self, number: usize) -> Option<&State> {
        (self.completed == number).then_some(&self.state)
    }

    /// The oldest item and its output, if it is complete; a skipped item has no output.
    pub(super) fn pop(&mut self) -> Option<(Item, Option<Output>)> {
        if self.completed == self.first {
            return None;
        }
        let slot = self.slots.pop_front()?;
        self.first += 1;
        match slot {
            Slot::Finished(item, output) => Some((item, Some(output))),
            Slot::Skipped(item) => Some((item, None)),
            // Neither is ever complete.
            Slot::Waiting(_) | Slot::Running => None,
        }
    }

    /// Number of items.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no items.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Number of items without the skipped ones.
    pub(super) fn unskipped_len(&self) -> usize {
        self.slots.iter().filter(|slot| !matches!(slot, Slot::Skipped(_))).count()
    }

    /// Whether an item waits to be processed.
    pub(super) fn has_waiting(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Waiting(_)))
    }

    /// Stops all processing.
    pub(super) const fn cancel(&mut self) {
        self.is_cancelled = true;
    }

    /// Whether processing was stopped.
    pub(super) const fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }

    fn advance(&mut self) {
        while let Some(slot) = self.slots.get(self.completed - self.first) {
            match slot {
                Slot::Waiting(_) | Slot::Running => return,
                Slot::Finished(_, output) => (self.update_state)(&mut self.state, output),
                Slot::Skipped(_) => {}
            }
            self.completed += 1;
        }
    }
}
