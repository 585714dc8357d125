//! The configuration as given in flags, environment and file, before values are checked.
//!
//! One field is one key: `queue_max` is the flag `--queue-max`, the variable
//! `BODYSCRIPT_QUEUE_MAX` and the file's `queue_max`. The command line parser fills it from flags
//! and the environment, [`RawConfig::over_file`] merges it over a file. [`crate::config::Config`]
//! checks the values.

use crate::config::{ConfigError, bytes::ByteCount};
use crate::policy::suggest::nearest;
use crate::runner::factory::SIMD_VARIABLE;
use clap::{Args, Command};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Every key; `None` if it is not given.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct RawConfig {
    /// Address and port to listen on
    #[arg(long, env = "BODYSCRIPT_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Address and port of the operator listener, or off; needs a token unless it is loopback
    #[arg(long, env = "BODYSCRIPT_OPERATOR_LISTEN", value_name = "ADDR:PORT")]
    pub operator_listen: Option<String>,
    /// Folder for uploads and results
    #[arg(long, env = "BODYSCRIPT_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Number of videos processed at once
    #[arg(long, env = "BODYSCRIPT_WORKERS", value_name = "N")]
    pub workers: Option<u32>,
    /// Maximum number of queued jobs
    #[arg(long, env = "BODYSCRIPT_QUEUE_MAX", value_name = "N")]
    pub queue_max: Option<u32>,
    /// Maximum size of a video
    #[arg(long, env = "BODYSCRIPT_UPLOAD_BYTES_MAX", value_name = "BYTES")]
    pub upload_bytes_max: Option<ByteCount>,
    /// Maximum duration of a video that is processed
    #[arg(long, env = "BODYSCRIPT_DURATION_S_MAX", value_name = "SECONDS")]
    pub duration_s_max: Option<u32>,
    /// How to handle longer videos: trim or reject
    #[arg(long, env = "BODYSCRIPT_ON_LONG", value_name = "WHAT")]
    pub on_long: Option<String>,
    /// Maximum width or height of a video
    #[arg(long, env = "BODYSCRIPT_SIDE_PX_MAX", value_name = "PIXELS")]
    pub side_px_max: Option<u32>,
    /// Maximum number of pixels per frame
    #[arg(long, env = "BODYSCRIPT_AREA_PX_MAX", value_name = "PIXELS")]
    pub area_px_max: Option<u32>,
    /// Maximum frame rate
    #[arg(long, env = "BODYSCRIPT_FRAME_RATE_MAX", value_name = "FPS")]
    pub frame_rate_max: Option<u32>,
    /// Memory limit of a worker
    #[arg(long, env = "BODYSCRIPT_WORKER_MEMORY_BYTES_MAX", value_name = "BYTES")]
    pub worker_memory_bytes_max: Option<ByteCount>,
    /// Memory limit of the retry after a worker ran out of memory
    #[arg(long, env = "BODYSCRIPT_WORKER_MEMORY_RETRY_BYTES_MAX", value_name = "BYTES")]
    pub worker_memory_retry_bytes_max: Option<ByteCount>,
    /// Memory limit of all workers together (default: derived from this host)
    #[arg(long, env = "BODYSCRIPT_MEMORY_BUDGET_BYTES", value_name = "BYTES")]
    pub memory_budget_bytes: Option<ByteCount>,
    /// Maximum time for a worker to become ready
    #[arg(long, env = "BODYSCRIPT_WORKER_START_S_MAX", value_name = "SECONDS")]
    pub worker_start_s_max: Option<u32>,
    /// Maximum time without a processed frame
    #[arg(long, env = "BODYSCRIPT_WORKER_PROGRESS_S_MAX", value_name = "SECONDS")]
    pub worker_progress_s_max: Option<u32>,
    /// Maximum run time of a worker
    #[arg(long, env = "BODYSCRIPT_WORKER_WALL_S_MAX", value_name = "SECONDS")]
    pub worker_wall_s_max: Option<u32>,
    /// Maximum processor time of a worker
    #[arg(long, env = "BODYSCRIPT_WORKER_CPU_S_MAX", value_name = "SECONDS")]
    pub worker_cpu_s_max: Option<u32>,
    /// Time a worker has to stop before it is killed
    #[arg(long, env = "BODYSCRIPT_WORKER_GRACE_MS_MAX", value_name = "MILLISECONDS")]
    pub worker_grace_ms_max: Option<u32>,
    /// Number of workers started in advance
    #[arg(long, env = "BODYSCRIPT_STANDBY", value_name = "N")]
    pub standby: Option<u32>,
    /// Worker program (default: bodyscript-worker next to this program)
    #[arg(long, env = "BODYSCRIPT_WORKER_PROGRAM", value_name = "FILE")]
    pub worker_program: Option<PathBuf>,
    /// Folder of the model files
    #[arg(long, env = "BODYSCRIPT_MODELS_DIR", value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
    /// Required memory cage: v2, cgroup or any
    #[arg(long, env = "BODYSCRIPT_CAGE_REQUIRED", value_name = "CAGE")]
    pub cage_required: Option<String>,
    /// Sandbox layers a worker applies
    #[arg(
        long,
        env = "BODYSCRIPT_SANDBOX_LAYERS",
        value_name = "LAYER",
        value_delimiter = ',',
        num_args = 0..
    )]
    pub sandbox_layers: Option<Vec<String>>,
    /// Sandbox layers without which a worker does not start
    #[arg(
        long,
        env = "BODYSCRIPT_SANDBOX_REQUIRED",
        value_name = "LAYER",
        value_delimiter = ',',
        num_args = 0..
    )]
    pub sandbox_required: Option<Vec<String>>,
    /// Time results are kept
    #[arg(long, env = "BODYSCRIPT_RESULT_TTL_S", value_name = "SECONDS")]
    pub result_ttl_s: Option<u32>,
    /// Time results are kept while memory or disk space is low
    #[arg(long, env = "BODYSCRIPT_PRESSURE_TTL_S", value_name = "SECONDS")]
    pub pressure_ttl_s: Option<u32>,
    /// Free disk space below which uploads are refused
    #[arg(long, env = "BODYSCRIPT_DISK_FREE_BYTES_MIN", value_name = "BYTES")]
    pub disk_free_bytes_min: Option<ByteCount>,
    /// Maximum number of concurrent connections
    #[arg(long, env = "BODYSCRIPT_CONNECTIONS_MAX", value_name = "N")]
    pub connections_max: Option<u32>,
    /// Maximum number of concurrent event streams (default: 256, or half of connections_max)
    #[arg(long, env = "BODYSCRIPT_STREAMS_MAX", value_name = "N")]
    pub streams_max: Option<u32>,
    /// Maximum time to receive the header of a request
    #[arg(long, env = "BODYSCRIPT_HEADER_S_MAX", value_name = "SECONDS")]
    pub header_s_max: Option<u32>,
    /// Maximum time without data while a body is transferred
    #[arg(long, env = "BODYSCRIPT_STALL_S_MAX", value_name = "SECONDS")]
    pub stall_s_max: Option<u32>,
    /// Maximum time of an upload
    #[arg(long, env = "BODYSCRIPT_UPLOAD_S_MAX", value_name = "SECONDS")]
    pub upload_s_max: Option<u32>,
    /// Minimum bytes per second of a transfer, averaged over stall_s_max
    #[arg(long, env = "BODYSCRIPT_BODY_RATE_BYTES_PER_S_MIN", value_name = "BYTES")]
    pub body_rate_bytes_per_s_min: Option<ByteCount>,
    /// Maximum number of unfinished resumable uploads
    #[arg(long, env = "BODYSCRIPT_RESUMABLE_UPLOADS_MAX", value_name = "N")]
    pub resumable_uploads_max: Option<u32>,
    /// Time after which an unfinished resumable upload is deleted
    #[arg(long, env = "BODYSCRIPT_RESUMABLE_TTL_S", value_name = "SECONDS")]
    pub resumable_ttl_s: Option<u32>,
    /// File with the secret that signs webhooks (default: the systemd credential `webhook-secret`,
    /// if it exists); without a secret webhooks are off
    #[arg(long, env = "BODYSCRIPT_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Non-public networks that webhooks may reach, also without TLS
    #[arg(
        long,
        env = "BODYSCRIPT_WEBHOOK_NETWORKS",
        value_name = "NETWORK",
        value_delimiter = ',',
        num_args = 0..
    )]
    pub webhook_networks: Option<Vec<String>>,
    /// File with the operator token (default: the systemd credential `token`, if it exists)
    #[arg(long, env = "BODYSCRIPT_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Origins allowed to call the service from a browser (CORS); * allows all
    #[arg(
        long,
        env = "BODYSCRIPT_CORS_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ',',
        num_args = 0..
    )]
    pub cors_origins: Option<Vec<String>>,
    /// Maximum number of uploads per minute and client
    #[arg(long, env = "BODYSCRIPT_CLIENT_UPLOADS_PER_MINUTE_MAX", value_name = "N")]
    pub client_uploads_per_minute_max: Option<u32>,
    /// Maximum number of unfinished jobs per client
    #[arg(long, env = "BODYSCRIPT_CLIENT_JOBS_MAX", value_name = "N")]
    pub client_jobs_max: Option<u32>,
    /// Maximum number of concurrent requests or connections per client
    #[arg(long, env = "BODYSCRIPT_CLIENT_CONNECTIONS_MAX", value_name = "N")]
    pub client_connections_max: Option<u32>,
    /// Maximum number of concurrent event streams per client (default: 32, or half of
    /// client_connections_max)
    #[arg(long, env = "BODYSCRIPT_CLIENT_STREAMS_MAX", value_name = "N")]
    pub client_streams_max: Option<u32>,
    /// Addresses or networks of proxies whose X-Forwarded-For is trusted
    #[arg(
        long,
        env = "BODYSCRIPT_TRUSTED_PROXIES",
        value_name = "NETWORK",
        value_delimiter = ',',
        num_args = 0..
    )]
    pub trusted_proxies: Option<Vec<String>>,
    /// Time running jobs have to finish when the service stops
    #[arg(long, env = "BODYSCRIPT_DRAIN_S_MAX", value_name = "SECONDS")]
    pub drain_s_max: Option<u32>,
    /// Log filter, such as info or bodyscript=debug
    #[arg(long, env = "BODYSCRIPT_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Log format: text, json or journald
    #[arg(long, env = "BODYSCRIPT_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl RawConfig {
    /// Merges these values (flags and environment) over those of a file.
    ///
    /// In the file a table is a prefix: `required` in `[cage]` is the key `cage_required`.
    pub(crate) fn over_file(&self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        self.over_text(&text, path)
    }

    fn over_text(&self, text: &str, path: &Path) -> Result<Self, ConfigError> {
        let parse = |source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) };
        let mut keys = Table::new();
        flatten(text.parse().map_err(parse)?, "", &mut keys)?;
        unknown_key(&keys, path)?;
        // The file is parsed alone first: an invalid value is reported even if a flag overrides it.
        let _: Self = keys.clone().try_into().map_err(parse)?;
        keys.extend(Table::try_from(self).expect("every field is a plain value"));
        keys.try_into().map_err(parse)
    }
}

