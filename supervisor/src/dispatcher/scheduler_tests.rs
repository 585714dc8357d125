//! The memory budget, the order of jobs and the pool, without processes.

use super::*;
use crate::config::RawConfig;
use crate::dispatcher::RunningAttempt;
use crate::dispatcher::attempt_task::FinishedAttempt;
use crate::policy::display_name::DisplayName;
use crate::policy::host::HostId;
use crate::policy::job::{Job, JobEvent, Upload};
use crate::policy::poison::execution;
use crate::policy::verdict::{Decision, Verdict};
use crate::runner::attempt::exit_report::{ExitEvidence, ExitReport};
use crate::runner::containment::cage::CageBackend;
use crate::runner::models::InstalledModels;
use bodyscript_protocol::options::Options;
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

const CAP_BYTES: u64 = 128 << 20;
const BUDGET_BYTES: u64 = 4 * CAP_BYTES;
const WORKERS: u32 = 3;

fn config(budget_bytes: u64) -> Arc<Config> {
    let raw = RawConfig::of(&format!(
        "workers = {WORKERS}\nstandby = 0\nworker_memory_bytes_max = {CAP_BYTES}\n\
         memory_budget_bytes = {budget_bytes}\n"
    ));
    Arc::new(Config::load(&raw, None).expect("a configuration"))
}

/// A scheduler whose workers end when the test says so.
struct Fixture {
    scheduler: Scheduler,
    jobs: JobTable,
    poison: Poison,
    /// What ends the attempt of a job.
    ends: BTreeMap<JobId, oneshot::Sender<()>>,
    places: BTreeMap<JobId, Place>,
}

