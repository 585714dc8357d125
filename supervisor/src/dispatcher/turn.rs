//! Whose turn it is: starts attempts while a worker and the memory for it are free, and carries
//! out the verdict when one is over.

use super::desk::{Desk, Opening, Running};
use super::shift::{self, Ending, Hired, Plan};
use super::standby::Hand;
use super::{Cancelled, Status};
use crate::job::{AttemptRecord, Event, Job, JobError, JobId, JobState};
use crate::memory::own_rss_bytes;
use crate::verdict::{History, Verdict};
use crate::worker::obituary::End;
use std::time::Instant;
use tokio::task::JoinError;

impl Desk {
    /// Starts attempts from the queue, in turn, until one lacks a worker or memory.
    ///
    /// No job overtakes another for memory: one that needs much waits until enough is free, and all
    /// behind it wait too. Only a job whose content is held back (`content`) is passed over.
    pub(super) fn start_what_fits(&mut self) {
        while self.opening == Opening::Open
            && !self.state.is_in_doubt()
            && self.running.len() < self.breaker.attempts_max(self.config.workers, Instant::now())
        {
            let Some(id) = self.next_in_turn() else { return };
            let Some(JobState::Pending { memory_bytes_max, .. }) =
                self.jobs.get(&id).map(|entry| entry.job.state())
            else {
                tracing::error!(job = %id, "a job that does not wait stood in the queue");
                self.queue.remove(id);
                continue;
            };
            let Some(hand) = self.hand_for(id, *memory_bytes_max) else { return };
            self.queue.remove(id);
            self.start(id, hand);
        }
    }

    /// A worker that stands by, or a new one if the budget has room for it.
    fn hand_for(&mut self, id: JobId, memory_bytes_max: u64) -> Option<Hand> {
        if let Some(hand) = self.standbys.hire(memory_bytes_max) {
            return Some(hand);
        }
        let wanted = self.reserved_bytes() + memory_bytes_max;
        match wanted.checked_sub(self.config.memory_budget_bytes) {
            None | Some(0) => Some(self.recruit(id.to_string(), memory_bytes_max)),
            Some(missing) => {
                self.standbys.give_back(missing);
                None
            }
        }
    }

    fn start(&mut self, id: JobId, hand: Hand) {
        self.change(id, Event::Started);
        let Some(entry) = self.jobs.get(&id) else { return };
        let Hand { order, live, stop, memory_bytes_max, is_standby, attempt: life } = hand;
        let plan = self.plan(&entry.job, memory_bytes_max);
        let (attempt, origin) = (plan.number, plan.origin.clone());
        let hired = Hired { order, live: live.clone(), attempt: life, is_standby };
        let work = shift::work(self.state.clone(), plan, hired);
        let task = self.attempts.spawn(work);
        self.tasks.insert(task.id(), id);
        let running = Running { live, stop: Some(stop), memory_bytes_max, wish: None };
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
        self.queue_moved();
    }

    fn plan(&self, job: &Job, memory_bytes_max: u64) -> Plan {
        let ended_as = |end: End| move |attempt: &&AttemptRecord| attempt.end == end.name();
        let latest = job.attempts.iter().rev();
        Plan {
            job: job.id,
            number: job.attempts_made + 1,
            origin: job.origin.clone(),
            options: job.upload.options,
            media: self.config.media,
            threads: self.config.threads_per_job(),
            memory_bytes_max,
            history: History {
                executions: job.executions.max(self.poison.deaths(&job.upload.sha256)),
                spawn_failures: latest.clone().take_while(ended_as(End::SpawnFailed)).count()
                    as u32,
                operator_restarts: latest.filter(ended_as(End::Operator)).count() as u32,
                memory_retry_bytes_max: self.config.worker_memory_retry_bytes_max,
                memory_budget_bytes: self.config.memory_budget_bytes,
            },
        }
    }

    /// Takes in one attempt that is over.
    pub(super) fn bury(&mut self, ended: Result<(tokio::task::Id, Ending), JoinError>) {
        let task = match &ended {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let Some(id) = self.tasks.remove(&task) else { return };
        let Some(running) = self.running.remove(&id) else { return };
        let event = match ended {
            Ok((_, ending)) => self.learn(id, ending, &running),
            Err(error) => {
                tracing::error!(job = %id, %error, "an attempt was lost to a fault of the service");
                Some(Event::Failed(JobError {
                    code: "internal".into(),
                    sentence: "The service failed on this job; tell the operator.".into(),
                }))
            }
        };
        if let Some(event) = event {
            let is_requeued = matches!(event, Event::Requeued { .. });
            self.change(id, event);
            if is_requeued {
                self.queue.send_back(id);
                self.queue_moved();
            }
        }
        let spent = self.jobs.get(&id).map(|entry| &entry.job.upload.sha256);
        if spent.is_some_and(|sha256| self.poison.is_spent(sha256)) {
            self.turn_away_spent();
        }
        if let Some(wish) = running.wish {
            self.fulfil(id, wish);
        }
        self.tell_if_drained();
    }

    /// Remembers what an attempt showed; tells what it means for the job.
    fn learn(&mut self, id: JobId, ending: Ending, running: &Running) -> Option<Event> {
        if ending.end == End::SpawnFailed {
            self.breaker.failed(Instant::now());
        } else {
            self.breaker.succeeded();
        }
        self.tally.count(ending.end.name(), ending.wall);
        if ending.end.is_counted() && ending.end != End::Cancelled {
            self.tempo.learn(ending.wall);
        }
        let sha256 = self.jobs.get(&id)?.job.upload.sha256.clone();
        self.learn_of_content(&sha256, &ending);
        let entry = self.jobs.get_mut(&id)?;
        entry.job.record(ending.record);
        entry.job.facts = ending.facts.or(entry.job.facts.take());
        entry.job.sandbox = ending.sandbox.or(entry.job.sandbox.take());
        let decision = ending.decision;
        let failed = |sentence| {
            Event::Failed(JobError {
                code: decision.error_code.unwrap_or("failed").into(),
                sentence,
            })
        };
        Some(match (decision.verdict, ending.summary) {
            (Verdict::Succeed, Some(summary)) => Event::Completed(summary),
            (Verdict::Cancel, _) => Event::Cancelled,
            // Whatever else happened first: nobody wants another attempt.
            (Verdict::Retry { .. } | Verdict::Requeue, _) if running.wish.is_some() => {
                Event::Cancelled
            }
            (Verdict::Retry { memory_bytes_max }, _) => {
                Event::Requeued { memory_bytes_max, reason: decision.sentence }
            }
            (Verdict::Requeue, _) => Event::Requeued {
                memory_bytes_max: running.memory_bytes_max,
                reason: decision.sentence,
            },
            (Verdict::Succeed | Verdict::Reject | Verdict::Fail, _) => failed(decision.sentence),
        })
    }

    /// Answers who waited for the end of an attempt.
    fn fulfil(&mut self, id: JobId, wish: super::desk::Wish) {
        self.answer_cancelled(id, wish.cancel);
        for reply in wish.remove {
            self.remove(id, reply);
        }
    }
}

/// The answer to a wish to cancel a job that is over.
pub(super) fn cancelled(status: Status) -> Cancelled {
    if status.status == "cancelled" { Cancelled::Now(status) } else { Cancelled::TooLate(status) }
}
