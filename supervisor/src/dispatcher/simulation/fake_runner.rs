//! Runs attempts without processes, in simulated time, and writes down what it is asked to do.

use super::BUDGET_BYTES;
use crate::dispatcher::RunningAttempt;
use crate::runner::attempt::exit_report::{
    Cause, Deadline, ExitEvidence, ExitReason, ExitReport, FinalMessage, ProcessExit, Stop,
};
use crate::runner::attempt::{AttemptChannels, CapReply, CapRequest, WorkerSpec};
use crate::runner::containment::cage::CageBackend;
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::{Failure, Summary};
use bodyscript_protocol::sandbox_report::SandboxReport;
use bodyscript_protocol::session::Phase;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

const SUMMARY: Summary = Summary {
    first_frame: 0,
    frames_decoded: 1,
    frames_processed: 1,
    frames_detected: 1,
    mean_visibility: 1.0,
    track_losses: 0,
    jitter: 0.0,
    people: 1,
    warnings: bodyscript_protocol::warning::Warnings::NONE,
};

/// A job as the runner knows it.
#[derive(Debug, Clone)]
pub(super) struct KnownJob {
    /// The order of its acceptance; a retry by an operator counts as another one.
    pub(super) order: usize,
    pub(super) sha256: String,
    /// Whether its content crashes every worker.
    pub(super) is_deadly: bool,
    /// The memory cap that its content needs, in bytes.
    pub(super) need_bytes: u64,
    /// Whether an attempt was given up until there is memory.
    pub(super) is_given_up: bool,
}

/// What happened to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A worker was spawned for the job of this order.
    Spawned(usize),
    /// The worker of the job of this order has ended.
    Ended(usize, &'static str),
}

/// What the runner knows, and what it has written down.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) jobs: BTreeMap<String, KnownJob>,
    /// Events since the last check.
    pub(super) recent: Vec<Event>,
    /// All events, with the simulated time in nanoseconds.
    pub(super) history: Vec<(u128, Event)>,
    /// Workers that each content has crashed.
    pub(super) crashes: BTreeMap<String, u32>,
    pub(super) ends: BTreeSet<&'static str>,
    /// The caps of all workers together, in bytes.
    pub(super) held_bytes: u64,
    /// How often a cap was raised, and refused for good.
    pub(super) raised: u32,
    pub(super) refused: u32,
}

/// The cap of a worker while it exists.
struct Cap {
    record: Arc<Mutex<Record>>,
    bytes: u64,
}

impl Cap {
    fn raise_to(&mut self, bytes: u64) {
        let mut record = self.record.lock().expect("no panic");
        record.held_bytes += bytes - self.bytes;
        self.bytes = bytes;
        assert!(record.held_bytes <= BUDGET_BYTES, "{} bytes", record.held_bytes);
    }
}

impl Drop for Cap {
    fn drop(&mut self) {
        self.record.lock().expect("no panic").held_bytes -= self.bytes;
    }
}

#[derive(Debug, Clone)]
pub(super) struct FakeRunner {
    seed: u64,
    started_at: Instant,
    record: Arc<Mutex<Record>>,
}

