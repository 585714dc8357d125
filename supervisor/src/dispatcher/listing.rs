//! Lists of all jobs for operators: status documents page by page, and the numbers of all.
//!
//! Part of the dispatcher's loop, which is blocked meanwhile: documents are made only for the jobs
//! on the page.

use crate::dispatcher::state::State;
use crate::dispatcher::status::{Numbers, Status};
use std::cmp::Reverse;

/// A section of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// Jobs before this page.
    pub offset: usize,
    /// Maximum number of jobs on the page.
    pub limit: usize,
}

/// The jobs on a page, newest first.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Number of jobs on all pages.
    pub total: usize,
    /// The jobs on this page.
    pub jobs: Vec<Status>,
}

impl State {
    pub(crate) fn list(&self, page: Page) -> Listing {
        let mut all: Vec<_> = self.jobs.iter().map(|job| (job.created_at, job.id)).collect();
        all.sort_unstable_by_key(|one| Reverse(*one));
        let on_page = all.iter().skip(page.offset).take(page.limit);
        Listing { total: all.len(), jobs: on_page.filter_map(|(_, id)| self.status(*id)).collect() }
    }

    pub(crate) fn numbers(&self) -> Vec<Numbers> {
        let running = self.scheduler.running();
        let live = |id| running.get(id).map(|running| running.live.borrow());
        self.jobs.iter().map(|job| Numbers::of(job, live(job.id).as_deref())).collect()
    }
}
