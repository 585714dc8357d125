//! The state of the service and the loop that changes it.
//!
//! The loop does not wait for workers or for file operations: tasks do both and report back. Every
//! change of a job's state goes through [`State::change`], which logs it, notifies subscribers and
//! writes it to the journal.

use crate::config::Config;
use crate::dispatcher::attempt_task::FinishedAttempt;
use crate::dispatcher::breaker::Breaker;
use crate::dispatcher::counters::AttemptCounters;
use crate::dispatcher::status::{Place, Status};
use crate::dispatcher::worker_pool::WorkerPool;
use crate::dispatcher::{Cancelled, Command, Results, Runner, SubmitError, Ticket};
use crate::policy::eta::AttemptDurations;
use crate::policy::job::{Job, JobEvent, JobId, JobState};
use crate::policy::poison::Poison;
use crate::policy::queue::Queue;
use crate::runner::attempt::Live;
use crate::runner::attempt::exit_report::Stop;
use crate::store::artefacts::StateDir;
use crate::store::clock::{self, Clock, Moment};
use crate::store::journal::{self, JobRow, Journal, JournalError, What};
use crate::store::recovery::Recovered;
use crate::store::retention::Pressure;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

/// How often subscribers of a running job are notified of its progress.
const TICK_INTERVAL: Duration = Duration::from_millis(200);

/// How often expired jobs are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Whether jobs are accepted and started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Open,
    Draining,
}

/// A job and the channel that notifies its subscribers.
#[derive(Debug)]
pub(crate) struct JobEntry {
    pub(crate) job: Job,
    pub(crate) changes: watch::Sender<u64>,
    /// When the job ended.
    pub(crate) ended: Option<Moment>,
}

/// An attempt in progress.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) live: watch::Receiver<Live>,
    pub(crate) stop: Option<oneshot::Sender<Stop>>,
    pub(crate) memory_bytes_max: u64,
    /// Set once a cancellation or removal waits for the attempt to end.
    pub(crate) waiters: Option<Waiters>,
}

/// Callers that wait for the end of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    pub(crate) cancel: Vec<oneshot::Sender<Option<Cancelled>>>,
    pub(crate) remove: Vec<oneshot::Sender<bool>>,
}

/// Receives the result of a submission.
pub(crate) type SubmitReply = oneshot::Sender<Result<Status, SubmitError>>;

/// A submitted job whose journal row has been committed or refused.
pub(crate) struct StoredUpload {
    pub(crate) job: Job,
    /// Keeps the place reserved until the job is in the queue.
    pub(crate) _ticket: Ticket,
    pub(crate) reply: SubmitReply,
    pub(crate) written: Result<(), Arc<JournalError>>,
}

/// The state of the service; owned by one task.
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) runner: Runner,
    pub(crate) state: StateDir,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) jobs: HashMap<JobId, JobEntry>,
    pub(crate) queue: Queue,
    pub(crate) running: HashMap<JobId, Running>,
    pub(crate) pool: WorkerPool,
    pub(crate) submissions: JoinSet<StoredUpload>,
    pub(crate) attempts: JoinSet<FinishedAttempt>,
    pub(crate) tasks: HashMap<task::Id, JobId>,
    pub(crate) breaker: Breaker,
    pub(crate) mode: Mode,
    pub(crate) durations: AttemptDurations,
    pub(crate) counters: AttemptCounters,
    /// Ended jobs, in the order of their ends and therefore of their expiry.
    pub(crate) ended: VecDeque<(Moment, JobId)>,
    /// Failed jobs whose video is kept for a retry, in the order of their ends.
    pub(crate) retained_videos: VecDeque<JobId>,
    pub(crate) poison: Poison,
    /// Jobs by idempotency key, including those whose journal row is being written.
    pub(crate) keys: HashMap<String, JobId>,
    /// Its reference count is one more than the number of uploads in progress.
    pub(crate) uploads: Arc<()>,
    pub(crate) pressure: Pressure,
    waiting_for_drain: Vec<oneshot::Sender<()>>,
}

impl State {
    pub(crate) fn new(
        config: Arc<Config>,
        runner: Runner,
        state: StateDir,
        recovered: Recovered,
    ) -> Self {
        let Recovered { journal, clock, jobs, poison, uploads } = recovered;
        let queue = Queue::new(queue_length_max(&config));
        let mut state = Self {
            pressure: Pressure::measure(&state, config.disk_free_bytes_min),
            config,
            runner,
            state,
            journal,
            clock,
            jobs: HashMap::new(),
            queue,
            running: HashMap::new(),
            pool: WorkerPool::default(),
            submissions: JoinSet::new(),
            attempts: JoinSet::new(),
            tasks: HashMap::new(),
            breaker: Breaker::default(),
            mode: Mode::Open,
            durations: AttemptDurations::default(),
            counters: AttemptCounters::default(),
            ended: VecDeque::new(),
            retained_videos: VecDeque::new(),
            poison: Poison::restore(poison),
            keys: HashMap::new(),
            uploads: Arc::new(()),
            waiting_for_drain: Vec::new(),
        };
        state.restore(jobs, &uploads);
        state
    }

