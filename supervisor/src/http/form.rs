//! An upload's form (RFC 7578): the video in `file`, options before or after it.
//!
//! Called by `upload`. The video goes to its file as it comes; of the rest a few bytes are kept.

use super::body::{BodyError, Chunks};
use super::error::ApiError;
use super::intake::{Intake, Taken};
use super::options::{VALUE_BYTES_MAX, Wishes};
use crate::admission::ENVELOPE_BYTES_MAX;
use crate::config::HttpLimits;
use crate::name::DisplayName;
use multer::{Constraints, Field, Multipart, SizeLimit};
use std::path::Path;
use tokio::fs::File;

/// What limits a form.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormLimits<'a> {
    pub(super) upload_bytes_max: u64,
    pub(super) http: &'a HttpLimits,
}

/// The video of a form, received.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) filename: DisplayName,
    pub(super) video: Taken,
    pub(super) wishes: Wishes,
}

/// Reads a form to its end and writes its video into `video`.
pub(super) async fn receive(
    chunks: Chunks,
    boundary: String,
    limits: FormLimits<'_>,
    (file, path): (&mut File, &Path),
    mut wishes: Wishes,
) -> Result<Received, ApiError> {
    let whole = limits.upload_bytes_max.saturating_add(ENVELOPE_BYTES_MAX);
    let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(whole));
    let mut form = Multipart::with_constraints(chunks, boundary, constraints);
    let broken = |error| explain(error, limits);
    let mut video = None;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("file") if video.is_some() => {
                return Err(ApiError::RepeatedField { field: "file" });
            }
            Some("file") => {
                let filename = DisplayName::new(field.file_name().unwrap_or_default());
                video = Some((filename, store(field, limits, (&mut *file, path)).await?));
            }
            // Browsers and old clients send fields of their own; the next call skips over them.
            name => {
                if let Some(name) = name.and_then(Wishes::known) {
                    wishes.take(name, read_text(field, limits).await?.as_deref())?;
                }
            }
        }
    }
    let (filename, video) = video.ok_or(ApiError::MissingFile)?;
    Ok(Received { filename, video, wishes })
}

async fn store(
    mut field: Field<'_>,
    limits: FormLimits<'_>,
    target: (&mut File, &Path),
) -> Result<Taken, ApiError> {
    let mut intake = Intake::new(target, limits.upload_bytes_max);
    while let Some(chunk) = field.chunk().await.map_err(|error| explain(error, limits))? {
        intake.write(&chunk).await?;
    }
    intake.finish().await
}

/// A short text; nothing where it is no text or too long for any option.
async fn read_text(
    mut field: Field<'_>,
    limits: FormLimits<'_>,
) -> Result<Option<String>, ApiError> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| explain(error, limits))? {
        if text.len() + chunk.len() > VALUE_BYTES_MAX {
            return Ok(None);
        }
        text.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(text).ok())
}

/// What a failure to read the form means.
fn explain(error: multer::Error, limits: FormLimits<'_>) -> ApiError {
    match error {
        multer::Error::StreamSizeExceeded { .. } => ApiError::FormTooLarge,
        multer::Error::StreamReadFailed(cause) => match cause.downcast_ref::<BodyError>() {
            Some(error) => error.told(limits.http),
            None => ApiError::UploadBroken,
        },
        // The stream ended early without saying why: so did the connection, or the client's care.
        multer::Error::IncompleteFieldData { .. } | multer::Error::IncompleteStream => {
            ApiError::UploadBroken
        }
        error => ApiError::MalformedForm(error),
    }
}
