//! The state of the service and the loop that changes it.
//!
//! The loop does not wait for workers or for file operations: tasks do both and report back. Every
//! change of a job's state goes through [`State::change`], which logs it, notifies subscribers and
//! writes it to the journal.

use crate::config::Config;
use crate::dispatcher::counters::AttemptCounters;
use crate::dispatcher::deletion::Deletion;
use crate::dispatcher::job_table::JobTable;
use crate::dispatcher::mode::Mode;
use crate::dispatcher::running::{Waiters, WorkerEvent};
use crate::dispatcher::scheduler::Scheduler;
use crate::dispatcher::settlements::Settlements;
use crate::dispatcher::status::{self, Status};
use crate::dispatcher::{Command, Results, Runner, SubmitError, Ticket};
use crate::policy::eta::AttemptDurations;
use crate::policy::host::HostId;
use crate::policy::job::{Job, JobEvent, JobId, JobState};
use crate::policy::open_upload::OpenUploads;
use crate::policy::poison::Poison;
use crate::policy::queue::Place;
use crate::runner::attempt::Live;
use crate::runner::attempt::exit_report::Stop;
use crate::runner::models::InstalledModels;
use crate::store::{
    ArtefactStore, Clock, JobRow, Journal, JournalEntry, JournalError, JournalEvent, Pressure,
    Recovered, RemovedPart, ResultsOf,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often subscribers of a running job are notified of its progress.
const TICK_INTERVAL: Duration = Duration::from_millis(200);

/// How often expired jobs are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Receives the result of a submission.
pub(crate) type SubmitReply = oneshot::Sender<Result<Status, SubmitError>>;

/// A submitted job whose journal row has been committed or refused.
pub(crate) struct StoredUpload {
    pub(crate) job: Job,
    /// Keeps the place reserved until the job is in the queue.
    pub(crate) ticket: Ticket,
    pub(crate) reply: SubmitReply,
    pub(crate) written: Result<(), Arc<JournalError>>,
}

/// A command about a job that a shared journal was asked for.
pub(crate) struct LookedUp {
    pub(crate) id: JobId,
    pub(crate) command: Command,
    pub(crate) answer: Result<(), Arc<JournalError>>,
}

/// The state of the service; owned by one task.
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) files: ArtefactStore,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) jobs: JobTable,
    pub(crate) scheduler: Scheduler,
    /// The landmark models that workers can load.
    pub(crate) models: InstalledModels,
    pub(crate) deletion: Deletion,
    pub(crate) poison: Poison,
    /// This run of the service, among those that share the journal.
    pub(crate) host: HostId,
    /// What other hosts change.
    events: UnboundedReceiver<JournalEvent>,
    pub(crate) submissions: JoinSet<StoredUpload>,
    pub(crate) settlements: Settlements,
    /// Commands that wait for the journal.
    pub(crate) lookups: JoinSet<LookedUp>,
    /// Places in the queue of jobs that other hosts process, should they be queued again.
    pub(crate) places: HashMap<JobId, Place>,
    /// When this host last looked through the shared store.
    pub(crate) store_swept_at: Instant,
    /// What other hosts tell of their attempts.
    pub(crate) remote_live: HashMap<JobId, Live>,
    /// Who waits for what other hosts were asked to do.
    pub(crate) remote_waiters: HashMap<JobId, Waiters>,
    /// At most one is in progress.
    pub(crate) measurements: JoinSet<Pressure>,
    pub(crate) pressure: Pressure,
    /// Whether attempts were stopped for lack of disk space, which is not over yet.
    pub(crate) awaits_disk: bool,
    pub(crate) durations: AttemptDurations,
    pub(crate) counters: AttemptCounters,
    pub(crate) uploads: OpenUploads,
}

