//! What goes wrong in an answer to a client: a catalogue of stable codes, told as problem+json.
//!
//! Every handler's error ends here (RFC 9457). A `detail` names the fault or limit and what to do.

use crate::admission::Refusal;
use crate::artefacts::StateError;
use crate::config::ByteCount;
use crate::dispatcher::{Gone, NotTaken};
use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use thiserror::Error;

/// When to try again where nothing better is known.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

/// Everything a client can be refused for. The text is the `detail`.
#[derive(Debug, Error)]
pub enum ApiError {
    /// Nothing is at this address.
    #[error("There is nothing at this address; GET /api lists what there is.")]
    UnknownAddress,
    /// The address does not take this method.
    #[error("This address does not take that method; GET /api lists those it takes.")]
    MethodNotAllowed,
    /// No job has this id.
    #[error("There is no such job; it may have expired or been removed.")]
    JobNotFound,
    /// No artefact has this name.
    #[error(
        "There is no such file; a job has output.mp4, pose_data.csv, pose_data.json, \
         thumbnail.jpg, preview.mp4 and metadata.json."
    )]
    FileNotFound,
    /// A job that was to be cancelled is over.
    #[error("The job is {status} already and cannot be cancelled; DELETE removes its results.")]
    AlreadyOver {
        /// How it ended.
        status: &'static str,
    },
    /// A job has no results, or none yet.
    #[error("The job is {status}; only a completed one has results.")]
    NotCompleted {
        /// Its state.
        status: &'static str,
    },
    /// The range lies outside the file.
    #[error("The range lies outside the file; ask for bytes within it.")]
    RangeNotSatisfiable,
    /// The body is no form.
    #[error("The body is not a form; send it as multipart/form-data with the video in `file`.")]
    NotMultipart,
    /// The form breaks its own rules.
    #[error("The form is broken ({0}); send multipart/form-data as RFC 7578 has it.")]
    MalformedForm(multer::Error),
    /// The form has no file.
    #[error("The form has no field `file`; send the video in it.")]
    MissingFile,
    /// The form has a field twice.
    #[error("The form has the field `{field}` more than once; send it once.")]
    RepeatedField {
        /// Which.
        field: &'static str,
    },
    /// Two fields that exclude each other.
    #[error("The form has both `{}` and `{}`; send one of them.", fields[0], fields[1])]
    ConflictingFields {
        /// Which.
        fields: [&'static str; 2],
    },
    /// A field's value means nothing.
    #[error("The field `{field}` is not understood; it takes {accepted}.")]
    InvalidField {
        /// Which.
        field: &'static str,
        /// What it takes.
        accepted: String,
    },
    /// The video is over the limit.
    #[error(
        "The video is larger than {}; send a shorter or more strongly compressed one.",
        ByteCount(*upload_bytes_max)
    )]
    UploadTooLarge {
        /// The limit.
        upload_bytes_max: u64,
    },
    /// The rest of the form is over the limit.
    #[error("The form is larger than its video allows; send the video and its options alone.")]
    FormTooLarge,
    /// The client stopped sending.
    #[error("The upload stood still for {} s; send it again over a steadier line.", .0.as_secs())]
    UploadStalled(Duration),
    /// The client sends too slowly.
    #[error("The upload took longer than {} s; send it again over a faster line.", .0.as_secs())]
    UploadTooSlow(Duration),
    /// The connection broke.
    #[error("The upload broke off; send it again.")]
    UploadBroken,
    /// No place in the queue.
    #[error("As many videos are waiting as may; try again in {} s.", retry_after.as_secs())]
    QueueFull {
        /// When there will probably be one.
        retry_after: Duration,
    },
    /// Memory is short.
    #[error("The service is short of memory; try again in {} s.", retry_after.as_secs())]
    MemoryShort {
        /// When to try again.
        retry_after: Duration,
    },
    /// No room on the disk.
    #[error("The service has no room for the video; try again later.")]
    DiskFull,
    /// The service is about to stop.
    #[error("The service is stopping; try again in a moment.")]
    Stopping,
    /// A door for operators.
    #[error(
        "This is for operators, and the service listens to the world: \
         it answers only where it listens on a loopback address."
    )]
    OperatorsOnly,
    /// A fault of the service itself.
    #[error("The service failed on this request; its log has the cause.")]
    Internal,
}

