//! The dispatcher with an invented runner, on simulated time: random uploads, exits, cancels,
//! removals, restarts and reloads, and what must hold after each of them.
//!
//! A seed decides what is asked of the dispatcher and how attempts end. What is ready at the same moment
//! the runtime takes in any order, so that a history is not always repeated to the letter.

use super::{Cancelled, Dispatcher, RunningAttempt};
use crate::config::{ByteCount, Config, RawConfig};
use crate::policy::admission::Request;
use crate::policy::display_name::DisplayName;
use crate::policy::job::{JobId, Upload};
use crate::runner::attempt::exit_report::{
    Cause, Deadline, ExitEvidence, ExitReport, FinalMessage, ProcessExit, Stop,
};
use crate::runner::attempt::{AttemptChannels, WorkerSpec};
use crate::runner::containment::cage::CageBackend;
use crate::store::artefacts::StateDir;
use crate::store::recovery::Recovered;
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::{Failure, Summary};
use bodyscript_protocol::options::Options;
use bodyscript_protocol::sandbox_report::SandboxReport;
use bodyscript_protocol::session::Phase;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

/// Memory cap of a worker, and what all of them may have.
const CAP_BYTES: u64 = 128 << 20;
const BUDGET_BYTES: u64 = 4 * CAP_BYTES;

/// Jobs that may wait.
const QUEUE_MAX: u32 = 12;

const SUMMARY: Summary = Summary {
    frames_decoded: 1,
    frames_processed: 1,
    frames_detected: 1,
    mean_visibility: 1.0,
    track_losses: 0,
    jitter: 0.0,
    people: 1,
};

/// What the invented runner knows and writes down.
#[derive(Debug, Default)]
struct Record {
    /// Number of each job, in the order of acceptance.
    numbers: BTreeMap<String, usize>,
    /// Jobs whose attempts have started since somebody looked.
    started: Vec<usize>,
    /// How attempts ended.
    ends: BTreeSet<&'static str>,
}

/// Runs attempts without processes.
#[derive(Debug, Clone)]
struct FakeRunner {
    seed: u64,
    record: Arc<Mutex<Record>>,
}

impl FakeRunner {
    async fn run(self, spec: WorkerSpec, channels: AttemptChannels) -> ExitReport {
        let AttemptChannels { assignment, live, mut stop } = channels;
        let mut evidence = ExitEvidence::blank(CageBackend::V2, spec.memory_bytes_max);
        evidence.pid = Some(1);
        evidence.sandbox = Some(SandboxReport::default());
        {
            // A worker outside the pool is named after its job, which may be stopped right away.
            let mut record = self.record.lock().expect("no panic");
            let number = record.numbers.get(&spec.name).copied();
            record.started.extend(number);
        }
        sleep(Duration::from_millis(20)).await;
        live.send_modify(|live| {
            live.phase = Phase::Ready;
            live.sandbox = Some(SandboxReport::default());
        });
        let assignment = tokio::select! {
            assignment = assignment => assignment,
            stopped = &mut stop => return Self::stopped(evidence, stopped.ok()),
        };
        let Ok(assignment) = assignment else { return Self::stopped(evidence, None) };
        let number = {
            let mut record = self.record.lock().expect("no panic");
            let number = record.numbers[&assignment.job];
            record.started.push(number);
            number
        };
        let seed = self.seed ^ ((number as u64) << 20) ^ u64::from(assignment.number);
        let mut random = Rng::with_seed(seed);
        let work = Duration::from_nanos(random.u64(1_000_000..3_000_000_000));
        evidence.wall = work;
        let report = tokio::select! {
            () = sleep(work) => Self::exit(evidence, &mut random),
            stopped = &mut stop => Self::stopped(evidence, stopped.ok()),
        };
        self.record.lock().expect("no panic").ends.insert(report.end.name());
        report
    }

    fn stopped(evidence: ExitEvidence, stop: Option<Stop>) -> ExitReport {
        let cause = Some(Cause::Stop(stop.unwrap_or(Stop::Shutdown)));
        let exit = Some(ProcessExit::Signal(15));
        ExitReport::from_evidence(ExitEvidence { cause, exit, ..evidence })
    }

