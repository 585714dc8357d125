//! Decides which job starts next, and owns everything that holds memory for it: the queue, the
//! attempts in progress and the standby workers.
//!
//! Owned by the dispatcher's loop. The caps of all workers together never exceed the budget. No job
//! overtakes another for memory: the first job waits until its cap fits into the budget, and the
//! jobs behind it wait too. Only a job whose content may crash one worker too many is skipped.

use crate::config::Config;
use crate::dispatcher::Runner;
use crate::dispatcher::attempt_task::{AttemptResult, WorkerHandle};
use crate::dispatcher::breaker::Breaker;
use crate::dispatcher::job_table::JobTable;
use crate::dispatcher::mode::Mode;
use crate::dispatcher::running::{Running, RunningAttempts, Waiters, WorkerEvent};
use crate::dispatcher::worker_pool::{PooledWorker, Standby, WorkerPool};
use crate::policy::client::ClientAddress;
use crate::policy::job::{JobId, JobState};
use crate::policy::memory_cap::{self, Reserved};
use crate::policy::poison::{self, Poison};
use crate::policy::queue::{Place, Queue};
use crate::runner::attempt::exit_report::{ExitReason, Stop};
use crate::runner::attempt::{AttemptChannels, CapReply, CapRequest, Live, WorkerSpec};
use crate::store::Pressure;
use bodyscript_protocol::options::LandmarkModel;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// A job to start now, its place in the queue, and its worker.
pub(crate) struct NextStart {
    pub(crate) id: JobId,
    pub(crate) place: Place,
    pub(crate) worker: PooledWorker,
}

/// The queue, the attempts in progress and the standby workers.
pub(crate) struct Scheduler {
    runner: Runner,
    config: Arc<Config>,
    mode: Mode,
    queue: Queue,
    running: RunningAttempts,
    pool: WorkerPool,
    breaker: Breaker,
    /// The requests of all workers; the sender is cloned for each.
    cap_requests: (UnboundedSender<CapRequest>, UnboundedReceiver<CapRequest>),
    waiting_for_drain: Vec<oneshot::Sender<()>>,
}

/// Starts: which job, and in which worker.
impl Scheduler {
    pub(crate) fn new(runner: Runner, config: Arc<Config>) -> Self {
        Self {
            runner,
            queue: Queue::default(),
            config,
            mode: Mode::Open,
            running: RunningAttempts::default(),
            pool: WorkerPool::default(),
            breaker: Breaker::default(),
            cap_requests: unbounded_channel(),
            waiting_for_drain: Vec::new(),
        }
    }

    /// Applies a new configuration. Standby workers were started with the old one.
    pub(crate) fn configure(&mut self, config: Arc<Config>) {
        self.config = config;
        self.pool.release_all();
    }

    /// The job that starts now, with its worker, unless a worker slot or memory is missing.
    pub(crate) fn next_start(&mut self, jobs: &JobTable, poison: &Poison) -> Option<NextStart> {
        let attempts_max = self.breaker.attempts_max(self.config.workers, Instant::now());
        if self.mode != Mode::Open || self.running.len() >= attempts_max {
            return None;
        }
        loop {
            let id = self.next_job(jobs, poison)?;
            let job = jobs.get(id).map(|job| (job.state(), job.upload.options.model));
            let Some((JobState::Pending { memory_bytes_max, .. }, model)) = job else {
                tracing::error!(job = %id, "a job in the queue is not pending");
                self.queue.remove(id);
                continue;
            };
            let worker = self.worker_for(id, *memory_bytes_max, model)?;
            return self.queue.start(id).map(|place| NextStart { id, place, worker });
        }
    }

    /// The first job in the queue that ever fits into the budget and whose content may be run by one more worker: each
    /// worker that already runs the same content, on any host, may crash, and together they must not exceed the limit.
    fn next_job(&self, jobs: &JobTable, poison: &Poison) -> Option<JobId> {
        if self.queue.is_empty() {
            return None;
        }
        let execution = |id| jobs.get(id).map(|job| job.upload.execution());
        let running: Vec<_> = jobs.processing().map(|job| job.upload.execution()).collect();
        let running_on = |execution: &str| {
            let count =
                |is: &dyn Fn(&str) -> bool| running.iter().filter(|it| is(it)).count() as u32;
            let content = poison::content(execution);
            poison::Running {
                same: count(&|other| other == execution),
                content: count(&|other| poison::content(other) == content),
            }
        };
        // Of jobs that hosts share, some may be for a host with more memory, or with other models.
        let budget_bytes = self.config.memory_budget_bytes;
        let fits = |id| match jobs.get(id).map(|job| (job.state(), job.upload.options.model)) {
            Some((JobState::Pending { memory_bytes_max: cap, .. }, model)) => {
                *cap <= budget_bytes && self.runner.models.require(model).is_ok()
            }
            _ => true,
        };
        let may_run = |id| execution(id).is_none_or(|it| poison.allows(&it, running_on(&it)));
        self.queue.iter().find(|id| fits(*id) && may_run(*id))
    }

