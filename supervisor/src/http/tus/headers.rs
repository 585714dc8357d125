//! What the headers of a resumable upload say, checked.

use crate::http::problem::ApiError;
use crate::http::upload::options::{UploadOptions, VALUE_BYTES_MAX, refuse_misspelt};
use crate::policy::display_name::DisplayName;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The version of the protocol.
pub(crate) const VERSION: &str = "1.0.0";

/// The digests a request may carry.
pub(crate) const CHECKSUMS: &str = "sha1,sha256";

/// Longest metadata, in bytes.
const METADATA_BYTES_MAX: usize = 4096;

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn invalid<T>(header: &'static str, accepted: &'static str) -> Result<T, ApiError> {
    Err(ApiError::InvalidHeader { header, accepted })
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = text(headers, name)?;
    // No sign, which the library would take.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The size an upload is to have.
pub(crate) fn length(headers: &HeaderMap) -> Result<u64, ApiError> {
    if headers.contains_key("upload-concat") {
        return invalid("Upload-Concat", "no value, because concatenation is not supported");
    }
    match number(headers, "upload-length") {
        Some(length) => Ok(length),
        None => invalid("Upload-Length", "the size of the video in bytes"),
    }
}

/// Where the bytes of a request begin.
pub(crate) fn offset(headers: &HeaderMap) -> Result<u64, ApiError> {
    match number(headers, "upload-offset") {
        Some(offset) => Ok(offset),
        None => invalid("Upload-Offset", "the current offset in bytes"),
    }
}

/// Whether the body is bytes of the upload.
pub(crate) fn brings_bytes(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match kind {
        Some(b"application/offset+octet-stream") => Ok(()),
        _ => Err(ApiError::UnsupportedMediaType),
    }
}

/// What is said of an upload, as it is said.
pub(crate) fn metadata(headers: &HeaderMap) -> Result<String, ApiError> {
    let accepted = "names and base64 values, 4096 bytes at most";
    let Some(value) = headers.get("upload-metadata") else { return Ok(String::new()) };
    match value.to_str() {
        Ok(text) if text.len() <= METADATA_BYTES_MAX => Ok(text.to_owned()),
        _ => invalid("Upload-Metadata", accepted),
    }
}

/// What is said of an upload, understood.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) filename: DisplayName,
    pub(crate) options: UploadOptions,
}

impl Metadata {
    /// Of `name value,name value`; clients send names of their own as well.
    pub(crate) fn of(text: &str) -> Result<Self, ApiError> {
        let (mut filename, mut options) = (None, UploadOptions::default());
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let value = BASE64_STANDARD.decode(value.trim()).ok();
            let value = value.and_then(|bytes| String::from_utf8(bytes).ok());
            if name == "filename" {
                let Some(value) = value else {
                    return invalid("Upload-Metadata", "`filename` as base64 of UTF-8");
                };
                if filename.replace(DisplayName::new(&value)).is_some() {
                    return Err(ApiError::RepeatedField { field: "filename" });
                }
            } else if let Some(name) = UploadOptions::known(name) {
                let value = value.filter(|value| value.len() <= VALUE_BYTES_MAX);
                options.take(name, value.as_deref())?;
            } else {
                refuse_misspelt(name)?;
            }
        }
        Ok(Self { filename: filename.unwrap_or_else(|| DisplayName::new("")), options })
    }
}

/// A digest that the bytes of a request must have.
pub(crate) struct Checksum {
    state: State,
    expected: Vec<u8>,
}

enum State {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha1(digest) => digest.update(bytes),
            State::Sha256(digest) => digest.update(bytes),
        }
    }

    /// Whether the bytes have it.
    pub(crate) fn holds(self) -> bool {
        match self.state {
            State::Sha1(digest) => digest.finalize()[..] == self.expected,
            State::Sha256(digest) => digest.finalize()[..] == self.expected,
        }
    }
}

/// The digest a request gives, if it does.
pub(crate) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, ApiError> {
    let accepted = "sha1 or sha256 and the digest in base64";
    if !headers.contains_key("upload-checksum") {
        return Ok(None);
    }
    let Some((name, digest)) =
        text(headers, "upload-checksum").and_then(|text| text.split_once(' '))
    else {
        return invalid("Upload-Checksum", accepted);
    };
    let (state, bytes) = match name {
        "sha1" => (State::Sha1(Sha1::new()), 20),
        "sha256" => (State::Sha256(Sha256::new()), 32),
        _ => return invalid("Upload-Checksum", accepted),
    };
    match BASE64_STANDARD.decode(digest.trim()) {
        Ok(expected) if expected.len() == bytes => Ok(Some(Checksum { state, expected })),
        _ => invalid("Upload-Checksum", accepted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_held_to_the_rules_of_a_form() {
        let of = |text: &str| Metadata::of(text).map(|said| said.filename.to_string());
        assert_eq!(of("").expect("nothing"), "video");
        // filename: ../a.mp4, mode: fast; filetype is a client's own.
        let said = "filename Li4vYS5tcDQ=, mode ZmFzdA==,filetype dmlkZW8vbXA0,lonely";
        assert_eq!(of(said).expect("sound"), "a.mp4");
        for (wrong, code) in [
            ("filename ***", "invalid_header"),
            ("filename YQ==,filename YQ==", "repeated_field"),
            ("mode d2FycA==", "invalid_field"),
            ("interval", "invalid_field"),
            ("fps MTA=,fps MTA=", "repeated_field"),
        ] {
            let error = Metadata::of(wrong).map(drop).expect_err(wrong);
            assert_eq!(error.code().entry().code, code, "{wrong}");
        }
    }

    #[test]
    fn numbers_are_digits_and_checksums_whole() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(
                axum::http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )])
        };
        assert_eq!(length(&headers("upload-length", "0")).expect("a number"), 0);
        for wrong in ["", "-1", "+1", "1.0", "99999999999999999999"] {
            assert!(length(&headers("upload-length", wrong)).is_err(), "{wrong:?}");
        }
        let sum = |value| checksum(&headers("upload-checksum", value));
        let mut sound = sum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").expect("sound").expect("given");
        sound.update(b"hello ");
        sound.update(b"world");
        assert!(sound.holds());
        for wrong in ["sha1", "md5 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha256 Kq5s", "sha1 ***"] {
            assert!(sum(wrong).is_err(), "{wrong:?}");
        }
    }
}
