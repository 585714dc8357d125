//! Extractors for path parameters. Unlike those of axum, they reject with a problem document.

use crate::http::problem::ApiError;
use crate::policy::job::JobId;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The captures of a path. A path that does not decode to valid UTF-8 is unknown (404).
pub(crate) struct PathParam<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParam<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(captures)| Self(captures)).map_err(|_| ApiError::UnknownAddress)
    }
}

/// The job id in a path. A malformed id is answered like an unknown one (404).
pub(crate) struct JobIdParam(pub(crate) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobIdParam {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or(ApiError::JobNotFound)
    }
}
