//! An upload's form (RFC 7578): the video in `file`, options before or after it.
//!
//! Called by `upload`. The video goes to its file as it comes; of the rest a few bytes are kept.

use super::body::{BodyError, Chunks};
use super::error::ApiError;
use crate::admission::ENVELOPE_BYTES_MAX;
use crate::artefacts::StateError;
use crate::config::HttpLimits;
use crate::name::DisplayName;
use bodyscript_protocol::formats::Formats;
use bodyscript_protocol::options::{
    FPS_MILLI_MAX, FPS_MILLI_MIN, FrameRate, INTERVAL_FRAMES_MAX, Mode, Options, PEOPLE_MAX,
    Sampling, Smoothing,
};
use multer::{Constraints, Field, Multipart, SizeLimit};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

/// Longest value of an option, in bytes.
const OPTION_BYTES_MAX: usize = 256;

/// Bytes a file may hold back before it writes them.
const WRITE_BYTES_MAX: usize = 64 * 1024;

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
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Reads a form to its end and writes its video into `video`.
pub(super) async fn receive(
    chunks: Chunks,
    boundary: String,
    limits: FormLimits<'_>,
    (video, path): (&mut File, &Path),
) -> Result<(Received, Options), ApiError> {
    let whole = limits.upload_bytes_max.saturating_add(ENVELOPE_BYTES_MAX);
    let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(whole));
    let mut form = Multipart::with_constraints(chunks, boundary, constraints);
    let broken = |error| explain(error, limits);
    video.set_max_buf_size(WRITE_BYTES_MAX);
    let (mut received, mut choices) = (None, Choices::default());
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("file") if received.is_some() => {
                return Err(ApiError::RepeatedField { field: "file" });
            }
            Some("file") => received = Some(store(field, limits, (&mut *video, path)).await?),
            Some(name) => {
                // Browsers and old clients send fields of their own; the next call skips over them.
                let Some(name) = CHOICES.into_iter().find(|known| *known == name) else { continue };
                choices.take(name, read_text(field, limits).await?.as_deref())?;
            }
            None => {}
        }
    }
    Ok((received.ok_or(ApiError::MissingFile)?, choices.options()?))
}

/// The fields beside the video.
const CHOICES: [&str; 6] = ["mode", "interval", "fps", "max_people", "smoothing", "formats"];

/// What a form has chosen so far.
#[derive(Debug, Default)]
struct Choices {
    mode: Option<Mode>,
    interval: Option<Sampling>,
    fps: Option<FrameRate>,
    people_max: Option<u32>,
    smoothing: Option<Smoothing>,
    formats: Option<Formats>,
}

impl Choices {
    /// Takes one field; its text is nothing where it cannot be any option's.
    fn take(&mut self, field: &'static str, text: Option<&str>) -> Result<(), ApiError> {
        let text = text.unwrap_or_default();
        let people = || text.parse().ok().filter(|n| (1..=PEOPLE_MAX).contains(n));
        match field {
            "mode" => set(&mut self.mode, field, text.parse().ok()),
            "interval" => {
                set(&mut self.interval, field, text.parse().ok().and_then(Sampling::every))
            }
            "fps" => set(&mut self.fps, field, text.parse().ok()),
            "formats" => set(&mut self.formats, field, text.parse().ok()),
            "max_people" => set(&mut self.people_max, field, people()),
            _ => set(&mut self.smoothing, field, text.parse().ok()),
        }
    }

    fn options(self) -> Result<Options, ApiError> {
        let sampling = match (self.interval, self.fps) {
            (Some(_), Some(_)) => {
                return Err(ApiError::ConflictingFields { fields: ["interval", "fps"] });
            }
            (interval, None) => interval.unwrap_or_default(),
            (None, Some(rate)) => Sampling::Rate(rate),
        };
        Ok(Options {
            mode: self.mode.unwrap_or_default(),
            sampling,
            people_max: self.people_max.unwrap_or(Options::default().people_max),
            smoothing: self.smoothing.unwrap_or_default(),
            formats: self.formats.unwrap_or_default(),
        })
    }
}

/// What a field takes, for people.
fn accepted(field: &str) -> String {
    let per_second = |milli: u32| f64::from(milli) / 1000.0;
    match field {
        "mode" => format!("one of {}", Mode::ALL.map(Mode::name).join(", ")),
        "interval" => format!("a whole number from 1 to {INTERVAL_FRAMES_MAX}"),
        "fps" => format!(
            "a number of frames per second from {} to {}",
            per_second(FPS_MILLI_MIN),
            per_second(FPS_MILLI_MAX)
        ),
        "formats" => format!("all, or one or more of {}, separated by commas", Formats::ALL),
        "max_people" => format!("a whole number from 1 to {PEOPLE_MAX}"),
        _ => format!("one of {}", Smoothing::ALL.map(Smoothing::name).join(", ")),
    }
}

fn set<T>(slot: &mut Option<T>, field: &'static str, value: Option<T>) -> Result<(), ApiError> {
    let value = value.ok_or_else(|| ApiError::InvalidField { field, accepted: accepted(field) })?;
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ApiError::RepeatedField { field }),
    }
}

async fn store(
    mut field: Field<'_>,
    limits: FormLimits<'_>,
    (video, path): (&mut File, &Path),
) -> Result<Received, ApiError> {
    let filename = DisplayName::new(field.file_name().unwrap_or_default());
    let upload_bytes_max = limits.upload_bytes_max;
    let failed = |source| StateError::Io { what: "written to", path: path.to_owned(), source };
    let mut bytes = 0u64;
    let mut digest = Sha256::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| explain(error, limits))? {
        bytes += chunk.len() as u64;
        if bytes > upload_bytes_max {
            return Err(ApiError::UploadTooLarge { upload_bytes_max });
        }
        digest.update(&chunk);
        video.write_all(&chunk).await.map_err(failed)?;
    }
    video.flush().await.map_err(failed)?;
    let sha256 = digest.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes what it is given");
        text
    });
    Ok(Received { filename, bytes, sha256 })
}

/// A short text; nothing where it is no text or too long for any option.
async fn read_text(
    mut field: Field<'_>,
    limits: FormLimits<'_>,
) -> Result<Option<String>, ApiError> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| explain(error, limits))? {
        if text.len() + chunk.len() > OPTION_BYTES_MAX {
            return Ok(None);
        }
        text.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(text).ok().map(|text| text.trim().to_owned()))
}

/// What a failure to read the form means.
fn explain(error: multer::Error, limits: FormLimits<'_>) -> ApiError {
    match error {
        multer::Error::StreamSizeExceeded { .. } => ApiError::FormTooLarge,
        multer::Error::StreamReadFailed(cause) => match cause.downcast_ref() {
            Some(BodyError::Stalled) => ApiError::UploadStalled(limits.http.stall_max),
            Some(BodyError::TooSlow) => ApiError::UploadTooSlow(limits.http.upload_max),
            Some(BodyError::Broken) | None => ApiError::UploadBroken,
        },
        // The stream ended early without saying why: so did the connection, or the client's care.
        multer::Error::IncompleteFieldData { .. } | multer::Error::IncompleteStream => {
            ApiError::UploadBroken
        }
        error => ApiError::MalformedForm(error),
    }
}
