//! Opens the shared store that the configuration names.

use crate::store::objects::Objects;
use crate::store::objects::http::Connector;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, RetryConfig};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// A request that failed for a passing reason is repeated for so long.
const RETRY_MAX: Duration = Duration::from_secs(8);

/// Where the shared store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ObjectsUrl {
    /// A bucket of a store that speaks S3, and the prefix of all names in it.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix; may be empty.
        prefix: String,
    },
    /// A folder that all hosts mount.
    Folder(PathBuf),
}

impl ObjectsUrl {
    /// Reads `s3://bucket/prefix` or `file:///folder`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(folder) = text.strip_prefix("file://") {
            return folder.starts_with('/').then(|| Self::Folder(folder.into()));
        }
        let (bucket, prefix) = match text.strip_prefix("s3://")? {
            rest if rest.contains('/') => rest.split_once('/')?,
            bucket => (bucket, ""),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_bucket = !bucket.is_empty() && bucket.chars().all(is_name);
        is_bucket
            .then(|| Self::S3 { bucket: bucket.into(), prefix: prefix.trim_matches('/').into() })
    }
}

impl fmt::Display for ObjectsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Folder(folder) => write!(f, "file://{}", folder.display()),
        }
    }
}

/// The shared store as configured.
#[derive(Debug, Clone)]
pub(crate) struct ObjectsConfig {
    /// Where it is.
    pub url: ObjectsUrl,
    /// Address of a store that is not that of Amazon.
    pub endpoint: Option<String>,
    /// File with the key; none for the environment of this process, or the role of this machine.
    pub credentials_file: Option<PathBuf>,
    /// Whether clients are sent to the store for results.
    pub redirect: bool,
}

/// Why the shared store cannot be used.
#[derive(Debug, Error)]
pub enum ObjectsError {
    /// The file with the key cannot be read.
    #[error("cannot read `artefacts_credentials_file` {}: {source}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file lacks a line.
    #[error("`artefacts_credentials_file` {} has no line `{name} = ...`", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The name of the missing line.
        name: &'static str,
    },
    /// The store cannot be opened.
    #[error("`artefacts_url` {url} cannot be used: {source}")]
    Open {
        /// Its URL.
        url: String,
        /// The cause.
        source: Box<object_store::Error>,
    },
}

impl Objects {
    /// Opens the store. Nothing is asked of it yet.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub(crate) fn open(config: &ObjectsConfig) -> Result<Self, ObjectsError> {
        let failed =
            |source| ObjectsError::Open { url: config.url.to_string(), source: Box::new(source) };
        match &config.url {
            ObjectsUrl::Folder(folder) => {
                let store = LocalFileSystem::new_with_prefix(folder).map_err(failed)?;
                Ok(Self::new(
                    Arc::new(store.with_fsync(true).with_automatic_cleanup(true)),
                    None,
                    Path::default(),
                ))
            }
            ObjectsUrl::S3 { bucket, prefix } => {
                let builder = s3(config)?.with_bucket_name(bucket);
                let store = Arc::new(builder.build().map_err(failed)?);
                Ok(Self::new(store.clone(), Some(store), Path::from(prefix.as_str())))
            }
        }
    }
}

fn s3(config: &ObjectsConfig) -> Result<AmazonS3Builder, ObjectsError> {
    let mut builder =
        AmazonS3Builder::from_env().with_http_connector(Connector).with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 3,
            retry_timeout: RETRY_MAX,
        });
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
        builder = builder.with_allow_http(endpoint.starts_with("http://"));
    }
    let Some(path) = &config.credentials_file else { return Ok(builder) };
    let text = std::fs::read_to_string(path)
        .map_err(|source| ObjectsError::Credentials { path: path.clone(), source })?;
    let value = |name| value(&text, name);
    let required = |name| value(name).ok_or(ObjectsError::Incomplete { path: path.clone(), name });
    builder = builder
        .with_access_key_id(required("aws_access_key_id")?)
        .with_secret_access_key(required("aws_secret_access_key")?);
    Ok(match value("aws_session_token") {
        Some(token) => builder.with_token(token),
        None => builder,
    })
}

/// The value of a line `name = value`; other lines, such as `[default]`, are ignored.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let (_, value) =
        pairs.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name)?;
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_bucket_with_a_prefix_or_a_folder() {
        for text in ["s3://videos", "s3://videos/a/b", "file:///mnt/shared"] {
            assert_eq!(ObjectsUrl::parse(text).expect(text).to_string(), text);
        }
        let with_slash = ObjectsUrl::parse("s3://videos/a/").expect("a bucket");
        assert_eq!(with_slash.to_string(), "s3://videos/a");
        for text in ["", "local", "s3://", "s3:///a", "s3://a b", "file://host/a", "http://a/b"] {
            assert_eq!(ObjectsUrl::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_is_read_from_the_lines_of_its_file_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("key");
        let config = |text: &str| {
            std::fs::write(&path, text).expect("writes");
            ObjectsConfig {
                url: ObjectsUrl::parse("s3://videos").expect("a bucket"),
                endpoint: Some("http://127.0.0.1:1".into()),
                credentials_file: Some(path.clone()),
                redirect: false,
            }
        };
        let whole = "[default]\naws_access_key_id = a\naws_secret_access_key=b=\n";
        Objects::open(&config(whole)).expect("both lines");
        let error = Objects::open(&config("aws_access_key_id = a\naws_secret_access_key =\n"));
        let error = error.expect_err("a line is missing").to_string();
        assert!(error.ends_with("has no line `aws_secret_access_key = ...`"), "{error}");
    }
}