    /// Restores the jobs of an earlier run, in the order in which they were accepted.
    fn restore(&mut self, jobs: Vec<JobRow>, uploads: &HashSet<JobId>) {
        for JobRow { mut job, ended } in jobs {
            // The budget may have been larger then; a job with a cap above it could never start.
            job.lower_cap(self.config.memory_budget_bytes);
            match ended {
                Some(ended) => self.ended.push_back((ended, job.id)),
                // Accepted jobs are kept even if the limit of the queue is lower now.
                None => self.queue.readmit(job.id),
            }
            if let Some(key) = &job.upload.idempotency_key {
                self.keys.insert(key.clone(), job.id);
            }
            let (changes, _) = watch::channel(0);
            self.jobs.insert(job.id, JobEntry { job, changes, ended });
        }
        self.ended.make_contiguous().sort_unstable();
        let is_failed = |id: &JobId| {
            let state = self.jobs.get(id).map(|entry| entry.job.state());
            matches!(state, Some(JobState::Failed { .. }))
        };
        let ended = self.ended.iter().map(|(_, id)| *id);
        self.retained_videos = ended.filter(|id| uploads.contains(id) && is_failed(id)).collect();
        self.discard_videos_beyond(self.config.queue_max, "limit of failed jobs reached");
        self.reject_poisoned();
    }

