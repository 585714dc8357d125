//! `GET /api/problems`: the catalogue of error codes.

use crate::http::extract::PathParam;
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use crate::http::problem::catalogue::{Catalogue, Code, Entry, FAILURES};
use axum::Json;

refusals! {
    Unknown: UnknownAddress;
}

/// List all error codes with cause and remedy
///
/// Those of error responses first, then those of failed jobs (`error_code` of a status).
#[utoipa::path(get, path = "/api/problems", tag = "service",
    operation_id = "list_problems",
    responses((status = 200, description = "The catalogue", body = Catalogue)))]
pub(crate) async fn all() -> Json<Catalogue> {
    Json(Catalogue::complete())
}

/// Get an error code with cause and remedy
///
/// The `type` of a problem document is this URL.
#[utoipa::path(get, path = "/api/problems/{code}", tag = "service", operation_id = "get_problem",
    params(("code" = String, Path, description = "A code")),
    responses((status = 200, description = "Its entry", body = Entry), Unknown))]
pub(crate) async fn one(PathParam(code): PathParam<String>) -> Result<Json<Entry>, ApiError> {
    let responses = Code::ALL.iter().map(|code| code.entry());
    let mut entries = responses.chain(FAILURES.iter().copied());
    entries.find(|entry| entry.code == code).map(Json).ok_or(ApiError::UnknownAddress)
}