    /// How a worker ends that nobody stops.
    fn exit(evidence: ExitEvidence, random: &mut Rng) -> ExitReport {
        let status = |exit: WorkerExit| Some(ProcessExit::Status(exit.code().into()));
        let killed = Some(ProcessExit::Signal(9));
        ExitReport::from_evidence(match random.u32(0..20) {
            0 => ExitEvidence { exit: killed, ..evidence },
            1 => ExitEvidence { exit: killed, oom_kills: 1, limit_was_hit: true, ..evidence },
            2 => ExitEvidence {
                exit: killed,
                cause: Some(Cause::Deadline(Deadline::Progress)),
                ..evidence
            },
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
}

/// A job as the simulation expects it.
#[derive(Debug)]
struct Expected {
    id: JobId,
    status: &'static str,
}

/// The service under test, and what must be true of it.
struct Simulation {
    dispatcher: Dispatcher,
    state: StateDir,
    video: PathBuf,
    record: Arc<Mutex<Record>>,
    random: Rng,
    /// Accepted jobs that are not removed, by their numbers.
    jobs: BTreeMap<usize, Expected>,
    accepted: usize,
    workers_max: u32,
}

fn config(state: &Path, workers: u32, standby: u32) -> Arc<Config> {
    let raw = RawConfig {
        state_dir: Some(state.to_owned()),
        workers: Some(workers),
        standby: Some(standby),
        queue_max: Some(QUEUE_MAX),
        worker_memory_bytes_max: Some(ByteCount(CAP_BYTES)),
        memory_budget_bytes: Some(ByteCount(BUDGET_BYTES)),
        disk_free_bytes_min: Some(ByteCount(0)),
        ..RawConfig::default()
    };
    Arc::new(Config::load(&raw, None).expect("a configuration"))
}

impl Simulation {
    async fn step(&mut self) {
        match self.random.u32(0..100) {
            0..40 => self.submit().await,
            40..48 => self.cancel().await,
            48..54 => self.remove().await,
            54 => {
                let _ = self.dispatcher.restart_workers().await.expect("it runs");
            }
            55..57 => {
                let workers = self.random.u32(1..=self.workers_max);
                let config = config(self.state.root(), workers, self.random.u32(0..2));
                self.dispatcher.configure(config).await.expect("it runs");
            }
            _ => sleep(Duration::from_nanos(self.random.u64(1_000..1_500_000_000))).await,
        }
    }

    async fn submit(&mut self) {
        let request = Request { bytes: Some(1) };
        let Ok(ticket) = self.dispatcher.admit(request).await.expect("it runs") else { return };
        let (id, number) = (JobId::random(), self.accepted);
        self.state.adopt_upload(id, &self.video).expect("a link");
        let upload = Upload {
            filename: DisplayName::new("video.mp4"),
            bytes: 1,
            sha256: format!("{number:064x}"),
            options: Options { formats: "csv".parse().expect("a format"), ..Options::default() },
            idempotency_key: None,
        };
        self.record.lock().expect("no panic").numbers.insert(id.to_string(), number);
        let status = self.dispatcher.submit(ticket, id, upload).await.expect("it runs");
        assert_eq!(status.expect("accepted").status, "pending");
        self.jobs.insert(number, Expected { id, status: "pending" });
        self.accepted += 1;
    }

    fn any_job(&mut self) -> Option<usize> {
        let last = self.accepted.checked_sub(1)?;
        // A recent one, as they are in the queue or at work.
        let number = last - self.random.usize(0..=last.min(20));
        self.jobs.contains_key(&number).then_some(number)
    }

    async fn cancel(&mut self) {
        let Some(number) = self.any_job() else { return };
        let expected = &self.jobs[&number];
        let was_over = is_final(expected.status);
        match self.dispatcher.cancel(expected.id).await.expect("it runs").expect("it is known") {
            Cancelled::Now(status) => {
                assert_eq!(status.status, "cancelled");
                assert!(!was_over || expected.status == "cancelled", "it was {}", expected.status);
            }
            Cancelled::TooLate(status) => assert!(is_final(status.status)),
        }
    }

    async fn remove(&mut self) {
        let Some(number) = self.any_job() else { return };
        let Expected { id, .. } = self.jobs.remove(&number).expect("it is there");
        assert!(self.dispatcher.remove(id).await.expect("it runs"), "job {number} was known");
        let status = self.dispatcher.status(id).await.expect("it runs");
        assert!(status.is_none(), "job {number} is removed");
    }

    /// What holds at any moment.
    async fn check(&mut self) {
        let health = self.dispatcher.health().await.expect("it runs");
        assert!(health.reserved_bytes <= BUDGET_BYTES, "{} bytes", health.reserved_bytes);
        assert!(health.jobs.processing <= self.workers_max as usize, "{:?}", health.jobs);
        let counts = health.jobs;
        let all = counts.pending
            + counts.processing
            + counts.completed
            + counts.failed
            + counts.cancelled;
        assert_eq!(all, self.jobs.len(), "every accepted job is in one state");
        let started: BTreeSet<usize> =
            std::mem::take(&mut self.record.lock().expect("no panic").started)
                .into_iter()
                .collect();
        for (number, expected) in &mut self.jobs {
            if is_final(expected.status) {
                continue;
            }
            let status = self.dispatcher.status(expected.id).await.expect("it runs");
            let status = status.expect("a job that is not removed is known");
            // Jobs start in the order of their acceptance. Those that are requeued together
            // return to the head of the queue in the order of their exits.
            if status.status == "pending" && status.attempts.is_empty() {
                let overtaker = started.range(number + 1..).next();
                let has_started = started.contains(number);
                assert!(overtaker.is_none() || has_started, "{overtaker:?} overtook {number}");
            }
            assert!(status.status != "failed" || status.error_code.is_some(), "{status:?}");
            expected.status = status.status;
        }
    }

    /// Waits until every job is over.
    async fn finish(&mut self) {
        while self.jobs.values().any(|job| !is_final(job.status)) {
            sleep(Duration::from_secs(1)).await;
            self.check().await;
        }
        for (number, job) in &self.jobs {
            let results = self.state.results().join(job.id.to_string());
            assert_eq!(results.exists(), job.status == "completed", "results of job {number}");
        }
    }
}

fn is_final(status: &str) -> bool {
    ["completed", "failed", "cancelled"].contains(&status)
}

/// Runs one simulation to its end; how its attempts ended.
async fn simulate(seed: u64, steps: usize, workers_max: u32) -> BTreeSet<&'static str> {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, _lock) = StateDir::open(&folder.path().join("state")).expect("opens");
    let video = folder.path().join("video.mp4");
    std::fs::write(&video, "v").expect("a file");
    let record = Arc::<Mutex<Record>>::default();
    let fake = FakeRunner { seed, record: record.clone() };
    let runner = Arc::new(move |spec, channels| -> RunningAttempt {
        Box::pin(fake.clone().run(spec, channels))
    });
    let (dispatcher, task) = Dispatcher::start(
        config(state.root(), workers_max, 0),
        runner,
        state.clone(),
        Recovered::nothing(),
    );
    let mut simulation = Simulation {
        dispatcher,
        state: state.clone(),
        video,
        record: record.clone(),
        random: Rng::with_seed(seed),
        jobs: BTreeMap::new(),
        accepted: 0,
        workers_max,
    };
    for _ in 0..steps {
        simulation.step().await;
        // Time passes only once all calls to the disk have returned: they take none.
        sleep(Duration::from_millis(1)).await;
        simulation.check().await;
    }
    simulation.finish().await;
    let Simulation { dispatcher, accepted, .. } = simulation;
    assert!(accepted > steps / 20, "{accepted} jobs in {steps} steps");
    drop(dispatcher);
    task.await.expect("the dispatcher ends");
    // Deletions under way take no time either.
    sleep(Duration::from_millis(1)).await;
    let attempts = std::fs::read_dir(state.jobs()).expect("a folder").count();
    assert_eq!(attempts, 0, "folders of attempts are left");
    std::mem::take(&mut record.lock().expect("no panic").ends)
}

#[tokio::test(start_paused = true)]
async fn invariants_hold_after_each_of_ten_thousand_steps() {
    let ends = simulate(1, 10_000, 3).await;
    for end in ["done", "bad_input", "oom", "crash", "deadline", "spawn_failed", "cancelled"] {
        assert!(ends.contains(end), "no attempt ended as {end}");
    }
    assert!(ends.contains("operator"), "no attempt was restarted");
}