impl Fixture {
    fn new() -> Self {
        let run = Arc::new(|_, _| Box::pin(std::future::pending()) as RunningAttempt);
        let runner = Runner { run, models: InstalledModels::ALL };
        Self {
            scheduler: Scheduler::new(runner, config(BUDGET_BYTES)),
            jobs: JobTable::default(),
            poison: Poison::default(),
            ends: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }

    fn accept(&mut self, caps: u64, sha256: &str) -> JobId {
        let upload = Upload {
            filename: DisplayName::new("clip.mp4"),
            bytes: 1,
            sha256: sha256.into(),
            options: Options::default(),
            idempotency_key: None,
        };
        let id = JobId::random();
        self.jobs.insert(Job::new(id, upload, caps * CAP_BYTES, Timestamp::UNIX_EPOCH));
        self.scheduler.enqueue(id, ClientAddress::ThisHost);
        id
    }

    /// Starts the next job, if one may start.
    fn start(&mut self) -> Option<JobId> {
        let NextStart { id, place, worker } =
            self.scheduler.next_start(&self.jobs, &self.poison)?;
        let at = (Timestamp::UNIX_EPOCH, crate::store::Moment::from_ms(0));
        self.jobs.apply(id, JobEvent::Started, at, HostId::ALONE)?.expect("legal");
        let PooledWorker { handle, stop, memory_bytes_max } = worker;
        let live = handle.live.clone();
        let give_up = CancellationToken::new();
        let running = Running {
            live,
            poses: std::sync::Arc::default(),
            stop: Some(stop),
            memory_bytes_max,
            claim: 1,
            place,
            give_up,
            told_at: None,
            waiters: None,
        };
        let (end, ended) = oneshot::channel();
        self.ends.insert(id, end);
        self.places.insert(id, place);
        self.scheduler.run(id, running, async move {
            let _ = ended.await;
            let evidence = ExitEvidence::blank(CageBackend::V2, memory_bytes_max);
            let exit_report =
                ExitReport { end: ExitReason::Done, ..ExitReport::from_evidence(evidence) };
            let sentence = String::new();
            let decision = Decision { verdict: Verdict::Succeed, error_code: None, sentence };
            AttemptResult::Finished(Box::new(FinishedAttempt {
                decision,
                exit_report,
                has_claim: true,
                shared: None,
            }))
        });
        Some(id)
    }

    async fn end(&mut self, id: JobId) {
        drop(self.ends.remove(&id));
        let WorkerEvent::AttemptExit(exit) = self.scheduler.next_event().await else {
            panic!("an attempt ends")
        };
        assert_eq!(exit.id, id);
    }

    /// Queues a job again that has run.
    fn requeue(&mut self, id: JobId, caps: u64) {
        let reason = String::new();
        let event = JobEvent::Requeued { memory_bytes_max: caps * CAP_BYTES, reason };
        let at = (Timestamp::UNIX_EPOCH, crate::store::Moment::from_ms(0));
        self.jobs.apply(id, event, at, HostId::ALONE).expect("it is there").expect("legal");
        self.scheduler.requeue(self.places[&id], id);
    }
}

impl Fixture {
    /// What the worker of a running job is answered if its video needs so many caps.
    fn request(&mut self, id: JobId, need_bytes: u64) -> Option<CapReply> {
        let (reply, mut answer) = oneshot::channel();
        self.scheduler.decide_cap(CapRequest { job: id.to_string(), need_bytes, reply });
        answer.try_recv().ok()
    }
}

fn run(test: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(test);
}

#[test]
fn a_job_that_waits_for_memory_is_not_overtaken() {
    run(async {
        let mut fixture = Fixture::new();
        let first = fixture.accept(3, "a");
        let large = fixture.accept(2, "b");
        let small = fixture.accept(1, "c");
        assert_eq!(fixture.start(), Some(first));
        assert_eq!(fixture.start(), None, "the small one would fit");
        fixture.end(first).await;
        assert_eq!((fixture.start(), fixture.start()), (Some(large), Some(small)));
    });
}

#[test]
fn a_requeued_job_keeps_its_place() {
    run(async {
        let mut fixture = Fixture::new();
        let ids = [(); 5].map(|()| fixture.accept(1, ""));
        assert_eq!([(); 3].map(|()| fixture.start()), [ids[0], ids[1], ids[2]].map(Some));
        for id in [ids[1], ids[0]] {
            fixture.end(id).await;
            fixture.requeue(id, 1);
        }
        let queued: Vec<_> = fixture.scheduler.queue().iter().collect();
        assert_eq!(queued, [ids[0], ids[1], ids[3], ids[4]]);
    });
}

#[test]
fn content_that_may_crash_one_worker_too_many_is_held_back() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.poison.record_crash(&execution("a", &Options::default()));
        let [first, second] = [(); 2].map(|()| fixture.accept(1, "a"));
        let other = fixture.accept(1, "b");
        assert_eq!((fixture.start(), fixture.start()), (Some(first), Some(other)));
        assert_eq!(fixture.start(), None, "it might be the third worker to crash");
        fixture.end(first).await;
        fixture.poison.clear(&execution("a", &Options::default()));
        assert_eq!(fixture.start(), Some(second));
    });
}

#[test]
fn jobs_with_a_model_that_is_not_installed_are_left_to_other_hosts() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.scheduler.runner.models = InstalledModels::of(&[LandmarkModel::Full]);
        let [heavy, full] = [(); 2].map(|()| fixture.accept(1, ""));
        let job = fixture.jobs.get_mut(heavy).expect("it is there");
        job.upload.options.model = LandmarkModel::Heavy;
        assert_eq!((fixture.start(), fixture.start()), (Some(full), None));
        fixture.scheduler.runner.models = InstalledModels::ALL;
        assert_eq!(fixture.start(), Some(heavy));
    });
}

