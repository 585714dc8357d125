//! Reconciles the journal of an earlier run with the files, at a start.
//!
//! Called by `service` once, before it serves. No accepted job is dropped: it is completed, queued
//! again, or failed with a reason. Files that no job claims are removed, except results of unknown
//! jobs, which are set aside. The worker processes and cgroups of a dead supervisor are removed by
//! `WorkerFactory::open`.

use crate::policy::host::HostId;
use crate::policy::job::{Job, JobError, JobEvent, JobId, JobState};
use crate::store::artefact_store::ArtefactStore;
use crate::store::artefacts::StateDir;
use crate::store::clock::{self, Clock};
use crate::store::error::StateError;
use crate::store::failpoint;
use crate::store::journal::{
    JobRow, Journal, JournalEntry, JournalEvent, OpenedJournal, RemovedPart,
};
use crate::store::outcome::Outcome;
use crate::store::retention::{Claims, sweep_orphans};
use crate::store::set_aside::{SetAside, SetAsideTotals, set_aside_unknown};
use std::collections::HashSet;
use tokio::sync::mpsc::UnboundedReceiver;

/// The state with which the dispatcher starts.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The journal of this run.
    pub journal: Journal,
    /// The service's clock.
    pub clock: Clock,
    /// All jobs, in the order of acceptance.
    pub jobs: Vec<JobRow>,
    /// Contents with fatal ends and their number, oldest first.
    pub poison: Vec<(String, u32)>,
    /// The jobs whose video exists.
    pub uploads: HashSet<JobId>,
    /// This run of the service, among those that share the journal.
    pub host: HostId,
    /// What other hosts change.
    pub events: UnboundedReceiver<JournalEvent>,
}

/// The files of one job.
#[derive(Debug, Default)]
struct Found {
    upload: bool,
    results: bool,
    outcome: Option<Outcome>,
}

/// The change to one job.
#[derive(Debug, PartialEq)]
enum Resolution {
    /// None: the journal is right.
    Unchanged,
    /// Its results are published, which the journal does not know yet.
    Completed(Box<Outcome>),
    /// An attempt was running.
    Requeued,
    /// Its video is missing, which only a change by another program explains.
    UploadMissing,
    /// Its results are missing, likewise.
    ResultsMissing,
}

impl Recovered {
    /// Nothing: for a program that exits with its jobs.
    pub(crate) fn nothing() -> Self {
        let past = OpenedJournal::without_journal();
        let OpenedJournal { journal, clock, jobs, poison, host, events, .. } = past;
        Self { journal, clock, jobs, poison, uploads: HashSet::new(), host, events }
    }

    /// Reconciles journal and files, and removes files that belong to no job.
    ///
    /// # Errors
    /// If the state folder cannot be read or cleaned; an operator has to solve it.
    pub(crate) fn from(past: OpenedJournal, store: &ArtefactStore) -> Result<Self, StateError> {
        let state = store.folder();
        if past.journal.is_shared() {
            return Self::from_shared(past, state);
        }
        let OpenedJournal { journal, clock, jobs, poison, removed, lost, host, events, .. } = past;
        if let Some((cause, aside)) = lost {
            log_set_aside(&cause.to_string(), &aside);
        }
        let mut known = removed;
        known.extend(jobs.iter().map(|row| row.job.id));
        let uploads = state.ids_of_uploads()?;
        let results = state.ids_of_results()?;
        let jobs: Vec<_> = jobs
            .into_iter()
            .filter_map(|row| {
                let id = row.job.id;
                let mut found = find_files(state, &row.job, (&uploads, &results));
                // What is not in the state folder is fetched when it is needed.
                if store.is_shared() {
                    found.upload = true;
                    found.results |= matches!(row.job.state(), JobState::Completed { .. });
                }
                resolve(row, found, &journal, &clock).or_else(|| {
                    let why = "its results were gone at a start";
                    tracing::error!(job = %id, "removed: {why}");
                    let part = RemovedPart::Job;
                    journal.append(JournalEntry::Removed { job: id, part, why, known: None });
                    None
                })
            })
            .collect();
        failpoint::reach("recovery_settled");
        // Results of a job that the journal neither contains nor has removed are never deleted.
        if let Some(aside) =
            set_aside_unknown(state.root(), &["results"], |id| known.contains(&id))?
        {
            log_set_aside("results without an entry in the journal", &aside);
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
        Ok(Self { journal, clock, jobs, poison, uploads, host, events })
    }

    /// The jobs of all hosts. Their files are in the shared store, and the state folder has copies only; a job that this
    /// host processed is queued again like that of any lost host.
    fn from_shared(past: OpenedJournal, state: &StateDir) -> Result<Self, StateError> {
        let OpenedJournal { journal, clock, jobs, poison, host, events, .. } = past;
        let kept = Claims { uploads: HashSet::new(), ..claims(&jobs) };
        let swept = sweep_orphans(state, &kept)?;
        tracing::info!(jobs = jobs.len(), swept, "recovered");
        Ok(Self { journal, clock, jobs, poison, uploads: HashSet::new(), host, events })
    }
}

fn log_set_aside(cause: &str, aside: &SetAside) {
    tracing::error!(
        cause,
        folder = %aside.folder().display(),
        moved = %aside,
        bytes = aside.bytes(),
        "the journal was lost, completely or in part: files that only it could explain are set \
         aside; nothing was deleted; see the runbook to restore or remove them"
    );
}

fn find_files(state: &StateDir, job: &Job, places: (&HashSet<JobId>, &HashSet<JobId>)) -> Found {
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
        JobState::Completed { .. } if !found.results => Resolution::ResultsMissing,
        state if state.is_final() => Resolution::Unchanged,
        state => match (found.outcome, state) {
            (Some(outcome), _) => Resolution::Completed(Box::new(outcome)),
            (None, _) if !found.upload => Resolution::UploadMissing,
            (None, JobState::Processing { .. }) => Resolution::Requeued,
            (None, _) => Resolution::Unchanged,
        },
    }
}

/// Applies the change to the job; none if the job is to be removed.
fn resolve(
    JobRow { mut job, ended }: JobRow,
    found: Found,
    journal: &Journal,
    clock: &Clock,
) -> Option<JobRow> {
    let mut claim = None;
    let events = match resolution(job.state(), found) {
        Resolution::Unchanged => return Some(JobRow { job, ended }),
        Resolution::ResultsMissing => return None,
        Resolution::UploadMissing => vec![JobEvent::Failed(JobError {
            code: "upload_lost".into(),
            sentence: "The service lost the video. Upload it again.".into(),
        })],
        Resolution::Requeued => vec![requeued(job.state())],
        Resolution::Completed(outcome) => {
            job.record(outcome.attempt, outcome.facts, outcome.sandbox);
            let started =
                matches!(job.state(), JobState::Pending { .. }).then_some(JobEvent::Started);
            claim = Some(outcome.claim);
            started.into_iter().chain([JobEvent::Completed(outcome.summary)]).collect()
        }
    };
    for event in events {
        if let Err(error) = job.apply(event, clock::wall()) {
            tracing::error!(job = %job.id, %error, "recovery applied an illegal change");
        }
    }
    job.claims = claim.unwrap_or(job.claims);
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
    journal.append(JournalEntry::Job(Box::new(row.clone())));
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
        // Of failed jobs as well: an operator may retry them.
        uploads: ids(|state| !state.is_final() || matches!(state, JobState::Failed { .. })),
        results: ids(|state| matches!(state, JobState::Completed { .. })),
    }
}
