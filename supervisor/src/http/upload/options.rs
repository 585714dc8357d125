//! The options of an upload, from form fields, query parameters or tus metadata, with the same
//! names and values in all of them.

use crate::http::problem::ApiError;
use crate::policy::suggest::nearest;
use crate::runner::models::InstalledModels;
use crate::webhook::address::WebhookUrl;
use bodyscript_protocol::options::{LandmarkModel, OPTIONS, Options};

/// Maximum length of an option value, in bytes.
const VALUE_BYTES_MAX: usize = 256;

/// Maximum length of a webhook URL, in bytes.
const WEBHOOK_URL_BYTES_MAX: usize = 2048;

/// Maximum length of the name of an option in an error message, in characters.
const NAME_SHOWN_MAX: usize = 40;

/// The one option that is not for the worker.
pub(crate) const WEBHOOK_URL: &str = "webhook_url";

/// Names that are no options and have no effect: what upload libraries tell of every file (Uppy, tus-js-client), and the
/// default charset of a form (RFC 7578, 4.6).
const WITHOUT_EFFECT: [&str; 6] =
    ["filename", "filetype", "name", "type", "relativePath", "_charset_"];

fn names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|row| row.name).chain([WEBHOOK_URL])
}

/// The options read so far.
#[derive(Debug, Default)]
pub(crate) struct UploadOptions {
    given: Vec<&'static str>,
    options: Options,
    webhook: Option<WebhookUrl>,
}

impl UploadOptions {
    /// The name as a static string if it is an option.
    pub(crate) fn known(name: &str) -> Option<&'static str> {
        names().find(|known| *known == name)
    }

    /// Maximum length of a value of this option, in bytes.
    pub(crate) fn value_bytes_max(field: &str) -> usize {
        if field == WEBHOOK_URL { WEBHOOK_URL_BYTES_MAX } else { VALUE_BYTES_MAX }
    }

    /// Sets a known option; the value is none if it is not UTF-8 or was too long to be read.
    pub(crate) fn set(&mut self, field: &'static str, value: Option<&str>) -> Result<(), ApiError> {
        let value = value.filter(|value| value.len() <= Self::value_bytes_max(field));
        let text = value.unwrap_or_default().trim();
        match OPTIONS.iter().find(|row| row.name == field) {
            Some(row) if (row.set)(&mut self.options, text) => {}
            Some(row) => {
                return Err(ApiError::InvalidField { field, accepted: row.values.to_string() });
            }
            None => {
                let accepted = format!(
                    "an http or https URL of at most {WEBHOOK_URL_BYTES_MAX} bytes, without user name and password"
                );
                let url = text.parse().map_err(|_| ApiError::InvalidField { field, accepted })?;
                self.webhook = Some(url);
            }
        }
        if self.given.contains(&field) {
            return Err(ApiError::RepeatedField { field });
        }
        self.given.push(field);
        Ok(())
    }

    /// The URL that receives a webhook, if any.
    pub(crate) const fn webhook(&self) -> Option<&WebhookUrl> {
        self.webhook.as_ref()
    }

    /// The landmark model read so far.
    pub(crate) const fn model(&self) -> LandmarkModel {
        self.options.model
    }

    /// The options for the worker, with defaults for those that were not given.
    pub(crate) fn options(self, installed: InstalledModels) -> Result<Options, ApiError> {
        for row in OPTIONS.iter().filter(|row| self.given.contains(&row.name)) {
            if let Some(other) = row.excludes.filter(|other| self.given.contains(other)) {
                return Err(ApiError::ConflictingFields { fields: [other, row.name] });
            }
        }
        self.options.check().map_err(|refused| ApiError::InvalidField {
            field: refused.option(),
            accepted: refused.to_string(),
        })?;
        installed.require(self.options.model)?;
        Ok(self.options)
    }
}

