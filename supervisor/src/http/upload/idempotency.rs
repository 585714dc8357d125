//! The `Idempotency-Key` header, with which a client can safely repeat a request whose response it
//! did not receive (draft-ietf-httpapi-idempotency-key-header).
//!
//! Only a digest of the key is stored, because the key grants access to the job.

use crate::http::problem::ApiError;
use crate::http::upload::received_file::hex;
use axum::http::HeaderMap;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

/// Maximum length of a key; a UUID has 36 characters.
const KEY_CHARACTERS_MAX: usize = 255;

const HEADER: &str = "Idempotency-Key";

/// The header, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `key` reads")]
pub(crate) struct Key {
    /// A unique key of this upload, such as a UUID. A repeated request with this key, video and
    /// options returns the job of the first request, as long as that job exists.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: Option<String>,
}

/// The digest of the key in the headers, if any.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ApiError::RepeatedField { field: HEADER });
    }
    let key = first.as_bytes();
    let is_valid = (1..=KEY_CHARACTERS_MAX).contains(&key.len())
        && key.iter().all(|byte| byte.is_ascii_graphic());
    if !is_valid {
        let accepted = format!("1 to {KEY_CHARACTERS_MAX} visible ASCII characters");
        return Err(ApiError::InvalidField { field: HEADER, accepted });
    }
    Ok(Some(hex(&Sha256::digest(key))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn key_of(values: &[&str]) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).expect("a header"));
        }
        key(&headers)
    }

    #[test]
    fn a_key_has_limited_length_visible_characters_and_one_value() {
        assert_eq!(key_of(&[]).expect("no key is valid"), None);
        let longest = "k".repeat(KEY_CHARACTERS_MAX);
        assert_ne!(key_of(&[&longest]).expect("fits"), key_of(&["k"]).expect("fits"));
        for wrong in [&[""][..], &["two words"], &[&format!("{longest}k")], &["a", "a"]] {
            assert!(key_of(wrong).is_err(), "{wrong:?}");
        }
    }
}