fn flatten(table: Table, prefix: &str, into: &mut Table) -> Result<(), ConfigError> {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            Value::Table(inner) => flatten(inner, &format!("{key}_"), into)?,
            _ if into.contains_key(&key) => return Err(ConfigError::Twice { key }),
            value => {
                into.insert(key, value);
            }
        }
    }
    Ok(())
}

/// Refuses an unknown key, and suggests the most similar known one.
fn unknown_key(keys: &Table, path: &Path) -> Result<(), ConfigError> {
    let command = RawConfig::augment_args(Command::new("keys"));
    let known: Vec<_> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
    let Some(key) = keys.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let suggestion = nearest(key, known).map(str::to_owned);
    Err(ConfigError::UnknownKey { path: path.to_owned(), key: key.clone(), suggestion })
}

/// The first variable with the prefix of the settings that is not a setting, and the most similar
/// setting.
pub(crate) fn unknown_variable(
    names: impl Iterator<Item = String>,
) -> Option<(String, Option<String>)> {
    let command = RawConfig::augment_args(Command::new("keys"));
    let known: Vec<_> = command
        .get_arguments()
        .filter_map(|arg| arg.get_env().and_then(|name| name.to_str()))
        .chain(["BODYSCRIPT_CONFIG", SIMD_VARIABLE])
        .collect();
    let unknown = names
        .filter(|name| name.starts_with("BODYSCRIPT_"))
        .find(|name| !known.contains(&name.as_str()))?;
    // `nearest` compares in lower case.
    let lower: Vec<_> = known.iter().map(|name| name.to_lowercase()).collect();
    let suggestion = nearest(&unknown, lower.iter().map(String::as_str)).map(str::to_uppercase);
    Some((unknown, suggestion))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(flags: &RawConfig, text: &str) -> Result<RawConfig, ConfigError> {
        flags.over_text(text, Path::new("test.toml"))
    }

    #[test]
    fn flags_override_single_keys_of_the_file() {
        let flags = RawConfig { workers: Some(4), ..RawConfig::default() };
        let raw = over(&flags, "workers = 1\nqueue_max = 3\n").expect("both are keys");
        assert_eq!((raw.workers, raw.queue_max), (Some(4), Some(3)));
    }

    #[test]
    fn a_table_is_a_prefix() {
        let raw = over(&RawConfig::default(), "[cage]\nrequired = \"v2\"\n").expect("a key");
        assert_eq!(raw.cage_required.as_deref(), Some("v2"));
    }

    #[test]
    fn the_same_key_in_both_spellings_is_refused() {
        let text = "cage_required = \"any\"\n[cage]\nrequired = \"v2\"\n";
        let error = over(&RawConfig::default(), text).expect_err("which one counts?");
        assert!(error.to_string().contains("cage_required"), "{error}");
    }

    #[test]
    fn an_unknown_key_and_a_wrong_type_are_named() {
        for (text, part) in [("qeue_max = 3", "qeue_max"), ("workers = \"two\"", "workers")] {
            let error = over(&RawConfig::default(), text).expect_err("refused").to_string();
            assert!(error.contains(part) && error.contains("test.toml"), "{error}");
        }
    }

    #[test]
    fn a_misspelt_key_gets_a_suggestion() {
        let message = |text| over(&RawConfig::default(), text).expect_err("unknown").to_string();
        let near = message("qeue_max = 3");
        assert!(near.ends_with("not a known setting; did you mean `queue_max`?"), "{near}");
        let nested = message("[cage]\nrequird = \"v2\"\n");
        assert!(nested.ends_with("did you mean `cage_required`?"), "{nested}");
        let far = message("colour = 3");
        assert!(far.ends_with("`colour` is not a known setting"), "{far}");
    }

    #[test]
    fn an_invalid_file_is_refused_even_if_a_flag_overrides_the_value() {
        let flags = RawConfig { workers: Some(4), ..RawConfig::default() };
        over(&flags, "workers = \"two\"").expect_err("the file is at fault");
    }

    #[test]
    fn byte_counts_may_carry_a_unit() {
        let raw = over(&RawConfig::default(), "upload_bytes_max = \"2 MiB\"").expect("a size");
        assert_eq!(raw.upload_bytes_max, Some(ByteCount(2 << 20)));
        let raw = over(&RawConfig::default(), "upload_bytes_max = 2048").expect("a size");
        assert_eq!(raw.upload_bytes_max, Some(ByteCount(2048)));
    }

    #[test]
    fn unknown_variables_with_the_prefix_are_found() {
        let names = ["PATH", "BODYSCRIPT_WORKERS", "BODYSCRIPT_CONFIG", "BODYSCRIPT_WORKER"];
        let unknown = unknown_variable(names.into_iter().map(String::from));
        let suggestion = Some("BODYSCRIPT_WORKERS".to_owned());
        assert_eq!(unknown, Some(("BODYSCRIPT_WORKER".to_owned(), suggestion)));
    }
}
