//! The catalogue of error codes, with status, cause and remedy.
//!
//! One table for the error responses of `problem`, `/api/problems`, the OpenAPI document and
//! docs/api.md (compared by a test). Codes are stable: programs match on them.

use axum::http::StatusCode;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// Who or what can resolve an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Remedy {
    /// Another request.
    Client,
    /// The same request, later: the response has `Retry-After`.
    Time,
    /// An action of the operator.
    Operator,
}

/// An error code.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = CatalogueEntry)]
pub(crate) struct Entry {
    /// Stable code for programs.
    pub code: &'static str,
    /// HTTP status of responses with this code; null for codes of failed jobs.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = Option<u16>)]
    pub status: Option<StatusCode>,
    /// Who or what can resolve it.
    pub cured_by: Remedy,
    /// Why it happens.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

fn as_number<S: Serializer>(status: &Option<StatusCode>, to: S) -> Result<S::Ok, S::Error> {
    status.map(|status| status.as_u16()).serialize(to)
}

macro_rules! responses {
    ($($name:ident $code:literal $status:literal $cure:ident $cause:literal $remedy:literal;)*) => {
        /// The codes of error responses.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "described by the table")]
        pub(crate) enum Code { $($name),* }

        impl Code {
            /// Every code.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// Its entry in the catalogue.
            pub(crate) fn entry(self) -> Entry {
                match self {
                    $(Self::$name => Entry {
                        code: $code,
                        status: StatusCode::from_u16($status).ok(),
                        cured_by: Remedy::$cure,
                        cause: $cause,
                        remedy: $remedy,
                    }),*
                }
            }
        }
    };
}

responses! {
    UnknownAddress "unknown_address" 404 Client
        "There is no endpoint at this path." "See /docs or /openapi.json for all endpoints.";
    MethodNotAllowed "method_not_allowed" 405 Client
        "The endpoint does not support this method." "Use a method listed in the `Allow` header.";
    JobNotFound "job_not_found" 404 Client
        "No job has this id: it expired, was deleted or never existed." "Upload the video again.";
    FileNotFound "file_not_found" 404 Client
        "The job has no file with this name." "Use a URL from `urls` of the job's status.";
    AlreadyOver "already_over" 409 Client
        "The job has already ended." "Use DELETE /api/cleanup/{id} to remove its results.";
    NotCompleted "not_completed" 409 Client
        "The job is not completed, so it has no results." "Wait until `status` is completed.";
    NotFailed "not_failed" 409 Client
        "The job has not failed, and only failed jobs can be retried." "Upload the video again.";
    VideoDeleted "video_deleted" 409 Client
        "The video of the failed job is no longer kept." "Upload the video again.";
    RangeNotSatisfiable "range_not_satisfiable" 416 Client
        "The range is outside the file." "Request bytes below the size in `Content-Range`.";
    ConditionFailed "condition_failed" 412 Client
        "The file does not match `If-Match` or `If-Unmodified-Since`."
        "Omit the condition, or use the current `ETag` of the file.";
    UnsupportedMediaType "unsupported_media_type" 415 Client
        "The content type of the body is not supported."
        "Send multipart/form-data with the video in `file`, or the video itself as video/*.";
    UnsupportedContentCoding "unsupported_content_coding" 415 Client
        "The body of an upload has a `Content-Encoding`." "Send the video as it is.";
    MalformedForm "malformed_form" 400 Client
        "The form does not follow RFC 7578." "Build the form with an HTTP library.";
    MalformedQuery "malformed_query" 400 Client
        "The query is not a list of name=value pairs." "Send percent-encoded name=value pairs.";
    MissingFile "missing_file" 400 Client
        "The form has no field `file`." "Send the video in that field.";
    RepeatedField "repeated_field" 400 Client
        "An option is given more than once." "Give it once.";
    ConflictingFields "conflicting_fields" 400 Client
        "Two options can't be combined." "Send only one of those named in `detail`.";
    InvalidField "invalid_field" 400 Client
        "An option has an invalid value, or there is no option of that name."
        "Use what `detail` suggests.";
    UploadTooLarge "upload_too_large" 413 Client
        "The video is larger than `upload_bytes_max`." "Trim or compress the video.";
    FormTooLarge "form_too_large" 413 Client
        "The form contains too much data besides the video." "Send only the video and its options.";
    UploadStalled "upload_stalled" 408 Client
        "No data was received for `stall_s_max`."
        "Try again over a more stable connection.";
    UploadTooSlow "upload_too_slow" 408 Client
        "The upload took longer than `upload_s_max` or was slower than `body_rate_bytes_per_s_min`."
        "Try again over a faster connection.";
    UploadBroken "upload_broken" 400 Client
        "The upload was interrupted." "Try again over a more stable connection.";
    ModelNotInstalled "model_not_installed" 400 Operator
        "The file of the landmark model is not on the host."
        "Choose another `model`, or ask the operator to run `make models`.";
    WebhooksOff "webhooks_off" 400 Operator
        "Webhooks are not configured (`webhook_secret_file`)."
        "Omit `webhook_url`, or ask the operator to configure webhooks.";
    WebhookAddress "webhook_address" 400 Client
        "The address in `webhook_url` is not public, or the URL is not https, and it is in none of `webhook_networks`."
        "Use https and a public address, or ask the operator to allow the network.";
    InvalidHeader "invalid_header" 400 Client
        "A required header is missing or invalid."
        "Send it as described in `detail`.";
    TusVersion "tus_version" 412 Client
        "The header `Tus-Resumable: 1.0.0` is missing."
        "Send the header, or use a tus client library.";
    UploadNotFound "upload_not_found" 404 Client
        "No resumable upload has this id: it expired, was deleted or never existed."
        "Start a new upload with POST /api/tus.";
    OffsetConflict "offset_conflict" 409 Client
        "`Upload-Offset` differs from the current offset."
        "Get the offset with HEAD and continue from there.";
    UploadLocked "upload_locked" 423 Time
        "A newer request has taken over the upload."
        "Get the offset with HEAD and continue from there.";
    UploadBeyondLength "upload_beyond_length" 413 Client
        "The request has more bytes than `Upload-Length` announced."
        "Start a new upload with the correct length.";
    ChecksumMismatch "checksum_mismatch" 460 Client
        "The checksum does not match; no byte of the request was stored."
        "Send the bytes again.";
    TooManyResumable "too_many_resumable" 503 Time
        "The limit of unfinished resumable uploads is reached (`resumable_uploads_max`)."
        "Try again after `Retry-After`, or send the video in one request.";
    QueueFull "queue_full" 503 Time
        "The queue is full (`queue_max`), or what is left of it is kept for clients with fewer jobs."
        "Try again after `Retry-After`.";
    MemoryShort "memory_short" 503 Time
        "The host is low on memory." "Try again after `Retry-After`.";
    DiskFull "disk_full" 507 Time
        "There is not enough free disk space (`disk_free_bytes_min`), or the disk can't be written."
        "Try again after `Retry-After`; contact the operator if this persists.";
    StoreUnreachable "store_unreachable" 503 Time
        "The store of videos and results (`artefacts_url`) does not answer."
        "Try again after `Retry-After`; contact the operator if this persists.";
    JournalUnreachable "journal_unreachable" 503 Time
        "The database with the journal of jobs (`journal_url`) does not answer."
        "Try again after `Retry-After`; contact the operator if this persists.";
    JournalLost "journal_lost" 503 Time
        "The journal of jobs was removed, replaced or truncated while the service was running."
        "Try again after `Retry-After`; contact the operator, who finds the steps in the runbook.";
    Overloaded "overloaded" 503 Time
        "The service has reached its limit of open files or connections (`connections_max`)."
        "Try again after `Retry-After`.";
    Paused "paused" 503 Time
        "An operator has paused the host: it accepts no uploads and starts no jobs."
        "Try again after `Retry-After`; a load balancer that asks /readyz sends uploads to other hosts.";
    Stopping "stopping" 503 Time
        "The service is stopping." "Try again after `Retry-After`.";
    OperatorsOnly "operators_only" 403 Operator
        "The endpoint is for operators, and no token is configured."
        "Use the operator listener (`operator_listen`) on the same host, or set `token_file`.";
    TokenRequired "token_required" 401 Client
        "The endpoint is for operators, and the request has no valid token."
        "Send `Authorization: Bearer` with the token, or the token as the password.";
    OtherOrigin "other_origin" 403 Operator
        "The request comes from an origin that is not in `cors_origins`."
        "Use the page of the service, or ask the operator to add the origin.";
    TooManyUploads "too_many_uploads" 429 Time
        "This client exceeds `client_uploads_per_minute_max`."
        "Try again after `Retry-After`.";
    TooManyJobs "too_many_jobs" 429 Time
        "This client has reached its limit of unfinished jobs (`client_jobs_max`)."
        "Try again when one has finished.";
    TooManyConnections "too_many_connections" 429 Time
        "This client has reached its limit of concurrent requests (`client_connections_max`)."
        "Try again when one has finished.";
    TooManyStreams "too_many_streams" 429 Time
        "A limit of event streams is reached (`client_streams_max` per client, `streams_max` in total)."
        "Close a stream, or poll the status.";
    KeyReused "idempotency_key_reused" 422 Client
        "The `Idempotency-Key` was already used with another video or other options."
        "Use a new key for each upload; reuse a key only to repeat the same upload.";
    KeyBusy "idempotency_key_busy" 409 Time
        "A request with the same `Idempotency-Key` is in progress."
        "Try again after `Retry-After`.";
    Internal "internal" 500 Operator
        "The service failed to process the request." "Contact the operator; the log has the cause.";
}

macro_rules! failures {
    ($($code:literal $cure:ident $cause:literal $remedy:literal;)*) => {
        /// The codes of failed jobs (`error_code` of a status).
        pub(crate) const FAILURES: &[Entry] = &[$(Entry {
            code: $code,
            status: None,
            cured_by: Remedy::$cure,
            cause: $cause,
            remedy: $remedy,
        }),*];
    };
}

failures! {
    "empty_file" Client "The file is empty." "Upload it again.";
    "not_a_video" Client "The file is not a video in a supported format."
        "Send MP4, MOV, MKV, WebM, AVI, WMV or MPEG-TS.";
    "no_video_track" Client "The file has no video track, only other data such as sound."
        "Send a file with a video track.";
    "unsupported_codec" Client "The video codec is not supported."
        "Send H.264, H.265, VP8, VP9, AV1, MPEG-4, MPEG-2, MJPEG or WMV.";
    "damaged_video" Client "The file is damaged or truncated before its first frame."
        "Export or upload it again.";
    "no_frames" Client "The video track has no frames." "Record or export it again.";
    "picture_too_large" Client "The frame size exceeds `side_px_max` or `area_px_max`."
        "Send a smaller copy.";
    "picture_too_small" Client "A side of the frame, or of its part in `crop`, is less than 32 pixels."
        "Send the original, or a larger copy, or choose a larger area.";
    "frame_rate_too_high" Client "The frame rate exceeds `frame_rate_max`."
        "Send a copy with a lower frame rate.";
    "video_too_long" Client "The video is longer than `duration_s_max`, and `on_long` is reject."
        "Trim the video, or choose a shorter part with `start` and `end`.";
    "empty_part" Client "The part between `start` and `end` has no frame to process."
        "Choose another part, or process more frames.";
    "bad_input" Client "The video can't be read." "Export it again, for example as H.264 in MP4.";
    "out_of_memory" Client "The video needed more memory than the limit, including the retry."
        "Send a copy with smaller frames.";
    "results_too_large" Client
        "The results exceed `results_bytes_max`, or one of them 256 MiB."
        "Send a shorter or smaller video, or choose fewer formats.";
    "worker_crashed" Client "The worker crashed on this video, twice."
        "Re-encode it with another program.";
    "worker_killed" Operator "The worker was killed nine times by another program."
        "Try again later; contact the operator if it happens again.";
    "host_lost" Operator "Eight hosts were lost while they processed the video."
        "Contact the operator.";
    "known_to_fail" Client
        "The same file has crashed its worker twice before with these options, or six times with any."
        "Re-encode it with another program, or ask the operator to retry the job.";
    "sandbox_violation" Client "The worker attempted a forbidden system call."
        "Re-encode the video with another program.";
    "worker_protocol" Client "The worker violated its protocol."
        "Re-encode the video with another program; contact the operator if it happens again.";
    "deadline_exceeded" Client "Processing took too long."
        "Send a shorter or smaller video, or choose a faster mode.";
    "spawn_failed" Operator "Starting a worker failed several times in a row." "Try again later.";
    "upload_lost" Client "The video was lost when the service restarted." "Upload it again.";
    "output_failed" Operator "The results could not be written to disk." "Try again later.";
    "model_unusable" Operator "A model file is missing, altered or unusable."
        "Contact the operator.";
    "model_not_installed" Operator "The file of the landmark model is no longer on the host."
        "Upload the video again with another `model`, or ask the operator to run `make models`.";
    "sandbox_unavailable" Operator "The host does not support the required sandbox."
        "Contact the operator.";
    "media_framework" Operator "The media framework failed." "Contact the operator.";
    "internal" Operator "The service failed to process the job." "Contact the operator.";
}

/// The whole catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Catalogue {
    /// Codes of error responses.
    answers: Vec<Entry>,
    /// Codes of failed jobs.
    failures: Vec<Entry>,
}