    /// Runs until every handle is dropped and no worker is left.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut ticks = interval(TICK_INTERVAL);
        let mut sweep = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_handles = true;
        while has_handles
            || !self.attempts.is_empty()
            || !self.submissions.is_empty()
            || !self.pool.is_empty()
        {
            self.start_attempts();
            self.fill_pool();
            tokio::select! {
                command = inbox.recv(), if has_handles => match command {
                    Some(command) => self.handle_command(command),
                    None => {
                        has_handles = false;
                        self.stop(Stop::Shutdown);
                    }
                },
                Some(stored) = self.submissions.join_next() => match stored {
                    Ok(upload) => self.on_upload_stored(upload),
                    Err(error) => tracing::error!(%error, "submitting an upload failed"),
                },
                Some(ended) = self.attempts.join_next_with_id() => self.on_attempt_exit(ended),
                Some(()) = self.pool.next_exited() => self.notify_if_drained(),
                _ = ticks.tick(), if self.has_workers() => self.tick(),
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn handle_command(&mut self, command: Command) {
        // A dropped receiver means that the caller no longer waits for the reply.
        match command {
            Command::Admit { request, reply } => drop(reply.send(self.admit(&request))),
            Command::Submit { ticket, id, upload, reply } => {
                self.submit(id, upload, ticket, reply);
            }
            Command::Status { id, reply } => drop(reply.send(self.status(id))),
            Command::Watch { id, reply } => {
                drop(reply.send(self.jobs.get(&id).map(|entry| entry.changes.subscribe())));
            }
            Command::Cancel { id, reply } => self.cancel(id, reply),
            Command::Retry { id, reply } => self.retry(id, reply),
            Command::Remove { id, reply } => self.remove(id, reply),
            Command::Results { id, reply } => drop(reply.send(self.results(id))),
            Command::List { page, reply } => drop(reply.send(self.list(page))),
            Command::Numbers { reply } => drop(reply.send(self.numbers())),
            Command::Recent { ended_max, reply } => drop(reply.send(self.recent(ended_max))),
            Command::Health { reply } => drop(reply.send(self.health())),
            Command::Configure { config, reply } => {
                self.configure(config);
                let _ = reply.send(());
            }
            Command::RestartWorkers { reply } => {
                let workers = self.running.len() + self.pool.len();
                self.stop(Stop::Operator);
                let _ = reply.send(workers);
            }
            Command::Drain { reply } => {
                self.mode = Mode::Draining;
                self.pool.release_all();
                self.waiting_for_drain.push(reply);
                self.notify_if_drained();
            }
            Command::Stop { why, reply } => {
                self.stop(why);
                self.waiting_for_drain.push(reply);
                self.notify_if_drained();
            }
        }
    }

    fn configure(&mut self, config: Arc<Config>) {
        self.config = config;
        // They were started with the old configuration.
        self.pool.release_all();
        self.queue.set_length_max(queue_length_max(&self.config));
        for entry in self.jobs.values_mut() {
            entry.job.lower_cap(self.config.memory_budget_bytes);
        }
        self.discard_videos_beyond(self.config.queue_max, "limit of failed jobs reached");
    }

    pub(crate) fn status(&self, id: JobId) -> Option<Status> {
        let entry = self.jobs.get(&id)?;
        let live = self.running.get(&id).map(|running| running.live.borrow());
        // The queue is searched linearly, so only for pending jobs.
        let is_pending = matches!(entry.job.state(), JobState::Pending { .. });
        let place = if is_pending { self.place(id) } else { None };
        Some(Status::of(&entry.job, place, self.queue.len(), live.as_deref()))
    }

    pub(crate) fn place(&self, id: JobId) -> Option<Place> {
        let total = self.queue.len();
        self.queue.position(id).map(|position| {
            let time_left = self.durations.time_left(position, self.config.slots());
            Place { position, total, time_left }
        })
    }

    fn results(&self, id: JobId) -> Option<Results> {
        let entry = self.jobs.get(&id)?;
        Some(match entry.job.state() {
            JobState::Completed { .. } => {
                Results::Ready { filename: entry.job.upload.filename.clone() }
            }
            state => Results::NotReady { state: state.name() },
        })
    }

    /// Changes the state of a job; nothing else does.
    pub(crate) fn change(&mut self, id: JobId, event: JobEvent) {
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        if let Err(error) = entry.job.apply(event, clock::wall()) {
            tracing::error!(job = %id, %error, "illegal change of state");
            return;
        }
        entry.changes.send_modify(|revision| *revision += 1);
        let state = entry.job.state();
        let code = match state {
            JobState::Failed { error, .. } => Some(error.code.as_ref()),
            _ => None,
        };
        tracing::info!(job = %id, state = state.name(), code, "job");
        let (is_final, is_failed) = (state.is_final(), code.is_some());
        if is_final {
            let ended = self.clock.now();
            entry.ended = Some(ended);
            self.ended.push_back((ended, id));
        }
        self.persist(id);
        if is_failed {
            self.retain_video(id);
        } else if is_final {
            drop(self.delete(id, What::Upload, "its job has ended"));
        }
    }

    /// Writes the job to the journal.
    pub(crate) fn persist(&self, id: JobId) {
        if let Some(JobEntry { job, ended, .. }) = self.jobs.get(&id) {
            let row = JobRow { job: job.clone(), ended: *ended };
            self.journal.note(journal::Entry::Job(Box::new(row)));
        }
    }

    /// Notifies the subscribers of queued jobs, whose positions may have changed.
    pub(crate) fn notify_queue(&self) {
        for entry in self.queue.iter().filter_map(|id| self.jobs.get(&id)) {
            entry.changes.send_modify(|revision| *revision += 1);
        }
    }

    fn has_workers(&self) -> bool {
        !self.running.is_empty() || !self.pool.is_empty()
    }

    fn tick(&mut self) {
        self.poll_pool();
        for (id, running) in &mut self.running {
            // An error means that the attempt is over; `on_attempt_exit` handles that.
            if !running.live.has_changed().unwrap_or(false) {
                continue;
            }
            if running.live.borrow_and_update().sandbox.is_some() {
                self.breaker.succeeded();
            }
            if let Some(entry) = self.jobs.get(id) {
                entry.changes.send_modify(|revision| *revision += 1);
            }
        }
    }

    fn stop(&mut self, why: Stop) {
        if why == Stop::Shutdown {
            self.mode = Mode::Draining;
        }
        self.pool.release_all();
        for running in self.running.values_mut() {
            running.send_stop(why);
        }
    }

    pub(crate) fn notify_if_drained(&mut self) {
        if self.running.is_empty() && self.pool.is_empty() {
            for reply in self.waiting_for_drain.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    /// Memory reserved by all workers, in bytes.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        let running: u64 = self.running.values().map(|running| running.memory_bytes_max).sum();
        running + self.pool.reserved_bytes()
    }
}

/// Requeued jobs must not take the places of uploads that have a ticket.
fn queue_length_max(config: &Config) -> usize {
    config.queue_max + config.workers
}

impl Running {
    fn send_stop(&mut self, why: Stop) {
        if let Some(stop) = self.stop.take() {
            // An error means that the attempt has just ended by itself.
            let _ = stop.send(why);
        }
    }

    /// Stops the attempt for good and returns its waiters, so that the caller can add one.
    pub(crate) fn end(&mut self, why: Stop) -> &mut Waiters {
        self.send_stop(why);
        self.waiters.get_or_insert_default()
    }
}
