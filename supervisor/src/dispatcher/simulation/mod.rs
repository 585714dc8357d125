//! The dispatcher in simulated time, with an invented runner: random uploads, exits, cancellations,
//! removals, retries, memory needs, worker restarts, reloads, drains, crashes of the dispatcher and steps of the
//! wall clock, and what must hold after each of them. A seed decides everything.

mod fake_runner;
mod memory_journal;
mod steps;

use super::{Dispatcher, Runner};
use crate::config::{Config, RawConfig};
use crate::dispatcher::status::Numbers;
use crate::policy::job::JobId;
use crate::policy::verdict::EXECUTIONS_MAX;
use crate::runner::models::InstalledModels;
use crate::store::{ArtefactStore, Recovered, StateDir, simulated};
use fake_runner::{Event, FakeRunner, Record};
use fastrand::Rng;
use jiff::Timestamp;
use memory_journal::MemoryJournal;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Memory cap of a worker, and the budget of all of them.
const CAP_BYTES: u64 = 128 << 20;
const BUDGET_BYTES: u64 = 4 * CAP_BYTES;

/// Jobs that may wait.
const QUEUE_MAX: u32 = 12;

/// Contents that are sent again and again, and how many of them crash every worker.
const REPEATED: usize = 4;
const DEADLY: usize = 2;

/// The unit of the service's clock, which rounds down.
const CLOCK_UNIT: Duration = Duration::from_millis(1);

/// How long results are kept, and how much later than that a sweep removes them at the latest.
const RESULT_TTL: Duration = Duration::from_secs(60);
const SWEEP_DELAY_MAX: Duration = Duration::from_secs(3);

/// A job as the simulation expects it.
#[derive(Debug)]
struct Expected {
    id: JobId,
    order: usize,
    content: usize,
    status: &'static str,
    /// Between which two moments it ended.
    ended: Option<(Instant, Instant)>,
}

/// The service under test, and what must be true of it.
struct Simulation {
    service: Option<(Dispatcher, JoinHandle<()>)>,
    config: Arc<Config>,
    files: StateDir,
    journal: MemoryJournal,
    runner: FakeRunner,
    video: PathBuf,
    random: Rng,
    /// Accepted jobs that are not removed, in the order of their ids.
    jobs: BTreeMap<usize, Expected>,
    accepted: usize,
    orders: usize,
    checked_at: Instant,
    /// Difference of the wall clock to simulated time, in milliseconds.
    wall_offset_ms: Rc<Cell<i64>>,
    done: BTreeSet<&'static str>,
}

fn config(state: &Path, workers: u32, standby: u32) -> Arc<Config> {
    let ttl_s = RESULT_TTL.as_secs();
    let raw = RawConfig::of(&format!(
        "state_dir = {state:?}\nworkers = {workers}\nstandby = {standby}\nqueue_max = {QUEUE_MAX}\n\
         worker_memory_bytes_max = {CAP_BYTES}\nmemory_budget_bytes = {BUDGET_BYTES}\n\
         disk_free_bytes_min = 0\nresult_ttl_s = {ttl_s}\npressure_ttl_s = {ttl_s}\n"
    ));
    Arc::new(Config::load(&raw, None).expect("a configuration"))
}

impl Simulation {
    fn new(folder: &Path, seed: u64) -> Self {
        let (files, _lock) = StateDir::open(&folder.join("state")).expect("opens");
        let video = folder.join("video.mp4");
        std::fs::write(&video, "v").expect("a file");
        let (started_at, wall_offset_ms) = (Instant::now(), Rc::<Cell<i64>>::default());
        let offset = Rc::clone(&wall_offset_ms);
        simulated::follow(move || {
            let up_ms = started_at.elapsed().as_millis() as i64;
            let wall = Timestamp::from_millisecond(1_800_000_000_000 + up_ms + offset.get());
            (up_ms, wall.expect("within the range"))
        });
        let mut simulation = Self {
            service: None,
            config: config(files.root(), 3, 0),
            files,
            journal: MemoryJournal::default(),
            runner: FakeRunner::new(seed),
            video,
            random: Rng::with_seed(seed),
            jobs: BTreeMap::new(),
            accepted: 0,
            orders: 0,
            checked_at: Instant::now(),
            wall_offset_ms,
            done: BTreeSet::new(),
        };
        simulation.start();
        simulation
    }