impl ApiError {
    /// The stable code, and the status that goes with it.
    pub const fn code(&self) -> (&'static str, StatusCode) {
        match self {
            Self::UnknownAddress => ("unknown_address", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::JobNotFound => ("job_not_found", StatusCode::NOT_FOUND),
            Self::FileNotFound => ("file_not_found", StatusCode::NOT_FOUND),
            Self::AlreadyOver { .. } => ("already_over", StatusCode::CONFLICT),
            Self::NotCompleted { .. } => ("not_completed", StatusCode::CONFLICT),
            Self::RangeNotSatisfiable => {
                ("range_not_satisfiable", StatusCode::RANGE_NOT_SATISFIABLE)
            }
            Self::NotMultipart => ("not_multipart", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::MalformedForm(_) => ("malformed_form", StatusCode::BAD_REQUEST),
            Self::MissingFile => ("missing_file", StatusCode::BAD_REQUEST),
            Self::RepeatedField { .. } => ("repeated_field", StatusCode::BAD_REQUEST),
            Self::ConflictingFields { .. } => ("conflicting_fields", StatusCode::BAD_REQUEST),
            Self::InvalidField { .. } => ("invalid_field", StatusCode::BAD_REQUEST),
            Self::UploadTooLarge { .. } => ("upload_too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::FormTooLarge => ("form_too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UploadStalled(_) => ("upload_stalled", StatusCode::REQUEST_TIMEOUT),
            Self::UploadTooSlow(_) => ("upload_too_slow", StatusCode::REQUEST_TIMEOUT),
            Self::UploadBroken => ("upload_broken", StatusCode::BAD_REQUEST),
            Self::QueueFull { .. } => ("queue_full", StatusCode::SERVICE_UNAVAILABLE),
            Self::MemoryShort { .. } => ("memory_short", StatusCode::SERVICE_UNAVAILABLE),
            Self::DiskFull => ("disk_full", StatusCode::INSUFFICIENT_STORAGE),
            Self::Stopping => ("stopping", StatusCode::SERVICE_UNAVAILABLE),
            Self::OperatorsOnly => ("operators_only", StatusCode::FORBIDDEN),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after } | Self::MemoryShort { retry_after } => {
                Some(*retry_after)
            }
            Self::Stopping | Self::DiskFull => Some(RETRY_AFTER_DEFAULT),
            _ => None,
        }
    }
}

impl From<Gone> for ApiError {
    fn from(_: Gone) -> Self {
        Self::Stopping
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closing => Self::Stopping,
            Refusal::TooLarge { upload_bytes_max } => Self::UploadTooLarge { upload_bytes_max },
            Refusal::QueueFull { retry_after } => Self::QueueFull { retry_after },
            Refusal::MemoryShort { retry_after } => Self::MemoryShort { retry_after },
            Refusal::DiskFull => Self::DiskFull,
        }
    }
}

impl From<NotTaken> for ApiError {
    fn from(reason: NotTaken) -> Self {
        match reason {
            NotTaken::DiskFull => Self::DiskFull,
            NotTaken::Unwritten => Self::Internal,
        }
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        tracing::error!(%error, "the state folder fails");
        if error.is_disk_full() { Self::DiskFull } else { Self::Internal }
    }
}

/// RFC 9457, 3.1, with the code as an extension and as the end of the type.
#[derive(Serialize)]
struct Problem {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (code, status) = self.code();
        let problem = Problem {
            r#type: format!("urn:bodyscript:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.to_string(),
            code,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry_after) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        response
    }
}