/// Refuses a name that is no option's, unless it is one that clients send by themselves.
pub(crate) fn refuse_unknown(name: &str) -> Result<(), ApiError> {
    if WITHOUT_EFFECT.contains(&name) {
        return Ok(());
    }
    // Where `file` is no field, as in a query, it is no suggestion for itself.
    let others = names().chain(["file", "filename"]).filter(|other| *other != name);
    Err(unknown(name, nearest(name, others)))
}

/// The refusal of a name that is no option's.
pub(crate) fn unknown(name: &str, suggestion: Option<&'static str>) -> ApiError {
    ApiError::UnknownOption { name: name.chars().take(NAME_SHOWN_MAX).collect(), suggestion }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::options::Sampling;

    #[test]
    fn values_are_accepted_within_their_range_and_once() {
        for (name, value, is_accepted) in [
            ("mode", Some(" fast "), true),
            ("mode", Some("warp"), false),
            ("mode", None, false),
            ("interval", Some("1"), true),
            ("interval", Some("0"), false),
            ("interval", Some("-1"), false),
            ("max_people", Some("0"), false),
            ("smoothing", Some("perhaps"), false),
        ] {
            let result = UploadOptions::default().set(name, value);
            assert_eq!(result.is_ok(), is_accepted, "{name}={value:?}: {result:?}");
        }
        let mut options = UploadOptions::default();
        options.set("interval", Some("2")).expect("the first");
        let second = options.set("interval", Some("2"));
        assert!(matches!(second, Err(ApiError::RepeatedField { field: "interval" })), "{second:?}");
        assert_eq!(
            options.options(InstalledModels::ALL).expect("valid").sampling,
            Sampling::every(2).expect("one")
        );
        assert_eq!(UploadOptions::known("tempo"), None);
        let url = |bytes: usize| format!("https://a.example/{}", "p".repeat(bytes - 18));
        for (name, longest, one_more) in [
            (WEBHOOK_URL, url(WEBHOOK_URL_BYTES_MAX), url(WEBHOOK_URL_BYTES_MAX + 1)),
            ("mode", format!("{:>VALUE_BYTES_MAX$}", "fast"), " ".repeat(VALUE_BYTES_MAX) + "fast"),
        ] {
            UploadOptions::default().set(name, Some(&longest)).expect(name);
            let refused = UploadOptions::default().set(name, Some(&one_more)).expect_err(name);
            assert!(name == "mode" || refused.to_string().contains("2048 bytes"), "{refused}");
        }
        for harmless in WITHOUT_EFFECT {
            refuse_unknown(harmless).expect(harmless);
        }
        for (name, hint) in [
            ("intervall", "Did you mean `interval`?"),
            ("Mode", "Did you mean `mode`?"),
            ("files", "Did you mean `file`?"),
            ("tempo", "send no other."),
            ("", "send no other."),
        ] {
            let refused = refuse_unknown(name).expect_err(name).to_string();
            assert!(refused.contains(&format!("`{name}`")) && refused.ends_with(hint), "{refused}");
        }
        let long = refuse_unknown(&"ä".repeat(5000)).expect_err("unknown").to_string();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn a_part_that_ends_before_it_begins_is_refused_in_either_order() {
        for names in [["start", "end"], ["end", "start"]] {
            let mut options = UploadOptions::default();
            for name in names {
                let value = if name == "start" { "12.5" } else { "12.5 " };
                options.set(name, Some(value)).expect("valid alone");
            }
            let refused = options.options(InstalledModels::ALL);
            let refused = refused.expect_err("an empty part").to_string();
            let expected = "The value of `end` is invalid. Expected: a number of seconds above \
                            `start`, which is 12.5.";
            assert_eq!(refused, expected);
        }
    }

    #[test]
    fn options_that_exclude_each_other_are_refused_in_either_order() {
        for names in [["interval", "fps"], ["fps", "interval"]] {
            let mut options = UploadOptions::default();
            for name in names {
                options.set(name, Some("2")).expect("valid alone");
            }
            let refused = options.options(InstalledModels::ALL);
            let Err(ApiError::ConflictingFields { fields }) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(fields, ["interval", "fps"]);
        }
    }
}
