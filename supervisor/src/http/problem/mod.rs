//! What goes wrong in an answer to a client, told as problem+json (RFC 9457).
//!
//! Every handler's error ends here. A `detail` names the fault or limit and what to do; codes,
//! causes and remedies in general are the catalogue's.

pub(crate) mod catalogue;

use crate::config::ByteCount;
use crate::dispatcher::{DispatcherStopped, SubmitError};
use crate::http::problem::catalogue::{Code, Remedy};
use crate::policy::admission::Refusal;
use crate::store::error::StateError;
use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use thiserror::Error;
use utoipa::ToSchema;

/// When to try again where nothing better is known.
pub(crate) const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

/// Everything a client can be refused for. The text is the `detail`.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// Nothing is at this address.
    #[error("There is no endpoint at this path. See /docs for all endpoints.")]
    UnknownAddress,
    /// The address does not take this method.
    #[error(
        "This endpoint does not support that method. The `Allow` header lists the supported ones."
    )]
    MethodNotAllowed,
    /// No job has this id.
    #[error("Job not found. It may have expired or been deleted.")]
    JobNotFound,
    /// No artefact has this name.
    #[error("File not found. Use a URL from `urls` of the job's status.")]
    FileNotFound,
    /// A job that was to be cancelled is over.
    #[error(
        "The job is already {status} and can't be cancelled. Use DELETE to remove its results."
    )]
    AlreadyOver {
        /// How it ended.
        status: &'static str,
    },
    /// A job has no results, or none yet.
    #[error("The job is {status}. Only completed jobs have results.")]
    NotCompleted {
        /// Its state.
        status: &'static str,
    },
    /// The range lies outside the file.
    #[error("The requested range is outside the file.")]
    RangeNotSatisfiable,
    /// A condition on a file does not hold.
    #[error(
        "The file does not match the condition of the request. Try again without the condition."
    )]
    ConditionFailed,
    /// The body is neither a form nor a video.
    #[error(
        "Unsupported content type. Send multipart/form-data with the video in `file`, the video \
         itself as video/* or application/octet-stream, or a part of a resumable upload as \
         application/offset+octet-stream."
    )]
    UnsupportedMediaType,
    /// The query is no list of names and values.
    #[error("The query is malformed. Send percent-encoded name=value pairs.")]
    MalformedQuery,
    /// The form breaks its own rules.
    #[error("The form is malformed ({0}). Send multipart/form-data as specified in RFC 7578.")]
    MalformedForm(multer::Error),
    /// The form has no file.
    #[error("The form has no field `file`. Send the video in that field.")]
    MissingFile,
    /// The form has a field twice.
    #[error("The field `{field}` is given more than once. Send it once.")]
    RepeatedField {
        /// Which.
        field: &'static str,
    },
    /// Two fields that exclude each other.
    #[error("`{}` and `{}` can't be combined. Send one of them.", fields[0], fields[1])]
    ConflictingFields {
        /// Which.
        fields: [&'static str; 2],
    },
    /// An option that does not exist, similar to one that does.
    #[error("There is no option `{name}`. Did you mean `{suggestion}`?")]
    UnknownOption {
        /// Its name.
        name: String,
        /// The option most similar to it.
        suggestion: &'static str,
    },
    /// A field's value means nothing.
    #[error("The value of `{field}` is invalid. Expected: {accepted}.")]
    InvalidField {
        /// Which.
        field: &'static str,
        /// What it takes.
        accepted: String,
    },
    /// The video is over the limit.
    #[error(
        "The video is larger than {}, the limit. Trim or compress it.",
        ByteCount(*upload_bytes_max)
    )]
    UploadTooLarge {
        /// The limit.
        upload_bytes_max: u64,
    },
    /// The rest of the form is over the limit.
    #[error(
        "The form contains too much data besides the video. Send only the video and its options."
    )]
    FormTooLarge,
    /// The client stopped sending.
    #[error("No data received for {} s. Try again over a more stable connection.", .0.as_secs())]
    UploadStalled(Duration),
    /// The client sends too slowly.
    #[error("The upload took longer than {} s. Try again over a faster connection.", .0.as_secs())]
    UploadTooSlow(Duration),
    /// The client sends next to nothing.
    #[error(
        "The upload was slower than {bytes_per_s_min} bytes per second for {} s. Try again over a \
         faster connection.", window.as_secs()
    )]
    UploadCreeps {
        /// The limit.
        bytes_per_s_min: u64,
        /// How long it was measured.
        window: Duration,
    },
    /// The connection broke.
    #[error("The upload was interrupted. Try again.")]
    UploadBroken,
    /// A webhook where there are none.
    #[error("Webhooks are not configured. Omit `webhook_url` and poll the status instead.")]
    WebhooksOff,
    /// A header that is missing or means nothing.
    #[error("The header `{header}` is missing or invalid. Expected: {accepted}.")]
    InvalidHeader {
        /// Which.
        header: &'static str,
        /// What it takes.
        accepted: &'static str,
    },
    /// A request that is not of the protocol's version.
    #[error("The header `Tus-Resumable: 1.0.0` is missing. This is the only supported version.")]
    TusVersion,
    /// No resumable upload has this id.
    #[error("Upload not found. It may have expired or been deleted. Start a new upload.")]
    UploadNotFound,
    /// The bytes would go to the wrong place.
    #[error("The upload is at byte {offset}. Continue from there.")]
    OffsetConflict {
        /// Where it stands.
        offset: u64,
    },
    /// Another request has the upload.
    #[error("A newer request has taken over this upload. Get its offset with HEAD.")]
    UploadLocked,
    /// More bytes than announced.
    #[error("The request exceeds the announced upload length of {length} bytes.")]
    UploadBeyondLength {
        /// What was announced.
        length: u64,
    },
    /// The bytes are not those that were sent.
    #[error("The checksum does not match. Send the bytes again.")]
    ChecksumMismatch,
    /// Too many resumable uploads are unfinished.
    #[error(
        "The limit of {uploads_max} unfinished resumable uploads is reached. Try again later, or \
         send the video in one request."
    )]
    TooManyResumable {
        /// The limit.
        uploads_max: usize,
    },
    /// No place in the queue.
    #[error("The queue is full. Try again in {} s.", retry_after.as_secs())]
    QueueFull {
        /// When there will probably be one.
        retry_after: Duration,
    },
    /// Memory is short.
    #[error("The service is low on memory. Try again in {} s.", retry_after.as_secs())]
    MemoryShort {
        /// When to try again.
        retry_after: Duration,
    },
    /// No room on the disk.
    #[error("The service does not have enough disk space for the video. Try again later.")]
    DiskFull,
    /// The disk takes no writes.
    #[error("The service can't write to its disk at the moment. Try again later.")]
    DiskRefuses,
    /// No file can be opened.
    #[error("The service has reached its limit of open files. Try again shortly.")]
    Overloaded,
    /// No request can be begun.
    #[error("The service has reached its limit of connections. Try again shortly.")]
    PlacesTaken,
    /// The service is about to stop.
    #[error("The service is stopping. Try again shortly.")]
    Stopping,
    /// The journal is gone while the service runs.
    #[error(
        "The service has lost its journal of jobs and does not accept jobs. Try again later, and \
         contact the operator if this persists."
    )]
    JournalLost,
    /// An address for operators, asked for by whom nothing shows to be one.
    #[error(
        "This endpoint is for operators. Use the operator listener (`operator_listen`) directly \
         from the host of the service by a loopback address, or send the token of `token_file`."
    )]
    OperatorsOnly,
    /// A page of another origin.
    #[error(
        "Requests from this origin are not allowed. Use the page of the service, or add the origin \
         to `cors_origins`."
    )]
    OtherOrigin,
    /// A door for operators, without the token.
    #[error(
        "This endpoint is for operators. Send the token as `Authorization: Bearer` or as password."
    )]
    TokenRequired,
    /// A client that uploads too often.
    #[error("The limit is {per_minute_max} uploads per minute. Try again in {} s.",
        retry_after.as_secs())]
    TooManyUploads {
        /// The limit.
        per_minute_max: u32,
        /// When the next one is taken.
        retry_after: Duration,
    },
    /// A client with too many jobs.
    #[error("The limit is {jobs_max} unfinished jobs per client. Wait until one has finished.")]
    TooManyJobs {
        /// The limit.
        jobs_max: usize,
    },
    /// A client with too many requests at once.
    #[error(
        "The limit is {connections_max} requests at a time per client. Wait until one has finished."
    )]
    TooManyConnections {
        /// The limit.
        connections_max: usize,
    },
    /// A client with too many streams of events.
    #[error("The limit is {streams_max} event streams per client. Close one, or poll the status.")]
    TooManyStreams {
        /// The limit.
        streams_max: usize,
    },
    /// No stream of events can be begun.
    #[error("The service has reached its limit of event streams. Poll the status instead.")]
    StreamsTaken,
    /// A key that stands for another request.
    #[error(
        "This `Idempotency-Key` was already used with another video or other options. Use a new \
         key for each upload."
    )]
    KeyReused,
    /// A key whose request is still being taken in.
    #[error("An upload with this `Idempotency-Key` is in progress. Try again shortly.")]
    KeyBusy,
    /// A fault of the service itself.
    #[error("Internal error. The log of the service has the cause.")]
    Internal,
}

