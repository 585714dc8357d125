//! The state of the service and the one loop that changes it.
//!
//! Nothing here blocks: files are touched by tasks that report back. Every change of a job's
//! state goes through [`Desk::change`], so that there is one place to log, to tell watchers, and
//! to remember.

use super::breaker::Breaker;
use super::shift::Ending;
use super::turn::cancelled;
use super::{Cancelled, Command, Counts, Health, Results, Runner, Ticket};
use crate::admission::{self, Admitted, Capacity, Refusal, Request};
use crate::artefacts::{StateDir, StateError};
use crate::attempt::Live;
use crate::config::Config;
use crate::job::{Event, Job, JobId, JobState, Upload};
use crate::queue::Queue;
use crate::retention::{ENDED_KEPT_MAX, Lives, Pressure};
use crate::status::{Place, Status};
use crate::worker::obituary::Stop;
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

/// How often watchers of a running job hear of it.
const PULSE: Duration = Duration::from_millis(200);

/// How often expired results are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// What one job is taken to need before any was measured.
const SERVICE_TIME_GUESS: Duration = Duration::from_secs(10);

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
    changes: watch::Sender<u64>,
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
    pub(super) jobs: HashMap<JobId, Entry>,
    pub(super) queue: Queue,
    pub(super) running: HashMap<JobId, Running>,
    pub(super) attempts: JoinSet<Ending>,
    pub(super) tasks: HashMap<task::Id, JobId>,
    pub(super) breaker: Breaker,
    pub(super) opening: Opening,
    pub(super) service_time: Duration,
    /// Jobs that are over, in the order of their ends and so of their expiry.
    ended: VecDeque<(Instant, JobId)>,
    /// One clone for each upload under way, and this one.
    uploads: Arc<()>,
    pressure: Pressure,
    waiting_for_drain: Vec<oneshot::Sender<()>>,
}

impl Desk {
    pub(super) fn new(config: Arc<Config>, runner: Runner, state: StateDir) -> Self {
        // Jobs that come back from an attempt never displace a newcomer with a ticket.
        let queue = Queue::new(config.queue_max + config.workers);
        Self {
            pressure: Pressure::measure(&state, config.disk_free_bytes_min),
            config,
            runner,
            state,
            jobs: HashMap::new(),
            queue,
            running: HashMap::new(),
            attempts: JoinSet::new(),
            tasks: HashMap::new(),
            breaker: Breaker::default(),
            opening: Opening::Open,
            service_time: SERVICE_TIME_GUESS,
            ended: VecDeque::new(),
            uploads: Arc::new(()),
            waiting_for_drain: Vec::new(),
        }
    }

