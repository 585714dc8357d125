//! The state of the service and the one loop that changes it.
//!
//! Nothing here blocks: files are touched by tasks that report back. Every change of a job's
//! state goes through [`Desk::change`], so that there is one place to log, to tell watchers, and
//! to remember.

use super::breaker::Breaker;
use super::intake::Arrival;
use super::shift::Ending;
use super::standby::Standbys;
use super::tally::Tally;
use super::tempo::Tempo;
use super::{Cancelled, Command, Results, Runner};
use crate::artefacts::StateDir;
use crate::attempt::Live;
use crate::clock::{self, Clock, Moment};
use crate::config::Config;
use crate::job::{Event, Job, JobId, JobState};
use crate::journal::{self, Journal, Remembered, What};
use crate::poison::Poison;
use crate::queue::Queue;
use crate::recovery::Recovered;
use crate::retention::Pressure;
use crate::status::{Place, Status};
use crate::worker::obituary::Stop;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

/// How often watchers of a running job hear of it.
const PULSE: Duration = Duration::from_millis(200);

/// How often expired results are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// Whether jobs are taken and started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Open,
    Draining,
}

/// A job and those who watch it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) job: Job,
    pub(super) changes: watch::Sender<u64>,
    /// When it was over, if it is.
    pub(super) ended: Option<Moment>,
}

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) live: watch::Receiver<Live>,
    pub(super) stop: Option<oneshot::Sender<Stop>>,
    pub(super) memory_bytes_max: u64,
    /// Set once nobody wants its result.
    pub(super) wish: Option<Wish>,
}

/// Who waits for the end of an attempt.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) cancel: Vec<oneshot::Sender<Option<Cancelled>>>,
    pub(super) remove: Vec<oneshot::Sender<bool>>,
}

/// The state of the service.
pub(super) struct Desk {
    pub(super) config: Arc<Config>,
    pub(super) runner: Runner,
    pub(super) state: StateDir,
    pub(super) journal: Journal,
    pub(super) clock: Clock,
    pub(super) jobs: HashMap<JobId, Entry>,
    pub(super) queue: Queue,
    pub(super) running: HashMap<JobId, Running>,
    pub(super) standbys: Standbys,
    pub(super) arrivals: JoinSet<Arrival>,
    pub(super) attempts: JoinSet<Ending>,
    pub(super) tasks: HashMap<task::Id, JobId>,
    pub(super) breaker: Breaker,
    pub(super) opening: Opening,
    pub(super) tempo: Tempo,
    pub(super) tally: Tally,
    /// Jobs that are over, in the order of their ends and so of their expiry.
    pub(super) ended: VecDeque<(Moment, JobId)>,
    /// Failed jobs whose video is kept, in the order of their ends.
    pub(super) kept: VecDeque<JobId>,
    pub(super) poison: Poison,
    /// The jobs whose requests had a key, those on their way through the journal included.
    pub(super) keys: HashMap<String, JobId>,
    /// One clone for each upload under way, and this one.
    pub(super) uploads: Arc<()>,
    pub(super) pressure: Pressure,
    waiting_for_drain: Vec<oneshot::Sender<()>>,
}

impl Desk {
    pub(super) fn new(
        config: Arc<Config>,
        runner: Runner,
        state: StateDir,
        recovered: Recovered,
    ) -> Self {
        let Recovered { journal, clock, jobs, poison, uploads } = recovered;
        let queue = Queue::new(queue_length_max(&config));
        let mut desk = Self {
            pressure: Pressure::measure(&state, config.disk_free_bytes_min),
            config,
            runner,
            state,
            journal,
            clock,
            jobs: HashMap::new(),
            queue,
            running: HashMap::new(),
            standbys: Standbys::default(),
            arrivals: JoinSet::new(),
            attempts: JoinSet::new(),
            tasks: HashMap::new(),
            breaker: Breaker::default(),
            opening: Opening::Open,
            tempo: Tempo::default(),
            tally: Tally::default(),
            ended: VecDeque::new(),
            kept: VecDeque::new(),
            poison: Poison::recalled(poison),
            keys: HashMap::new(),
            uploads: Arc::new(()),
            waiting_for_drain: Vec::new(),
        };
        desk.recall(jobs, &uploads);
        desk
    }

    /// Takes over the jobs of an earlier run, in the order in which they were accepted.
    fn recall(&mut self, jobs: Vec<Remembered>, uploads: &HashSet<JobId>) {
        for Remembered { mut job, ended } in jobs {
            // The budget may have been larger then; a job that waited for more would wait for ever.
            job.lower_cap(self.config.memory_budget_bytes);
            match ended {
                Some(ended) => self.ended.push_back((ended, job.id)),
                // They were accepted, so that there are more than may be is no reason.
                None => self.queue.readmit(job.id),
            }
            if let Some(key) = &job.upload.idempotency_key {
                self.keys.insert(key.clone(), job.id);
            }
            let (changes, _) = watch::channel(0);
            self.jobs.insert(job.id, Entry { job, changes, ended });
        }
        self.ended.make_contiguous().sort_unstable();
        let is_failed = |id: &JobId| {
            let state = self.jobs.get(id).map(|entry| entry.job.state());
            matches!(state, Some(JobState::Failed { .. }))
        };
        let ended = self.ended.iter().map(|(_, id)| *id);
        self.kept = ended.filter(|id| uploads.contains(id) && is_failed(id)).collect();
        self.let_go_beyond(self.config.queue_max, "there are too many of failed jobs");
        self.turn_away_spent();
    }