    /// Starts the dispatcher with what the journal and the files have.
    fn start(&mut self) {
        let store = ArtefactStore::new(self.files.clone(), None);
        let recovered = Recovered::from(self.journal.open(), &store).expect("recovers");
        let fake = self.runner.clone();
        let run = Arc::new(move |spec, channels| fake.spawn(spec, channels));
        let runner = Runner { run, models: InstalledModels::ALL };
        let config = Arc::clone(&self.config);
        self.service = Some(Dispatcher::start(config, runner, store, recovered));
    }

    /// Starts it again: the jobs are queued in the order in which they were first accepted.
    fn start_again(&mut self) {
        let numbers: Vec<_> = self.jobs.keys().copied().collect();
        for number in numbers {
            let Expected { id, content, .. } = self.jobs[&number];
            let order = self.next_order(id, content);
            self.jobs.entry(number).and_modify(|expected| expected.order = order);
        }
        self.start();
    }

    fn dispatcher(&self) -> &Dispatcher {
        &self.service.as_ref().expect("it runs").0
    }
}

/// What must hold.
impl Simulation {
    async fn check(&mut self) {
        let health = self.dispatcher().health().await.expect("it runs");
        assert!(health.reserved_bytes <= BUDGET_BYTES, "{} bytes", health.reserved_bytes);
        assert!(health.jobs.processing <= 3, "{:?}", health.jobs);
        let numbers = self.dispatcher().numbers().await.expect("it runs");
        let found: BTreeMap<JobId, Numbers> =
            numbers.into_iter().map(|one| (one.job_id, one)).collect();
        let before = std::mem::replace(&mut self.checked_at, Instant::now());
        let recent = std::mem::take(&mut self.runner.record().recent);
        self.check_order(&found, &recent);
        self.jobs.retain(|number, expected| {
            let Some(now) = found.get(&expected.id) else {
                let (earliest, _) = expected.ended.expect("only an ended job expires");
                let age = earliest.elapsed() + CLOCK_UNIT;
                assert!(age >= RESULT_TTL, "job {number} is gone after {age:?}");
                return false;
            };
            expected.follow(*number, now, before);
            true
        });
        assert_eq!(found.len(), self.jobs.len(), "every accepted job is in one state");
        self.check_crashes();
    }

    /// No job starts before one that was accepted earlier and has waited since the last check.
    fn check_order(&self, found: &BTreeMap<JobId, Numbers>, recent: &[Event]) {
        let is_end =
            |event: &Event, order| matches!(event, Event::Ended(ended, _) if *ended == order);
        let has_ended = |order| recent.iter().any(|event| is_end(event, order));
        let has_waited = |job: &&Expected| {
            let is_pending = found.get(&job.id).is_some_and(|now| now.status == "pending");
            job.status == "pending" && is_pending && !has_ended(job.order)
        };
        // A job whose content may crash one worker too many is overtaken.
        let is_unique = |job: &&Expected| job.content >= REPEATED;
        for waiting in self.jobs.values().filter(has_waited).filter(is_unique) {
            // It may have started after its status was asked for.
            let starts = recent.iter().filter_map(|event| match event {
                Event::Spawned(order) => Some(*order),
                _ => None,
            });
            for order in starts.take_while(|order| *order != waiting.order) {
                assert!(order < waiting.order, "{order} overtook {}", waiting.order);
            }
        }
    }

    /// No content crashes more workers than allowed, in all its jobs and over restarts.
    fn check_crashes(&self) {
        for (sha256, crashes) in &self.runner.record().crashes {
            assert!(*crashes <= EXECUTIONS_MAX, "{sha256} has crashed {crashes} workers");
        }
    }

