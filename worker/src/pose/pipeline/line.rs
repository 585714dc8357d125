//! The order of the items in a pipeline: what waits, what is under way, what may be handed on, and
//! what those that are settled leave to the others. Pure.

use super::Work;
use std::collections::VecDeque;

/// All items that were not handed on yet, the oldest first.
pub(super) struct Line<W: Work> {
    places: VecDeque<Place<W>>,
    /// Number of the first place.
    first: usize,
    /// All before this one are settled.
    settled: usize,
    /// What the settled ones leave.
    memory: W::Memory,
    is_abandoned: bool,
}

enum Place<W: Work> {
    Waiting(W::Item),
    UnderWay,
    Finished(W::Item, Result<W::Outcome, W::Error>),
    Passing(W::Item),
}

impl<W: Work> Default for Line<W> {
    fn default() -> Self {
        Self {
            places: VecDeque::new(),
            first: 0,
            settled: 0,
            memory: W::Memory::default(),
            is_abandoned: false,
        }
    }
}

/// One item and what came of it; nothing if it only passed.
type Popped<W> = (<W as Work>::Item, Result<Option<<W as Work>::Outcome>, <W as Work>::Error>);

impl<W: Work> Line<W> {
    /// Adds an item to work on.
    pub(super) fn push(&mut self, item: W::Item) {
        self.places.push_back(Place::Waiting(item));
    }

    /// Adds an item that nothing is done with.
    pub(super) fn pass(&mut self, item: W::Item) {
        self.places.push_back(Place::Passing(item));
        self.settle();
    }

    /// The next item to work on, with its number.
    pub(super) fn take(&mut self) -> Option<(usize, W::Item)> {
        if self.is_abandoned {
            return None;
        }
        let at = self.places.iter().position(|place| matches!(place, Place::Waiting(_)))?;
        let place = std::mem::replace(&mut self.places[at], Place::UnderWay);
        let Place::Waiting(item) = place else { return None };
        Some((self.first + at, item))
    }

    /// Takes back an item, with what came of it.
    pub(super) fn finish(
        &mut self,
        number: usize,
        item: W::Item,
        outcome: Result<W::Outcome, W::Error>,
    ) {
        self.places[number - self.first] = Place::Finished(item, outcome);
        self.settle();
    }

    /// What the items before this one leave, once all of them are settled.
    pub(super) fn memory_for(&self, number: usize) -> Option<&W::Memory> {
        (self.settled == number).then_some(&self.memory)
    }

    /// The oldest item, if it is settled.
    pub(super) fn pop(&mut self) -> Option<Popped<W>> {
        if self.settled == self.first {
            return None;
        }
        let place = self.places.pop_front()?;
        self.first += 1;
        match place {
            Place::Finished(item, outcome) => Some((item, outcome.map(Some))),
            Place::Passing(item) => Some((item, Ok(None))),
            // Neither is ever settled.
            Place::Waiting(_) | Place::UnderWay => None,
        }
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many there are besides those that only pass.
    pub(super) fn to_work_on(&self) -> usize {
        self.places.iter().filter(|place| !matches!(place, Place::Passing(_))).count()
    }

    /// Whether one may be taken.
    pub(super) fn has_waiting(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Waiting(_)))
    }

    /// Has all that are still worked on stop.
    pub(super) const fn abandon(&mut self) {
        self.is_abandoned = true;
    }

    /// Whether nobody waits for outcomes any more.
    pub(super) const fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    fn settle(&mut self) {
        while let Some(place) = self.places.get(self.settled - self.first) {
            match place {
                Place::Waiting(_) | Place::UnderWay => return,
                Place::Finished(_, Ok(outcome)) => W::remember(&mut self.memory, outcome),
                // The run ends at a failure, whatever comes behind it.
                Place::Finished(_, Err(_)) | Place::Passing(_) => {}
            }
            self.settled += 1;
        }
    }
}
