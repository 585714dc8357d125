//! One random step of the simulation: what is asked of the service.

use super::fake_runner::KnownJob;
use super::{DEADLY, Expected, REPEATED, Simulation, config, is_final, need_bytes, sha256};
use crate::dispatcher::{Cancelled, Retried};
use crate::policy::admission::Request;
use crate::policy::client::ClientAddress;
use crate::policy::display_name::DisplayName;
use crate::policy::job::{JobId, Upload};
use bodyscript_protocol::options::Options;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

impl Simulation {
    pub(super) async fn step(&mut self) {
        let pick = self.random.u32(0..1000);
        let what = match pick {
            0..400 => self.submit().await,
            400..480 => self.cancel().await,
            480..540 => self.remove().await,
            540..550 => self.restart_workers().await,
            550..570 => self.configure().await,
            570..600 => self.retry().await,
            600..603 => self.drain().await,
            603..606 => self.crash().await,
            606..610 => self.step_wall_clock(),
            _ => {
                sleep(Duration::from_nanos(self.random.u64(1_000..1_500_000_000))).await;
                None
            }
        };
        self.done.extend(what);
    }

    async fn submit(&mut self) -> Option<&'static str> {
        let request = Request { client: ClientAddress::ThisHost, bytes: Some(1) };
        let ticket = self.dispatcher().admit(request).await.expect("it runs").ok()?;
        self.accepted += 1;
        let number = self.accepted;
        let id: JobId = format!("{number:032x}").parse().expect("an id");
        self.files.adopt_upload(id, &self.video).expect("a link");
        // Some videos are sent again and again, and some of those crash every worker.
        let content = if number.is_multiple_of(8) {
            self.random.usize(..REPEATED)
        } else {
            number + REPEATED
        };
        let upload = Upload {
            filename: DisplayName::new("video.mp4"),
            bytes: 1,
            sha256: sha256(content),
            options: Options { formats: "csv".parse().expect("a format"), ..Options::default() },
            idempotency_key: None,
        };
        let order = self.next_order(id, content);
        let status = self.dispatcher().submit(ticket, id, upload).await.expect("it runs");
        let status = status.expect("accepted").status;
        assert_eq!(status, "pending");
        self.jobs.insert(number, Expected { id, order, content, status, ended: None });
        Some("submit")
    }

    /// The next order of acceptance, which the runner is told.
    pub(super) fn next_order(&mut self, id: JobId, content: usize) -> usize {
        self.orders += 1;
        let (order, is_deadly) = (self.orders, content < DEADLY);
        let (sha256, need_bytes) = (sha256(content), need_bytes(content));
        let job = KnownJob { order, sha256, is_deadly, need_bytes, is_given_up: false };
        self.runner.record().jobs.insert(id.to_string(), job);
        self.orders
    }

    /// A recent job, as those are in the queue or in progress.
    fn any_job(&mut self) -> Option<usize> {
        let numbers: Vec<_> = self.jobs.keys().rev().take(20).copied().collect();
        self.random.choice(&numbers).copied()
    }

    async fn cancel(&mut self) -> Option<&'static str> {
        let number = self.any_job()?;
        let expected = &self.jobs[&number];
        let was_over = is_final(expected.status);
        match self.dispatcher().cancel(expected.id).await.expect("it runs")? {
            Cancelled::Now(status) => {
                assert_eq!(status.status, "cancelled");
                assert!(!was_over || expected.status == "cancelled", "it was {}", expected.status);
                Some("cancel")
            }
            Cancelled::TooLate(status) => {
                assert!(is_final(status.status));
                None
            }
        }
    }

    async fn remove(&mut self) -> Option<&'static str> {
        let number = self.any_job()?;
        let Expected { id, .. } = self.jobs.remove(&number).expect("it is there");
        // A job that has expired since the last check is unknown.
        let removed = self.dispatcher().remove(id).await.expect("it runs");
        removed.expect("the journal is not shared");
        let status = self.dispatcher().status(id).await.expect("it runs");
        assert!(status.is_none(), "job {number} is removed");
        Some("remove")
    }

    async fn retry(&mut self) -> Option<&'static str> {
        let failed = self.jobs.values().rev().find(|job| job.status == "failed")?;
        let (id, content) = (failed.id, failed.content);
        // Known to the runner before a worker is spawned.
        let order = self.next_order(id, content);
        match self.dispatcher().retry(id).await.expect("it runs")? {
            Retried::Now(status) => {
                assert_eq!(status.status, "pending");
                self.runner.record().crashes.remove(&sha256(content));
                let failed = self.jobs.values_mut().find(|job| job.id == id).expect("it is there");
                (failed.order, failed.status, failed.ended) = (order, "pending", None);
                Some("retry")
            }
            Retried::WithoutVideo => None,
            Retried::NotFailed(status) => panic!("a failed job is {}", status.status),
        }
    }

    async fn restart_workers(&mut self) -> Option<&'static str> {
        self.dispatcher().restart_workers().await.expect("it runs");
        Some("restart workers")
    }

    async fn configure(&mut self) -> Option<&'static str> {
        let (workers, standby) = (self.random.u32(1..=3), self.random.u32(0..2));
        self.config = config(self.files.root(), workers, standby);
        self.dispatcher().configure(Arc::clone(&self.config)).await.expect("it runs");
        Some("configure")
    }

    /// Stops the service without killing a worker, and starts it again.
    async fn drain(&mut self) -> Option<&'static str> {
        self.dispatcher().close().await.expect("it runs");
        let health = self.dispatcher().health().await.expect("it runs");
        assert_eq!((health.jobs.processing, health.reserved_bytes), (0, 0), "it is drained");
        let request = Request { client: ClientAddress::ThisHost, bytes: Some(1) };
        let refused = self.dispatcher().admit(request).await.expect("it runs");
        assert!(refused.is_err(), "a service that drains accepts nothing");
        self.stop().await;
        self.start_again();
        Some("drain")
    }

    pub(super) async fn stop(&mut self) {
        let (dispatcher, task) = self.service.take().expect("it runs");
        drop(dispatcher);
        task.await.expect("the dispatcher ends");
    }

    /// Ends the dispatcher at once, as a crash of the service does, and starts it again.
    async fn crash(&mut self) -> Option<&'static str> {
        let (_, task) = self.service.take().expect("it runs");
        task.abort();
        assert!(task.await.expect_err("it was aborted").is_cancelled());
        // Calls to the disk that have begun come to their end.
        sleep(Duration::from_millis(1)).await;
        self.start_again();
        Some("crash")
    }

    fn step_wall_clock(&mut self) -> Option<&'static str> {
        const STEP_MS: i64 = 48 * 3_600_000;
        self.wall_offset_ms.set(self.random.i64(-STEP_MS..=STEP_MS));
        Some("step of the wall clock")
    }
}