impl State {
    pub(crate) fn new(
        config: Arc<Config>,
        runner: Runner,
        files: ArtefactStore,
        recovered: Recovered,
    ) -> Self {
        let Recovered { journal, clock, mut jobs, poison, uploads, host, events } = recovered;
        let is_shared = journal.is_shared();
        let models = runner.models;
        let mut scheduler = Scheduler::new(runner, Arc::clone(&config));
        for JobRow { job, .. } in &mut jobs {
            // The budget may have been larger then; a job with a cap above it could never start.
            if !is_shared {
                job.lower_cap(config.memory_budget_bytes);
            }
            // Accepted jobs are kept even if the limit of the queue is lower now.
            if matches!(job.state(), JobState::Pending { .. }) {
                scheduler.enqueue(job.id, job.client);
            }
        }
        let failed = |row: &&JobRow| matches!(row.job.state(), JobState::Failed { .. });
        let shared_videos = jobs.iter().filter(failed).filter(|_| is_shared).map(|row| row.job.id);
        let uploads = uploads.into_iter().chain(shared_videos).collect();
        let mut state = Self {
            pressure: Pressure::measure(files.folder(), config.disk_free_bytes_min),
            jobs: JobTable::restore(jobs, &uploads),
            scheduler,
            models,
            deletion: Deletion::new(journal.clone(), files.clone()),
            poison: Poison::restore(poison),
            config,
            files,
            journal,
            clock,
            host,
            events,
            submissions: JoinSet::new(),
            settlements: Settlements::default(),
            lookups: JoinSet::new(),
            places: HashMap::new(),
            store_swept_at: Instant::now(),
            remote_live: HashMap::new(),
            remote_waiters: HashMap::new(),
            measurements: JoinSet::new(),
            awaits_disk: false,
            durations: AttemptDurations::default(),
            counters: AttemptCounters::default(),
            uploads: OpenUploads::default(),
        };
        state.discard_excess_videos();
        state.reject_poisoned();
        state.reject_without_model();
        state
    }

