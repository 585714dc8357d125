//! What handlers take from a request, with refusals of our own where the library's are no
//! problem documents.

use super::error::ApiError;
use crate::job::JobId;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The captures of an address. One that is no text (percent-encoded noise) names nothing.
pub(super) struct Address<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Address<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(captures)| Self(captures)).map_err(|_| ApiError::UnknownAddress)
    }
}

/// The job an address names. What cannot be an id is no job's.
pub(super) struct Named(pub(super) JobId);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or(ApiError::JobNotFound)
    }
}
