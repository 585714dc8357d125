//! One attempt of a job: prepares its files, waits for its worker, decides the verdict and
//! publishes the artefacts.
//!
//! Runs as a task of its own, started by `scheduler`. It shares no state with the dispatcher: its
//! input is passed by value, its result is returned as a [`FinishedAttempt`].

use crate::dispatcher::RunningAttempt;
use crate::dispatcher::deletion_retry::retry_until_done;
use crate::policy::job::{AttemptRecord, JobId};
use crate::policy::verdict::{Decision, History, Verdict, decide};
use crate::runner::attempt::exit_report::{ExitEvidence, ExitReport};
use crate::runner::attempt::origin::Origin;
use crate::runner::attempt::{Assignment, Live};
use crate::runner::containment::cage::CageBackend;
use crate::store::{ArtefactStore, AttemptFolder, Outcome, StateError, blocking};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::formats::Formats;
use bodyscript_protocol::message::JobParameters;
use bodyscript_protocol::session::Phase;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use tokio::join;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Pause between two tries to share results.
const SHARE_PAUSE: Duration = Duration::from_secs(2);

/// The input of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptPlan {
    pub(crate) job: JobId,
    pub(crate) number: u32,
    /// The number of this start of the job, under which its results are shared.
    pub(crate) claim: u32,
    /// Cancelled when the results are not to be kept until they can be shared.
    pub(crate) give_up: CancellationToken,
    pub(crate) origin: Origin,
    pub(crate) parameters: JobParameters,
    pub(crate) memory_bytes_max: u64,
    pub(crate) results_bytes_max: u64,
    pub(crate) history: History,
}

/// The worker that runs the attempt.
pub(crate) struct WorkerHandle {
    pub(crate) assignment: oneshot::Sender<Assignment>,
    pub(crate) live: watch::Receiver<Live>,
    /// Runs until the worker is reaped. The process is spawned when this is first polled.
    pub(crate) attempt: RunningAttempt,
    /// Whether its process was started before there was a job for it.
    pub(crate) is_standby: bool,
}

/// The result of an attempt.
#[derive(Debug)]
pub(crate) struct FinishedAttempt {
    pub(crate) decision: Decision,
    pub(crate) exit_report: ExitReport,
}

/// Runs one attempt: sends the assignment to the worker and waits for its exit.
pub(crate) async fn run(
    store: ArtefactStore,
    plan: AttemptPlan,
    worker: WorkerHandle,
) -> FinishedAttempt {
    let WorkerHandle { assignment, live, attempt, is_standby } = worker;
    let job = plan.job;
    let discard = {
        let (store, number) = (store.clone(), plan.number);
        move || {
            let store = store.clone();
            async move { store.discard_attempt(job, number).await }
        }
    };
    let formats = plan.parameters.options.formats;
    let (folder, video, artefacts) = match prepare(&store, (job, plan.number), formats).await {
        Ok(prepared) => prepared,
        Err(error) => {
            drop(assignment);
            if is_standby {
                // The memory of the worker may be reserved again once this returns.
                attempt.await;
            }
            if error.is_disk_full() {
                store.folder().report_refused_write();
            }
            retry_until_done(job, discard).await;
            return preparation_failed(&plan, &error);
        }
    };
    // If the worker has exited, its exit report gives the reason.
    let _ = assignment.send(Assignment {
        job: job.to_string(),
        number: plan.number,
        origin: plan.origin.clone(),
        video,
        artefacts,
        parameters: plan.parameters,
        results_bytes_max: plan.results_bytes_max,
    });
    let folder = Arc::new(folder);
    let (exit_report, synced) = join!(attempt, sync_early(Arc::clone(&folder), live));
    let decision = decide(&exit_report, &plan.history);
    let Some(outcome) = outcome(&exit_report, &decision, plan.claim) else {
        retry_until_done(job, discard).await;
        return FinishedAttempt { decision, exit_report };
    };
    let published = match synced {
        Ok(()) => publish(&store, &plan, folder, outcome.to_bytes()).await,
        Err(error) => Err(error),
    };
    let decision = match published {
        Err(error) => {
            tracing::error!(%job, %error, "cannot publish the results");
            if error.is_disk_full() {
                store.folder().report_refused_write();
            }
            retry_until_done(job, discard).await;
            // Only a stop ends the wait for the shared store.
            if error.is_of_shared_store() { not_shared() } else { output_failed() }
        }
        Ok(()) => decision,
    };
    FinishedAttempt { decision, exit_report }
}

