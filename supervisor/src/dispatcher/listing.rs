//! All jobs, for operators: their documents a page at a time, their numbers at once.
//!
//! Part of the dispatcher's loop, which everybody waits for meanwhile: of each job that is
//! remembered it takes a look, and a document is made of those on the page alone.

use crate::dispatcher::state::State;
use crate::dispatcher::status::{Numbers, Status};
use std::cmp::Reverse;

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many come before it.
    pub offset: usize,
    /// How many are on it at most.
    pub limit: usize,
}

/// The jobs on a page, newest first.
#[derive(Debug)]
pub(crate) struct Listing {
    /// How many there are on all pages.
    pub total: usize,
    /// Those on this one.
    pub jobs: Vec<Status>,
}

impl State {
    pub(crate) fn list(&self, page: Page) -> Listing {
        let mut all: Vec<_> =
            self.jobs.iter().map(|(id, entry)| (entry.job.created_at, *id)).collect();
        all.sort_unstable_by_key(|one| Reverse(*one));
        let on_it = all.iter().skip(page.offset).take(page.limit);
        Listing { total: all.len(), jobs: on_it.filter_map(|(_, id)| self.status(*id)).collect() }
    }

    pub(crate) fn numbers(&self) -> Vec<Numbers> {
        let live = |id| self.running.get(id).map(|running| running.live.borrow());
        self.jobs.iter().map(|(id, one)| Numbers::of(&one.job, live(id).as_deref())).collect()
    }
}
