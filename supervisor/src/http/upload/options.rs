//! The options of an upload, from form fields, query parameters or tus metadata, with the same
//! names and values in all of them.

use crate::http::problem::ApiError;
use crate::policy::suggest::nearest;
use crate::webhook::address::WebhookUrl;
use bodyscript_protocol::formats::Formats;
use bodyscript_protocol::options::{
    FPS_MILLI_MAX, FPS_MILLI_MIN, FrameRate, INTERVAL_FRAMES_MAX, Mode, Options, PEOPLE_MAX,
    Sampling, Smoothing,
};

/// Maximum length of an option value, in bytes.
pub(crate) const VALUE_BYTES_MAX: usize = 256;

/// The names of all options.
const NAMES: [&str; 7] =
    ["mode", "interval", "fps", "max_people", "smoothing", "formats", "webhook_url"];

/// The options read so far.
#[derive(Debug, Default)]
pub(crate) struct UploadOptions {
    mode: Option<Mode>,
    interval: Option<Sampling>,
    fps: Option<FrameRate>,
    people_max: Option<u32>,
    smoothing: Option<Smoothing>,
    formats: Option<Formats>,
    webhook: Option<WebhookUrl>,
}

impl UploadOptions {
    /// The name as a static string if it is an option.
    pub(crate) fn known(name: &str) -> Option<&'static str> {
        NAMES.into_iter().find(|known| *known == name)
    }

    /// Sets a known option; the value is none if it is not UTF-8 or longer than any valid one.
    pub(crate) fn set(&mut self, name: &'static str, value: Option<&str>) -> Result<(), ApiError> {
        let text = value.unwrap_or_default().trim();
        let people = || text.parse().ok().filter(|n| (1..=PEOPLE_MAX).contains(n));
        match name {
            "mode" => set_once(&mut self.mode, name, text.parse().ok()),
            "interval" => {
                set_once(&mut self.interval, name, text.parse().ok().and_then(Sampling::every))
            }
            "fps" => set_once(&mut self.fps, name, text.parse().ok()),
            "formats" => set_once(&mut self.formats, name, text.parse().ok()),
            "webhook_url" => set_once(&mut self.webhook, name, text.parse().ok()),
            "max_people" => set_once(&mut self.people_max, name, people()),
            _ => set_once(&mut self.smoothing, name, text.parse().ok()),
        }
    }

    /// The URL that receives a webhook, if any.
    pub(crate) const fn webhook(&self) -> Option<&WebhookUrl> {
        self.webhook.as_ref()
    }

    /// The options for the worker, with defaults for those that were not given.
    pub(crate) fn options(self) -> Result<Options, ApiError> {
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

/// Refuses a name that is similar to an option's; other names are ignored, because clients send
/// fields of their own.
pub(crate) fn refuse_misspelt(name: &str) -> Result<(), ApiError> {
    match nearest(name, NAMES) {
        Some(suggestion) => Err(ApiError::UnknownOption { name: name.to_owned(), suggestion }),
        None => Ok(()),
    }
}

/// Describes the valid values of an option, for error messages.
fn accepted(name: &str) -> String {
    let per_second = |milli: u32| f64::from(milli) / 1000.0;
    match name {
        "mode" => format!("one of {}", Mode::ALL.map(Mode::name).join(", ")),
        "interval" => format!("a whole number from 1 to {INTERVAL_FRAMES_MAX}"),
        "fps" => format!(
            "a number of frames per second from {} to {}",
            per_second(FPS_MILLI_MIN),
            per_second(FPS_MILLI_MAX)
        ),
        "formats" => format!("all, or one or more of {}, separated by commas", Formats::ALL),
        "webhook_url" => {
            format!("an http or https URL of at most {VALUE_BYTES_MAX} bytes")
        }
        "max_people" => format!("a whole number from 1 to {PEOPLE_MAX}"),
        _ => format!("one of {}", Smoothing::ALL.map(Smoothing::name).join(", ")),
    }
}

/// Describes the valid values of options, for the OpenAPI document.
pub(crate) mod describe {
    use bodyscript_protocol::artefact::Artefact;
    use bodyscript_protocol::options::{Mode, Smoothing};
    use utoipa::openapi::Schema;
    use utoipa::openapi::schema::{ObjectBuilder, Type};

    pub(crate) fn modes() -> Schema {
        one_of(Mode::ALL.map(Mode::name))
    }

    pub(crate) fn smoothings() -> Schema {
        one_of(Smoothing::ALL.map(Smoothing::name))
    }

    pub(crate) fn formats() -> Schema {
        let name = format!("(all|{})", Artefact::ALL.map(Artefact::name).join("|"));
        let list = format!("^{name}(,{name})*$");
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(list)).build().into()
    }

    fn one_of<const N: usize>(names: [&'static str; N]) -> Schema {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build().into()
    }
}

fn set_once<T>(
    slot: &mut Option<T>,
    field: &'static str,
    value: Option<T>,
) -> Result<(), ApiError> {
    let value = value.ok_or_else(|| ApiError::InvalidField { field, accepted: accepted(field) })?;
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ApiError::RepeatedField { field }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(options.options().expect("valid").sampling, Sampling::every(2).expect("one"));
        assert_eq!(UploadOptions::known("tempo"), None);
        refuse_misspelt("tempo").expect("an unrelated name");
        let refused = refuse_misspelt("intervall").expect_err("similar").to_string();
        assert!(refused.ends_with("Did you mean `interval`?"), "{refused}");
    }
}