    /// Works until every handle is dropped and no attempt is under way.
    pub(super) async fn work(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut pulse = interval(PULSE);
        let mut sweep = interval(SWEEP);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_asked = true;
        while is_asked || !self.attempts.is_empty() {
            self.start_what_fits();
            tokio::select! {
                command = inbox.recv(), if is_asked => match command {
                    Some(command) => self.obey(command),
                    None => {
                        is_asked = false;
                        self.stop(Stop::Shutdown);
                    }
                },
                Some(ended) = self.attempts.join_next_with_id() => self.bury(ended),
                _ = pulse.tick(), if !self.running.is_empty() => self.feel_pulse(),
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        // Whoever asked may have gone; then the answer falls to the floor.
        match command {
            Command::Admit { request, reply } => drop(reply.send(self.admit(&request))),
            Command::Submit { ticket, id, upload, reply } => {
                let status = self.submit(id, upload);
                drop(ticket);
                drop(reply.send(status));
            }
            Command::Status { id, reply } => drop(reply.send(self.status(id))),
            Command::Watch { id, reply } => {
                drop(reply.send(self.jobs.get(&id).map(|entry| entry.changes.subscribe())));
            }
            Command::Cancel { id, reply } => self.cancel(id, reply),
            Command::Remove { id, reply } => self.remove(id, reply),
            Command::Results { id, reply } => drop(reply.send(self.results(id))),
            Command::List { reply } => drop(reply.send(self.list())),
            Command::Recent { ended_max, reply } => drop(reply.send(self.recent(ended_max))),
            Command::Health { reply } => drop(reply.send(self.health())),
            Command::Drain { reply } => {
                self.opening = Opening::Draining;
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

    fn admit(&self, request: &Request) -> Result<Ticket, Refusal> {
        let capacity = Capacity {
            is_open: self.opening == Opening::Open,
            memory_is_short: self.pressure.memory,
            queue_len: self.queue.len(),
            uploads: self.uploads(),
            queue_max: self.config.queue_max,
            workers: self.config.slots(),
            service_time: self.service_time,
            upload_bytes_max: self.config.upload_bytes_max,
            disk_free_bytes: self.state.free_bytes().unwrap_or(0),
            disk_free_bytes_min: self.config.disk_free_bytes_min,
        };
        let Admitted = admission::decide(&capacity, request)?;
        Ok(Ticket { _place: self.uploads.clone() })
    }

    fn submit(&mut self, id: JobId, upload: Upload) -> Status {
        let job = Job::new(id, upload, self.config.worker_memory_bytes_max, now());
        tracing::info!(
            job = %id,
            filename = %job.upload.filename,
            bytes = job.upload.bytes,
            sha256 = job.upload.sha256,
            mode = job.upload.options.mode.name(),
            "accepted"
        );
        if self.queue.push(id).is_err() {
            tracing::error!(job = %id, "an upload with a ticket found the queue full");
            self.queue.send_back(id);
        }
        let (changes, _) = watch::channel(0);
        let place = self.place(id);
        let status = Status::of(&job, place, self.queue.len(), None);
        self.jobs.insert(id, Entry { job, changes });
        self.queue_moved();
        status
    }

    pub(super) fn status(&self, id: JobId) -> Option<Status> {
        let entry = self.jobs.get(&id)?;
        let live = self.running.get(&id).map(|running| running.live.borrow());
        Some(Status::of(&entry.job, self.place(id), self.queue.len(), live.as_deref()))
    }

    fn place(&self, id: JobId) -> Option<Place> {
        let total = self.queue.len();
        self.queue.position(id).map(|position| Place { position, total })
    }

    fn list(&self) -> Vec<Status> {
        let mut all: Vec<_> = self.jobs.keys().filter_map(|id| self.status(*id)).collect();
        all.sort_by_key(|status| std::cmp::Reverse(status.created_at));
        all
    }

    fn results(&self, id: JobId) -> Option<Results> {
        let entry = self.jobs.get(&id)?;
        Some(match entry.job.state() {
            JobState::Completed { .. } => {
                Results::Ready { filename: entry.job.upload.filename.clone() }
            }
            _ => Results::NotReady(Box::new(self.status(id)?)),
        })
    }

    fn cancel(&mut self, id: JobId, reply: oneshot::Sender<Option<Cancelled>>) {
        if let Some(running) = self.running.get_mut(&id) {
            running.end(Stop::Cancelled).cancel.push(reply);
            return;
        }
        if self.queue.remove(id) {
            self.change(id, Event::Cancelled);
            self.queue_moved();
        }
        let _ = reply.send(self.status(id).map(cancelled));
    }

    /// Forgets a job; with a worker, once that is gone.
    pub(super) fn remove(&mut self, id: JobId, reply: oneshot::Sender<bool>) {
        if let Some(running) = self.running.get_mut(&id) {
            running.end(Stop::Cancelled).remove.push(reply);
            return;
        }
        if self.queue.remove(id) {
            self.queue_moved();
        }
        if self.jobs.remove(&id).is_none() {
            let _ = reply.send(false);
            return;
        }
        self.ended.retain(|(_, ended)| *ended != id);
        tracing::info!(job = %id, "removed by request");
        let files = self.remove_files(id, StateDir::remove);
        tokio::spawn(async move {
            let _ = files.await;
            let _ = reply.send(true);
        });
    }

    /// The only way in which a job changes its state.
    pub(super) fn change(&mut self, id: JobId, event: Event) {
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        if let Err(error) = entry.job.apply(event, now()) {
            tracing::error!(job = %id, %error, "a fault in the dispatcher");
            return;
        }
        entry.changes.send_modify(|revision| *revision += 1);
        let state = entry.job.state();
        let code = match state {
            JobState::Failed { error, .. } => Some(error.code),
            _ => None,
        };
        tracing::info!(job = %id, state = state.name(), code, "job");
        if state.is_final() {
            self.ended.push_back((Instant::now(), id));
            self.remove_files(id, StateDir::remove_leftovers);
        }
    }

    /// Tells those who wait that their places may have changed.
    pub(super) fn queue_moved(&self) {
        for entry in self.queue.iter().filter_map(|id| self.jobs.get(&id)) {
            entry.changes.send_modify(|revision| *revision += 1);
        }
    }

    fn feel_pulse(&mut self) {
        for (id, running) in &mut self.running {
            // An error means that the attempt is over, which is told elsewhere.
            if !running.live.has_changed().unwrap_or(false) {
                continue;
            }
            if running.live.borrow_and_update().posture.is_some() {
                self.breaker.succeeded();
            }
            if let Some(entry) = self.jobs.get(id) {
                entry.changes.send_modify(|revision| *revision += 1);
            }
        }
    }

    fn sweep(&mut self) {
        self.pressure = Pressure::measure(&self.state, self.config.disk_free_bytes_min);
        let lives =
            Lives { normal: self.config.result_ttl, under_pressure: self.config.pressure_ttl };
        let now = Instant::now();
        while let Some((ended, id)) = self.ended.front().copied() {
            let has_expired = lives.has_expired(ended, now, self.pressure);
            if !has_expired && self.ended.len() <= ENDED_KEPT_MAX {
                return;
            }
            self.ended.pop_front();
            self.jobs.remove(&id);
            tracing::info!(job = %id, has_expired, "removed: its time is over");
            self.remove_files(id, StateDir::remove);
        }
    }

    fn remove_files(
        &self,
        id: JobId,
        how: fn(&StateDir, JobId) -> Result<(), StateError>,
    ) -> task::JoinHandle<()> {
        let state = self.state.clone();
        spawn_blocking(move || {
            if let Err(error) = how(&state, id) {
                tracing::error!(job = %id, %error, "files of a job stay behind");
            }
        })
    }

    fn stop(&mut self, why: Stop) {
        if why == Stop::Shutdown {
            self.opening = Opening::Draining;
        }
        for running in self.running.values_mut() {
            running.tell(why);
        }
    }

    pub(super) fn tell_if_drained(&mut self) {
        if self.running.is_empty() {
            for reply in self.waiting_for_drain.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    /// Memory promised to the attempts under way, in bytes.
    pub(super) fn reserved_bytes(&self) -> u64 {
        self.running.values().map(|running| running.memory_bytes_max).sum()
    }

    fn uploads(&self) -> usize {
        Arc::strong_count(&self.uploads) - 1
    }

    fn health(&self) -> Health {
        let reason = match self.admit(&Request { bytes: Some(0) }) {
            _ if self.breaker.is_open() => Some("workers cannot be started"),
            Ok(_) => None,
            Err(Refusal::Closing) => Some("the service is stopping"),
            Err(Refusal::QueueFull { .. }) => Some("the queue is full"),
            Err(Refusal::MemoryShort { .. }) => Some("the host is short of memory"),
            Err(Refusal::DiskFull) => Some("the disk is full"),
            Err(Refusal::TooLarge { .. }) => None,
        };
        let mut jobs = Counts::default();
        for entry in self.jobs.values() {
            *match entry.job.state() {
                JobState::Pending { .. } => &mut jobs.pending,
                JobState::Processing { .. } => &mut jobs.processing,
                JobState::Completed { .. } => &mut jobs.completed,
                JobState::Failed { .. } => &mut jobs.failed,
                JobState::Cancelled { .. } => &mut jobs.cancelled,
            } += 1;
        }
        let workers_rss_bytes = self.running.values().map(|r| r.live.borrow().rss_bytes).sum();
        Health {
            is_ready: reason.is_none(),
            reason,
            workers: self.config.workers,
            jobs,
            uploads: self.uploads(),
            reserved_bytes: self.reserved_bytes(),
            budget_bytes: self.config.memory_budget_bytes,
            workers_rss_bytes,
            pressure: self.pressure,
            service_time_ms: self.service_time.as_millis() as u64,
        }
    }
}

impl Running {
    fn tell(&mut self, why: Stop) {
        if let Some(stop) = self.stop.take() {
            // The attempt may just have ended of itself.
            let _ = stop.send(why);
        }
    }

    /// Ends the attempt for good.
    fn end(&mut self, why: Stop) -> &mut Wish {
        self.tell(why);
        self.wish.get_or_insert_default()
    }
}

/// The wall clock, to the millisecond: finer tells nobody anything.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
