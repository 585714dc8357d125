//! `Idempotency-Key`: a client's own name for a request, by which it may repeat the request
//! without knowing whether the first arrived (draft-ietf-httpapi-idempotency-key-header).
//!
//! Called by `upload`. Only a digest of the key is kept: it is as good as a password to the job.

use crate::http::problem::ApiError;
use crate::http::upload::received_file::hex;
use axum::http::HeaderMap;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

/// Longest key; a UUID has 36 characters.
const KEY_CHARACTERS_MAX: usize = 255;

const HEADER: &str = "Idempotency-Key";

/// The header, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `key` reads")]
pub(crate) struct Key {
    /// A unique key of this upload, such as a UUID. A repeated request with this key, video and
    /// options returns the job of the first request, as long as that job exists.
    #[param(rename = "Idempotency-Key", max_length = 255)]
    idempotency_key: Option<String>,
}

/// The digest of the key, if there is one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut given = headers.get_all(HEADER).iter();
    let Some(first) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(ApiError::RepeatedField { field: HEADER });
    }
    let key = first.as_bytes();
    let is_sound = (1..=KEY_CHARACTERS_MAX).contains(&key.len())
        && key.iter().all(|byte| byte.is_ascii_graphic());
    if !is_sound {
        let accepted = format!("1 to {KEY_CHARACTERS_MAX} visible ASCII characters");
        return Err(ApiError::InvalidField { field: HEADER, accepted });
    }
    Ok(Some(hex(&Sha256::digest(key))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(values: &[&str]) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).expect("a header"));
        }
        key(&headers)
    }

    #[test]
    fn a_key_is_short_visible_and_given_once() {
        assert_eq!(of(&[]).expect("none is fine"), None);
        let longest = "k".repeat(KEY_CHARACTERS_MAX);
        assert_ne!(of(&[&longest]).expect("fits"), of(&["k"]).expect("fits"));
        for wrong in [&[""][..], &["two words"], &[&format!("{longest}k")], &["a", "a"]] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
