//! `GET /api`: the service and its limits.

use crate::http::service::Service;
use axum::Json;
use axum::extract::State;
use bodyscript_protocol::options::{Mode, PEOPLE_MAX};
use bodyscript_protocol::pose::{CONNECTIONS, NAMES};
use serde::Serialize;
use utoipa::ToSchema;

/// Information about the service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
pub(crate) struct About {
    /// The name, BodyScript.
    name: &'static str,
    /// Version of the service.
    version: &'static str,
    /// Memory cage of the workers.
    cage: String,
    /// Detection modes an upload can select.
    modes: Vec<&'static str>,
    /// Names of the landmarks, in the order of every list of them.
    landmark_names: Vec<&'static str>,
    /// Pairs of landmarks that a line of the skeleton joins.
    connections: Vec<Vec<usize>>,
    /// Landmark models an upload can select, of those that exist.
    models: Vec<&'static str>,
    /// Limits on videos and jobs.
    limits: Limits,
    /// URL of the API documentation.
    documentation: &'static str,
    /// URL of the OpenAPI document.
    openapi: &'static str,
}

/// Limits on videos and jobs.
#[derive(Debug, Serialize, ToSchema)]
struct Limits {
    /// Maximum size of a video in bytes.
    upload_bytes_max: u64,
    /// Maximum duration of a video that is processed.
    duration_s_max: u32,
    /// How longer videos are handled: trim or reject.
    #[schema(value_type = String)]
    on_long: bodyscript_protocol::message::OnLong,
    /// Maximum width or height of a video.
    side_px_max: u32,
    /// Maximum number of pixels per frame.
    area_px_max: u32,
    /// Maximum frame rate.
    frame_rate_max: u32,
    /// Maximum number of tracked people.
    people_max: u32,
    /// Maximum run time of a worker.
    worker_wall_s_max: u64,
    /// Maximum number of queued jobs.
    queue_max: usize,
    /// Time results are kept.
    result_ttl_s: u64,
}

/// Information about the service and its limits
///
/// Version, detection modes, landmark models and limits, and the names of the landmarks in the order of all results.
#[utoipa::path(get, path = "/api", tag = "service",
    operation_id = "get_service",
    responses((status = 200, description = "The service, its modes and limits", body = About)))]
pub(crate) async fn about(State(service): State<Service>) -> Json<About> {
    let config = &service.config;
    Json(About {
        name: "BodyScript",
        version: env!("CARGO_PKG_VERSION"),
        cage: service.cage.clone(),
        modes: Mode::ALL.map(Mode::name).to_vec(),
        landmark_names: NAMES.to_vec(),
        connections: CONNECTIONS.iter().map(|(from, to)| vec![*from, *to]).collect(),
        models: service.models.names(),
        limits: Limits {
            upload_bytes_max: config.upload_bytes_max,
            duration_s_max: config.media.duration_ms_max / 1000,
            on_long: config.media.on_long,
            side_px_max: config.media.side_px_max,
            area_px_max: config.media.area_px_max,
            frame_rate_max: config.media.frame_rate_max,
            people_max: PEOPLE_MAX,
            worker_wall_s_max: config.deadlines.wall.as_secs(),
            queue_max: config.queue_max,
            result_ttl_s: config.result_ttl.as_secs(),
        },
        documentation: "/docs",
        openapi: "/openapi.json",
    })
}
