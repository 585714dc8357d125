//! `GET /api/monitor`: how the service is, once a second, and how it was in the minutes before.
//!
//! One task asks the dispatcher whether or not anybody watches, because whoever comes to watch
//! wants to know what was. It keeps a bounded past. The stream begins with an event `past`; an
//! event `now` follows each second, or `trouble` where the dispatcher has no answer.

use crate::dispatcher::status::Status;
use crate::dispatcher::{Counts, Health, Recent, Standby};
use crate::http::connections::registry::RequestSlot;
use crate::http::operators::health;
use crate::http::problem::ApiError;
use crate::http::service::{LiveService, Service};
use crate::policy::job::JobId;
use crate::runner::containment::own_memory::own_rss_bytes;
use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use jiff::Timestamp;
use procfs::{Current, Meminfo};
use serde::Serialize;
use serde_json::json;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks that are remembered: five minutes of them.
const SAMPLES_MAX: usize = 300;
/// Ends that are shown.
const ENDED_MAX: usize = 20;
/// How soon a page comes back to a service that went away.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// What curves are drawn from.
#[derive(Debug, Clone, Serialize)]
struct Sample {
    at_ms: i64,
    supervisor_bytes: u64,
    workers_bytes: u64,
    reserved_bytes: u64,
    workers: Vec<WorkerSample>,
}

#[derive(Debug, Clone, Serialize)]
struct WorkerSample {
    job_id: JobId,
    pid: Option<i32>,
    rss_bytes: u64,
}

/// The latest samples, oldest first.
#[derive(Debug, Clone, Default)]
struct Past(VecDeque<Arc<Sample>>);

impl Past {
    fn push(&mut self, sample: Arc<Sample>) {
        if self.0.len() == SAMPLES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }
}

/// Everything the page shows of one moment.
#[derive(Debug, Serialize)]
struct Snapshot {
    version: &'static str,
    started_at: Timestamp,
    cage: String,
    is_ready: bool,
    reason: Option<&'static str>,
    workers_max: usize,
    standby: Vec<Standby>,
    queue_max: usize,
    uploads: usize,
    budget_bytes: u64,
    memory_is_short: bool,
    host: Host,
    disk_free_bytes_min: u64,
    disk_is_short: bool,
    jobs: Counts,
    processing: Vec<Status>,
    pending: Vec<Status>,
    ended: Vec<Status>,
    sample: Sample,
}

/// What the kernel says.
#[derive(Debug, Default, Serialize)]
struct Host {
    #[serde(skip)]
    supervisor_bytes: u64,
    memory_total_bytes: u64,
    memory_available_bytes: u64,
    disk_free_bytes: Option<u64>,
}

#[derive(Debug)]
enum Present {
    /// Nobody has looked yet.
    Unknown,
    Known(Box<Snapshot>),
    FileProblem(&'static str),
}

#[derive(Debug)]
struct Report {
    past: Past,
    present: Present,
}

/// The way to what the task knows.
#[derive(Debug, Clone)]
pub(crate) struct Monitor {
    reports: watch::Receiver<Arc<Report>>,
}

impl Monitor {
    /// Starts the task. It ends when the service closes.
    pub(crate) fn start(live: LiveService) -> Self {
        let first = Report { past: Past::default(), present: Present::Unknown };
        let (sender, reports) = watch::channel(Arc::new(first));
        tokio::spawn(sample_periodically(live, sender));
        Self { reports }
    }
}

async fn sample_periodically(live: LiveService, reports: watch::Sender<Arc<Report>>) {
    let Service { started_at, closing, .. } = live.current();
    let mut past = Past::default();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = closing.cancelled() => return,
        }
        let present = match look(&live.current(), started_at).await {
            Ok(snapshot) => {
                past.push(Arc::new(snapshot.sample.clone()));
                Present::Known(Box::new(snapshot))
            }
            Err(reason) => Present::FileProblem(reason),
        };
        reports.send_replace(Arc::new(Report { past: past.clone(), present }));
    }
}

