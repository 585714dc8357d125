//! Everything a handler can refuse or fail with, each with its sentence and its code.

use crate::config::ByteCount;
use crate::http::problem::catalogue::{Code, Remedy};
use crate::runner::models::ModelNotInstalled;
use std::time::Duration;
use thiserror::Error;

/// `Retry-After` if there is no better estimate.
pub(crate) const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

/// All error responses. The text is the `detail`.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// The path is unknown.
    #[error("There is no endpoint at this path. See /docs for all endpoints.")]
    UnknownAddress,
    /// The endpoint does not support the method.
    #[error(
        "This endpoint does not support that method. The `Allow` header lists the supported ones."
    )]
    MethodNotAllowed,
    /// No job has this id.
    #[error("Job not found. It may have expired or been deleted.")]
    JobNotFound,
    /// The job has no result file with this name.
    #[error("File not found. Use a URL from `urls` of the job's status.")]
    FileNotFound,
    /// The job to cancel has already ended.
    #[error(
        "The job is already {status} and can't be cancelled. Use DELETE to remove its results."
    )]
    AlreadyOver {
        /// Its final state.
        status: &'static str,
    },
    /// The job is not completed, so it has no results.
    #[error("The job is {status}. Only completed jobs have results.")]
    NotCompleted {
        /// Its state.
        status: &'static str,
    },
    /// The job to retry has not failed.
    #[error("The job is {status}. Only failed jobs can be retried.")]
    NotFailed {
        /// Its state.
        status: &'static str,
    },
    /// The video of the failed job to retry has been deleted.
    #[error("The video of the job no longer exists. Upload it again.")]
    VideoDeleted,
    /// The range is outside the file.
    #[error("The requested range is outside the file.")]
    RangeNotSatisfiable,
    /// A precondition on a file failed.
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
    /// The body of an upload is encoded, for example compressed.
    #[error("An upload can't have a `Content-Encoding`. Send the video as it is.")]
    UnsupportedContentCoding,
    /// The query can't be parsed.
    #[error("The query is malformed. Send percent-encoded name=value pairs.")]
    MalformedQuery,
    /// The form can't be parsed.
    #[error("The form is malformed ({0}). Send multipart/form-data as specified in RFC 7578.")]
    MalformedForm(multer::Error),
    /// The form has no field `file`.
    #[error("The form has no field `file`. Send the video in that field.")]
    MissingFile,
    /// A field or header occurs more than once.
    #[error("The field `{field}` is given more than once. Send it once.")]
    RepeatedField {
        /// Which.
        field: &'static str,
    },
    /// Two options exclude each other.
    #[error("`{}` and `{}` can't be combined. Send one of them.", fields[0], fields[1])]
    ConflictingFields {
        /// Which.
        fields: [&'static str; 2],
    },
    /// No option has this name.
    #[error("There is no option `{name}`. {}", did_you_mean(*suggestion))]
    UnknownOption {
        /// The beginning of the name.
        name: String,
        /// The option most similar to it, if one is similar.
        suggestion: Option<&'static str>,
    },
    /// The value of an option is invalid.
    #[error("The value of `{field}` is invalid. Expected: {accepted}.")]
    InvalidField {
        /// Which.
        field: &'static str,
        /// What it takes.
        accepted: String,
    },
    /// The video is larger than the limit.
    #[error(
        "The video is larger than {}, the limit. Trim or compress it.",
        ByteCount(*upload_bytes_max)
    )]
    UploadTooLarge {
        /// The limit.
        upload_bytes_max: u64,
    },
    /// The form without the video is larger than the limit.
    #[error(
        "The form contains too much data besides the video. Send only the video and its options."
    )]
    FormTooLarge,
    /// The client sent nothing for too long.
    #[error("No data received for {} s. Try again over a more stable connection.", .0.as_secs())]
    UploadStalled(Duration),
    /// The upload exceeded the total time.
    #[error("The upload took longer than {} s. Try again over a faster connection.", .0.as_secs())]
    UploadTooSlow(Duration),
    /// The upload was below the minimum rate.
    #[error(
        "The upload was slower than {bytes_per_s_min} bytes per second for {} s. Try again over a \
         faster connection.", window.as_secs()
    )]
    UploadBelowRate {
        /// The limit.
        bytes_per_s_min: u64,
        /// The time over which the rate is measured.
        window: Duration,
    },
    /// The connection was lost.
    #[error("The upload was interrupted. Try again.")]
    UploadBroken,
    /// The landmark model is not installed.
    #[error(transparent)]
    ModelNotInstalled(#[from] ModelNotInstalled),
    /// The request has a webhook URL, but webhooks are not configured.
    #[error("Webhooks are not configured. Omit `webhook_url` and poll the status instead.")]
    WebhooksOff,
    /// Webhooks may not be sent to the address in the URL.
    #[error(
        "No webhook may be sent to the address in `webhook_url`. Use https and a public address; the \
         operator can allow other networks."
    )]
    WebhookAddress,
    /// A header is missing or invalid.
    #[error("The header `{header}` is missing or invalid. Expected: {accepted}.")]
    InvalidHeader {
        /// Which.
        header: &'static str,
        /// What it takes.
        accepted: &'static str,
    },
    /// The request does not state the supported version of tus.
    #[error("The header `Tus-Resumable: 1.0.0` is missing. This is the only supported version.")]
    TusVersion,
    /// No resumable upload has this id.
    #[error("Upload not found. It may have expired or been deleted. Start a new upload.")]
    UploadNotFound,
    /// The offset of the request is not that of the upload.
    #[error("The upload is at byte {offset}. Continue from there.")]
    OffsetConflict {
        /// The offset of the upload.
        offset: u64,
    },
    /// Another request holds the lock of the upload.
    #[error("A newer request has taken over this upload. Get its offset with HEAD.")]
    UploadLocked,
    /// The request exceeds the announced length.
    #[error("The request exceeds the announced upload length of {length} bytes.")]
    UploadBeyondLength {
        /// The announced length.
        length: u64,
    },
    /// The checksum does not match the received bytes.
    #[error("The checksum does not match. Send the bytes again.")]
    ChecksumMismatch,
    /// The limit of unfinished resumable uploads is reached.
    #[error(
        "The limit of {uploads_max} unfinished resumable uploads is reached. Try again later, or \
         send the video in one request."
    )]
    TooManyResumable {
        /// The limit.
        uploads_max: usize,
    },
    /// The queue is full.
    #[error("The queue is full. Try again in {} s.", retry_after.as_secs())]
    QueueFull {
        /// Estimated time until the queue has room.
        retry_after: Duration,
    },
    /// The host is low on memory.
    #[error("The service is low on memory. Try again in {} s.", retry_after.as_secs())]
    MemoryShort {
        /// When to try again.
        retry_after: Duration,
    },
    /// The disk is low on free space.
    #[error("The service does not have enough disk space for the video. Try again later.")]
    DiskFull,
    /// A write to the disk failed.
    #[error("The service can't write to its disk at the moment. Try again later.")]
    DiskRefuses,
    /// The store that hosts share does not answer.
    #[error("The service can't reach its store of videos and results. Try again later.")]
    StoreUnreachable,
    /// The journal that hosts share does not answer.
    #[error("The service can't reach its journal of jobs. Try again later.")]
    JournalUnreachable,
    /// An operator has paused this host.
    #[error("This host is being maintained and accepts no uploads. Try again later.")]
    Paused,
    /// The limit of open files is reached.
    #[error("The service has reached its limit of open files. Try again shortly.")]
    Overloaded,
    /// The total limit of connections is reached.
    #[error("The service has reached its limit of connections. Try again shortly.")]
    ConnectionsExhausted,
    /// The service is stopping.
    #[error("The service is stopping. Try again shortly.")]
    Stopping,
    /// The journal was removed or replaced while the service was running.
    #[error(
        "The service has lost its journal of jobs and does not accept jobs. Try again later, and \
         contact the operator if this persists."
    )]
    JournalLost,
    /// The endpoint is for operators, the request is not local and no token is configured.
    #[error(
        "This endpoint is for operators. Use the operator listener (`operator_listen`) directly \
         from the host of the service by a loopback address, or send the token of `token_file`."
    )]
    OperatorsOnly,
    /// The request comes from a page of another origin.
    #[error(
        "Requests from this origin are not allowed. Use the page of the service, or add the origin \
         to `cors_origins`."
    )]
    OtherOrigin,
    /// The endpoint is for operators, and the request has no valid token.
    #[error(
        "This endpoint is for operators. Send the token as `Authorization: Bearer` or as password."
    )]
    TokenRequired,
    /// The client exceeds its rate of uploads.
    #[error("The limit is {per_minute_max} uploads per minute. Try again in {} s.",
        retry_after.as_secs())]
    TooManyUploads {
        /// The limit.
        per_minute_max: u32,
        /// Time until the next upload is accepted.
        retry_after: Duration,
    },
    /// The client has too many unfinished jobs.
    #[error("The limit is {jobs_max} unfinished jobs per client. Wait until one has finished.")]
    TooManyJobs {
        /// The limit.
        jobs_max: usize,
    },
    /// The client has too many concurrent requests.
    #[error(
        "The limit is {connections_max} requests at a time per client. Wait until one has finished."
    )]
    TooManyConnections {
        /// The limit.
        connections_max: usize,
    },
    /// The client has too many event streams.
    #[error("The limit is {streams_max} event streams per client. Close one, or poll the status.")]
    TooManyStreams {
        /// The limit.
        streams_max: usize,
    },
    /// The total limit of event streams is reached.
    #[error("The service has reached its limit of event streams. Poll the status instead.")]
    StreamsExhausted,
    /// The idempotency key belongs to another request.
    #[error(
        "This `Idempotency-Key` was already used with another video or other options. Use a new \
         key for each upload."
    )]
    KeyReused,
    /// A request with the same idempotency key is in progress.
    #[error("An upload with this `Idempotency-Key` is in progress. Try again shortly.")]
    KeyBusy,
    /// The service failed.
    #[error("Internal error. The log of the service has the cause.")]
    Internal,
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    match suggestion {
        Some(name) => format!("Did you mean `{name}`?"),
        None => "/docs lists the options; send no other.".to_owned(),
    }
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
            Self::NotFailed { .. } => Code::NotFailed,
            Self::VideoDeleted => Code::VideoDeleted,
            Self::RangeNotSatisfiable => Code::RangeNotSatisfiable,
            Self::ConditionFailed => Code::ConditionFailed,
            Self::UnsupportedMediaType => Code::UnsupportedMediaType,
            Self::UnsupportedContentCoding => Code::UnsupportedContentCoding,
            Self::MalformedQuery => Code::MalformedQuery,
            Self::MalformedForm(_) => Code::MalformedForm,
            Self::MissingFile => Code::MissingFile,
            Self::RepeatedField { .. } => Code::RepeatedField,
            Self::ConflictingFields { .. } => Code::ConflictingFields,
            Self::UnknownOption { .. } | Self::InvalidField { .. } => Code::InvalidField,
            Self::UploadTooLarge { .. } => Code::UploadTooLarge,
            Self::FormTooLarge => Code::FormTooLarge,
            Self::UploadStalled(_) => Code::UploadStalled,
            Self::UploadTooSlow(_) | Self::UploadBelowRate { .. } => Code::UploadTooSlow,
            Self::UploadBroken => Code::UploadBroken,
            Self::ModelNotInstalled(_) => Code::ModelNotInstalled,
            Self::WebhooksOff => Code::WebhooksOff,
            Self::WebhookAddress => Code::WebhookAddress,
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
            Self::StoreUnreachable => Code::StoreUnreachable,
            Self::JournalUnreachable => Code::JournalUnreachable,
            Self::Paused => Code::Paused,
            Self::Overloaded | Self::ConnectionsExhausted => Code::Overloaded,
            Self::JournalLost => Code::JournalLost,
            Self::Stopping => Code::Stopping,
            Self::OperatorsOnly => Code::OperatorsOnly,
            Self::OtherOrigin => Code::OtherOrigin,
            Self::TokenRequired => Code::TokenRequired,
            Self::TooManyUploads { .. } => Code::TooManyUploads,
            Self::TooManyJobs { .. } => Code::TooManyJobs,
            Self::TooManyConnections { .. } => Code::TooManyConnections,
            Self::TooManyStreams { .. } | Self::StreamsExhausted => Code::TooManyStreams,
            Self::KeyReused => Code::KeyReused,
            Self::KeyBusy => Code::KeyBusy,
            Self::Internal => Code::Internal,
        }
    }

    /// `Retry-After`, for errors that a later retry may resolve.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after }
            | Self::MemoryShort { retry_after }
            | Self::TooManyUploads { retry_after, .. } => Some(*retry_after),
            _ => (self.code().entry().cured_by == Remedy::Time).then_some(RETRY_AFTER_DEFAULT),
        }
    }
}
