//! Starts attempts from the queue while a worker slot and memory are free, and applies the
//! verdict when an attempt has ended.

use crate::dispatcher::attempt_task::{self, AssignedWorker, AttemptPlan, FinishedAttempt};
use crate::dispatcher::state::{Mode, Running, State, Waiters};
use crate::dispatcher::worker_pool::PooledWorker;
use crate::dispatcher::{Cancelled, Status};
use crate::policy::job::{AttemptRecord, Job, JobError, JobEvent, JobId, JobState};
use crate::policy::verdict::{History, Verdict};
use crate::runner::attempt::exit_report::ExitReason;
use crate::runner::attempt::{AttemptChannels, Live, WorkerSpec};
use crate::runner::containment::own_memory::own_rss_bytes;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;
use tokio::time::Instant;

impl State {
    /// Starts attempts in queue order until a worker slot or memory is missing.
    ///
    /// No job overtakes another for memory: the head of the queue waits until its cap fits into the
    /// budget, and the jobs behind it wait too. Only a job that `poison_gate` holds back is
    /// skipped.
    pub(crate) fn start_attempts(&mut self) {
        while self.mode == Mode::Open
            && !self.state.refuses_writes()
            && self.running.len() < self.breaker.attempts_max(self.config.workers, Instant::now())
        {
            let Some(id) = self.next_job() else { return };
            let Some(JobState::Pending { memory_bytes_max, .. }) =
                self.jobs.get(&id).map(|entry| entry.job.state())
            else {
                tracing::error!(job = %id, "a job in the queue is not pending");
                self.queue.remove(id);
                continue;
            };
            let Some(worker) = self.worker_for(id, *memory_bytes_max) else { return };
            self.queue.remove(id);
            self.start(id, worker);
        }
    }

    /// A standby worker, or a new one if its cap fits into the budget.
    fn worker_for(&mut self, id: JobId, memory_bytes_max: u64) -> Option<PooledWorker> {
        if let Some(worker) = self.pool.checkout(memory_bytes_max) {
            return Some(worker);
        }
        let needed = self.reserved_bytes() + memory_bytes_max;
        match needed.checked_sub(self.config.memory_budget_bytes) {
            None | Some(0) => Some(self.spawn_worker(id.to_string(), memory_bytes_max)),
            Some(missing) => {
                self.pool.release_memory(missing);
                None
            }
        }
    }

    fn spawn_worker(&self, name: String, memory_bytes_max: u64) -> PooledWorker {
        let deadlines = self.config.deadlines;
        self.spawn(WorkerSpec { name, memory_bytes_max, deadlines, warms_up: false })
    }

    /// A worker whose process is spawned when its attempt is first polled.
    fn spawn(&self, spec: WorkerSpec) -> PooledWorker {
        let (assignment, assigned) = oneshot::channel();
        let (sender, live) = watch::channel(Live::default());
        let (stop, stopped) = oneshot::channel();
        let memory_bytes_max = spec.memory_bytes_max;
        let channels = AttemptChannels { assignment: assigned, live: sender, stop: stopped };
        let attempt = (self.runner)(spec, channels);
        PooledWorker { assignment, live, stop, memory_bytes_max, is_standby: false, attempt }
    }

    /// Adds standby workers while no job needs the memory.
    pub(crate) fn fill_pool(&mut self) {
        if self.pressure.memory {
            self.pool.release_all();
        }
        let memory_bytes_max = self.config.worker_memory_bytes_max;
        while self.mode == Mode::Open
            && !self.pressure.memory
            && self.queue.is_empty()
            && (self.running.is_empty() || self.pool.may_be_replaced())
            && self.pool.len() < self.config.standby
            && self.may_grow_pool(Instant::now())
            && self.reserved_bytes() + memory_bytes_max <= self.config.memory_budget_bytes
        {
            let worker = self.spawn(WorkerSpec {
                name: "standby".into(),
                memory_bytes_max,
                deadlines: self.config.deadlines,
                warms_up: true,
            });
            self.pool.add(worker);
        }
    }

    fn may_grow_pool(&self, now: Instant) -> bool {
        let workers = self.config.workers;
        self.breaker.attempts_max(workers, now) > self.pool.len()
            && self.pool.may_grow(workers, now)
    }

    /// Removes standby workers that have exited.
    pub(crate) fn poll_pool(&mut self) {
        if self.pool.poll() {
            self.breaker.succeeded();
        }
    }

    fn start(&mut self, id: JobId, worker: PooledWorker) {
        self.change(id, JobEvent::Started);
        let Some(entry) = self.jobs.get(&id) else { return };
        let PooledWorker {
            assignment,
            live,
            stop,
            memory_bytes_max,
            is_standby,
            attempt: running_attempt,
        } = worker;
        let plan = self.plan(&entry.job, memory_bytes_max);
        let (attempt, origin) = (plan.number, plan.origin.clone());
        let assigned_worker =
            AssignedWorker { assignment, live: live.clone(), attempt: running_attempt, is_standby };
        let work = attempt_task::run(self.state.clone(), plan, assigned_worker);
        let task = self.attempts.spawn(work);
        self.tasks.insert(task.id(), id);
        let running = Running { live, stop: Some(stop), memory_bytes_max, waiters: None };
        self.running.insert(id, running);
        let reserved_bytes = self.reserved_bytes();
        tracing::info!(
            job = %id,
            attempt,
            cap_bytes = memory_bytes_max,
            is_standby,
            reserved_bytes,
            supervisor_rss_bytes = own_rss_bytes(),
            request_id = origin.request_id(),
            trace_id = origin.trace_id(),
            "started"
        );
        assert!(reserved_bytes <= self.config.memory_budget_bytes, "the caps fit the budget");
        self.notify_queue();
    }

