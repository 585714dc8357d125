//! Starts attempts, and applies the decision when one has ended.
//!
//! Part of the dispatcher's loop. [`crate::dispatcher::scheduler`] decides which job starts,
//! [`crate::dispatcher::attempt_task`] runs the attempt.

use crate::dispatcher::attempt_task::{self, AttemptPlan, AttemptResult, FinishedAttempt};
use crate::dispatcher::running::{AttemptExit, Running};
use crate::dispatcher::scheduler::NextStart;
use crate::dispatcher::state::State;
use crate::dispatcher::worker_pool::PooledWorker;
use crate::policy::job::{AttemptRecord, Job, JobError, JobEvent};
use crate::policy::verdict::{History, Verdict};
use crate::runner::attempt::CapRequest;
use crate::runner::attempt::exit_report::{ExitEvidence, ExitReason};
use crate::runner::containment::own_memory::own_rss_bytes;
use crate::store::JournalState;
use bodyscript_protocol::message::JobParameters;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl State {
    /// Starts attempts until a worker slot or memory is missing.
    pub(crate) fn start_attempts(&mut self) {
        while !self.disk_is_awaited()
            && self.files.is_reachable()
            && self.journal.state() != JournalState::Unreachable
            && let Some(next) = self.scheduler.next_start(&self.jobs, &self.poison)
        {
            self.start(next);
        }
    }

    fn start(&mut self, NextStart { id, place, worker }: NextStart) {
        let start = self.begin(id);
        let Some(job) = self.jobs.get(id) else { return };
        let PooledWorker { handle, stop, memory_bytes_max } = worker;
        let plan = self.plan(job, memory_bytes_max);
        let (attempt, origin, is_standby) = (plan.number, plan.origin.clone(), handle.is_standby);
        let live = handle.live.clone();
        let give_up = plan.give_up.clone();
        let running = Running {
            live,
            poses: Arc::clone(&plan.poses),
            stop: Some(stop),
            memory_bytes_max,
            claim: plan.claim,
            place,
            give_up,
            told_at: None,
            waiters: None,
        };
        let work = attempt_task::run(self.files.clone(), plan, handle, start);
        self.scheduler.run(id, running, work);
        tracing::info!(
            job = %id,
            attempt,
            cap_bytes = memory_bytes_max,
            is_standby,
            reserved_bytes = self.scheduler.reserved_bytes(),
            supervisor_rss_bytes = own_rss_bytes(),
            request_id = origin.request_id(),
            trace_id = origin.trace_id(),
            "started"
        );
        self.notify_queue();
    }

    fn plan(&self, job: &Job, memory_bytes_max: u64) -> AttemptPlan {
        let ended_as = |end: ExitReason| move |attempt: &&AttemptRecord| attempt.end == end.name();
        let latest = job.attempts.iter().rev();
        AttemptPlan {
            job: job.id,
            number: job.attempts_made + 1,
            claim: job.claims,
            give_up: CancellationToken::new(),
            origin: job.origin.clone(),
            parameters: JobParameters {
                options: job.upload.options,
                limits: self.config.media,
                threads: self.config.threads_per_job(),
            },
            memory_bytes_max,
            results_bytes_max: self.config.results_bytes_max,
            poses: Arc::default(),
            history: History {
                executions: job.executions.max(self.poison.crashes(&job.upload.execution())),
                spawn_failures: latest.clone().take_while(ended_as(ExitReason::SpawnFailed)).count()
                    as u32,
                kills: latest.filter(|attempt| attempt.is_killed).count() as u32,
                memory_waits: job.memory_waits,
                disk_waits: job.disk_waits,
                memory_retry_bytes_max: self.config.worker_memory_retry_bytes_max,
                memory_budget_bytes: self.config.memory_budget_bytes,
            },
        }
    }

    /// Decides on a higher cap for a running attempt.
    pub(crate) fn on_cap_request(&mut self, request: CapRequest) {
        if let Some((id, memory_bytes_max)) = self.scheduler.decide_cap(request) {
            let reserved_bytes = self.scheduler.reserved_bytes();
            tracing::info!(job = %id, cap_bytes = memory_bytes_max, reserved_bytes, "cap raised");
            self.change(id, JobEvent::Raised { memory_bytes_max });
        }
    }

    /// Handles the end of an attempt.
    pub(crate) fn on_attempt_exit(&mut self, AttemptExit { id, running, result }: AttemptExit) {
        let mut shared = None;
        let result = match result {
            Ok(AttemptResult::Refused(error)) => return self.on_refused_start(id, running, &error),
            Ok(AttemptResult::Finished(finished)) => {
                shared.clone_from(&finished.shared);
                Ok(finished)
            }
            Err(error) => Err(error),
        };
        let Some(mut job) =
            self.jobs.get(id).filter(|job| self.is_own(job, running.claim)).cloned()
        else {
            return self.drop_attempt(id, running, result.ok());
        };
        let event = match result {
            Ok(finished) => self.record(&mut job, *finished, &running),
            Err(error) => {
                tracing::error!(job = %id, %error, "an attempt failed: internal error");
                JobEvent::Failed(JobError {
                    code: "internal".into(),
                    sentence: "The service failed to process the job. Contact the operator.".into(),
                })
            }
        };
        let execution = job.upload.execution();
        if self.journal.is_shared() {
            self.settle_attempt(job, event, running, shared);
        } else {
            let is_requeued = matches!(event, JobEvent::Requeued { .. });
            if let Some(known) = self.jobs.get_mut(id) {
                *known = job;
            }
            self.change(id, event);
            if is_requeued {
                self.scheduler.requeue(running.place, id);
                self.notify_queue();
            }
            if let Some(waiters) = running.waiters {
                self.notify_waiters(id, waiters);
            }
        }
        if self.poison.is_poisoned(&execution) {
            self.reject_poisoned();
        }
    }

    /// Records an attempt in its job; returns the event that follows.
    fn record(
        &mut self,
        job: &mut Job,
        FinishedAttempt { decision, exit_report, .. }: FinishedAttempt,
        running: &Running,
    ) -> JobEvent {
        let (end, wall) = (exit_report.end, exit_report.evidence.wall);
        self.counters.count(end.name(), wall);
        if end.is_counted() && end != ExitReason::Cancelled {
            self.durations.learn(wall);
        }
        self.record_poison(&job.upload.execution(), &exit_report);
        let summary = exit_report.summary();
        let attempt = AttemptRecord::of(&exit_report);
        let ExitEvidence { facts, sandbox, .. } = exit_report.evidence;
        match end {
            ExitReason::MemoryAwaited => job.record_memory_wait(facts, sandbox),
            ExitReason::DiskAwaited => job.record_disk_wait(facts, sandbox),
            _ => job.record(attempt, facts, sandbox),
        }
        let failed = |sentence| {
            JobEvent::Failed(JobError {
                code: decision.error_code.unwrap_or("failed").into(),
                sentence,
            })
        };
        match (decision.verdict, summary) {
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
        }
    }
}