async fn look(service: &Service, started_at: Timestamp) -> Result<Snapshot, &'static str> {
    let health = health::ask(service).await?;
    let recent =
        service.dispatcher.recent(ENDED_MAX).await.map_err(|_| "the service is stopping")?;
    let host = measure(service).await;
    let sample = sample(&health, &recent, &host);
    let Recent { processing, pending, ended } = recent;
    Ok(Snapshot {
        version: env!("CARGO_PKG_VERSION"),
        started_at,
        cage: service.cage.clone(),
        is_ready: health.is_ready,
        reason: health.reason,
        workers_max: health.workers,
        standby: health.standby,
        queue_max: service.config.queue_max,
        uploads: health.uploads,
        budget_bytes: health.budget_bytes,
        memory_is_short: health.pressure.memory,
        host,
        disk_free_bytes_min: service.config.disk_free_bytes_min,
        disk_is_short: health.pressure.disk,
        jobs: health.jobs,
        processing,
        pending,
        ended,
        sample,
    })
}

fn sample(health: &Health, recent: &Recent, host: &Host) -> Sample {
    let workers = recent.processing.iter().filter_map(|status| {
        let worker = status.worker?;
        Some(WorkerSample { job_id: status.job_id, pid: worker.pid, rss_bytes: worker.rss_bytes })
    });
    Sample {
        at_ms: Timestamp::now().as_millisecond(),
        supervisor_bytes: host.supervisor_bytes,
        workers_bytes: health.workers_rss_bytes,
        reserved_bytes: health.reserved_bytes,
        workers: workers.collect(),
    }
}

/// A file system may let one wait, so this does not happen where requests are answered.
async fn measure(service: &Service) -> Host {
    let state = service.state.clone();
    let measured = spawn_blocking(move || {
        let memory = Meminfo::current().ok();
        let available = memory.as_ref().and_then(|memory| memory.mem_available);
        Host {
            supervisor_bytes: own_rss_bytes(),
            memory_total_bytes: memory.map_or(0, |memory| memory.mem_total),
            memory_available_bytes: available.unwrap_or(0),
            disk_free_bytes: state.free_bytes().ok(),
        }
    });
    measured.await.unwrap_or_default()
}

/// The past, then every second the present, until the service closes.
pub(crate) async fn events(
    State(service): State<Service>,
    Extension(monitor): Extension<Monitor>,
    place: Option<Extension<RequestSlot>>,
) -> Result<impl IntoResponse, ApiError> {
    if let Some(Extension(place)) = place {
        place.become_stream(service.config.access.clients.streams_max)?;
    }
    // No proxy may hold an event back until more have come.
    Ok(([("x-accel-buffering", "no")], Sse::new(stream(service, monitor.reports))))
}

fn stream(
    service: Service,
    reports: watch::Receiver<Arc<Report>>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold((service, reports, Next::Past), |(service, mut reports, next)| async move {
        let event = match next {
            Next::Past => {
                let report = Arc::clone(&reports.borrow());
                reports.mark_changed();
                past_event(&report.past)
            }
            Next::Present => {
                tokio::select! {
                    changed = reports.changed() => changed.ok()?,
                    () = service.closing.cancelled() => return None,
                }
                let report = Arc::clone(&reports.borrow_and_update());
                present_event(&report.present)
            }
        };
        Some((Ok(event.ok()?), (service, reports, Next::Present)))
    })
}

enum Next {
    Past,
    Present,
}

fn past_event(past: &Past) -> Result<Event, axum::Error> {
    let samples: Vec<&Sample> = past.0.iter().map(Arc::as_ref).collect();
    Event::default().event("past").retry(RECONNECT_AFTER).json_data(samples)
}

fn present_event(present: &Present) -> Result<Event, axum::Error> {
    match present {
        Present::Unknown => Ok(Event::default().comment("no look yet")),
        Present::Known(snapshot) => Event::default().event("now").json_data(snapshot),
        Present::FileProblem(reason) => {
            Event::default().event("trouble").json_data(json!({ "reason": reason }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: i64) -> Arc<Sample> {
        let (supervisor_bytes, workers_bytes, reserved_bytes) = (1, 2, 3);
        let workers = Vec::new();
        Arc::new(Sample { at_ms, supervisor_bytes, workers_bytes, reserved_bytes, workers })
    }

    #[test]
    fn the_past_is_bounded_and_loses_its_oldest() {
        let mut past = Past::default();
        for at in 0..SAMPLES_MAX as i64 {
            past.push(sample(at));
        }
        assert_eq!(past.0.len(), SAMPLES_MAX);
        assert_eq!(past.0[0].at_ms, 0);
        past.push(sample(SAMPLES_MAX as i64));
        assert_eq!(past.0.len(), SAMPLES_MAX);
        assert_eq!(past.0[0].at_ms, 1);
        assert_eq!(past.0[SAMPLES_MAX - 1].at_ms, SAMPLES_MAX as i64);
    }
}
