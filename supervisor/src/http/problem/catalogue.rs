//! The catalogue of everything that is refused or fails: code, status, cause, remedy.
//!
//! One table, which `error` answers from, `/api/problems` serves, the OpenAPI document describes
//! and docs/api.md prints (a test compares). Codes are stable: programs match on them.

use crate::http::extract::PathParam;
use crate::http::problem::ApiError;
use axum::Json;
use axum::http::StatusCode;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// What makes a refused request succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Remedy {
    /// Another request.
    Client,
    /// The same request, later: the answer carries `Retry-After`.
    Time,
    /// The operator of the service.
    Operator,
}

/// One entry.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// What programs match on.
    pub code: &'static str,
    /// The status of an answer with this code; none for a code of a failed job.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = Option<u16>)]
    pub status: Option<StatusCode>,
    /// Who or what can change it.
    pub cured_by: Remedy,
    /// Why it happens.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

fn as_number<S: Serializer>(status: &Option<StatusCode>, to: S) -> Result<S::Ok, S::Error> {
    status.map(|status| status.as_u16()).serialize(to)
}

macro_rules! answers {
    ($($name:ident $code:literal $status:literal $cure:ident $cause:literal $remedy:literal;)*) => {
        /// The codes of answers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the table says it")]
        pub(crate) enum Code { $($name),* }

        impl Code {
            /// Every code.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// What the catalogue says of it.
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

answers! {
    UnknownAddress "unknown_address" 404 Client
        "Nothing is at this address." "Look it up in /openapi.json or on /docs.";
    MethodNotAllowed "method_not_allowed" 405 Client
        "The address does not take this method." "Use one that the header `Allow` names.";
    JobNotFound "job_not_found" 404 Client
        "No job has this id: it expired, was removed, or never was." "Upload the video again.";
    FileNotFound "file_not_found" 404 Client
        "A job has no file of this name." "Take an address from `urls` of the job's status.";
    AlreadyOver "already_over" 409 Client
        "The job is over and cannot be cancelled." "DELETE /api/cleanup/{id} removes its results.";
    NotCompleted "not_completed" 409 Client
        "The job is not completed, so it has no results." "Wait for `status` to be completed.";
    RangeNotSatisfiable "range_not_satisfiable" 416 Client
        "The range lies outside the file." "Ask for bytes below the size in `Content-Range`.";
    ConditionFailed "condition_failed" 412 Client
        "The file is not as `If-Match` or `If-Unmodified-Since` wants it."
        "Ask without the condition, or with the `ETag` the file has now.";
    UnsupportedMediaType "unsupported_media_type" 415 Client
        "The body is of a type this address does not take."
        "Send multipart/form-data with the video in `file`, or the video itself as video/*.";
    MalformedForm "malformed_form" 400 Client
        "The form breaks RFC 7578." "Let a library write it.";
    MalformedQuery "malformed_query" 400 Client
        "The query is no list of names and values." "Send name=value pairs, percent-encoded.";
    MissingFile "missing_file" 400 Client
        "The form has no field `file`." "Send the video in it.";
    RepeatedField "repeated_field" 400 Client
        "An option is given more than once." "Give it once.";
    ConflictingFields "conflicting_fields" 400 Client
        "Two options exclude each other." "Send one of those that `detail` names.";
    InvalidField "invalid_field" 400 Client
        "An option has a value that is not understood." "Use a value that `detail` names.";
    UploadTooLarge "upload_too_large" 413 Client
        "The video is over `upload_bytes_max`." "Send a shorter or more strongly compressed one.";
    FormTooLarge "form_too_large" 413 Client
        "The form holds more than a video and its options." "Send these alone.";
    UploadStalled "upload_stalled" 408 Client
        "The body stood still for longer than `stall_s_max`."
        "Send it again, over a steadier line.";
    UploadTooSlow "upload_too_slow" 408 Client
        "The body took longer than `upload_s_max`, or came at less than `body_rate_bytes_per_s_min`."
        "Send it over a faster line.";
    UploadBroken "upload_broken" 400 Client
        "The body broke off." "Send it again, over a steadier line.";
    WebhooksOff "webhooks_off" 400 Operator
        "The service has no secret to sign webhooks with (`webhook_secret_file`)."
        "Leave `webhook_url` out, or let the operator set one.";
    InvalidHeader "invalid_header" 400 Client
        "A header the request needs is missing, or its value is not understood."
        "Send it as `detail` says.";
    TusVersion "tus_version" 412 Client
        "The request does not say that it speaks tus 1.0.0."
        "Send `Tus-Resumable: 1.0.0`; better, let a library do it.";
    UploadNotFound "upload_not_found" 404 Client
        "No resumable upload has this id: it expired, was removed, or never was."
        "Begin again with POST /api/tus.";
    OffsetConflict "offset_conflict" 409 Client
        "`Upload-Offset` is not where the upload stands." "Ask with HEAD and go on from there.";
    UploadLocked "upload_locked" 423 Time
        "A newer request has taken the upload over." "Ask with HEAD and go on from there.";
    UploadBeyondLength "upload_beyond_length" 413 Client
        "The request brings more bytes than `Upload-Length` announced."
        "Announce the true length in a new upload.";
    ChecksumMismatch "checksum_mismatch" 460 Client
        "The bytes of the request do not have the checksum it gives; none of them was kept."
        "Send them again.";
    TooManyResumable "too_many_resumable" 503 Time
        "As many resumable uploads are unfinished as may be (`resumable_uploads_max`)."
        "Try again after `Retry-After`, or send the video in one request.";
    QueueFull "queue_full" 503 Time
        "As many jobs wait as may (`queue_max`)." "Try again after `Retry-After`.";
    MemoryShort "memory_short" 503 Time
        "The host is short of memory." "Try again after `Retry-After`.";
    DiskFull "disk_full" 507 Time
        "Too little disk is free for the video (`disk_free_bytes_min`), or it cannot be written."
        "Try again after `Retry-After`; tell the operator if it stays so.";
    JournalLost "journal_lost" 503 Time
        "The record of jobs was removed, replaced or truncated while the service ran."
        "Try again after `Retry-After`; tell the operator, whose log and runbook say what to do.";
    Overloaded "overloaded" 503 Time
        "The service has as many files open, or serves as many connections (`connections_max`), as it may."
        "Try again after `Retry-After`.";
    Stopping "stopping" 503 Time
        "The service is stopping." "Try again after `Retry-After`.";
    OperatorsOnly "operators_only" 403 Operator
        "The address is for operators, and nothing shows that the request is one's."
        "Call it on the operators' listener (`operator_listen`) from the service's own host, or let the operator set `token_file`.";
    TokenRequired "token_required" 401 Client
        "The address is for operators, and the request has no valid token."
        "Send `Authorization: Bearer` with the token, or the token as the password.";
    OtherOrigin "other_origin" 403 Operator
        "A page of another origin asks for a change, and `cors_origins` does not name it."
        "Use the service's own page, or let the operator name the origin.";
    TooManyUploads "too_many_uploads" 429 Time
        "This client uploads more often than `client_uploads_per_minute_max`."
        "Try again after `Retry-After`.";
    TooManyJobs "too_many_jobs" 429 Time
        "This client has as many unfinished jobs as it may (`client_jobs_max`)."
        "Try again once one is over.";
    TooManyConnections "too_many_connections" 429 Time
        "This client has as many requests under way as it may (`client_connections_max`)."
        "Try again once one is over.";
    TooManyStreams "too_many_streams" 429 Time
        "This client, or all together, have as many streams of events open as they may (`client_streams_max`, `streams_max`)."
        "Close one, or ask for the status now and then.";
    KeyReused "idempotency_key_reused" 422 Client
        "The `Idempotency-Key` was sent before with another video or other options."
        "Use a new key for each request, and the same only to repeat it.";
    KeyBusy "idempotency_key_busy" 409 Time
        "A request with the same `Idempotency-Key` is still being taken in."
        "Try again after `Retry-After`.";
    Internal "internal" 500 Operator
        "The service failed on this request." "Tell the operator; the log has the cause.";
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
    "empty_file" Client "The file has no byte." "Upload it again.";
    "not_a_video" Client "The file is no video in a known format."
        "Send MP4, MOV, MKV, WebM, AVI, WMV or MPEG-TS.";
    "no_video_track" Client "The file has sound or other data, but no picture."
        "Send a file with a picture.";
    "unsupported_codec" Client "There is no decoder for the video's codec."
        "Send H.264, H.265, VP8, VP9, AV1, MPEG-4, MPEG-2, MJPEG or WMV.";
    "damaged_video" Client "The file is damaged or cut short before its first picture."
        "Export or upload it again.";
    "no_frames" Client "The video has a track for pictures and none in it." "Record it again.";
    "picture_too_large" Client "The picture is over `side_px_max` or `area_px_max`."
        "Send a smaller copy.";
    "frame_rate_too_high" Client "The frame rate is over `frame_rate_max`."
        "Send a copy at a lower rate.";
    "video_too_long" Client "The video is over `duration_s_max`, and `on_long` is reject."
        "Send a shorter cut.";
    "bad_input" Client "The video cannot be read." "Export it again, as H.264 in MP4 for instance.";
    "out_of_memory" Client "The video needed more memory than a worker may have, retry included."
        "Send a smaller picture.";
    "worker_crashed" Client "The worker crashed on this video, twice."
        "Re-encode it with another program.";
    "known_to_fail" Client "The same content ended its worker twice before, in this job or another."
        "Re-encode it with another program, or ask the operator to allow another try.";
    "sandbox_violation" Client "The worker attempted what it is not allowed to do."
        "Re-encode the video with another program.";
    "worker_protocol" Client "The worker's messages made no sense."
        "Re-encode the video with another program; tell the operator if it happens again.";
    "deadline_exceeded" Client "Processing took too long."
        "Send a shorter video or a smaller picture, or choose a faster mode.";
    "spawn_failed" Operator "No worker could be started, several times in a row." "Try again later.";
    "upload_lost" Client "The video was gone when the service started again." "Upload it again.";
    "output_failed" Operator "The results could not be written to the disk." "Try again later.";
    "model_unusable" Operator "A model file is missing, altered or unusable." "Tell the operator.";
    "sandbox_unavailable" Operator "The host does not give the sandbox that is required."
        "Tell the operator.";
    "media_framework" Operator "The media framework failed." "Tell the operator.";
    "internal" Operator "The service failed on this job." "Tell the operator.";
}

/// The whole catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Catalogue {
    /// Codes of problem documents.
    answers: Vec<Entry>,
    /// Codes of failed jobs.
    failures: Vec<Entry>,
}

/// Every code there is, with its cause and remedy
#[utoipa::path(get, path = "/api/problems", tag = "service",
    operation_id = "list_problems",
    responses((status = 200, description = "The catalogue", body = Catalogue)))]
