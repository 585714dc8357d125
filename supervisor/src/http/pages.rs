//! The upload page and its files, embedded in the program.

use super::error::ApiError;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

const INDEX: &str = include_str!("../../assets/index.html");
const STYLE: &str = include_str!("../../assets/app.css");
const SCRIPT: &str = include_str!("../../assets/app.js");

/// `GET /`
pub(super) async fn index() -> Response {
    file("text/html; charset=utf-8", INDEX)
}

/// `GET /assets/{name}`
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, ApiError> {
    match name.as_str() {
        "app.css" => Ok(file("text/css; charset=utf-8", STYLE)),
        "app.js" => Ok(file("text/javascript; charset=utf-8", SCRIPT)),
        _ => Err(ApiError::UnknownAddress),
    }
}

fn file(media_type: &'static str, content: &'static str) -> Response {
    ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, "no-cache")], content).into_response()
}
