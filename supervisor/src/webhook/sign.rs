//! The signatures of webhooks (Standard Webhooks 1.0, "Verifying webhook authenticity"): one for each secret, so that a
//! receiver accepts messages with the old and with the new one while the secret is changed.

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

/// Maximum number of secrets: the current one and its successor.
const SECRETS_MAX: usize = 2;

/// A secret shared with receivers.
#[derive(PartialEq, Eq)]
struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// `whsec_` and base64, or the plain bytes.
    fn of(text: &str) -> Result<Self, &'static str> {
        let bytes = match text.strip_prefix(PREFIX) {
            Some(encoded) => {
                BASE64_STANDARD.decode(encoded).map_err(|_| "invalid base64 after whsec_")?
            }
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SECRET_BYTES_MIN {
            return Err("too short: each secret needs at least 24 bytes");
        }
        Ok(Self(bytes))
    }

    fn sign(&self, id: &str, second: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("takes keys of any length");
        for part in [id.as_bytes(), b".", second.to_string().as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The secrets that every webhook is signed with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Secrets(Vec<Secret>);

impl Secrets {
    /// Reads the secrets, one a line without surrounding white space.
    pub(crate) fn read(path: &Path) -> Result<Self, WebhookError> {
        let refused = |why: String| WebhookError::Secret { path: path.to_owned(), why };
        let text = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        Self::of(&text).map_err(|why| refused(why.into()))
    }

    fn of(text: &str) -> Result<Self, &'static str> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<Secret> = lines.map(Secret::of).collect::<Result<_, _>>()?;
        match secrets.len() {
            0 => Err("there is no secret in it"),
            1..=SECRETS_MAX => Ok(Self(secrets)),
            _ => Err("more than two secrets: it takes one, or two while it is changed, one a line"),
        }
    }

    /// The headers that identify and sign a webhook.
    pub(crate) fn sign(&self, id: &str, second: i64, body: &[u8]) -> [(&'static str, String); 3] {
        let signatures: Vec<_> =
            self.0.iter().map(|secret| secret.sign(id, second, body)).collect();
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", second.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_matches_the_example_of_the_standard() {
        let secrets = Secrets::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("long enough");
        let body = br#"{"test": 2432232314}"#;
        let [_, _, (_, signature)] =
            secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secrets:?}"), "Secrets([Secret(..)])");
    }

    #[test]
    fn while_a_secret_is_changed_both_sign() {
        let (old, new) =
            ("the old secret of 24 bytes and more", "the new secret of 24 bytes and more");
        let signature = |text: &str| {
            let [_, _, (name, value)] = Secrets::of(text).expect("valid").sign("msg_1", 1, b"{}");
            assert_eq!(name, "webhook-signature");
            value
        };
        let both = signature(&format!("{new}\n\n  {old}\r\n"));
        assert_eq!(both, format!("{} {}", signature(new), signature(old)));
        assert_ne!(signature(new), signature(old));
        for wrong in
            [format!("{new}\nshort"), [new, old, "a third secret of 24 bytes and more"].join("\n")]
        {
            assert!(Secrets::of(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn short_and_invalid_secrets_are_refused() {
        assert!(Secrets::of(&"a".repeat(SECRET_BYTES_MIN)).is_ok());
        for wrong in ["", "\n \n", &"a".repeat(SECRET_BYTES_MIN - 1), "whsec_MfKQ", "whsec_***"] {
            assert!(Secrets::of(wrong).is_err(), "{wrong}");
        }
    }
}
