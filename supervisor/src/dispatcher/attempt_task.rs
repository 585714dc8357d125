//! One attempt of a job: prepares its files, waits for its worker, decides the verdict and
//! publishes the artefacts.
//!
//! Runs as a task of its own, started by `scheduler`. It shares no state with the dispatcher: its
//! input is passed by value, its result is returned as an [`AttemptResult`].
//!
//! In a journal that hosts share, the attempt begins once the journal has its start, and its results are published in
//! the state folder once the journal has its end ([`crate::dispatcher::settlement`]).

use crate::dispatcher::RunningAttempt;
use crate::dispatcher::deletion_retry::retry_until_done;
use crate::dispatcher::pose_sharing;
use crate::policy::job::{AttemptRecord, JobId};
use crate::policy::verdict::{Decision, History, Verdict, decide};
use crate::runner::attempt::exit_report::{Cause, ExitEvidence, ExitReport, Stop};
use crate::runner::attempt::origin::Origin;
use crate::runner::attempt::{Assignment, Live, PoseLog};
use crate::runner::containment::cage::CageBackend;
use crate::store::{ArtefactStore, AttemptFolder, JournalError, Outcome, StateError, blocking};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::JobParameters;
use bodyscript_protocol::options::Options;
use bodyscript_protocol::session::Phase;
use std::fs::File;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
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
    /// The number of this start of the job, after which its folder is named and under which its results are shared.
    pub(crate) claim: u32,
    /// Cancelled when the results are not to be kept until they can be shared.
    pub(crate) give_up: CancellationToken,
    pub(crate) origin: Origin,
    pub(crate) parameters: JobParameters,
    pub(crate) memory_bytes_max: u64,
    pub(crate) results_bytes_max: u64,
    /// Filled once there is a file for its poses.
    pub(crate) poses: Arc<OnceLock<PoseLog>>,
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

/// Resolves once a shared journal has the start of the attempt, or has refused it.
pub(crate) type Start = Pin<Box<dyn Future<Output = Result<(), Arc<JournalError>>> + Send>>;

/// The result of an attempt.
#[derive(Debug)]
pub(crate) enum AttemptResult {
    /// It has ended.
    Finished(Box<FinishedAttempt>),
    /// It has not begun: the journal has refused it.
    Refused(Arc<JournalError>),
}

/// An attempt that has ended.
#[derive(Debug)]
pub(crate) struct FinishedAttempt {
    pub(crate) decision: Decision,
    pub(crate) exit_report: ExitReport,
    /// Whether a shared journal had its start. If not, another host may have the same number of a claim.
    pub(crate) has_claim: bool,
    /// Results that are shared and wait for the journal.
    pub(crate) shared: Option<Arc<AttemptFolder>>,
}

impl FinishedAttempt {
    fn without_results(decision: Decision, exit_report: ExitReport) -> AttemptResult {
        let finished = Self { decision, exit_report, has_claim: true, shared: None };
        AttemptResult::Finished(Box::new(finished))
    }
}

/// Runs one attempt: sends the assignment to the worker and waits for its exit.
pub(crate) async fn run(
    store: ArtefactStore,
    plan: AttemptPlan,
    worker: WorkerHandle,
    start: Option<Start>,
) -> AttemptResult {
    let is_shared = start.is_some();
    if let Some(start) = start
        && let Err(refused) = await_start(start, &plan).await
    {
        release(worker).await;
        return refused;
    }
    let WorkerHandle { assignment, live, attempt, is_standby } = worker;
    let job = plan.job;
    let (files, claim) = (store.clone(), plan.claim);
    let discard = move || {
        let files = files.clone();
        async move { files.discard_attempt(job, claim).await }
    };
    let prepared = match prepare(&store, (job, claim), plan.parameters.options).await {
        Ok(prepared) => prepared,
        Err(error) => {
            release(WorkerHandle { assignment, live, attempt, is_standby }).await;
            if error.is_disk_full() {
                store.folder().report_refused_write();
            }
            retry_until_done(job, discard).await;
            let is_lost = error.is_missing(&store.folder().upload(job));
            return preparation_failed(&plan, &error, is_lost);
        }
    };
    // An attempt is prepared once.
    let _ = plan.poses.set(prepared.poses.clone());
    if is_shared {
        tokio::spawn(pose_sharing::share(store.clone(), (job, claim), prepared.poses.clone()));
    }
    let (folder, assigned) = prepared.into_assignment(&plan);
    // If the worker has exited, its exit report gives the reason.
    let _ = assignment.send(assigned);
    let folder = Arc::new(folder);
    let (exit_report, synced) = join!(attempt, sync_early(Arc::clone(&folder), live));
    let decision = decide(&exit_report, &plan.history);
    let Some(outcome) = outcome(&exit_report, &decision, plan.claim) else {
        retry_until_done(job, discard).await;
        return FinishedAttempt::without_results(decision, exit_report);
    };
    let published = match synced {
        Ok(()) => publish(&store, &plan, folder, outcome.to_bytes(), is_shared).await,
        Err(error) => Err(error),
    };
    match published {
        Ok(shared) => {
            let finished = FinishedAttempt { decision, exit_report, has_claim: true, shared };
            AttemptResult::Finished(Box::new(finished))
        }
        Err(error) => {
            tracing::error!(%job, %error, "cannot publish the results");
            if error.is_disk_full() {
                store.folder().report_refused_write();
            }
            retry_until_done(job, discard).await;
            FinishedAttempt::without_results(unpublished(&error), exit_report)
        }
    }
}