/// Syncs the artefacts to the disk as soon as the worker has sent its last message, in parallel
/// with its exit and the removal of its cage.
async fn sync_early(
    folder: Arc<AttemptFolder>,
    mut live: watch::Receiver<Live>,
) -> Result<(), StateError> {
    // An error means that the worker has been reaped without a last message.
    match live.wait_for(|live| live.phase == Phase::Ended).await.map(drop) {
        Ok(()) => blocking(move || folder.sync_artefacts()).await,
        Err(_) => Ok(()),
    }
}

/// The outcome to publish with the artefacts, if the attempt succeeded.
fn outcome(exit_report: &ExitReport, decision: &Decision, claim: u32) -> Option<Outcome> {
    let summary = exit_report.summary().filter(|_| decision.verdict == Verdict::Succeed)?;
    let ExitEvidence { facts, sandbox, .. } = exit_report.evidence.clone();
    Some(Outcome { attempt: AttemptRecord::of(exit_report), claim, summary, facts, sandbox })
}

type Prepared = (AttemptFolder, File, Vec<(Artefact, File)>);

async fn prepare(
    store: &ArtefactStore,
    (job, number): (JobId, u32),
    formats: Formats,
) -> Result<Prepared, StateError> {
    store.fetch_upload(job).await?;
    let folder = store.folder().clone();
    blocking(move || {
        let video = folder.open_upload(job)?;
        let (folder, artefacts) = folder.begin_attempt(job, number, formats)?;
        Ok((folder, video, artefacts))
    })
    .await
}

/// Shares the results, if there is a shared store, and publishes them in the state folder. While the shared store does
/// not answer, the results are kept.
async fn publish(
    store: &ArtefactStore,
    plan: &AttemptPlan,
    folder: Arc<AttemptFolder>,
    outcome: Vec<u8>,
) -> Result<(), StateError> {
    let folder = blocking(move || folder.write_outcome(&outcome).map(|()| folder)).await?;
    while let Err(error) = store.share_results((plan.job, plan.claim), &folder).await {
        tracing::warn!(job = %plan.job, %error, "the results are kept until they can be shared");
        tokio::select! {
            () = plan.give_up.cancelled() => return Err(error),
            () = sleep(SHARE_PAUSE) => {}
        }
    }
    blocking(move || folder.publish()).await
}

/// The result of an attempt whose files could not be opened. It counts as a failed spawn, but an
/// error that may pass never fails the job: the job is requeued.
fn preparation_failed(plan: &AttemptPlan, error: &StateError) -> FinishedAttempt {
    tracing::error!(job = %plan.job, %error, "cannot start an attempt");
    let is_last = !error.may_pass()
        && plan.history.spawn_failures + 1 >= crate::policy::verdict::SPAWN_FAILURES_MAX;
    let decision = if is_last {
        output_failed()
    } else {
        Decision {
            verdict: Verdict::Requeue,
            error_code: None,
            sentence: "The service cannot open the files of the job.".into(),
        }
    };
    let evidence = ExitEvidence {
        spawn_error: Some(error.to_string()),
        ..ExitEvidence::blank(CageBackend::Rlimit, plan.memory_bytes_max)
    };
    FinishedAttempt { decision, exit_report: ExitReport::from_evidence(evidence) }
}

/// The decision on results that were not shared before the service stopped, or the job was cancelled.
fn not_shared() -> Decision {
    Decision {
        verdict: Verdict::Requeue,
        error_code: None,
        sentence: "The service stopped before it could share the results.".into(),
    }
}

fn output_failed() -> Decision {
    Decision {
        verdict: Verdict::Fail,
        error_code: Some("output_failed"),
        sentence: "The service could not write the results to its disk. Try again later.".into(),
    }
}