#[test]
fn the_attempt_that_has_written_most_is_stopped_one_at_a_time() {
    run(async {
        let mut fixture = Fixture::new();
        let ids = [(); 3].map(|()| fixture.accept(1, ""));
        assert_eq!([(); 3].map(|()| fixture.start()), ids.map(Some));
        assert_eq!(fixture.scheduler.stop_largest(Stop::DiskLow), None, "none has written");
        for (id, results_bytes) in ids.into_iter().zip([1, 3, 2]) {
            let live = watch::channel(Live { results_bytes, ..Live::default() }).1;
            fixture.scheduler.running.get_mut(id).expect("it runs").live = live;
        }
        assert_eq!(fixture.scheduler.stop_largest(Stop::DiskLow), Some((ids[1], 3)));
        assert_eq!(fixture.scheduler.stop_largest(Stop::DiskLow), None, "one is being stopped");
        fixture.end(ids[1]).await;
        assert_eq!(fixture.scheduler.stop_largest(Stop::DiskLow), Some((ids[2], 2)));
    });
}

#[test]
fn a_cap_is_raised_while_the_budget_has_room() {
    run(async {
        let mut fixture = Fixture::new();
        let [first, second] = [(); 2].map(|()| fixture.accept(1, ""));
        assert_eq!((fixture.start(), fixture.start()), (Some(first), Some(second)));
        let granted = CapReply::Granted { cap_bytes: 3 * CAP_BYTES };
        assert_eq!(fixture.request(first, 3 * CAP_BYTES), Some(granted));
        assert_eq!(fixture.scheduler.reserved_bytes(), BUDGET_BYTES);
        let next = fixture.accept(1, "");
        assert_eq!(fixture.start(), None, "nothing is left");
        fixture.end(first).await;
        assert_eq!(fixture.start(), Some(next));
        assert_eq!(fixture.scheduler.reserved_bytes(), 2 * CAP_BYTES);
    });
}

#[test]
fn a_job_given_up_for_memory_starts_in_its_place_with_the_cap_it_needs() {
    run(async {
        let mut fixture = Fixture::new();
        let [large, other, later] = [(); 3].map(|()| fixture.accept(1, ""));
        assert_eq!([(); 3].map(|()| fixture.start()), [large, other, later].map(Some));
        let answer = fixture.request(large, 3 * CAP_BYTES);
        assert_eq!(answer, Some(CapReply::Later { cap_bytes: 3 * CAP_BYTES }));
        assert_eq!(fixture.scheduler.reserved_bytes(), 3 * CAP_BYTES, "nothing is reserved for it");
        let last = fixture.accept(1, "");
        fixture.end(large).await;
        fixture.requeue(large, 3);
        assert_eq!(fixture.start(), None, "the last one would fit, but is behind it");
        fixture.end(other).await;
        assert_eq!((fixture.start(), fixture.start()), (Some(large), None));
        fixture.end(later).await;
        assert_eq!(fixture.start(), Some(last));
    });
}

#[test]
fn a_need_beyond_the_budget_is_refused_for_good() {
    run(async {
        let mut fixture = Fixture::new();
        let only = fixture.accept(1, "");
        assert_eq!(fixture.start(), Some(only));
        for need in [BUDGET_BYTES + 1, u64::MAX] {
            let limit_bytes = BUDGET_BYTES;
            assert_eq!(fixture.request(only, need), Some(CapReply::Never { limit_bytes }));
        }
        assert_eq!(fixture.scheduler.reserved_bytes(), CAP_BYTES);
    });
}

#[test]
fn nothing_is_raised_above_a_budget_that_was_lowered_meanwhile() {
    run(async {
        let mut fixture = Fixture::new();
        let ids = [(); 3].map(|()| fixture.accept(1, ""));
        assert_eq!([(); 3].map(|()| fixture.start()), ids.map(Some));
        fixture.scheduler.configure(config(2 * CAP_BYTES));
        let answer = fixture.request(ids[0], 2 * CAP_BYTES);
        assert_eq!(answer, Some(CapReply::Later { cap_bytes: 2 * CAP_BYTES }));
        let limit_bytes = 2 * CAP_BYTES;
        let answer = fixture.request(ids[0], 3 * CAP_BYTES);
        assert_eq!(answer, Some(CapReply::Never { limit_bytes }));
        assert_eq!(fixture.scheduler.reserved_bytes(), 3 * CAP_BYTES);
    });
}