    /// Runs until every handle is dropped and no worker is left.
    ///
    /// What ends comes before what clients ask for, of which there may be any amount.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut ticks = interval(TICK_INTERVAL);
        let mut sweeps = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_handles = true;
        while has_handles
            || !self.submissions.is_empty()
            || self.scheduler.has_workers()
            || self.settlements.are_awaited(!has_handles)
        {
            self.start_attempts();
            self.scheduler.fill_pool(self.pressure);
            tokio::select! {
                biased;
                event = self.scheduler.next_event() => {
                    match event {
                        WorkerEvent::AttemptExit(exit) => self.on_attempt_exit(*exit),
                        WorkerEvent::CapRequest(request) => self.on_cap_request(request),
                        WorkerEvent::StandbyExit => {}
                    }
                    self.scheduler.notify_if_drained();
                }
                // Before the answers of the journal, which are later than what it has told by then.
                Some(event) = self.events.recv() => self.on_journal_event(event),
                Some(stored) = self.submissions.join_next() => match stored {
                    Ok(upload) => self.on_upload_stored(upload),
                    Err(error) => tracing::error!(%error, "submitting an upload failed"),
                },
                Some(settled) = self.settlements.next() => self.on_settled(settled),
                Some(looked_up) = self.lookups.join_next() => match looked_up {
                    Ok(looked_up) => self.on_looked_up(looked_up),
                    Err(error) => tracing::error!(%error, "asking for a job failed"),
                },
                Some(measured) = self.measurements.join_next() => match measured {
                    Ok(pressure) => self.sweep(pressure),
                    Err(error) => tracing::error!(%error, "measuring memory and disk failed"),
                },
                _ = ticks.tick(), if self.scheduler.has_workers() => {
                    // Workers can fill a disk sooner than results expire.
                    if !self.scheduler.running().is_empty() {
                        self.measure();
                    }
                    for id in self.scheduler.poll_workers() {
                        self.jobs.notify(id);
                        self.tell_progress(id);
                    }
                }
                _ = sweeps.tick() => {
                    self.measure();
                    self.sweep_store();
                }
                command = inbox.recv(), if has_handles => match command {
                    Some(command) => {
                        if let Some(command) = self.look_up(command) {
                            self.execute(command);
                        }
                    }
                    None => {
                        has_handles = false;
                        self.scheduler.stop_all(Stop::Shutdown);
                    }
                },
            }
        }
    }

    pub(crate) fn execute(&mut self, command: Command) {
        // A dropped receiver means that the caller no longer waits for the reply.
        match command {
            Command::Admit { request, disk_free_bytes, reply } => {
                drop(reply.send(self.admit(&request, disk_free_bytes, Instant::now())));
            }
            Command::Submit { ticket, id, upload, reply } => {
                self.submit(id, upload, ticket, reply);
            }
            Command::Status { id, reply } => drop(reply.send(self.status(id))),
            Command::Watch { id, reply } => drop(reply.send(self.jobs.subscribe(id))),
            Command::Cancel { id, reply } => self.cancel(id, reply),
            Command::Retry { id, reply } => self.retry(id, reply),
            Command::Remove { id, reply } => self.remove(id, reply),
            Command::Results { id, reply } => drop(reply.send(self.results(id))),
            Command::Poses { id, reply } => drop(reply.send(self.poses(id))),
            Command::List { page, reply } => drop(reply.send(self.list(page))),
            Command::Numbers { reply } => drop(reply.send(self.numbers())),
            Command::Recent { ended_max, reply } => drop(reply.send(self.recent(ended_max))),
            Command::Health { disk_free_bytes, reply } => {
                drop(reply.send(self.health(disk_free_bytes)));
            }
            Command::Configure { config, reply } => {
                self.configure(config);
                let _ = reply.send(());
            }
            Command::RestartWorkers { reply } => {
                let workers = self.scheduler.workers_len();
                self.scheduler.stop_all(Stop::Operator);
                let _ = reply.send(workers);
            }
            Command::Pause { reply } => {
                self.scheduler.switch_to(Mode::Paused);
                let _ = reply.send(self.scheduler.running().len());
            }
            Command::Resume { reply } => {
                self.scheduler.switch_to(Mode::Open);
                let _ = reply.send(());
            }
            Command::Leave { reply } => {
                self.scheduler.switch_to(Mode::Leaving);
                let _ = reply.send(());
            }
            Command::Close { reply } => {
                self.scheduler.switch_to(Mode::Closing);
                self.scheduler.reply_when_drained(reply);
            }
            Command::Stop { why, reply } => {
                self.scheduler.stop_all(why);
                self.scheduler.reply_when_drained(reply);
            }
        }
    }

    fn configure(&mut self, config: Arc<Config>) {
        self.scheduler.configure(Arc::clone(&config));
        if !self.journal.is_shared() {
            self.jobs.lower_caps(config.memory_budget_bytes);
        }
        self.config = config;
        self.discard_excess_videos();
    }

    pub(crate) fn discard_excess_videos(&mut self) {
        self.discard_videos_beyond(self.config.queue_max, "limit of failed jobs reached");
    }

    pub(crate) fn status(&self, id: JobId) -> Option<Status> {
        let job = self.jobs.get(id)?;
        let live = self.scheduler.running().get(id).map(|running| running.live.borrow());
        // The queue is searched linearly, so only for pending jobs.
        let is_pending = matches!(job.state(), JobState::Pending { .. });
        let place = if is_pending { self.place(id) } else { None };
        let live = live.as_deref().or_else(|| self.remote_live.get(&id));
        Some(Status::of(job, place, self.scheduler.queue().len(), live))
    }

    fn place(&self, id: JobId) -> Option<status::Place> {
        let queue = self.scheduler.queue();
        queue.position(id).map(|position| {
            let time_left = self.durations.time_left(position, self.config.slots());
            status::Place { position, total: queue.len(), time_left }
        })
    }

    pub(crate) fn results(&self, id: JobId) -> Option<Results> {
        let job = self.jobs.get(id)?;
        Some(match job.state() {
            JobState::Completed { completed_at, .. } => Results::Ready {
                of: ResultsOf { job: id, claim: job.claims, completed_at: *completed_at },
                filename: job.upload.filename.clone(),
                formats: job.upload.options.formats,
            },
            state => Results::NotReady { state: state.name() },
        })
    }

    /// Changes the state of a job: logs it, notifies subscribers and writes it to the journal.
    pub(crate) fn change(&mut self, id: JobId, event: JobEvent) {
        let Some(row) = self.apply(id, event) else { return };
        self.journal.append(JournalEntry::Job(Box::new(row)));
        self.discard_unneeded_video(id);
    }

    /// Deletes the video of a job that has ended; that of a failed one is kept within limits.
    pub(crate) fn discard_unneeded_video(&mut self, id: JobId) {
        match self.jobs.get(id).map(|job| job.state()) {
            Some(JobState::Failed { .. }) => {
                if self.journal.is_shared() {
                    self.files.remove_local_upload(id);
                }
                self.discard_excess_videos();
            }
            Some(state) if state.is_final() => {
                drop(self.deletion.delete(id, RemovedPart::Upload, "its job has ended"));
            }
            _ => {}
        }
    }

    /// Changes the state of a job, to be written to the journal as returned; none if that is not legal.
    pub(crate) fn apply(&mut self, id: JobId, event: JobEvent) -> Option<JobRow> {
        let now = (self.clock.wall(), self.clock.now());
        if let Err(error) = self.jobs.apply(id, event, now, self.host)? {
            tracing::error!(job = %id, %error, "illegal change of state");
            return None;
        }
        let row = self.jobs.row(id)?;
        self.log_change(&row.job);
        Some(row)
    }

    pub(crate) fn log_change(&self, job: &Job) {
        let state = job.state();
        let code = match state {
            JobState::Failed { error, .. } => Some(error.code.as_ref()),
            _ => None,
        };
        tracing::info!(job = %job.id, state = state.name(), code, "job");
    }

    /// Notifies the subscribers of queued jobs, whose positions may have changed.
    pub(crate) fn notify_queue(&self) {
        for id in self.scheduler.queue().iter() {
            self.jobs.notify(id);
        }
    }
}
