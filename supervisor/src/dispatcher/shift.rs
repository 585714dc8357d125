//! One attempt as the dispatcher sees it: its files, its run, its verdict, its artefacts.
//!
//! Runs as a task of its own, started by `turn`. It touches no state of the dispatcher: what it
//! needs comes in by value, what it found goes back as an [`Ending`].

use super::RunningAttempt;
use super::removal::insist;
use crate::artefacts::{AttemptFolder, StateDir, StateError};
use crate::attempt::{Live, Order};
use crate::job::{AttemptRecord, JobId};
use crate::origin::Origin;
use crate::outcome::Outcome;
use crate::verdict::{Decision, History, Verdict, decide, in_earnest};
use crate::worker::obituary::{End, Obituary};
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

/// What an attempt needs to know.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) job: JobId,
    pub(super) number: u32,
    pub(super) origin: Origin,
    pub(super) options: Options,
    pub(super) media: MediaLimits,
    pub(super) threads: NonZeroU32,
    pub(super) memory_bytes_max: u64,
    pub(super) history: History,
}

/// The worker that is to carry it out.
pub(super) struct Hired {
    pub(super) order: oneshot::Sender<Order>,
    pub(super) live: watch::Receiver<Live>,
    pub(super) attempt: RunningAttempt,
    /// Whether it lives already.
    pub(super) is_standby: bool,
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) decision: Decision,
    pub(super) record: AttemptRecord,
    pub(super) end: End,
    pub(super) wall: Duration,
    pub(super) summary: Option<Summary>,
    pub(super) facts: Option<VideoFacts>,
    pub(super) sandbox: Option<SandboxReport>,
}

/// Sees one attempt through: gives the order, and waits for what comes of it.
pub(super) async fn work(state: StateDir, plan: Plan, hired: Hired) -> Ending {
    let Hired { order, live, attempt, is_standby } = hired;
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
            drop(order);
            if is_standby {
                // Its memory is promised anew when this returns.
                attempt.await;
            }
            if error.is_disk_full() {
                state.doubt();
            }
            insist(job, discard).await;
            return unprepared(&plan, &error);
        }
    };
    // A worker that is gone already tells in its obituary why.
    let _ = order.send(Order {
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
    let (obituary, synced) = join!(attempt, sync_early(Arc::clone(&folder), live));
    let obituary = in_earnest(obituary, &plan.history);
    let decision = decide(&obituary, &plan.history);
    let outcome = outcome(&obituary, &decision);
    let Some(outcome) = outcome else {
        insist(job, discard).await;
        return ending(obituary, decision);
    };
    let publish = move || synced.and_then(|()| folder.publish(&outcome.to_bytes()));
    let decision = match blocking(publish).await {
        Err(error) => {
            tracing::error!(%job, %error, "the results cannot be published");
            if error.is_disk_full() {
                state.doubt();
            }
            insist(job, discard).await;
            unwritten()
        }
        Ok(()) => decision,
    };
    ending(obituary, decision)
}

/// Puts the artefacts on the disk once the worker has said its last word: its exit and its cage take
/// as long as the disk does.
async fn sync_early(
    folder: Arc<AttemptFolder>,
    mut live: watch::Receiver<Live>,
) -> Result<(), StateError> {
    // An error means that nothing is left of the worker.
    match live.wait_for(|live| live.phase == Phase::Ended).await.map(drop) {
        Ok(()) => blocking(move || folder.sync_artefacts()).await,
        Err(_) => Ok(()),
    }
}

/// How the attempt went, if its artefacts are to be published.
fn outcome(obituary: &Obituary, decision: &Decision) -> Option<Outcome> {
    let summary = obituary.summary.filter(|_| decision.verdict == Verdict::Succeed)?;
    let record = AttemptRecord::of(obituary);
    Some(Outcome::new(&record, summary, obituary.facts.clone(), obituary.sandbox.clone()))
}

fn ending(obituary: Obituary, decision: Decision) -> Ending {
    Ending {
        decision,
        record: AttemptRecord::of(&obituary),
        end: obituary.end,
        wall: obituary.wall,
        summary: obituary.summary,
        facts: obituary.facts,
        sandbox: obituary.sandbox,
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

/// No worker was started: the disk or the descriptors did not allow it. Counts as one that could
/// not be spawned, but that a job waits as long as it must for what is no fault of its own.
fn unprepared(plan: &Plan, error: &StateError) -> Ending {
    tracing::error!(job = %plan.job, %error, "an attempt cannot begin");
    let is_last =
        !error.may_pass() && plan.history.spawn_failures + 1 >= crate::verdict::SPAWN_FAILURES_MAX;
    let decision = if is_last {
        unwritten()
    } else {
        Decision {
            verdict: Verdict::Requeue,
            error_code: None,
            sentence: "The service cannot open the files of the job; it waits for its next turn."
                .into(),
        }
    };
    Ending {
        decision,
        record: AttemptRecord {
            cap_bytes: plan.memory_bytes_max,
            peak_bytes: 0,
            wall_ms: 0,
            cpu_ms: 0,
            end: End::SpawnFailed.name(),
            is_counted: false,
        },
        end: End::SpawnFailed,
        wall: Duration::ZERO,
        summary: None,
        facts: None,
        sandbox: None,
    }
}

fn unwritten() -> Decision {
    Decision {
        verdict: Verdict::Fail,
        error_code: Some("output_failed"),
        sentence: "The service could not write the results to its disk; try again later.".into(),
    }
}

/// Runs file system calls where they stall nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
