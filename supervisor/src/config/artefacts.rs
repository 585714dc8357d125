//! Settings of the store of uploads and results that hosts share.

use crate::config::defaults::credential;
use crate::config::values::{Result, Values, refused};
use crate::store::{ObjectsConfig, ObjectsUrl};

/// The value of `artefacts_url` for files in `state_dir` only.
pub(crate) const LOCAL: &str = "local";

/// Reads the settings; none if files are in `state_dir` only.
pub(crate) fn read(values: &mut Values) -> Result<Option<ObjectsConfig>> {
    let url = values.text("artefacts_url", |text| Ok(text.to_owned()))?;
    let endpoint = values.text("artefacts_endpoint", |text| Ok(text.to_owned()))?;
    let credentials_file =
        values.file("artefacts_credentials_file", || credential("artefacts-credentials"))?;
    let redirect = values.switch("artefacts_redirect")?;
    let accepted = "local, s3://bucket/prefix or file:///folder";
    let location = match url.as_str() {
        LOCAL => None,
        text => {
            Some(ObjectsUrl::parse(text).ok_or_else(|| refused("artefacts_url", text, accepted))?)
        }
    };
    let is_s3 = matches!(location, Some(ObjectsUrl::S3 { .. }));
    let s3 = format!("none with artefacts_url = \"{url}\"");
    if !endpoint.is_empty() {
        if !is_s3 {
            return Err(refused("artefacts_endpoint", endpoint, s3));
        }
        if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
            return Err(refused(
                "artefacts_endpoint",
                endpoint,
                "a URL such as https://s3.example.org",
            ));
        }
    }
    if redirect && !is_s3 {
        let accepted = format!("false with artefacts_url = \"{url}\"");
        return Err(refused("artefacts_redirect", redirect, accepted));
    }
    Ok(location.map(|url| ObjectsConfig {
        url,
        endpoint: (!endpoint.is_empty()).then_some(endpoint),
        credentials_file,
        redirect,
    }))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, RawConfig};

    fn resolve(text: &str) -> Result<Config, String> {
        Config::resolve(RawConfig::of(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn files_are_local_unless_a_store_is_named() {
        assert!(resolve("").expect("valid").artefacts.is_none());
        let text = "artefacts_url = \"s3://videos/a\"\nartefacts_endpoint = \"http://127.0.0.1:9\"\n\
                    artefacts_redirect = true";
        let artefacts = resolve(text).expect("valid").artefacts.expect("a store");
        assert_eq!(artefacts.url.to_string(), "s3://videos/a");
        assert_eq!(artefacts.endpoint.as_deref(), Some("http://127.0.0.1:9"));
        assert!(artefacts.redirect);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (text, refusal) in [
            (
                "artefacts_url = \"http://a\"",
                "`artefacts_url` is http://a; expected local, s3://bucket/prefix or file:///folder",
            ),
            (
                "artefacts_endpoint = \"https://a\"",
                "`artefacts_endpoint` is https://a; expected none with artefacts_url = \"local\"",
            ),
            (
                "artefacts_url = \"s3://a\"\nartefacts_endpoint = \"a\"",
                "`artefacts_endpoint` is a; expected a URL such as https://s3.example.org",
            ),
            (
                "artefacts_url = \"file:///a\"\nartefacts_redirect = true",
                "`artefacts_redirect` is true; expected false with artefacts_url = \"file:///a\"",
            ),
        ] {
            assert_eq!(resolve(text).err().as_deref(), Some(refusal));
        }
    }
}