#[test]
fn a_request_that_nothing_waits_for_changes_nothing() {
    run(async {
        let mut fixture = Fixture::new();
        let only = fixture.accept(1, "");
        assert_eq!(fixture.request(only, 1), None, "it does not run");
        assert_eq!(fixture.start(), Some(only));
        let (reply, answer) = oneshot::channel();
        drop(answer);
        let (job, need_bytes) = (only.to_string(), 2 * CAP_BYTES);
        let raised = fixture.scheduler.decide_cap(CapRequest { job, need_bytes, reply });
        assert_eq!((raised, fixture.scheduler.reserved_bytes()), (None, CAP_BYTES));
    });
}

#[test]
fn nothing_starts_once_the_service_stops() {
    run(async {
        let mut fixture = Fixture::new();
        let first = fixture.accept(1, "a");
        fixture.accept(1, "b");
        assert_eq!(fixture.start(), Some(first));
        let (reply, mut drained) = oneshot::channel();
        fixture.scheduler.switch_to(Mode::Closing);
        fixture.scheduler.reply_when_drained(reply);
        assert_eq!((fixture.start(), drained.try_recv().ok()), (None, None));
        fixture.end(first).await;
        fixture.scheduler.notify_if_drained();
        assert_eq!(drained.try_recv().ok(), Some(()));
        fixture.scheduler.switch_to(Mode::Open);
        assert_eq!(fixture.start(), None, "a stop is not taken back");
    });
}

#[test]
fn a_service_that_stops_starts_nothing_before_it_closes() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.accept(1, "a");
        fixture.scheduler.switch_to(Mode::Leaving);
        assert_eq!(fixture.start(), None);
        for other in [Mode::Open, Mode::Paused] {
            fixture.scheduler.switch_to(other);
            assert_eq!((fixture.start(), fixture.scheduler.mode()), (None, Mode::Leaving));
        }
        fixture.scheduler.switch_to(Mode::Closing);
        assert_eq!(fixture.scheduler.mode(), Mode::Closing);
    });
}

#[test]
fn nothing_starts_on_a_paused_host_until_it_resumes() {
    run(async {
        let mut fixture = Fixture::new();
        let first = fixture.accept(1, "a");
        let second = fixture.accept(1, "b");
        assert_eq!(fixture.start(), Some(first));
        fixture.scheduler.switch_to(Mode::Paused);
        assert_eq!((fixture.start(), fixture.scheduler.running().len()), (None, 1));
        fixture.scheduler.switch_to(Mode::Open);
        assert_eq!(fixture.start(), Some(second));
    });
}

proptest! {
    #[test]
    fn the_caps_of_all_workers_fit_into_the_budget(
        steps in prop::collection::vec((0u8..4, 1u64..6), 1..60),
    ) {
        run(async {
            let mut fixture = Fixture::new();
            for (step, caps) in steps {
                match (step, fixture.ends.keys().next().copied()) {
                    (0, _) => drop(fixture.accept(caps.min(4), "")),
                    (1, Some(id)) => {
                        fixture.end(id).await;
                        fixture.requeue(id, caps.min(4));
                    }
                    (3, Some(id)) => drop(fixture.request(id, caps * CAP_BYTES)),
                    _ => while fixture.start().is_some() {},
                }
                let running: u64 =
                    fixture.scheduler.running().iter().map(|(_, one)| one.memory_bytes_max).sum();
                assert_eq!(fixture.scheduler.reserved_bytes(), running);
                assert!(running <= BUDGET_BYTES, "{running} bytes");
                assert!(fixture.scheduler.running().len() <= WORKERS as usize);
            }
        });
    }
}
