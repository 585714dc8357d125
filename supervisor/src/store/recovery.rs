//! What a start makes of what an earlier run left: the journal's word is held against the files.
//!
//! Called by `run`, once, before it serves. No accepted job is dropped: it is done, waits again,
//! or failed with a reason. Of what no job claims, results that nobody knows are set aside, and
//! the rest is swept. The worker processes and control groups of a dead supervisor are `worker`'s
//! to sweep, when the factory opens.

use crate::policy::job::{Job, JobError, JobEvent, JobId, JobState};
use crate::store::artefacts::StateDir;
use crate::store::clock::{self, Clock};
use crate::store::error::StateError;
use crate::store::failpoint;
use crate::store::journal::{Entry, JobRow, Journal, Past, What};
use crate::store::outcome::Outcome;
use crate::store::retention::{Claims, sweep_orphans};
use crate::store::set_aside::{SetAside, SetAsideTotals, set_aside_unknown};
use std::collections::HashSet;

/// What the dispatcher starts with.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Where to remember.
    pub journal: Journal,
    /// By what time.
    pub clock: Clock,
    /// The jobs, in the order in which they were accepted.
    pub jobs: Vec<JobRow>,
    /// How often a content ended its workers, oldest first.
    pub poison: Vec<(String, u32)>,
    /// The jobs whose video is there.
    pub uploads: HashSet<JobId>,
}

/// What is there of one job.
#[derive(Debug, Default)]
struct Found {
    upload: bool,
    results: bool,
    outcome: Option<Outcome>,
}

/// What becomes of one job.
#[derive(Debug, PartialEq)]
enum Resolution {
    /// It is as the journal says.
    Stays,
    /// It was published, which the journal does not know yet.
    IsDone(Outcome),
    /// An attempt was under way.
    WaitsAgain,
    /// Its video is gone, which only somebody else's hand in the folder can have done.
    HasNoVideo,
    /// Its results are gone, likewise.
    HasNoResults,
}

impl Recovered {
    /// Nothing: for a program that ends with its jobs.
    pub(crate) fn nothing() -> Self {
        let Past { journal, clock, jobs, poison, .. } = Past::none();
        Self { journal, clock, jobs, poison, uploads: HashSet::new() }
    }

    /// Brings journal and files together, and removes what belongs to no job.
    ///
    /// # Errors
    /// When the state folder cannot be read or cleaned: the operator's to mend.
    pub(crate) fn from(past: Past, state: &StateDir) -> Result<Self, StateError> {
        let Past { journal, clock, jobs, poison, removed, lost } = past;
        if let Some((cause, aside)) = lost {
            tell(&cause.to_string(), &aside);
        }
        let mut known = removed;
        known.extend(jobs.iter().map(|row| row.job.id));
        let uploads = state.ids_of_uploads()?;
        let results = state.ids_of_results()?;
        let jobs: Vec<_> = jobs
            .into_iter()
            .filter_map(|row| {
                let id = row.job.id;
                let found = look(state, &row.job, (&uploads, &results));
                settle(row, found, &journal, &clock).or_else(|| {
                    let why = "its results were gone at a start";
                    tracing::error!(job = %id, "forgotten: {why}");
                    journal.note(Entry::Removed { job: id, what: What::Job, why });
                    None
                })
            })
            .collect();
        failpoint::reach("recovery_settled");
        // Results of a job that the journal neither has nor removed are nobody's to delete.
        if let Some(aside) =
            set_aside_unknown(state.root(), &["results"], |id| known.contains(&id))?
        {
            tell("results without an entry in the journal", &aside);
        }
        if let Some(SetAsideTotals { starts, bytes }) = SetAsideTotals::of(state.root()) {
            tracing::warn!(
                starts,
                bytes,
                "files set aside earlier take up disk space; see the runbook"
            );
        }
        let swept = sweep_orphans(state, &claims(&jobs))?;
        failpoint::reach("recovery_swept");
        tracing::info!(jobs = jobs.len(), swept, "recovered");
        Ok(Self { journal, clock, jobs, poison, uploads })
    }
}