impl Catalogue {
    /// All codes.
    pub(crate) fn complete() -> Self {
        let answers = Code::ALL.iter().map(|code| code.entry()).collect();
        Self { answers, failures: FAILURES.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::fmt::Write;

    /// The section of docs/api.md with this table.
    fn tables() -> String {
        let mut text =
            String::from("| Code | Status | Cured by | Cause | Remedy |\n|---|---|---|---|---|\n");
        let rows = Code::ALL.iter().map(|code| code.entry()).chain(FAILURES.iter().copied());
        for row in rows {
            let status = row.status.map_or("job".into(), |status| status.as_u16().to_string());
            let cure = format!("{:?}", row.cured_by).to_lowercase();
            let Entry { code, cause, remedy, .. } = row;
            writeln!(text, "| `{code}` | {status} | {cure} | {cause} | {remedy} |").expect("fits");
        }
        text
    }

    #[test]
    fn the_table_in_docs_api_md_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
        let manual = std::fs::read_to_string(path).expect("docs/api.md exists");
        let (begin, end) = ("<!-- catalogue -->\n", "<!-- /catalogue -->");
        let (head, rest) = manual.split_once(begin).expect("the start of the table");
        let (printed, tail) = rest.split_once(end).expect("the end of the table");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, format!("{head}{begin}{}{end}{tail}", tables())).expect("writes");
        } else {
            assert_eq!(printed, tables(), "run this test with BLESS=1 to update the table");
        }
    }

    #[test]
    fn codes_are_unique_and_have_an_error_status() {
        let mut seen = HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.entry().code), "{code:?}");
            assert!(code.entry().status.is_some_and(|status| status.as_u16() >= 400), "{code:?}");
        }
        let mut seen = HashSet::new();
        assert!(FAILURES.iter().all(|entry| seen.insert(entry.code)));
    }

    #[test]
    fn the_catalogue_has_every_fault_of_the_worker() {
        use bodyscript_protocol::fault::Fault;
        let faults = [
            Fault::Empty,
            Fault::NotAVideo,
            Fault::NoVideoTrack,
            Fault::UnsupportedCodec(String::new()),
            Fault::Damaged,
            Fault::NoFrames,
            Fault::PictureTooLarge { width: 0, height: 0, side_px_max: 0, area_px_max: 0 },
            Fault::PictureTooSmall { width: 0, height: 0, side_px_min: 0 },
            Fault::CropTooSmall { width: 0, height: 0, side_px_min: 0 },
            Fault::FrameRateTooHigh { frame_rate: 0, frame_rate_max: 0 },
            Fault::TooLong { duration_ms: 0, duration_ms_max: 0 },
            Fault::EmptyPart { start_ms: 0, last_ms: None },
            Fault::Model,
            Fault::Sandbox,
            Fault::Protocol,
            Fault::Output,
            Fault::Media,
        ];
        for fault in faults {
            assert!(FAILURES.iter().any(|entry| entry.code == fault.code()), "{}", fault.code());
        }
    }
}
