//! The effective configuration: every value checked, every default filled in.
//!
//! Flags override the environment, the environment the file, the file the defaults. A value that is
//! not accepted ends the program at its start; the error names the key, the value and what is
//! accepted.
//!
//! "MB" in the user interface means MiB (2^20 bytes), as browsers count: the default upload limit
//! "30 MB" is 31,457,280 bytes.

pub(crate) mod bytes;
pub(crate) mod connections;
pub(crate) mod defaults;
pub(crate) mod listen;
pub(crate) mod raw;
pub(crate) mod resolve;
pub(crate) mod values;

pub(crate) use bytes::ByteCount;
pub(crate) use raw::{RawConfig, unknown_variable};

use crate::policy::retention_rules::ResumableLimits;
use crate::policy::suggest::hint;
use crate::runner::attempt::Deadlines;
use crate::runner::containment::cage::CageRequired;
use crate::runner::factory::WorkerFactorySettings;
use bodyscript_protocol::message::MediaLimits;
use bodyscript_protocol::sandbox_report::Layer;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;
use thiserror::Error;

/// Read if no other file is given and this one exists.
pub(crate) const DEFAULT_FILE: &str = "/etc/bodyscript/bodyscript.toml";

/// Why the configuration is invalid.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("configuration file {}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Position and cause.
        source: Box<toml::de::Error>,
    },
    /// A key is set both directly and in a table.
    #[error("`{key}` is set twice in the configuration file; remove one")]
    Twice {
        /// The key.
        key: String,
    },
    /// An unknown environment variable with the prefix of the settings.
    #[error(
        "the environment variable {name} is not a known setting{}",
        hint(suggestion.as_deref())
    )]
    UnknownVariable {
        /// Name of the variable.
        name: String,
        /// The most similar setting.
        suggestion: Option<String>,
    },
    /// An unknown key in the file.
    #[error(
        "configuration file {}: `{key}` is not a known setting{}",
        path.display(),
        hint(suggestion.as_deref())
    )]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The most similar key.
        suggestion: Option<String>,
    },
    /// A value that is not accepted.
    #[error("`{key}` is {value}; expected {accepted}")]
    Refused {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is accepted.
        accepted: String,
    },
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
    /// The systemd journal, with fields.
    Journald,
}

/// Limits on connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpLimits {
    /// Concurrent requests and event streams, each on its own connection.
    pub connections_max: usize,
    /// Concurrent event streams, which are part of `connections_max`.
    pub streams_max: usize,
    /// Time from the opening of a connection, or the end of a request, to the end of a header.
    pub header_max: Duration,
    /// Maximum pause within a body, in either direction.
    pub stall_max: Duration,
    /// Maximum time of an upload.
    pub upload_max: Duration,
    /// Minimum transfer rate of a body, in either direction; 0 is none.
    pub body_rate_bytes_per_s_min: u64,
}

/// Settings of webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookConfig {
    /// File with the secret that signs webhooks; without it webhooks are off.
    pub secret_file: Option<PathBuf>,
    /// Non-public networks that webhooks may reach, also without TLS.
    pub networks: Vec<IpNet>,
}

/// Limits per client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientLimits {
    /// Uploads started per minute.
    pub uploads_per_minute_max: u32,
    /// Unfinished jobs and uploads in progress.
    pub jobs_max: usize,
    /// Concurrent requests and event streams, and open connections unless it is a trusted proxy.
    pub connections_max: usize,
    /// Concurrent event streams, which are part of `connections_max`.
    pub streams_max: usize,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
}

/// Settings of access control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessConfig {
    /// File with the operator token.
    pub token_file: Option<PathBuf>,
    /// Origins whose pages may call the service from a browser; `*` allows all.
    pub cors_origins: Vec<String>,
    /// Limits per client.
    pub clients: ClientLimits,
}

/// The effective configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Address and port of the public listener.
    pub listen: SocketAddr,
    /// Address and port of the operator listener; `None` if it is off.
    pub operator_listen: Option<SocketAddr>,
    /// Folder for uploads and results.
    pub state_dir: PathBuf,
    /// Maximum number of concurrent attempts.
    pub workers: usize,
    /// Number of standby workers.
    pub standby: usize,
    /// Maximum number of queued jobs.
    pub queue_max: usize,
    /// Maximum size of a video in bytes.
    pub upload_bytes_max: u64,
    /// Limits on properties of a video.
    pub media: MediaLimits,
    /// Memory cap of a first attempt, in bytes.
    pub worker_memory_bytes_max: u64,
    /// Memory cap of a retry after the memory ran out, in bytes.
    pub worker_memory_retry_bytes_max: u64,
    /// Limit on the sum of the caps of all workers, in bytes.
    pub memory_budget_bytes: u64,
    /// Deadlines of an attempt.
    pub deadlines: Deadlines,
    /// Path of the worker program.
    pub worker_program: PathBuf,
    /// Folder of the models.
    pub models_dir: PathBuf,
    /// The weakest cage that is accepted.
    pub cage_required: CageRequired,
    /// Sandbox layers that a worker applies.
    pub sandbox_layers: Vec<Layer>,
    /// Sandbox layers without which a worker does not start.
    pub sandbox_required: Vec<Layer>,
    /// How long results are kept.
    pub result_ttl: Duration,
    /// How long results are kept while memory or disk space is low.
    pub pressure_ttl: Duration,
    /// Free disk space below which uploads are refused, in bytes.
    pub disk_free_bytes_min: u64,
    /// Limits on connections and requests.
    pub http: HttpLimits,
    /// Limits on resumable uploads.
    pub resumable: ResumableLimits,
    /// Settings of webhooks.
    pub webhook: WebhookConfig,
    /// Settings of access control.
    pub access: AccessConfig,
    /// How long running jobs may take to finish when the service stops.
    pub drain_max: Duration,
    /// Log filter, in the syntax of `tracing`.
    pub log: String,
    /// Format of log lines.
    pub log_format: LogFormat,
}