    /// A standby worker, or a new one if its cap fits into the budget.
    fn worker_for(
        &mut self,
        id: JobId,
        memory_bytes_max: u64,
        model: LandmarkModel,
    ) -> Option<PooledWorker> {
        if let Some(worker) = self.pool.checkout(memory_bytes_max, model) {
            return Some(worker);
        }
        let needed = self.reserved_bytes() + memory_bytes_max;
        match needed.checked_sub(self.config.memory_budget_bytes) {
            None | Some(0) => {
                let name = id.to_string();
                Some(self.spawn(WorkerSpec { name, model, ..self.spec(memory_bytes_max) }))
            }
            Some(missing) => {
                self.pool.release_memory(missing);
                None
            }
        }
    }

    /// A worker that waits in the pool.
    fn spec(&self, memory_bytes_max: u64) -> WorkerSpec {
        WorkerSpec {
            name: "standby".into(),
            memory_bytes_max,
            raised_bytes_max: self.config.raised_bytes_max(),
            deadlines: self.config.deadlines,
            model: LandmarkModel::default(),
            warms_up: false,
        }
    }

    /// A worker whose process is spawned when its attempt is first polled.
    fn spawn(&self, spec: WorkerSpec) -> PooledWorker {
        let (assignment, assigned) = oneshot::channel();
        let (sender, live) = watch::channel(Live::default());
        let (stop, stopped) = oneshot::channel();
        let memory_bytes_max = spec.memory_bytes_max;
        let cap_requests = self.cap_requests.0.clone();
        let channels =
            AttemptChannels { assignment: assigned, live: sender, cap_requests, stop: stopped };
        let attempt = (self.runner.run)(spec, channels);
        let handle = WorkerHandle { assignment, live, attempt, is_standby: false };
        PooledWorker { handle, stop, memory_bytes_max }
    }

    /// Starts the task of an attempt.
    pub(crate) fn run(
        &mut self,
        id: JobId,
        running: Running,
        work: impl Future<Output = AttemptResult> + Send + 'static,
    ) {
        self.running.spawn(id, running, work);
        let budget_bytes = self.config.memory_budget_bytes;
        assert!(self.reserved_bytes() <= budget_bytes, "the caps fit into the budget");
    }

    /// Adds standby workers while no job needs the memory, and the host has enough.
    pub(crate) fn fill_pool(&mut self, pressure: Pressure) {
        if pressure.memory {
            self.pool.release_all();
            return;
        }
        let memory_bytes_max = self.config.worker_memory_bytes_max;
        while self.mode == Mode::Open
            && self.queue.is_empty()
            && (self.running.is_empty() || self.pool.may_be_replaced())
            && self.pool.len() < self.config.standby
            && self.may_grow_pool(Instant::now())
            && self.reserved_bytes() + memory_bytes_max <= self.config.memory_budget_bytes
        {
            let worker = self.spawn(WorkerSpec { warms_up: true, ..self.spec(memory_bytes_max) });
            self.pool.add(worker);
        }
    }

    fn may_grow_pool(&self, now: Instant) -> bool {
        let workers = self.config.workers;
        self.breaker.attempts_max(workers, now) > self.pool.len()
            && self.pool.may_grow(workers, now)
    }
}

/// Memory, exits and stops.
impl Scheduler {
    /// Raises the cap of a running attempt if the budget has room, and answers; returns its job and
    /// its new cap.
    pub(crate) fn decide_cap(&mut self, request: CapRequest) -> Option<(JobId, u64)> {
        let CapRequest { job, need_bytes, reply } = request;
        let id = job.parse().ok()?;
        let (total_bytes, budget_bytes) = (self.reserved_bytes(), self.config.memory_budget_bytes);
        let limit_bytes = self.config.raised_bytes_max();
        // An attempt that no longer waits may have been followed by another one of the same job.
        let running = self.running.get_mut(id).filter(|_| !reply.is_closed())?;
        let cap_bytes = running.memory_bytes_max;
        let reserved = Reserved { cap_bytes, total_bytes, budget_bytes, limit_bytes };
        let answer = memory_cap::decide(need_bytes, &reserved);
        let raised = match answer {
            CapReply::Granted { cap_bytes } => {
                running.memory_bytes_max = cap_bytes;
                assert!(self.reserved_bytes() <= budget_bytes, "the caps fit into the budget");
                Some((id, cap_bytes))
            }
            CapReply::Later { .. } | CapReply::Never { .. } => None,
        };
        let _ = reply.send(answer);
        raised
    }

