//! `GET /api/events/{id}`: the status of a job as a stream of server-sent events.
//!
//! Each event is a complete status document, so a client that reconnects misses nothing: the
//! first event is the current state. The id of an event identifies that state, in every run and on
//! every host that shares the journal: by the latest change of the job, its frames and its place in the
//! queue. A state that the client names in `Last-Event-ID` is not sent again, nor is an earlier one,
//! which another host may have for a moment; if the job has ended, the response is 204, so that the
//! client stops reconnecting.

use crate::dispatcher::status::Status;
use crate::http::connections::registry::RequestSlot;
use crate::http::extract::JobIdParam;
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::policy::job::{JobId, Revision};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use std::convert::Infallible;
use std::fmt;
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
    let status = service.dispatcher.status(id).await?.ok_or(ApiError::JobNotFound)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let last = last.and_then(EventId::parse);
    let is_up_to_date = last.as_ref() == Some(&EventId::of(&status));
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
    let events = Sse::new(stream(service, id, changes, last)).keep_alive(keep_alive);
    // Tells a proxy not to buffer events.
    Ok(([("x-accel-buffering", "no")], events).into_response())
}

/// Identifies a state of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EventId {
    revision: Revision,
    frame: u32,
    position: usize,
}

impl EventId {
    fn of(status: &Status) -> Self {
        Self {
            revision: status.revision,
            frame: status.current_frame,
            position: status.queue_position.unwrap_or(0),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (revision, frame, position) = (parts.next()?, parts.next()?, parts.next()?);
        let revision = revision.parse().ok()?;
        Some(Self { revision, frame: frame.parse().ok()?, position: position.parse().ok()? })
    }

    /// Whether this state was before the other one.
    fn is_before(&self, other: &Self) -> bool {
        self.revision.number() < other.revision.number()
            || self.revision == other.revision && self.frame < other.frame
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, frame, position } = self;
        write!(f, "{revision}-{frame}-{position}")
    }
}

fn stream(
    service: Service,
    id: JobId,
    changes: watch::Receiver<u64>,
    last: Option<EventId>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(Some((changes, last)), move |state| {
        let service = service.clone();
        async move {
            let (mut changes, last) = state?;
            loop {
                let changed = tokio::select! {
                    changed = changes.changed() => changed,
                    () = service.closing.cancelled() => return None,
                };
                changed.ok()?;
                changes.mark_unchanged();
                let status = service.dispatcher.status(id).await.ok()??;
                let event_id = EventId::of(&status);
                let is_told = |last: &EventId| event_id == *last || event_id.is_before(last);
                let has_ended = status.completed_at.is_some();
                if last.as_ref().is_some_and(is_told) {
                    if has_ended {
                        return None;
                    }
                    continue;
                }
                let event = Event::default().event("status").id(event_id.to_string());
                let event = event.json_data(&status).ok()?;
                return Some((Ok(event), (!has_ended).then_some((changes, last))));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_earlier_states_are_known() {
        let first = Revision::NONE.next();
        let state = |revision, frame| EventId { revision, frame, position: 2 };
        let (one, other) = (first.next(), first.next());
        assert_eq!(EventId::parse(&state(one, 7).to_string()), Some(state(one, 7)));
        for wrong in ["", "end-1", "1-2", "x-1-2", "1-2-x"] {
            assert_eq!(EventId::parse(wrong), None, "{wrong}");
        }
        assert!(state(first, 9).is_before(&state(one, 0)));
        assert!(
            state(one, 6).is_before(&state(one, 7)) && !state(one, 7).is_before(&state(one, 7))
        );
        // Of a change that was lost in a crash, or of an attempt that was taken over.
        assert!(!state(one, 0).is_before(&state(other, 7)));
    }
}