impl ApiError {
    /// Its entry in the catalogue.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::UnknownAddress => Code::UnknownAddress,
            Self::MethodNotAllowed => Code::MethodNotAllowed,
            Self::JobNotFound => Code::JobNotFound,
            Self::FileNotFound => Code::FileNotFound,
            Self::AlreadyOver { .. } => Code::AlreadyOver,
            Self::NotCompleted { .. } => Code::NotCompleted,
            Self::RangeNotSatisfiable => Code::RangeNotSatisfiable,
            Self::ConditionFailed => Code::ConditionFailed,
            Self::UnsupportedMediaType => Code::UnsupportedMediaType,
            Self::MalformedQuery => Code::MalformedQuery,
            Self::MalformedForm(_) => Code::MalformedForm,
            Self::MissingFile => Code::MissingFile,
            Self::RepeatedField { .. } => Code::RepeatedField,
            Self::ConflictingFields { .. } => Code::ConflictingFields,
            Self::UnknownOption { .. } | Self::InvalidField { .. } => Code::InvalidField,
            Self::UploadTooLarge { .. } => Code::UploadTooLarge,
            Self::FormTooLarge => Code::FormTooLarge,
            Self::UploadStalled(_) => Code::UploadStalled,
            Self::UploadTooSlow(_) | Self::UploadCreeps { .. } => Code::UploadTooSlow,
            Self::UploadBroken => Code::UploadBroken,
            Self::WebhooksOff => Code::WebhooksOff,
            Self::InvalidHeader { .. } => Code::InvalidHeader,
            Self::TusVersion => Code::TusVersion,
            Self::UploadNotFound => Code::UploadNotFound,
            Self::OffsetConflict { .. } => Code::OffsetConflict,
            Self::UploadLocked => Code::UploadLocked,
            Self::UploadBeyondLength { .. } => Code::UploadBeyondLength,
            Self::ChecksumMismatch => Code::ChecksumMismatch,
            Self::TooManyResumable { .. } => Code::TooManyResumable,
            Self::QueueFull { .. } => Code::QueueFull,
            Self::MemoryShort { .. } => Code::MemoryShort,
            Self::DiskFull | Self::DiskRefuses => Code::DiskFull,
            Self::Overloaded | Self::PlacesTaken => Code::Overloaded,
            Self::JournalLost => Code::JournalLost,
            Self::Stopping => Code::Stopping,
            Self::OperatorsOnly => Code::OperatorsOnly,
            Self::OtherOrigin => Code::OtherOrigin,
            Self::TokenRequired => Code::TokenRequired,
            Self::TooManyUploads { .. } => Code::TooManyUploads,
            Self::TooManyJobs { .. } => Code::TooManyJobs,
            Self::TooManyConnections { .. } => Code::TooManyConnections,
            Self::TooManyStreams { .. } | Self::StreamsTaken => Code::TooManyStreams,
            Self::KeyReused => Code::KeyReused,
            Self::KeyBusy => Code::KeyBusy,
            Self::Internal => Code::Internal,
        }
    }

    /// When to try again, for what time cures.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after }
            | Self::MemoryShort { retry_after }
            | Self::TooManyUploads { retry_after, .. } => Some(*retry_after),
            _ => (self.code().entry().cured_by == Remedy::Time).then_some(RETRY_AFTER_DEFAULT),
        }
    }
}

