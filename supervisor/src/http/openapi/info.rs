//! `GET /api`: what the service is and takes.

use crate::http::service::Service;
use axum::Json;
use axum::extract::State;
use bodyscript_protocol::options::{Mode, PEOPLE_MAX};
use serde::Serialize;
use utoipa::ToSchema;

/// What the service is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct About {
    /// BodyScript.
    name: &'static str,
    /// Its version.
    version: &'static str,
    /// What workers are caged in.
    cage: String,
    /// The modes an upload may ask for.
    modes: Vec<&'static str>,
    /// What is refused or cut.
    limits: Limits,
    /// Where everything else is told.
    documentation: &'static str,
    /// The same for programs.
    openapi: &'static str,
}

/// What is refused or cut.
#[derive(Debug, Serialize, ToSchema)]
struct Limits {
    /// Largest video.
    upload_bytes_max: u64,
    /// Longest part of a video that is processed.
    duration_s_max: u32,
    /// What happens to a longer one: trim or reject.
    #[schema(value_type = String)]
    on_long: bodyscript_protocol::message::OnLong,
    /// Longest side of the picture.
    side_px_max: u32,
    /// Largest area of the picture.
    area_px_max: u32,
    /// Highest frame rate.
    frame_rate_max: u32,
    /// Most people followed at a time.
    people_max: u32,
    /// Longest time a worker may take.
    worker_wall_s_max: u64,
    /// Jobs that may wait.
    queue_max: usize,
    /// How long results are kept.
    result_ttl_s: u64,
}

/// What the service is and takes
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