impl FakeRunner {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, started_at: Instant::now(), record: Arc::default() }
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no panic")
    }

    fn note(&self, event: Event) {
        let mut record = self.record();
        record.recent.push(event);
        record.history.push((self.started_at.elapsed().as_nanos(), event));
    }

    /// A worker. One that is spawned for a job is named after it.
    pub(super) fn spawn(&self, spec: WorkerSpec, channels: AttemptChannels) -> RunningAttempt {
        let order = self.record().jobs.get(&spec.name).map(|job| job.order);
        if let Some(order) = order {
            self.note(Event::Spawned(order));
        }
        Box::pin(self.clone().run(spec, channels))
    }

    async fn run(self, spec: WorkerSpec, channels: AttemptChannels) -> ExitReport {
        let AttemptChannels { assignment, live, cap_requests, mut stop } = channels;
        let mut cap = Cap { record: Arc::clone(&self.record), bytes: 0 };
        cap.raise_to(spec.memory_bytes_max);
        let mut evidence = ExitEvidence::blank(CageBackend::V2, spec.memory_bytes_max);
        evidence.pid = Some(1);
        evidence.sandbox = Some(SandboxReport::default());
        sleep(Duration::from_millis(20)).await;
        live.send_modify(|live| {
            live.phase = Phase::Ready;
            live.sandbox = Some(SandboxReport::default());
        });
        let assignment = tokio::select! {
            biased;
            stopped = &mut stop => return stopped_report(evidence, stopped.ok()),
            assignment = assignment => assignment,
        };
        let Ok(assignment) = assignment else { return stopped_report(evidence, None) };
        let job = self.record().jobs[&assignment.job].clone();
        let name = assignment.job.clone();
        assert!(!job.is_given_up || cap.bytes >= job.need_bytes, "{} bytes again", cap.bytes);
        if cap.bytes < job.need_bytes {
            let (reply, answer) = oneshot::channel();
            let request = CapRequest { job: name.clone(), need_bytes: job.need_bytes, reply };
            cap_requests.send(request).expect("the dispatcher listens");
            let answer = tokio::select! {
                biased;
                stopped = &mut stop => return self.end(&job, stopped_report(evidence, stopped.ok())),
                answer = answer => answer.expect("an answer"),
            };
            let cause = match answer {
                CapReply::Granted { cap_bytes } => {
                    cap.raise_to(cap_bytes);
                    evidence.cap_bytes = cap_bytes;
                    self.record().raised += 1;
                    None
                }
                CapReply::Later { cap_bytes } => {
                    let known = |job: &mut KnownJob| job.is_given_up = true;
                    self.record().jobs.entry(name).and_modify(known);
                    Some(Cause::MemoryAwaited { cap_bytes })
                }
                CapReply::Never { limit_bytes } => {
                    self.record().refused += 1;
                    Some(Cause::OverMemoryLimit { limit_bytes })
                }
            };
            if cause.is_some() {
                sleep(Duration::from_millis(2)).await;
                let exit = Some(ProcessExit::Status(WorkerExit::Cancelled.code().into()));
                let evidence = ExitEvidence { cause, exit, ..evidence };
                return self.end(&job, ExitReport::from_evidence(evidence));
            }
        }
        let seed = self.seed ^ ((job.order as u64) << 20) ^ u64::from(assignment.number);
        let mut random = Rng::with_seed(seed);
        let work = Duration::from_nanos(random.u64(1_000_000..3_000_000_000));
        evidence.wall = work;
        let exit_report = tokio::select! {
            biased;
            stopped = &mut stop => stopped_report(evidence, stopped.ok()),
            () = sleep(work) => exit(evidence, random.u32(0..20), &job),
        };
        self.end(&job, exit_report)
    }

    /// Writes down how an attempt has ended.
    fn end(&self, job: &KnownJob, exit_report: ExitReport) -> ExitReport {
        let end = exit_report.end;
        match end {
            ExitReason::Done => drop(self.record().crashes.remove(&job.sha256)),
            end if end.is_fatal() => {
                *self.record().crashes.entry(job.sha256.clone()).or_default() += 1;
            }
            _ => {}
        }
        self.record().ends.insert(end.name());
        self.note(Event::Ended(job.order, end.name()));
        exit_report
    }
}

fn stopped_report(evidence: ExitEvidence, stop: Option<Stop>) -> ExitReport {
    let cause = Some(Cause::Stop(stop.unwrap_or(Stop::Shutdown)));
    let exit = Some(ProcessExit::Signal(15));
    ExitReport::from_evidence(ExitEvidence { cause, exit, ..evidence })
}

/// How a worker ends that nobody stops.
fn exit(evidence: ExitEvidence, pick: u32, job: &KnownJob) -> ExitReport {
    let status = |exit: WorkerExit| Some(ProcessExit::Status(exit.code().into()));
    let [killed, crashed] = [9, 11].map(|signal| Some(ProcessExit::Signal(signal)));
    ExitReport::from_evidence(match pick {
        _ if job.is_deadly => ExitEvidence { exit: crashed, ..evidence },
        0 => ExitEvidence { exit: crashed, ..evidence },
        7 => ExitEvidence { exit: killed, ..evidence },
        1 => ExitEvidence { exit: killed, oom_kills: 1, limit_was_hit: true, ..evidence },
        2 => {
            let cause = Some(Cause::Deadline(Deadline::Progress));
            ExitEvidence { exit: killed, cause, ..evidence }
        }
        3 => ExitEvidence { exit: None, spawn_error: Some("no worker".into()), ..evidence },
        4..7 => ExitEvidence {
            exit: status(WorkerExit::BadInput),
            final_message: Some(FinalMessage::Failed(Failure {
                fault: Fault::NoFrames,
                detail: String::new(),
            })),
            ..evidence
        },
        _ => ExitEvidence {
            exit: status(WorkerExit::Done),
            final_message: Some(FinalMessage::Done(SUMMARY)),
            ..evidence
        },
    })
}