    /// Waits until a worker is gone, or asks for memory.
    pub(crate) async fn next_event(&mut self) -> WorkerEvent {
        tokio::select! {
            biased;
            Some(exit) = self.running.next_exit() => {
                // A worker that was spawned shows that workers can be spawned.
                if let Ok(AttemptResult::Finished(finished)) = &exit.result {
                    match finished.exit_report.end {
                        ExitReason::SpawnFailed => self.breaker.failed(Instant::now()),
                        _ => self.breaker.succeeded(),
                    }
                }
                WorkerEvent::AttemptExit(Box::new(exit))
            }
            Some(()) = self.pool.next_exited() => WorkerEvent::StandbyExit,
            // Never closed, because this scheduler has a sender.
            Some(request) = self.cap_requests.1.recv() => WorkerEvent::CapRequest(request),
            else => std::future::pending().await,
        }
    }

    /// Looks at all workers; returns the jobs whose attempts have changed.
    pub(crate) fn poll_workers(&mut self) -> Vec<JobId> {
        let mut became_ready = self.pool.poll();
        let mut changed = Vec::new();
        for (id, running) in self.running.iter_mut() {
            // An error means that the attempt is over; its exit is handled next.
            if running.live.has_changed().unwrap_or(false) {
                became_ready |= running.live.borrow_and_update().sandbox.is_some();
                changed.push(id);
            }
        }
        if became_ready {
            self.breaker.succeeded();
        }
        changed
    }

    /// Stops the attempt of a job for good; returns its waiters, or none if it does not run.
    pub(crate) fn end(&mut self, id: JobId) -> Option<&mut Waiters> {
        Some(self.running.get_mut(id)?.end(Stop::Cancelled))
    }

    /// Stops the attempt that has written most, unless one is being stopped; returns its job and what it has
    /// written.
    pub(crate) fn stop_largest(&mut self, why: Stop) -> Option<(JobId, u64)> {
        if self.running.iter().any(|(_, running)| running.stop.is_none()) {
            return None;
        }
        let written = self.running.iter_mut().map(|(id, running)| {
            let bytes = running.live.borrow().results_bytes;
            (id, running, bytes)
        });
        let (id, running, bytes) =
            written.filter(|(.., bytes)| *bytes > 0).max_by_key(|(.., bytes)| *bytes)?;
        running.send_stop(why);
        Some((id, bytes))
    }

    /// Stops every worker.
    pub(crate) fn stop_all(&mut self, why: Stop) {
        if why == Stop::Shutdown {
            self.mode = Mode::Closing;
        }
        self.pool.release_all();
        for (_, running) in self.running.iter_mut() {
            running.send_stop(why);
        }
    }

    /// Starts workers, or no more. A service that stops does not open again.
    pub(crate) fn switch_to(&mut self, mode: Mode) {
        match self.mode {
            Mode::Closing => {}
            Mode::Leaving if mode != Mode::Closing => {}
            _ => self.mode = mode,
        }
        if self.mode != Mode::Open {
            self.pool.release_all();
        }
    }

    /// Replies once no worker is left.
    pub(crate) fn reply_when_drained(&mut self, reply: oneshot::Sender<()>) {
        self.waiting_for_drain.push(reply);
        self.notify_if_drained();
    }

    pub(crate) fn notify_if_drained(&mut self) {
        if !self.has_workers() {
            for reply in self.waiting_for_drain.drain(..) {
                let _ = reply.send(());
            }
        }
    }
}

/// The queue, and figures.
impl Scheduler {
    /// Adds a job of a client to the queue.
    pub(crate) fn enqueue(&mut self, id: JobId, client: ClientAddress) {
        self.queue.push(id, client);
    }

    /// Returns a job to its place in the queue.
    pub(crate) fn requeue(&mut self, place: Place, id: JobId) {
        self.queue.put_back(place, id);
    }

    /// For what other hosts do.
    pub(crate) const fn queue_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// The attempt of a job, to be stopped.
    pub(crate) fn running_mut(&mut self, id: JobId) -> Option<&mut Running> {
        self.running.get_mut(id)
    }

    /// Takes a job out of the queue; false if it is not in it.
    pub(crate) fn dequeue(&mut self, id: JobId) -> bool {
        self.queue.remove(id)
    }

    pub(crate) const fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(crate) const fn running(&self) -> &RunningAttempts {
        &self.running
    }

    /// The standby workers, for operators.
    pub(crate) fn standby(&self) -> Vec<Standby> {
        self.pool.list()
    }

    pub(crate) const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether so many workers in a row could not be started that no upload should be sent here.
    pub(crate) fn cannot_start_workers(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether any worker is left, also a released one that has not exited yet.
    pub(crate) fn has_workers(&self) -> bool {
        !self.running.is_empty() || !self.pool.is_empty()
    }

    /// Number of workers that process or await a job.
    pub(crate) fn workers_len(&self) -> usize {
        self.running.len() + self.pool.len()
    }

    /// Memory reserved by all workers, in bytes.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.running.reserved_bytes() + self.pool.reserved_bytes()
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
