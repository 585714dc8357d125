//! `GET /api/monitor`: the state of the service, once a second, and its recent history.
//!
//! One task samples the dispatcher even without clients, because a new client also gets the
//! history, which is bounded. The stream begins with an event `past`; an event `now` follows each
//! second, or `trouble` if the dispatcher does not respond.

use crate::dispatcher::status::Status;
use crate::dispatcher::{Counts, Health, Recent, SharedJournalReport, Standby};
use crate::http::connections::registry::RequestSlot;
use crate::http::openapi::refusals::refusals;
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

/// Interval between samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Number of samples in the history: five minutes.
const SAMPLES_MAX: usize = 300;
/// Number of ended jobs that are listed.
const ENDED_MAX: usize = 20;
/// Delay after which a page reconnects.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// One point of the charts.
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
struct History(VecDeque<Arc<Sample>>);

impl History {
    fn push(&mut self, sample: Arc<Sample>) {
        if self.0.len() == SAMPLES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }
}

/// The state of the service, as shown on the page.
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
    shared_journal: Option<SharedJournalReport>,
    processing: Vec<Status>,
    pending: Vec<Status>,
    ended: Vec<Status>,
    sample: Sample,
}

/// Memory and disk space of the host.
#[derive(Debug, Default, Serialize)]
struct Host {
    #[serde(skip)]
    supervisor_bytes: u64,
    memory_total_bytes: u64,
    memory_available_bytes: u64,
    disk_free_bytes: Option<u64>,
}

#[derive(Debug)]
enum Latest {
    /// Not sampled yet.
    Unknown,
    Known(Box<Snapshot>),
    Unavailable(&'static str),
}

#[derive(Debug)]
struct Report {
    history: History,
    latest: Latest,
}

/// Handle to the reports of the sampling task.
#[derive(Debug, Clone)]
pub(crate) struct Monitor {
    reports: watch::Receiver<Arc<Report>>,
}

impl Monitor {
    /// Starts the task. It ends when the service stops.
    pub(crate) fn start(live: LiveService) -> Self {
        let first = Report { history: History::default(), latest: Latest::Unknown };
        let (sender, reports) = watch::channel(Arc::new(first));
        tokio::spawn(sample_periodically(live, sender));
        Self { reports }
    }
}

async fn sample_periodically(live: LiveService, reports: watch::Sender<Arc<Report>>) {
    let Service { started_at, closing, .. } = live.current();
    let mut history = History::default();
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = closing.cancelled() => return,
        }
        let latest = match take_snapshot(&live.current(), started_at).await {
            Ok(snapshot) => {
                history.push(Arc::new(snapshot.sample.clone()));
                Latest::Known(Box::new(snapshot))
            }
            Err(reason) => Latest::Unavailable(reason),
        };
        reports.send_replace(Arc::new(Report { history: history.clone(), latest }));
    }
}

async fn take_snapshot(service: &Service, started_at: Timestamp) -> Result<Snapshot, &'static str> {
    let health = health::query(service).await?;
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
        shared_journal: health.shared_journal,
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

/// Measures on a blocking thread, because the file system may block.
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

refusals! {
    MonitorRefusals: OperatorsOnly TokenRequired TooManyStreams Stopping;
}

/// Follow the state of the service
///
/// Server-sent events: `past` once, with the samples of the last five minutes; then `now` every second, with health,
/// limits, memory, recent jobs and one more sample, or `trouble` with a `reason` if there is no state. They are what the
/// page `/monitor` shows; later versions may change them.
#[utoipa::path(get, path = "/api/monitor", tag = "operators", operation_id = "watch_service",
    security(("bearer" = []), ("basic" = []), ()),
    responses((status = 200, description = "Events, until the service stops", body = String,
        content_type = "text/event-stream"), MonitorRefusals))]
pub(crate) async fn events(
    State(service): State<Service>,
    Extension(monitor): Extension<Monitor>,
    slot: Option<Extension<RequestSlot>>,
) -> Result<impl IntoResponse, ApiError> {
    if let Some(Extension(slot)) = slot {
        slot.become_stream(service.config.access.clients.streams_max)?;
    }
    // Tells a proxy not to buffer events.
    Ok(([("x-accel-buffering", "no")], Sse::new(stream(service, monitor.reports))))
}

fn stream(
    service: Service,
    reports: watch::Receiver<Arc<Report>>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold((service, reports, Next::History), |(service, mut reports, next)| async move {
        let event = match next {
            Next::History => {
                let report = Arc::clone(&reports.borrow());
                reports.mark_changed();
                history_event(&report.history)
            }
            Next::Latest => {
                tokio::select! {
                    changed = reports.changed() => changed.ok()?,
                    () = service.closing.cancelled() => return None,
                }
                let report = Arc::clone(&reports.borrow_and_update());
                latest_event(&report.latest)
            }
        };
        Some((Ok(event.ok()?), (service, reports, Next::Latest)))
    })
}

enum Next {
    History,
    Latest,
}

fn history_event(history: &History) -> Result<Event, axum::Error> {
    let samples: Vec<&Sample> = history.0.iter().map(Arc::as_ref).collect();
    Event::default().event("past").retry(RECONNECT_AFTER).json_data(samples)
}

fn latest_event(latest: &Latest) -> Result<Event, axum::Error> {
    match latest {
        Latest::Unknown => Ok(Event::default().comment("not sampled yet")),
        Latest::Known(snapshot) => Event::default().event("now").json_data(snapshot),
        Latest::Unavailable(reason) => {
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
    fn the_history_is_bounded_and_drops_its_oldest_sample() {
        let mut history = History::default();
        for at in 0..SAMPLES_MAX as i64 {
            history.push(sample(at));
        }
        assert_eq!(history.0.len(), SAMPLES_MAX);
        assert_eq!(history.0[0].at_ms, 0);
        history.push(sample(SAMPLES_MAX as i64));
        assert_eq!(history.0.len(), SAMPLES_MAX);
        assert_eq!(history.0[0].at_ms, 1);
        assert_eq!(history.0[SAMPLES_MAX - 1].at_ms, SAMPLES_MAX as i64);
    }
}
