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
    #[error("There is nothing at this address; /docs lists what there is.")]
    UnknownAddress,
    /// The address does not take this method.
    #[error("This address does not take that method; `Allow` names those it takes.")]
    MethodNotAllowed,
    /// No job has this id.
    #[error("There is no such job; it may have expired or been removed.")]
    JobNotFound,
    /// No artefact has this name.
    #[error("There is no such file; take an address from `urls` of the job's status.")]
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
    /// A condition on a file does not hold.
    #[error("The file is another than the request's condition wants; ask without it.")]
    ConditionFailed,
    /// The body is neither a form nor a video.
    #[error(
        "The body is of no type this address takes; send multipart/form-data with the video in \
         `file`, the video itself as video/* or application/octet-stream, or bytes of a \
         resumable upload as application/offset+octet-stream."
    )]
    UnsupportedMediaType,
    /// The query is no list of names and values.
    #[error("The query is broken; send name=value pairs, percent-encoded.")]
    MalformedQuery,
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
    #[error("The upload has both `{}` and `{}`; send one of them.", fields[0], fields[1])]
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
    /// The client sends next to nothing.
    #[error(
        "Less than {bytes_per_s_min} bytes a second of the upload came in {} s; send it again over \
         a faster line.", window.as_secs()
    )]
    UploadCreeps {
        /// The limit.
        bytes_per_s_min: u64,
        /// How long it was measured.
        window: Duration,
    },
    /// The connection broke.
    #[error("The upload broke off; send it again.")]
    UploadBroken,
    /// A webhook where there are none.
    #[error("This service sends no webhooks; leave `webhook_url` out and follow the status.")]
    WebhooksOff,
    /// A header that is missing or means nothing.
    #[error("The header `{header}` is missing or not understood; it takes {accepted}.")]
    InvalidHeader {
        /// Which.
        header: &'static str,
        /// What it takes.
        accepted: &'static str,
    },
    /// A request that is not of the protocol's version.
    #[error("The request does not say `Tus-Resumable: 1.0.0`, the one version spoken here.")]
    TusVersion,
    /// No resumable upload has this id.
    #[error("There is no such upload; it may have expired or been removed. Begin a new one.")]
    UploadNotFound,
    /// The bytes would go to the wrong place.
    #[error("The upload stands at byte {offset}; go on from there.")]
    OffsetConflict {
        /// Where it stands.
        offset: u64,
    },
    /// Another request has the upload.
    #[error("A newer request has taken the upload over; ask with HEAD where it stands.")]
    UploadLocked,
    /// More bytes than announced.
    #[error("The upload was to have {length} bytes, and the request brings more.")]
    UploadBeyondLength {
        /// What was announced.
        length: u64,
    },
    /// The bytes are not those that were sent.
    #[error("The bytes do not have the checksum of the request; send them again.")]
    ChecksumMismatch,
    /// Too many resumable uploads are unfinished.
    #[error(
        "As many resumable uploads are unfinished as may be ({uploads_max}); try again later, or \
         send the video in one request."
    )]
    TooManyResumable {
        /// The limit.
        uploads_max: usize,
    },
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
    /// The disk takes no writes.
    #[error("The service cannot write to its disk at the moment; try again later.")]
    DiskRefuses,
    /// No file can be opened.
    #[error("The service has as many files open as it may; try again in a moment.")]
    Overloaded,
    /// No request can be begun.
    #[error("The service serves as many connections as it may; try again in a moment.")]
    PlacesTaken,
    /// The service is about to stop.
    #[error("The service is stopping; try again in a moment.")]
    Stopping,
    /// The journal is gone while the service runs.
    #[error(
        "The service has lost its record of jobs and takes none, for it could not keep its word; \
         try again later, and tell the operator if it stays so."
    )]
    JournalLost,
    /// An address for operators, asked for by whom nothing shows to be one.
    #[error(
        "This is for operators: it is served on the operators' listener (`operator_listen`) to the \
         service's own host, by a loopback name and through no proxy, and elsewhere to a token \
         (`token_file`)."
    )]
    OperatorsOnly,
    /// A page of another origin.
    #[error(
        "Pages of other origins may change nothing here unless `cors_origins` names them; use the \
         service's own page."
    )]
    OtherOrigin,
    /// A door for operators, without the token.
    #[error("This is for operators; send the token as `Authorization: Bearer` or as a password.")]
    TokenRequired,
    /// A client that uploads too often.
    #[error("You may upload {per_minute_max} videos a minute; try again in {} s.", retry_after.as_secs())]
    TooManyUploads {
        /// The limit.
        per_minute_max: u32,
        /// When the next one is taken.
        retry_after: Duration,
    },
    /// A client with too many jobs.
    #[error("You have {jobs_max} unfinished jobs, as many as you may; wait until one is over.")]
    TooManyJobs {
        /// The limit.
        jobs_max: usize,
    },
    /// A client with too many requests at once.
    #[error(
        "You have {connections_max} requests under way, as many as you may; wait until one is over."
    )]
    TooManyConnections {
        /// The limit.
        connections_max: usize,
    },
    /// A client with too many streams of events.
    #[error(
        "You have {streams_max} streams of events open, as many as you may; close one, or ask for \
         the status now and then."
    )]
    TooManyStreams {
        /// The limit.
        streams_max: usize,
    },
    /// No stream of events can be begun.
    #[error("As many streams of events are open as may be; ask for the status now and then.")]
    StreamsTaken,
    /// A key that stands for another request.
    #[error(
        "The `Idempotency-Key` was sent before with another video or other options; use a new \
         key for each request."
    )]
    KeyReused,
    /// A key whose request is still being taken in.
    #[error("An upload with this `Idempotency-Key` is being taken in; try again in a moment.")]
    KeyBusy,
    /// A fault of the service itself.
    #[error("The service failed on this request; its log has the cause.")]
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
            Self::InvalidField { .. } => Code::InvalidField,
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

/// A refusal or failure (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Where its entry in the catalogue is.
    r#type: String,
    /// The status in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What is wrong this time, and what to do.
    detail: String,
    /// What programs match on.
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