/// Keys that take effect at the next start only.
pub(crate) const AT_NEXT_START: [&str; 15] = [
    "listen",
    "operator_listen",
    "state_dir",
    "worker_program",
    "models_dir",
    "cage_required",
    "sandbox_layers",
    "sandbox_required",
    "resumable_uploads_max",
    "resumable_ttl_s",
    "connections_max",
    "streams_max",
    "header_s_max",
    "log",
    "log_format",
];

/// The unchecked values of flags, environment and file.
fn merged(flags: &RawConfig, file: Option<&Path>) -> Result<RawConfig, ConfigError> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    if let Some((name, suggestion)) = unknown_variable(names) {
        return Err(ConfigError::UnknownVariable { name, suggestion });
    }
    let default = Path::new(DEFAULT_FILE);
    match file.or_else(|| default.exists().then_some(default)) {
        Some(path) => flags.over_file(path),
        None => Ok(flags.clone()),
    }
}

impl Config {
    /// Loads the file, if any; flags and environment (already in `flags`) override it.
    pub(crate) fn load(flags: &RawConfig, file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::resolve(&merged(flags, file)?)
    }

    /// As [`Config::load`] while `current` is in effect. A memory budget that is not set stays that
    /// of the start: the workers that run now reduce the memory that is available.
    pub(crate) fn reload(
        flags: &RawConfig,
        file: Option<&Path>,
        current: &Self,
    ) -> Result<Self, ConfigError> {
        let mut raw = merged(flags, file)?;
        raw.memory_budget_bytes.get_or_insert(ByteCount(current.memory_budget_bytes));
        Self::resolve(&raw)
    }

    /// The state folder only, so that a configuration can be read that is not valid on this host.
    pub(crate) fn state_dir_of(
        flags: &RawConfig,
        file: Option<&Path>,
    ) -> Result<PathBuf, ConfigError> {
        resolve::state_dir(&merged(flags, file)?)
    }

    /// This configuration with those values of a newer one that can change while the service runs.
    pub(crate) fn with_reloaded(&self, newer: Self) -> Self {
        let old = self.clone();
        Self {
            listen: old.listen,
            operator_listen: old.operator_listen,
            state_dir: old.state_dir,
            worker_program: old.worker_program,
            models_dir: old.models_dir,
            cage_required: old.cage_required,
            sandbox_layers: old.sandbox_layers,
            sandbox_required: old.sandbox_required,
            resumable: old.resumable,
            http: HttpLimits {
                connections_max: old.http.connections_max,
                streams_max: old.http.streams_max,
                header_max: old.http.header_max,
                ..newer.http
            },
            log: old.log,
            log_format: old.log_format,
            ..newer
        }
    }

    /// The settings of the worker factory.
    pub(crate) fn factory(&self) -> WorkerFactorySettings {
        WorkerFactorySettings {
            worker_program: self.worker_program.clone(),
            models_dir: self.models_dir.clone(),
            cage_required: self.cage_required,
            layers: self.sandbox_layers.clone(),
            layers_required: self.sandbox_required.clone(),
        }
    }

    /// Maximum number of concurrent attempts, limited by `workers` and by the memory budget.
    pub(crate) fn slots(&self) -> usize {
        let affordable = self.memory_budget_bytes / self.worker_memory_bytes_max.max(1);
        self.workers.min(affordable.try_into().unwrap_or(usize::MAX)).max(1)
    }

    /// Threads of one job for pose detection: an equal share of the processors that this process
    /// may use, and at least one.
    pub(crate) fn threads_per_job(&self) -> NonZeroU32 {
        share(available_parallelism().map_or(1, NonZeroUsize::get), self.slots())
    }
}

fn share(processors: usize, jobs: usize) -> NonZeroU32 {
    let share = u32::try_from(processors / jobs.max(1)).unwrap_or(u32::MAX);
    NonZeroU32::new(share).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_jobs_share_the_processors_and_each_has_at_least_one() {
        let shares = [(8, 1), (8, 2), (7, 2), (2, 2), (2, 3), (1, 1), (1, 0)];
        let shares = shares.map(|(processors, jobs)| share(processors, jobs).get());
        assert_eq!(shares, [8, 4, 3, 1, 1, 1, 1]);
    }
}
