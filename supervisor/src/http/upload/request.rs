//! What a request to upload a video says before its body: the encoding, the file name and the options.

use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::upload::idempotency;
use crate::http::upload::options::{UploadOptions, refuse_unknown};
use crate::policy::display_name::DisplayName;
use axum::extract::Query;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};

/// An upload request without its body.
pub(super) struct UploadRequest {
    pub(super) encoding: UploadEncoding,
    pub(super) filename: DisplayName,
    pub(super) options: UploadOptions,
    /// SHA-256 of the `Idempotency-Key`.
    pub(super) key: Option<String>,
}

/// How the video is encoded in the body.
pub(super) enum UploadEncoding {
    /// As a form with this boundary.
    Form(String),
    /// The body is the video.
    Plain,
}

impl UploadRequest {
    pub(super) fn of(parts: &Parts) -> Result<Self, ApiError> {
        check_content_coding(&parts.headers)?;
        let encoding = UploadEncoding::of(parts)?;
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::MalformedQuery)?;
        let (mut filename, mut options) = (None, UploadOptions::default());
        for (name, value) in &pairs {
            if name == "filename" {
                if filename.replace(DisplayName::new(value)).is_some() {
                    return Err(ApiError::RepeatedField { field: "filename" });
                }
            } else if let Some(name) = UploadOptions::known(name) {
                options.set(name, Some(value))?;
            } else {
                refuse_unknown(name)?;
            }
        }
        let filename = filename.unwrap_or_else(|| DisplayName::new(""));
        Ok(Self { encoding, filename, options, key: idempotency::key(&parts.headers)? })
    }

    /// Refuses what can be refused without the body; `bytes` is the size of the body, if known.
    pub(super) fn check(self, service: &Service, bytes: Option<u64>) -> Result<Self, ApiError> {
        check_webhook(service, &self.options)?;
        service.models.require(self.options.model())?;
        let upload_bytes_max = service.config.upload_bytes_max;
        match self.encoding {
            // Unlike a form, a plain body contains only the video.
            UploadEncoding::Plain if bytes > Some(upload_bytes_max) => {
                Err(ApiError::UploadTooLarge { upload_bytes_max })
            }
            _ => Ok(self),
        }
    }
}

/// Refuses a body that would have to be decoded (RFC 9110, 8.4): what is stored and counted is the video itself.
pub(crate) fn check_content_coding(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_none = |coding: &HeaderValue| {
        let coding = coding.as_bytes().trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    };
    let is_plain = headers.get_all(CONTENT_ENCODING).iter().all(is_none);
    is_plain.then_some(()).ok_or(ApiError::UnsupportedContentCoding)
}

/// Refuses a webhook URL if webhooks are not configured, or may not be sent to the address in it.
pub(crate) fn check_webhook(service: &Service, options: &UploadOptions) -> Result<(), ApiError> {
    let Some(url) = options.webhook() else { return Ok(()) };
    match service.webhooks.may_send_to(url) {
        Some(true) => Ok(()),
        Some(false) => Err(ApiError::WebhookAddress),
        None => Err(ApiError::WebhooksOff),
    }
}

/// Media types of a plain video; browsers send those of images for animations.
const PLAIN: [&str; 7] = [
    "video/",
    "application/octet-stream",
    "application/mxf",
    "application/ogg",
    "image/apng",
    "image/gif",
    "image/png",
];

impl UploadEncoding {
    /// A PUT without `Content-Type` is the plain video.
    fn of(parts: &Parts) -> Result<Self, ApiError> {
        let kind = match parts.headers.get(CONTENT_TYPE) {
            None if parts.method == Method::PUT => return Ok(Self::Plain),
            kind => kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default(),
        };
        let lower = kind.to_ascii_lowercase();
        if PLAIN.iter().any(|plain| lower.starts_with(plain)) {
            return Ok(Self::Plain);
        }
        let boundary = multer::parse_boundary(kind).map_err(|_| ApiError::UnsupportedMediaType)?;
        Ok(Self::Form(boundary))
    }
}