    /// Works until every handle is dropped and no worker is left.
    pub(super) async fn work(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut pulse = interval(PULSE);
        let mut sweep = interval(SWEEP);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_asked = true;
        while is_asked
            || !self.attempts.is_empty()
            || !self.arrivals.is_empty()
            || !self.standbys.is_empty()
        {
            self.start_what_fits();
            self.stand_by();
            tokio::select! {
                command = inbox.recv(), if is_asked => match command {
                    Some(command) => self.obey(command),
                    None => {
                        is_asked = false;
                        self.stop(Stop::Shutdown);
                    }
                },
                Some(arrived) = self.arrivals.join_next() => match arrived {
                    Ok(arrival) => self.take_in(arrival),
                    Err(error) => tracing::error!(%error, "an upload was lost"),
                },
                Some(ended) = self.attempts.join_next_with_id() => self.bury(ended),
                Some(()) = self.standbys.gone() => self.tell_if_drained(),
                _ = pulse.tick(), if self.has_workers() => self.feel_pulse(),
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        // Whoever asked may have gone; then the answer falls to the floor.
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
                let workers = self.running.len() + self.standbys.len();
                self.stop(Stop::Operator);
                let _ = reply.send(workers);
            }
            Command::Drain { reply } => {
                self.opening = Opening::Draining;
                self.standbys.dismiss();
                self.waiting_for_drain.push(reply);
                self.tell_if_drained();
            }
            Command::Stop { why, reply } => {
                self.stop(why);
                self.waiting_for_drain.push(reply);
                self.tell_if_drained();
            }
        }
    }

    fn configure(&mut self, config: Arc<Config>) {
        self.config = config;
        // They were born by the old one.
        self.standbys.dismiss();
        self.queue.bound(queue_length_max(&self.config));
        for entry in self.jobs.values_mut() {
            entry.job.lower_cap(self.config.memory_budget_bytes);
        }
        self.let_go_beyond(self.config.queue_max, "there are too many of failed jobs");
    }

    pub(super) fn status(&self, id: JobId) -> Option<Status> {
        let entry = self.jobs.get(&id)?;
        let live = self.running.get(&id).map(|running| running.live.borrow());
        // Who does not wait need not be looked for in the queue.
        let waits = matches!(entry.job.state(), JobState::Pending { .. });
        let place = if waits { self.place(id) } else { None };
        Some(Status::of(&entry.job, place, self.queue.len(), live.as_deref()))
    }

    pub(super) fn place(&self, id: JobId) -> Option<Place> {
        let total = self.queue.len();
        self.queue.position(id).map(|position| {
            let time_left = self.tempo.time_left(position, self.config.slots());
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

    /// The only way in which a job changes its state.
    pub(super) fn change(&mut self, id: JobId, event: Event) {
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        if let Err(error) = entry.job.apply(event, clock::wall()) {
            tracing::error!(job = %id, %error, "a fault in the dispatcher");
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
        self.remember(id);
        if is_failed {
            self.keep_video(id);
        } else if is_final {
            drop(self.bid_farewell(id, What::Upload, "its job is over"));
        }
    }

    /// Tells the journal how a job is now.
    pub(super) fn remember(&self, id: JobId) {
        if let Some(Entry { job, ended, .. }) = self.jobs.get(&id) {
            let remembered = Remembered { job: job.clone(), ended: *ended };
            self.journal.note(journal::Entry::Job(Box::new(remembered)));
        }
    }

    /// Tells those who wait that their places may have changed.
    pub(super) fn queue_moved(&self) {
        for entry in self.queue.iter().filter_map(|id| self.jobs.get(&id)) {
            entry.changes.send_modify(|revision| *revision += 1);
        }
    }

    fn has_workers(&self) -> bool {
        !self.running.is_empty() || !self.standbys.is_empty()
    }

    fn feel_pulse(&mut self) {
        self.look_after_standbys();
        for (id, running) in &mut self.running {
            // An error means that the attempt is over, which is told elsewhere.
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
            self.opening = Opening::Draining;
        }
        self.standbys.dismiss();
        for running in self.running.values_mut() {
            running.tell(why);
        }
    }

    pub(super) fn tell_if_drained(&mut self) {
        if self.running.is_empty() && self.standbys.is_empty() {
            for reply in self.waiting_for_drain.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    /// Memory promised to all workers, in bytes.
    pub(super) fn reserved_bytes(&self) -> u64 {
        let running: u64 = self.running.values().map(|running| running.memory_bytes_max).sum();
        running + self.standbys.reserved_bytes()
    }
}

/// Jobs that come back from an attempt never displace a newcomer with a ticket.
fn queue_length_max(config: &Config) -> usize {
    config.queue_max + config.workers
}

impl Running {
    fn tell(&mut self, why: Stop) {
        if let Some(stop) = self.stop.take() {
            // The attempt may just have ended of itself.
            let _ = stop.send(why);
        }
    }

    /// Ends the attempt for good.
    pub(super) fn end(&mut self, why: Stop) -> &mut Wish {
        self.tell(why);
        self.wish.get_or_insert_default()
    }
}