    /// Waits until every job is over or has expired.
    async fn finish(&mut self) {
        while self.jobs.values().any(|job| !is_final(job.status)) {
            sleep(Duration::from_secs(1)).await;
            self.check().await;
        }
        for (number, job) in &self.jobs {
            let results = self.files.results().join(job.id.to_string());
            assert_eq!(results.exists(), job.status == "completed", "results of job {number}");
        }
        sleep(RESULT_TTL + SWEEP_DELAY_MAX).await;
        self.check().await;
        assert!(self.jobs.is_empty(), "{:?}", self.jobs);
        self.stop().await;
        // Deletions in progress take no simulated time.
        sleep(Duration::from_millis(1)).await;
        for folder in [self.files.spool(), self.files.jobs(), self.files.results()] {
            let left = std::fs::read_dir(&folder).expect("a folder").count();
            assert_eq!(left, 0, "files are left in {}", folder.display());
        }
    }
}

impl Expected {
    /// Compares with the state now, and remembers it.
    fn follow(&mut self, number: usize, now: &Numbers, before: Instant) {
        if let Some((_, latest)) = self.ended {
            assert_eq!(now.status, self.status, "job {number} has ended");
            let age = latest.elapsed();
            assert!(age <= RESULT_TTL + SWEEP_DELAY_MAX, "job {number} has not expired in {age:?}");
        } else if is_final(now.status) {
            self.ended = Some((before, Instant::now()));
        }
        assert!(now.status != "failed" || now.error_code.is_some(), "job {number}: no reason");
        self.status = now.status;
    }
}

fn sha256(content: usize) -> String {
    format!("{content:064x}")
}

/// The memory cap that a content needs: that of a first attempt, more, all of the budget, or more than
/// that.
const fn need_bytes(content: usize) -> u64 {
    match content % 12 {
        7 | 8 => 2 * CAP_BYTES,
        9 => 3 * CAP_BYTES - 1,
        10 => BUDGET_BYTES,
        11 => BUDGET_BYTES + 1,
        _ => CAP_BYTES,
    }
}

fn is_final(status: &str) -> bool {
    ["completed", "failed", "cancelled"].contains(&status)
}

/// Time passes only while no call to the disk is in progress, and those run one after another.
fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).max_blocking_threads(1).build().expect("a runtime")
}

/// Runs one simulation to its end: what was done, and the record of the runner.
fn simulate(seed: u64, steps: usize) -> (BTreeSet<&'static str>, Record) {
    // Syncing to the disk takes most of the time anywhere else.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.expect("a folder");
    runtime().block_on(async {
        let mut simulation = Simulation::new(folder.path(), seed);
        for _ in 0..steps {
            simulation.step().await;
            sleep(Duration::from_millis(1)).await;
            simulation.check().await;
        }
        simulation.finish().await;
        assert!(simulation.accepted > steps / 20, "{} jobs", simulation.accepted);
        let record = std::mem::take(&mut *simulation.runner.record());
        (simulation.done, record)
    })
}

#[test]
fn invariants_hold_after_each_of_ten_thousand_steps() {
    let (done, record) = simulate(1, 10_000);
    for end in [
        "done",
        "bad_input",
        "oom",
        "crash",
        "deadline",
        "memory_awaited",
        "spawn_failed",
        "cancelled",
        "operator",
        "killed",
    ] {
        assert!(record.ends.contains(end), "no attempt ended as {end}");
    }
    assert!(record.raised > 0 && record.refused > 0, "{} {}", record.raised, record.refused);
    assert_eq!(record.held_bytes, 0, "every worker is gone");
    for what in [
        "submit",
        "cancel",
        "remove",
        "retry",
        "restart workers",
        "configure",
        "drain",
        "crash",
        "step of the wall clock",
    ] {
        assert!(done.contains(what), "never: {what}");
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let history = |seed| simulate(seed, 500).1.history;
    let first = history(2);
    assert!(first.len() > 200, "{} events", first.len());
    assert_eq!(first, history(2));
    assert_ne!(first, history(3));
}
