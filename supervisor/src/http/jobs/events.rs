//! `GET /api/events/{id}`: the status of a job as a stream of server-sent events.
//!
//! Each event is a complete status document, so a client that reconnects misses nothing: the
//! first event is the current state. The id of an event identifies that state: by its revision in
//! this run of the service or, after the end of the job, by its end time, which is the same in
//! every run. A state that the client names in `Last-Event-ID` is not sent again; if the job has
//! ended, the response is 204, so that the client stops reconnecting.

use crate::dispatcher::status::Status;
use crate::http::connections::registry::RequestSlot;
use crate::http::extract::JobIdParam;
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::policy::job::JobId;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;

/// Interval of keep-alive comments on an idle stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

refusals! {
    EventRefusals: JobNotFound TooManyStreams Stopping;
}

/// Follow the status of a job
///
/// Server-sent events named `status`, each with the full status, until the job has ended.
#[utoipa::path(get, path = "/api/events/{id}", tag = "jobs", operation_id = "watch_job",
    params(("id" = String, Path, description = "Job id"),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event received")),
    responses(
        (status = 200, description = "Events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The job has ended and its last event was received"),
        EventRefusals))]
pub(crate) async fn events(
    State(service): State<Service>,
    JobIdParam(id): JobIdParam,
    slot: Option<Extension<RequestSlot>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut changes = service.dispatcher.watch(id).await?.ok_or(ApiError::JobNotFound)?;
    let revision = *changes.borrow();
    let status = service.dispatcher.status(id).await?.ok_or(ApiError::JobNotFound)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let is_up_to_date = last == Some(&event_id(&service, revision, &status));
    if is_up_to_date && status.completed_at.is_some() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if let Some(Extension(slot)) = slot {
        slot.become_stream(service.config.access.clients.streams_max)?;
    }
    if !is_up_to_date {
        changes.mark_changed();
    }
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let events = Sse::new(stream(service, id, changes)).keep_alive(keep_alive);
    // Tells a proxy not to buffer events.
    Ok(([("x-accel-buffering", "no")], events).into_response())
}

/// The event id of a state. Revisions restart with each run, so the id includes its start time.
fn event_id(service: &Service, revision: u64, status: &Status) -> String {
    match status.completed_at {
        Some(end) => format!("end-{}", end.as_millisecond()),
        None => format!("{:x}-{revision}", service.started_at.as_millisecond()),
    }
}

fn stream(
    service: Service,
    id: JobId,
    changes: watch::Receiver<u64>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(Some(changes), move |changes| {
        let service = service.clone();
        async move {
            let mut changes = changes?;
            let changed = tokio::select! {
                changed = changes.changed() => changed,
                () = service.closing.cancelled() => return None,
            };
            changed.ok()?;
            let revision = *changes.borrow_and_update();
            let status = service.dispatcher.status(id).await.ok()??;
            let has_ended = status.completed_at.is_some();
            let event = Event::default().event("status").id(event_id(&service, revision, &status));
            let event = event.json_data(&status).ok()?;
            Some((Ok(event), (!has_ended).then_some(changes)))
        }
    })
}
