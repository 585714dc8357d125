//! Multipart forms of uploads (RFC 7578): the video in `file`, options before or after it.
//!
//! The video is written to its file as it arrives; other fields are limited to a few bytes.

use crate::config::HttpLimits;
use crate::http::problem::ApiError;
use crate::http::upload::body::Chunks;
use crate::http::upload::file_writer::FileWriter;
use crate::http::upload::form_bytes::{FormBytesError, Unparsed, form_bytes};
use crate::http::upload::options::{UploadOptions, refuse_unknown, unknown};
use crate::http::upload::received_file::{ReceivedFile, ReceivingFile};
use crate::policy::admission::ENVELOPE_BYTES_MAX;
use crate::policy::display_name::DisplayName;
use bytes::Bytes;
use multer::{Constraints, Field, Multipart, SizeLimit};

/// Limits of a form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormLimits<'a> {
    pub(crate) upload_bytes_max: u64,
    pub(crate) http: &'a HttpLimits,
}

/// A received upload.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) filename: DisplayName,
    pub(crate) video: ReceivedFile,
    pub(crate) options: UploadOptions,
}

/// Reads the whole form and writes its video to `file`.
pub(crate) async fn receive(
    chunks: Chunks,
    boundary: String,
    limits: FormLimits<'_>,
    file: &FileWriter,
    mut options: UploadOptions,
) -> Result<Received, ApiError> {
    let whole = limits.upload_bytes_max.saturating_add(ENVELOPE_BYTES_MAX);
    let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(whole));
    let unparsed = Unparsed::default();
    let bytes = form_bytes(chunks, unparsed.clone());
    let mut form = Multipart::with_constraints(bytes, boundary, constraints);
    let to_error = |error| to_api_error(error, limits);
    let mut video = None;
    while let Some(field) = form.next_field().await.map_err(to_error)? {
        unparsed.reset();
        let mut field = FieldData { field, unparsed: &unparsed, limits };
        match field.field.name() {
            Some("file") if video.is_some() => {
                return Err(ApiError::RepeatedField { field: "file" });
            }
            Some("file") => {
                let filename = DisplayName::new(field.field.file_name().unwrap_or_default());
                video = Some((filename, receive_video(field, file).await?));
            }
            name => {
                if let Some(name) = name.and_then(UploadOptions::known) {
                    let bytes_max = UploadOptions::value_bytes_max(name);
                    options.set(name, read_text(field, bytes_max).await?.as_deref())?;
                } else if field.field.file_name().is_some() {
                    return Err(unknown(name.unwrap_or_default(), Some("file")));
                } else {
                    refuse_unknown(name.unwrap_or_default())?;
                    while field.chunk().await?.is_some() {}
                }
            }
        }
    }
    let (filename, video) = video.ok_or(ApiError::MissingFile)?;
    Ok(Received { filename, video, options })
}

/// A field and what is read of it.
struct FieldData<'a> {
    field: Field<'a>,
    unparsed: &'a Unparsed,
    limits: FormLimits<'a>,
}

impl FieldData<'_> {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        let chunk = self.field.chunk().await;
        self.unparsed.reset();
        chunk.map_err(|error| to_api_error(error, self.limits))
    }
}

async fn receive_video(
    mut field: FieldData<'_>,
    file: &FileWriter,
) -> Result<ReceivedFile, ApiError> {
    let mut receiving = ReceivingFile::new(file, field.limits.upload_bytes_max);
    while let Some(chunk) = field.chunk().await? {
        receiving.write(chunk).await?;
    }
    Ok(receiving.finish())
}

/// The text of a field; none if it is not UTF-8 or too long.
async fn read_text(mut field: FieldData<'_>, bytes_max: usize) -> Result<Option<String>, ApiError> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await? {
        if text.len() + chunk.len() > bytes_max {
            return Ok(None);
        }
        text.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(text).ok())
}

/// The error for the client.
fn to_api_error(error: multer::Error, limits: FormLimits<'_>) -> ApiError {
    match error {
        multer::Error::StreamSizeExceeded { .. } => ApiError::FormTooLarge,
        multer::Error::StreamReadFailed(cause) => match cause.downcast_ref::<FormBytesError>() {
            Some(FormBytesError::Body(error)) => error.to_api_error(limits.http),
            Some(FormBytesError::Unparsed) => ApiError::FormTooLarge,
            None => ApiError::UploadBroken,
        },
        // The body ended before the form was complete.
        multer::Error::IncompleteFieldData { .. } | multer::Error::IncompleteStream => {
            ApiError::UploadBroken
        }
        error => ApiError::MalformedForm(error),
    }
}
