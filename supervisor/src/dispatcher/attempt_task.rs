//! One attempt of a job: prepares its files, waits for its worker, decides the verdict and
//! publishes the artefacts.
//!
//! Runs as a task of its own, started by `scheduler`. It shares no state with the dispatcher: its
//! input is passed by value, its result is returned as a [`FinishedAttempt`].

use crate::dispatcher::RunningAttempt;
use crate::dispatcher::deletion_retry::retry_until_done;
use crate::policy::job::{AttemptRecord, JobId};
use crate::policy::verdict::{Decision, History, Verdict, apply_restart_limit, decide};
use crate::runner::attempt::exit_report::{ExitReason, ExitReport};
use crate::runner::attempt::origin::Origin;
use crate::runner::attempt::{Assignment, Live};
use crate::store::artefacts::{AttemptFolder, StateDir};
use crate::store::error::StateError;
use crate::store::outcome::Outcome;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::formats::Formats;
use bodyscript_protocol::message::{MediaLimits, Summary, VideoFacts};
use bodyscript_protocol::options::Options;
use bodyscript_protocol::sandbox_report::SandboxReport;
use bodyscript_protocol::session::Phase;
use std::fs::File;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::join;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;

/// The input of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptPlan {
    pub(crate) job: JobId,
    pub(crate) number: u32,
    pub(crate) origin: Origin,
    pub(crate) options: Options,
    pub(crate) media: MediaLimits,
    pub(crate) threads: NonZeroU32,
    pub(crate) memory_bytes_max: u64,
    pub(crate) history: History,
}

/// The worker that runs the attempt.
pub(crate) struct AssignedWorker {
    pub(crate) assignment: oneshot::Sender<Assignment>,
    pub(crate) live: watch::Receiver<Live>,
    pub(crate) attempt: RunningAttempt,
    /// Whether its process was started before there was a job for it.
    pub(crate) is_standby: bool,
}

/// The result of an attempt.
#[derive(Debug)]
pub(crate) struct FinishedAttempt {
    pub(crate) decision: Decision,
    pub(crate) record: AttemptRecord,
    pub(crate) end: ExitReason,
    pub(crate) wall: Duration,
    pub(crate) summary: Option<Summary>,
    pub(crate) facts: Option<VideoFacts>,
    pub(crate) sandbox: Option<SandboxReport>,
}

/// Runs one attempt: sends the assignment to the worker and waits for its exit.
pub(crate) async fn run(
    state: StateDir,
    plan: AttemptPlan,
    worker: AssignedWorker,
) -> FinishedAttempt {
    let AssignedWorker { assignment, live, attempt, is_standby } = worker;
    let job = plan.job;
    let prepared = blocking({
        let (state, number, formats) = (state.clone(), plan.number, plan.options.formats);
        move || prepare(&state, (job, number), formats)
    });
    let discard = {
        let (state, number) = (state.clone(), plan.number);
        move || state.discard_attempt(job, number)
    };
    let (folder, video, artefacts) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            drop(assignment);
            if is_standby {
                // The memory of the worker may be reserved again once this returns.
                attempt.await;
            }
            if error.is_disk_full() {
                state.report_refused_write();
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
        options: plan.options,
        media: plan.media,
        threads: plan.threads,
    });
    let folder = Arc::new(folder);
    let (exit_report, synced) = join!(attempt, sync_early(Arc::clone(&folder), live));
    let exit_report = apply_restart_limit(exit_report, &plan.history);
    let decision = decide(&exit_report, &plan.history);
    let outcome = outcome(&exit_report, &decision);
    let Some(outcome) = outcome else {
        retry_until_done(job, discard).await;
        return finished(exit_report, decision);
    };
    let publish = move || synced.and_then(|()| folder.publish(&outcome.to_bytes()));
    let decision = match blocking(publish).await {
        Err(error) => {
            tracing::error!(%job, %error, "cannot publish the results");
            if error.is_disk_full() {
                state.report_refused_write();
            }
            retry_until_done(job, discard).await;
            output_failed()
        }
        Ok(()) => decision,
    };
    finished(exit_report, decision)
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
fn outcome(exit_report: &ExitReport, decision: &Decision) -> Option<Outcome> {
    let summary = exit_report.summary.filter(|_| decision.verdict == Verdict::Succeed)?;
    let record = AttemptRecord::of(exit_report);
    Some(Outcome::new(&record, summary, exit_report.facts.clone(), exit_report.sandbox.clone()))
}

fn finished(exit_report: ExitReport, decision: Decision) -> FinishedAttempt {
    FinishedAttempt {
        decision,
        record: AttemptRecord::of(&exit_report),
        end: exit_report.end,
        wall: exit_report.wall,
        summary: exit_report.summary,
        facts: exit_report.facts,
        sandbox: exit_report.sandbox,
    }
}

type Prepared = (AttemptFolder, File, Vec<(Artefact, File)>);

fn prepare(
    state: &StateDir,
    (job, number): (JobId, u32),
    formats: Formats,
) -> Result<Prepared, StateError> {
    let video = state.open_upload(job)?;
    let (folder, artefacts) = state.begin_attempt(job, number, formats)?;
    Ok((folder, video, artefacts))
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
    FinishedAttempt {
        decision,
        record: AttemptRecord {
            cap_bytes: plan.memory_bytes_max,
            peak_bytes: 0,
            wall_ms: 0,
            cpu_ms: 0,
            end: ExitReason::SpawnFailed.name(),
            is_counted: false,
        },
        end: ExitReason::SpawnFailed,
        wall: Duration::ZERO,
        summary: None,
        facts: None,
        sandbox: None,
    }
}

fn output_failed() -> Decision {
    Decision {
        verdict: Verdict::Fail,
        error_code: Some("output_failed"),
        sentence: "The service could not write the results to its disk. Try again later.".into(),
    }
}

/// Runs blocking file operations on a thread of their own, so that they do not stall the runtime.
async fn blocking<T: Send + 'static>(operation: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(operation).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
