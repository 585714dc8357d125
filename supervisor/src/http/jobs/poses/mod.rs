//! `GET /api/poses/{id}`: the poses of a job while they are found, as lines of JSON or server-sent events.
//!
//! A client is told of every processed frame once and in order, also after it reconnects with the id of the last message
//! it received. If the job starts again, a message says that what came before is void. The last message says that the
//! job has ended; a stream without it was interrupted. Of a completed job the poses come from its results.

mod encoding;
mod follow;
mod lines;
mod position;

use crate::dispatcher::PoseSource;
use crate::http::connections::registry::RequestSlot;
use crate::http::extract::JobIdParam;
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use encoding::Encoding;
use follow::Follower;
use futures_util::StreamExt;
use futures_util::stream::unfold;
use position::Position;
use std::convert::Infallible;
use utoipa::ToSchema;

refusals! {
    PoseRefusals: JobNotFound FileNotFound MalformedQuery InvalidField TooManyStreams
        StoreUnreachable Stopping;
}

/// Follow the poses of a job
///
/// The people in each processed frame as they are found: lines of JSON, or server-sent events named `poses`, `reset` and
/// `end` with the same objects, if `Accept` asks for them.
#[utoipa::path(get, path = "/api/poses/{id}", tag = "jobs", operation_id = "watch_poses",
    params(("id" = String, Path, description = "Job id"),
        ("after" = Option<String>, Query, description = "Id of the last message received"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers send it")),
    responses(
        (status = 200, description = "One message for each frame, and one at the end",
            content((PoseMessage = "application/x-ndjson"), (String = "text/event-stream"))),
        (status = 204, description = "The job has ended and its last message was received"),
        PoseRefusals))]
pub(crate) async fn poses(
    State(service): State<Service>,
    JobIdParam(id): JobIdParam,
    slot: Option<Extension<RequestSlot>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let told = last_received(&uri, &headers)?;
    let encoding = Encoding::accepted(&headers);
    let changes = service.dispatcher.watch(id).await?.ok_or(ApiError::JobNotFound)?;
    let source = service.dispatcher.poses(id).await?.ok_or(ApiError::JobNotFound)?;
    let streams_max = service.config.access.clients.streams_max;
    let mut follower = Follower::new(service, id, encoding, changes, told);
    match source {
        PoseSource::Ended { start, .. } if told.is_end && told.start == start => {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        PoseSource::Ended { start, results: Some(of), .. } => {
            follower.open_results(start, of).await?;
        }
        _ => {}
    }
    if let Some(Extension(slot)) = slot {
        slot.become_stream(streams_max)?;
    }
    // Compression asks again after the end.
    let messages = unfold(Some(follower), |follower| async { follower?.next().await }).fuse();
    let headers =
        [(CONTENT_TYPE, encoding.media_type()), (CACHE_CONTROL, "no-cache"), (VARY, "accept")];
    // Tells a proxy not to buffer messages.
    let unbuffered = [("x-accel-buffering", "no")];
    let body = Body::from_stream(messages.map(Ok::<_, Infallible>));
    Ok((headers, unbuffered, body).into_response())
}

/// The position after which a client goes on. Browsers decide on `Last-Event-ID`, so a foreign one is ignored.
fn last_received(uri: &Uri, headers: &HeaderMap) -> Result<Position, ApiError> {
    let Query(pairs) =
        Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| ApiError::MalformedQuery)?;
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let header = header.and_then(|value| value.parse().ok());
    match (header, pairs.iter().find(|(name, _)| name == "after")) {
        (Some(position), _) => Ok(position),
        (None, Some((_, after))) => after.parse().map_err(|_| ApiError::InvalidField {
            field: "after",
            accepted: "the `id` of a message, such as 1-57".into(),
        }),
        (None, None) => Ok(Position::default()),
    }
}

/// A message: a frame, a reset or the end.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Follower` sends")]
struct PoseMessage {
    /// Position of the message; name it to continue after it.
    id: String,
    /// Number of the frame in the video, from 0.
    frame_id: Option<u32>,
    /// Time in life, in seconds.
    time_s: Option<f64>,
    /// Whether person 0 was found.
    detected: Option<bool>,
    /// Strategy that found person 0.
    strategy: Option<String>,
    /// Presentation time in the file, in seconds.
    source_time_s: Option<f64>,
    /// The people in the frame, as in `pose_data.json` (`/schemas/pose_data.json`).
    #[schema(value_type = Option<Vec<Object>>)]
    people: Option<Vec<()>>,
    /// The job has started again: all frames before this message are void.
    reset: Option<PoseReset>,
    /// The job has ended.
    end: Option<PoseEnd>,
}

/// A new start of the job.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Follower` sends")]
struct PoseReset {
    /// Its number, from 1.
    attempt: u32,
}

/// The end of the job.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Follower` sends")]
struct PoseEnd {
    /// State of the job.
    status: String,
    /// Number of frames that its last start has told.
    frames: u32,
}
