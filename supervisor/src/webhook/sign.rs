//! The signature of webhooks (Standard Webhooks 1.0, "Verifying webhook authenticity").

use crate::webhook::WebhookError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::fs;
use std::path::Path;

/// Minimum length of a secret in bytes, from the standard.
const SECRET_BYTES_MIN: usize = 24;

/// Prefix of a secret in base64.
const PREFIX: &str = "whsec_";

/// The secret shared with receivers.
#[derive(PartialEq, Eq)]
pub(crate) struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// Reads a secret: `whsec_` and base64, or the plain bytes without surrounding white space.
    pub(crate) fn read(path: &Path) -> Result<Self, WebhookError> {
        let refused = |why: String| WebhookError::Secret { path: path.to_owned(), why };
        let text = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        Self::of(text.trim()).map_err(|why| refused(why.into()))
    }

    fn of(text: &str) -> Result<Self, &'static str> {
        let bytes = match text.strip_prefix(PREFIX) {
            Some(encoded) => {
                BASE64_STANDARD.decode(encoded).map_err(|_| "invalid base64 after whsec_")?
            }
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SECRET_BYTES_MIN {
            return Err("too short: at least 24 bytes are required");
        }
        Ok(Self(bytes))
    }

    /// The headers that identify and sign a webhook.
    pub(crate) fn sign(&self, id: &str, second: i64, body: &[u8]) -> [(&'static str, String); 3] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("takes keys of any length");
        for part in [id.as_bytes(), b".", second.to_string().as_bytes(), b".", body] {
            mac.update(part);
        }
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", second.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_matches_the_example_of_the_standard() {
        let secret = Secret::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("long enough");
        let body = br#"{"test": 2432232314}"#;
        let [_, _, (_, signature)] =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn short_and_invalid_secrets_are_refused() {
        assert!(Secret::of(&"a".repeat(SECRET_BYTES_MIN)).is_ok());
        for wrong in ["", &"a".repeat(SECRET_BYTES_MIN - 1), "whsec_MfKQ", "whsec_***"] {
            assert!(Secret::of(wrong).is_err(), "{wrong}");
        }
    }
}