impl From<DispatcherStopped> for ApiError {
    fn from(_: DispatcherStopped) -> Self {
        Self::Stopping
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closing => Self::Stopping,
            Refusal::JournalLost => Self::JournalLost,
            Refusal::TooLarge { upload_bytes_max } => Self::UploadTooLarge { upload_bytes_max },
            Refusal::QueueFull { retry_after } => Self::QueueFull { retry_after },
            Refusal::MemoryShort { retry_after } => Self::MemoryShort { retry_after },
            Refusal::DiskFull => Self::DiskFull,
            Refusal::DiskRefuses => Self::DiskRefuses,
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(reason: SubmitError) -> Self {
        match reason {
            SubmitError::DiskFull => Self::DiskRefuses,
            SubmitError::JournalLost => Self::JournalLost,
            SubmitError::Unwritten => Self::Internal,
            SubmitError::KeyReused => Self::KeyReused,
            SubmitError::KeyBusy => Self::KeyBusy,
        }
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        tracing::error!(%error, "the state folder fails");
        match () {
            () if error.is_disk_full() => Self::DiskRefuses,
            () if error.is_out_of_descriptors() => Self::Overloaded,
            () => Self::Internal,
        }
    }
}

/// Marks the answer to a request for which a write was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteRefused;

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// URL of the error code.
    r#type: String,
    /// Name of the HTTP status.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// Stable code for programs.
    code: &'static str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let entry = self.code().entry();
        let status = entry.status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = Problem {
            r#type: format!("/api/problems/{}", entry.code),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.to_string(),
            code: entry.code,
        };
        let mut response = (status, Json(problem)).into_response();
        if matches!(self, Self::DiskRefuses) {
            response.extensions_mut().insert(WriteRefused);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self, Self::TokenRequired) {
            for scheme in ["Bearer realm=\"bodyscript\"", "Basic realm=\"bodyscript\""] {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
        }
        if let Some(retry_after) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        response
    }
}