/// Waits until a shared journal has the start of the attempt.
async fn await_start(start: Start, plan: &AttemptPlan) -> Result<(), AttemptResult> {
    tokio::select! {
        started = start => started.map_err(AttemptResult::Refused),
        () = plan.give_up.cancelled() => Err(stopped_before_start(plan)),
    }
}

/// Lets a worker exit that gets no job.
async fn release(WorkerHandle { assignment, attempt, is_standby, .. }: WorkerHandle) {
    drop(assignment);
    if is_standby {
        // The memory of the worker may be reserved again once this returns.
        attempt.await;
    }
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

/// The files of an attempt.
struct Prepared {
    folder: AttemptFolder,
    video: File,
    artefacts: Vec<(Artefact, File)>,
    recording: Option<File>,
    poses: PoseLog,
}

impl Prepared {
    /// The folder, and what the worker is given.
    fn into_assignment(self, plan: &AttemptPlan) -> (AttemptFolder, Assignment) {
        let Self { folder, video, artefacts, recording, poses } = self;
        let assignment = Assignment {
            job: plan.job.to_string(),
            number: plan.number,
            origin: plan.origin.clone(),
            video,
            artefacts,
            recording,
            parameters: plan.parameters,
            results_bytes_max: plan.results_bytes_max,
            poses: Some(poses),
        };
        (folder, assignment)
    }
}

async fn prepare(
    store: &ArtefactStore,
    (job, claim): (JobId, u32),
    options: Options,
) -> Result<Prepared, StateError> {
    store.fetch_upload(job).await?;
    let folder = store.folder().clone();
    blocking(move || {
        let video = folder.open_upload(job)?;
        let (folder, artefacts) = folder.begin_attempt(job, claim, options.formats)?;
        let recording = options.is_recorded().then(|| folder.create_unnamed()).transpose()?;
        let poses = PoseLog::new(folder.create_unnamed()?);
        Ok(Prepared { folder, video, artefacts, recording, poses })
    })
    .await
}

/// Shares the results, if there is a shared store, and publishes them in the state folder; in a shared journal that
/// comes later, and the folder is returned. While the store does not answer, the results are kept.
async fn publish(
    store: &ArtefactStore,
    plan: &AttemptPlan,
    folder: Arc<AttemptFolder>,
    outcome: Vec<u8>,
    is_shared: bool,
) -> Result<Option<Arc<AttemptFolder>>, StateError> {
    let folder = blocking(move || folder.write_outcome(&outcome).map(|()| folder)).await?;
    while let Err(error) = store.share_results((plan.job, plan.claim), &folder).await {
        if !error.is_of_shared_store() {
            return Err(error);
        }
        tracing::warn!(job = %plan.job, %error, "the results are kept until they can be shared");
        tokio::select! {
            () = plan.give_up.cancelled() => return Err(error),
            () = sleep(SHARE_PAUSE) => {}
        }
    }
    if is_shared {
        return Ok(Some(folder));
    }
    blocking(move || folder.publish()).await.map(|()| None)
}

/// The result of an attempt that was stopped before the journal had its start.
fn stopped_before_start(plan: &AttemptPlan) -> AttemptResult {
    let evidence = ExitEvidence {
        cause: Some(Cause::Stop(Stop::Shutdown)),
        ..ExitEvidence::blank(CageBackend::Rlimit, plan.memory_bytes_max)
    };
    let exit_report = ExitReport::from_evidence(evidence);
    let decision = decide(&exit_report, &plan.history);
    let finished = FinishedAttempt { decision, exit_report, has_claim: false, shared: None };
    AttemptResult::Finished(Box::new(finished))
}

/// The result of an attempt whose files could not be opened. It counts as a failed spawn, but an
/// error that may pass never fails the job: the job is requeued.
fn preparation_failed(plan: &AttemptPlan, error: &StateError, is_lost: bool) -> AttemptResult {
    tracing::error!(job = %plan.job, %error, "cannot start an attempt");
    let is_last = !error.may_pass()
        && plan.history.spawn_failures + 1 >= crate::policy::verdict::SPAWN_FAILURES_MAX;
    let decision = match () {
        () if is_lost => Decision {
            verdict: Verdict::Fail,
            error_code: Some("upload_lost"),
            sentence: "The service lost the video. Upload it again.".into(),
        },
        () if is_last => output_failed(),
        () => Decision {
            verdict: Verdict::Requeue,
            error_code: None,
            sentence: "The service cannot open the files of the job.".into(),
        },
    };
    let evidence = ExitEvidence {
        spawn_error: Some(error.to_string()),
        ..ExitEvidence::blank(CageBackend::Rlimit, plan.memory_bytes_max)
    };
    FinishedAttempt::without_results(decision, ExitReport::from_evidence(evidence))
}

/// The decision on results that cannot be published. Only a stop ends the wait for the shared store.
fn unpublished(error: &StateError) -> Decision {
    if error.is_of_shared_store() { not_shared() } else { output_failed() }
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