pub(crate) async fn all() -> Json<Catalogue> {
    let answers = Code::ALL.iter().map(|code| code.entry()).collect();
    Json(Catalogue { answers, failures: FAILURES.to_vec() })
}

/// One code, with its cause and remedy
#[utoipa::path(get, path = "/api/problems/{code}", tag = "service", operation_id = "get_problem",
    params(("code" = String, Path, description = "A code")),
    responses((status = 200, description = "Its entry", body = Entry), crate::http::openapi::Unknown))]
pub(crate) async fn one(PathParam(code): PathParam<String>) -> Result<Json<Entry>, ApiError> {
    let answers = Code::ALL.iter().map(|code| code.entry());
    let mut entries = answers.chain(FAILURES.iter().copied());
    entries.find(|entry| entry.code == code).map(Json).ok_or(ApiError::UnknownAddress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::fmt::Write;

    /// The part of docs/api.md that this table fills.
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
    fn the_manual_prints_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
        let manual = std::fs::read_to_string(path).expect("docs/api.md is there");
        let (begin, end) = ("<!-- catalogue -->\n", "<!-- /catalogue -->");
        let (head, rest) = manual.split_once(begin).expect("a place for the table");
        let (printed, tail) = rest.split_once(end).expect("an end of the table");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, format!("{head}{begin}{}{end}{tail}", tables())).expect("writes");
        } else {
            assert_eq!(printed, tables(), "run this test with BLESS=1 to print it anew");
        }
    }

    #[test]
    fn codes_are_told_apart_and_every_status_is_one() {
        let mut seen = HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.entry().code), "{code:?}");
            assert!(code.entry().status.is_some_and(|status| status.as_u16() >= 400), "{code:?}");
        }
        let mut seen = HashSet::new();
        assert!(FAILURES.iter().all(|entry| seen.insert(entry.code)));
    }

    #[test]
    fn every_fault_of_a_video_is_listed() {
        use bodyscript_protocol::fault::Fault;
        let faults = [
            Fault::Empty,
            Fault::NotAVideo,
            Fault::NoVideoTrack,
            Fault::UnsupportedCodec(String::new()),
            Fault::Damaged,
            Fault::NoFrames,
            Fault::PictureTooLarge { width: 0, height: 0, side_px_max: 0, area_px_max: 0 },
            Fault::FrameRateTooHigh { frame_rate: 0, frame_rate_max: 0 },
            Fault::TooLong { duration_ms: 0, duration_ms_max: 0 },
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