fn tell(cause: &str, aside: &SetAside) {
    tracing::error!(
        cause,
        folder = %aside.folder().display(),
        moved = %aside,
        bytes = aside.bytes(),
        "the journal was lost, completely or in part: files that only it could explain are set \
         aside; nothing was deleted; see the runbook to restore or remove them"
    );
}

fn look(state: &StateDir, job: &Job, places: (&HashSet<JobId>, &HashSet<JobId>)) -> Found {
    let (uploads, results) = places;
    let mut found = Found {
        upload: uploads.contains(&job.id),
        results: results.contains(&job.id),
        outcome: None,
    };
    if found.results && !job.state().is_final() {
        found.outcome = state.outcome(job.id).and_then(|bytes| Outcome::from_bytes(&bytes));
    }
    found
}

fn resolution(state: &JobState, found: Found) -> Resolution {
    match state {
        JobState::Completed { .. } if !found.results => Resolution::HasNoResults,
        state if state.is_final() => Resolution::Stays,
        state => match (found.outcome, state) {
            (Some(outcome), _) => Resolution::IsDone(outcome),
            (None, _) if !found.upload => Resolution::HasNoVideo,
            (None, JobState::Processing { .. }) => Resolution::WaitsAgain,
            (None, _) => Resolution::Stays,
        },
    }
}

/// The job as it goes on; nothing if it does not.
fn settle(
    JobRow { mut job, ended }: JobRow,
    found: Found,
    journal: &Journal,
    clock: &Clock,
) -> Option<JobRow> {
    let events = match resolution(job.state(), found) {
        Resolution::Stays => return Some(JobRow { job, ended }),
        Resolution::HasNoResults => return None,
        Resolution::HasNoVideo => vec![JobEvent::Failed(JobError {
            code: "upload_lost".into(),
            sentence: "The service lost the video. Upload it again.".into(),
        })],
        Resolution::WaitsAgain => vec![requeued(job.state())],
        Resolution::IsDone(outcome) => {
            job.record(outcome.record());
            job.facts = outcome.facts;
            job.sandbox = outcome.sandbox;
            let started =
                matches!(job.state(), JobState::Pending { .. }).then_some(JobEvent::Started);
            started.into_iter().chain([JobEvent::Completed(outcome.summary)]).collect()
        }
    };
    for event in events {
        if let Err(error) = job.apply(event, clock::wall()) {
            tracing::error!(job = %job.id, %error, "a fault in the recovery");
        }
    }
    let state = job.state();
    tracing::info!(
        job = %job.id,
        state = state.name(),
        request_id = job.origin.request_id(),
        trace_id = job.origin.trace_id(),
        "recovered"
    );
    let ended = state.is_final().then(|| clock.now());
    let row = JobRow { job, ended };
    journal.note(Entry::Job(Box::new(row.clone())));
    Some(row)
}

fn requeued(state: &JobState) -> JobEvent {
    let memory_bytes_max = match state {
        JobState::Pending { memory_bytes_max, .. }
        | JobState::Processing { memory_bytes_max, .. } => *memory_bytes_max,
        _ => 0,
    };
    let reason = "The service restarted.".into();
    JobEvent::Requeued { memory_bytes_max, reason }
}

fn claims(jobs: &[JobRow]) -> Claims {
    let ids = |wanted: fn(&JobState) -> bool| {
        jobs.iter().filter(|one| wanted(one.job.state())).map(|one| one.job.id).collect()
    };
    Claims {
        // Of a failed job as well: an operator may have it tried again.
        uploads: ids(|state| !state.is_final() || matches!(state, JobState::Failed { .. })),
        results: ids(|state| matches!(state, JobState::Completed { .. })),
    }
}
