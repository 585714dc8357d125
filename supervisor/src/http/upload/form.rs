//! An upload's form (RFC 7578): the video in `file`, options before or after it.
//!
//! Called by `upload`. The video goes to its file as it comes; of the rest a few bytes are kept.

use crate::config::HttpLimits;
use crate::http::problem::ApiError;
use crate::http::upload::body::{BodyError, Chunks};
use crate::http::upload::options::{UploadOptions, VALUE_BYTES_MAX, refuse_misspelt};
use crate::http::upload::received_file::{ReceivingFile, Taken};
use crate::policy::admission::ENVELOPE_BYTES_MAX;
use crate::policy::display_name::DisplayName;
use multer::{Constraints, Field, Multipart, SizeLimit};
use std::path::Path;
use tokio::fs::File;

/// What limits a form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormLimits<'a> {
    pub(crate) upload_bytes_max: u64,
    pub(crate) http: &'a HttpLimits,
}

/// The video of a form, received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) filename: DisplayName,
    pub(crate) video: Taken,
    pub(crate) options: UploadOptions,
}

/// Reads a form to its end and writes its video into `video`.
pub(crate) async fn receive(
    chunks: Chunks,
    boundary: String,
    limits: FormLimits<'_>,
    (file, path): (&mut File, &Path),
    mut options: UploadOptions,
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
                if let Some(name) = name.and_then(UploadOptions::known) {
                    options.take(name, read_text(field, limits).await?.as_deref())?;
                } else {
                    refuse_misspelt(name.unwrap_or_default())?;
                }
            }
        }
    }
    let (filename, video) = video.ok_or(ApiError::MissingFile)?;
    Ok(Received { filename, video, options })
}

async fn store(
    mut field: Field<'_>,
    limits: FormLimits<'_>,
    target: (&mut File, &Path),
) -> Result<Taken, ApiError> {
    let mut intake = ReceivingFile::new(target, limits.upload_bytes_max);
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