    fn plan(&self, job: &Job, memory_bytes_max: u64) -> AttemptPlan {
        let ended_as = |end: ExitReason| move |attempt: &&AttemptRecord| attempt.end == end.name();
        let latest = job.attempts.iter().rev();
        AttemptPlan {
            job: job.id,
            number: job.attempts_made + 1,
            origin: job.origin.clone(),
            options: job.upload.options,
            media: self.config.media,
            threads: self.config.threads_per_job(),
            memory_bytes_max,
            history: History {
                executions: job.executions.max(self.poison.crashes(&job.upload.sha256)),
                spawn_failures: latest.clone().take_while(ended_as(ExitReason::SpawnFailed)).count()
                    as u32,
                operator_restarts: latest.filter(ended_as(ExitReason::Operator)).count() as u32,
                memory_retry_bytes_max: self.config.worker_memory_retry_bytes_max,
                memory_budget_bytes: self.config.memory_budget_bytes,
            },
        }
    }

    /// Handles the end of an attempt.
    pub(crate) fn on_attempt_exit(
        &mut self,
        ended: Result<(tokio::task::Id, FinishedAttempt), JoinError>,
    ) {
        let task = match &ended {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let Some(id) = self.tasks.remove(&task) else { return };
        let Some(running) = self.running.remove(&id) else { return };
        let event = match ended {
            Ok((_, finished)) => self.record(id, finished, &running),
            Err(error) => {
                tracing::error!(job = %id, %error, "an attempt failed: internal error");
                Some(JobEvent::Failed(JobError {
                    code: "internal".into(),
                    sentence: "The service failed to process the job. Contact the operator.".into(),
                }))
            }
        };
        if let Some(event) = event {
            let is_requeued = matches!(event, JobEvent::Requeued { .. });
            self.change(id, event);
            if is_requeued {
                self.queue.push_front(id);
                self.notify_queue();
            }
        }
        let sha256 = self.jobs.get(&id).map(|entry| &entry.job.upload.sha256);
        if sha256.is_some_and(|sha256| self.poison.is_poisoned(sha256)) {
            self.reject_poisoned();
        }
        if let Some(waiters) = running.waiters {
            self.notify_waiters(id, waiters);
        }
        self.notify_if_drained();
    }

    /// Records an attempt; returns the event that follows for the job.
    fn record(
        &mut self,
        id: JobId,
        finished: FinishedAttempt,
        running: &Running,
    ) -> Option<JobEvent> {
        if finished.end == ExitReason::SpawnFailed {
            self.breaker.failed(Instant::now());
        } else {
            self.breaker.succeeded();
        }
        self.counters.count(finished.end.name(), finished.wall);
        if finished.end.is_counted() && finished.end != ExitReason::Cancelled {
            self.durations.learn(finished.wall);
        }
        let sha256 = self.jobs.get(&id)?.job.upload.sha256.clone();
        self.record_poison(&sha256, &finished);
        let entry = self.jobs.get_mut(&id)?;
        entry.job.record(finished.record);
        entry.job.facts = finished.facts.or(entry.job.facts.take());
        entry.job.sandbox = finished.sandbox.or(entry.job.sandbox.take());
        let decision = finished.decision;
        let failed = |sentence| {
            JobEvent::Failed(JobError {
                code: decision.error_code.unwrap_or("failed").into(),
                sentence,
            })
        };
        Some(match (decision.verdict, finished.summary) {
            (Verdict::Succeed, Some(summary)) => JobEvent::Completed(summary),
            (Verdict::Cancel, _) => JobEvent::Cancelled,
            // A cancelled or removed job is not run again, whichever end came first.
            (Verdict::Retry { .. } | Verdict::Requeue, _) if running.waiters.is_some() => {
                JobEvent::Cancelled
            }
            (Verdict::Retry { memory_bytes_max }, _) => {
                JobEvent::Requeued { memory_bytes_max, reason: decision.sentence }
            }
            (Verdict::Requeue, _) => JobEvent::Requeued {
                memory_bytes_max: running.memory_bytes_max,
                reason: decision.sentence,
            },
            (Verdict::Succeed | Verdict::Reject | Verdict::Fail, _) => failed(decision.sentence),
        })
    }

    /// Replies to the callers that wait for the end of an attempt.
    fn notify_waiters(&mut self, id: JobId, waiters: Waiters) {
        self.answer_cancelled(id, waiters.cancel);
        for reply in waiters.remove {
            self.remove(id, reply);
        }
    }
}

/// The reply to a cancellation of a job that is over.
pub(crate) fn cancelled(status: Status) -> Cancelled {
    if status.status == "cancelled" { Cancelled::Now(status) } else { Cancelled::TooLate(status) }
}
