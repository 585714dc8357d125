//! Parses and validates the headers of resumable uploads, and the query, which has no options.

use crate::http::problem::ApiError;
use crate::http::upload::options::{UploadOptions, refuse_unknown};
use crate::policy::display_name::DisplayName;
use axum::extract::Query;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Uri};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The supported version of tus.
pub(crate) const VERSION: &str = "1.0.0";

/// The supported checksum algorithms.
pub(crate) const CHECKSUMS: &str = "sha1,sha256";

/// Maximum length of `Upload-Metadata`, in bytes.
const METADATA_BYTES_MAX: usize = 4096;

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn invalid<T>(header: &'static str, accepted: &'static str) -> Result<T, ApiError> {
    Err(ApiError::InvalidHeader { header, accepted })
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = text(headers, name)?;
    // `parse` would accept a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The total size of the upload.
pub(crate) fn length(headers: &HeaderMap) -> Result<u64, ApiError> {
    if headers.contains_key("upload-concat") {
        return invalid("Upload-Concat", "no value, because concatenation is not supported");
    }
    match number(headers, "upload-length") {
        Some(length) => Ok(length),
        None => invalid("Upload-Length", "the size of the video in bytes"),
    }
}

/// Refuses options in the query of a new upload, which would be lost, and names that are none.
pub(crate) fn check_query(uri: &Uri) -> Result<(), ApiError> {
    let Query(pairs) =
        Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| ApiError::MalformedQuery)?;
    for (name, _) in &pairs {
        if name == "filename" || UploadOptions::known(name).is_some() {
            return invalid(
                "Upload-Metadata",
                "`filename` and the options, which the query can't have",
            );
        }
        refuse_unknown(name)?;
    }
    Ok(())
}

/// The offset at which the body of a request begins.
pub(crate) fn offset(headers: &HeaderMap) -> Result<u64, ApiError> {
    match number(headers, "upload-offset") {
        Some(offset) => Ok(offset),
        None => invalid("Upload-Offset", "the current offset in bytes"),
    }
}

/// Checks that the body contains bytes of the upload.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match kind {
        Some(b"application/offset+octet-stream") => Ok(()),
        _ => Err(ApiError::UnsupportedMediaType),
    }
}

/// The unparsed `Upload-Metadata`.
pub(crate) fn metadata(headers: &HeaderMap) -> Result<String, ApiError> {
    let accepted = "names and base64 values, 4096 bytes at most";
    let Some(value) = headers.get("upload-metadata") else { return Ok(String::new()) };
    match value.to_str() {
        Ok(text) if text.len() <= METADATA_BYTES_MAX => Ok(text.to_owned()),
        _ => invalid("Upload-Metadata", accepted),
    }
}

/// The parsed `Upload-Metadata`.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) filename: DisplayName,
    pub(crate) options: UploadOptions,
    /// The first name that is no option's.
    unknown: Option<String>,
}

impl Metadata {
    /// Parses `name value,name value`.
    pub(crate) fn of(text: &str) -> Result<Self, ApiError> {
        let (mut filename, mut options, mut unknown) = (None, UploadOptions::default(), None);
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
                options.set(name, value.as_deref())?;
            } else if unknown.is_none() && refuse_unknown(name).is_err() {
                unknown = Some(name.to_owned());
            }
        }
        let filename = filename.unwrap_or_else(|| DisplayName::new(""));
        Ok(Self { filename, options, unknown })
    }

    /// Refuses unknown names, when an upload is created: one that exists may have been created by a version that
    /// ignores them.
    pub(crate) fn check_names(&self) -> Result<(), ApiError> {
        self.unknown.as_deref().map_or(Ok(()), refuse_unknown)
    }
}

/// The checksum of the body of a request.
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

    /// Whether the received bytes match the checksum.
    pub(crate) fn matches(self) -> bool {
        match self.state {
            State::Sha1(digest) => digest.finalize()[..] == self.expected,
            State::Sha256(digest) => digest.finalize()[..] == self.expected,
        }
    }
}

/// The checksum that a request states, if any.
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
    fn metadata_are_validated_like_form_fields() {
        let of = |text: &str| Metadata::of(text).map(|metadata| metadata.filename.to_string());
        assert_eq!(of("").expect("nothing"), "video");
        // filename: ../a.mp4, mode: fast; `filetype` is not an option.
        let valid = "filename Li4vYS5tcDQ=, mode ZmFzdA==,filetype dmlkZW8vbXA0";
        assert_eq!(of(valid).expect("valid"), "a.mp4");
        Metadata::of(valid).expect("valid").check_names().expect("nothing unknown");
        let unknown = Metadata::of("modes ZmFzdA==,filetype,valueless").expect("of an old version");
        let refused = unknown.check_names().expect_err("unknown").to_string();
        assert!(refused.ends_with("Did you mean `mode`?"), "{refused}");
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
    fn a_query_has_no_options() {
        let code = |uri: &'static str| {
            let refused = check_query(&Uri::from_static(uri)).err();
            refused.map(|error| error.code().entry().code)
        };
        assert_eq!(code("/api/tus"), None);
        for (uri, expected) in [
            ("/api/tus?mode=fast", "invalid_header"),
            ("/api/tus?filename=a.mp4", "invalid_header"),
            ("/api/tus?modes=fast", "invalid_field"),
        ] {
            assert_eq!(code(uri), Some(expected), "{uri}");
        }
    }

    #[test]
    fn numbers_are_digits_and_checksums_have_full_length() {
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
        let mut checksum = sum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").expect("valid").expect("given");
        checksum.update(b"hello ");
        checksum.update(b"world");
        assert!(checksum.matches());
        for wrong in ["sha1", "md5 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha256 Kq5s", "sha1 ***"] {
            assert!(sum(wrong).is_err(), "{wrong:?}");
        }
    }
}
