//! The configuration as the service believes it: every value checked, every default filled in.
//!
//! Flags outrank the environment, the environment a file, a file the defaults. A value that is
//! not accepted ends the program at its start, with the key, the value and what it takes.
//!
//! Sizes named "MB" in the interface for people are counted in MiB (2^20 bytes), as browsers and
//! the predecessor count them: the default upload limit "30 MB" is 31,457,280 bytes.

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

/// Read when no other file is named, if it is there.
pub(crate) const DEFAULT_FILE: &str = "/etc/bodyscript/bodyscript.toml";

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key that means nothing or a value of the wrong type.
    #[error("configuration file {}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// The same key as a plain one and in a table.
    #[error("`{key}` is set twice in the configuration file; remove one")]
    Twice {
        /// The key.
        key: String,
    },
    /// A variable that looks like a key and is none.
    #[error(
        "the environment variable {name} is not a known setting{}",
        hint(suggestion.as_deref())
    )]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The known variable most similar to it.
        suggestion: Option<String>,
    },
    /// A key of the file that does not exist.
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
        /// The known key most similar to it.
        suggestion: Option<String>,
    },
    /// A value that is not accepted.
    #[error("`{key}` is {value}; expected {accepted}")]
    Refused {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it takes.
        accepted: String,
    },
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// To the journal of systemd, with fields.
    Journald,
}

/// Limits on connections and on the requests that come over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpLimits {
    /// Requests and streams of events at once, each over a connection of its own.
    pub connections_max: usize,
    /// Streams of events among them.
    pub streams_max: usize,
    /// From the opening of a connection, or the end of a request, to the end of a header.
    pub header_max: Duration,
    /// Longest pause within a body, in either direction.
    pub stall_max: Duration,
    /// Longest time for a whole upload.
    pub upload_max: Duration,
    /// Least of a body in a second of waiting for the client, in either direction; 0 is none.
    pub body_rate_bytes_per_s_min: u64,
}

/// Who is told of the ends of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookConfig {
    /// File with the secret that notices are signed with; without one there are none.
    pub secret_file: Option<PathBuf>,
    /// Networks that may be told although they are not public, and without TLS.
    pub networks: Vec<IpNet>,
}

/// Limits on what one client may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientLimits {
    /// Uploads begun within a minute.
    pub uploads_per_minute_max: u32,
    /// Unfinished jobs at once, uploads under way included.
    pub jobs_max: usize,
    /// Requests and streams of events at once, and open connections of one that is no proxy.
    pub connections_max: usize,
    /// Streams of events among them.
    pub streams_max: usize,
    /// Who is believed in what it says of those it speaks for.
    pub trusted_proxies: Vec<IpNet>,
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessConfig {
    /// File with the operators' token.
    pub token_file: Option<PathBuf>,
    /// Origins whose pages may call the service from a browser; `*` is all.
    pub cors_origins: Vec<String>,
    /// Limits on one client.
    pub clients: ClientLimits,
}

/// The configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Address and port of the public listener.
    pub listen: SocketAddr,
    /// Address and port of the operators' listener; none is off.
    pub operator_listen: Option<SocketAddr>,
    /// Folder for uploads and results.
    pub state_dir: PathBuf,
    /// Attempts at once.
    pub workers: usize,
    /// Workers that are started before there is a job for them.
    pub standby: usize,
    /// Jobs that may wait.
    pub queue_max: usize,
    /// Largest video, in bytes.
    pub upload_bytes_max: u64,
    /// Limits on the video itself.
    pub media: MediaLimits,
    /// Cap of a first attempt, in bytes.
    pub worker_memory_bytes_max: u64,
    /// Cap of a retry after the memory ran out, in bytes.
    pub worker_memory_retry_bytes_max: u64,
    /// What the caps of all attempts together may come to, in bytes.
    pub memory_budget_bytes: u64,
    /// Limits on an attempt's time.
    pub deadlines: Deadlines,
    /// Program of the workers.
    pub worker_program: PathBuf,
    /// Folder of the models.
    pub models_dir: PathBuf,
    /// Weakest accepted cage.
    pub cage_required: CageRequired,
    /// Sandbox layers a worker puts on.
    pub sandbox_layers: Vec<Layer>,
    /// Sandbox layers without which a worker does not start.
    pub sandbox_required: Vec<Layer>,
    /// Life of results.
    pub result_ttl: Duration,
    /// Life of results while memory or disk is short.
    pub pressure_ttl: Duration,
    /// Free disk below which nothing is accepted, in bytes.
    pub disk_free_bytes_min: u64,
    /// Limits on connections and requests.
    pub http: HttpLimits,
    /// Limits on uploads that come in several requests.
    pub resumable: ResumableLimits,
    /// Who is told of the ends of jobs.
    pub webhook: WebhookConfig,
    /// Who may do what.
    pub access: AccessConfig,
    /// How long running jobs may finish after a request to stop.
    pub drain_max: Duration,
    /// What is logged, as a tracing filter.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
}

/// Keys whose new value counts from the next start: they say what the service is made of.
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

/// What flags, environment and file say, unchecked.
fn written(flags: &RawConfig, file: Option<&Path>) -> Result<RawConfig, ConfigError> {
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
    /// Reads the file, if any, and lays flags and environment (already in `flags`) over it.
    pub(crate) fn load(flags: &RawConfig, file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::resolve(&written(flags, file)?)
    }

    /// As [`Config::load`] while `current` is in force. A budget that nobody gave stays what it
    /// was at the start: what the host has to spare now is less by the workers that run.
    pub(crate) fn reload(
        flags: &RawConfig,
        file: Option<&Path>,
        current: &Self,
    ) -> Result<Self, ConfigError> {
        let mut raw = written(flags, file)?;
        raw.memory_budget_bytes.get_or_insert(ByteCount(current.memory_budget_bytes));
        Self::resolve(&raw)
    }

    /// The state folder alone, of a configuration that may need another host than this process.
    pub(crate) fn state_dir_of(
        flags: &RawConfig,
        file: Option<&Path>,
    ) -> Result<PathBuf, ConfigError> {
        resolve::state_dir(&written(flags, file)?)
    }

    /// This configuration with all of a newer one that can be taken over while the service runs.
    pub(crate) fn taking_over(&self, newer: Self) -> Self {
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

    /// What the factory needs of it.
    pub(crate) fn factory(&self) -> WorkerFactorySettings {
        WorkerFactorySettings {
            worker_program: self.worker_program.clone(),
            models_dir: self.models_dir.clone(),
            cage_required: self.cage_required,
            layers: self.sandbox_layers.clone(),
            layers_required: self.sandbox_required.clone(),
        }
    }

    /// Attempts that can be under way at once: as many as workers, as far as their memory goes.
    pub(crate) fn slots(&self) -> usize {
        let affordable = self.memory_budget_bytes / self.worker_memory_bytes_max.max(1);
        self.workers.min(affordable.try_into().unwrap_or(usize::MAX)).max(1)
    }

    /// Threads on which one job may look for poses at a time: an equal share of the processors that
    /// this process may use, and at least one.
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
    fn jobs_at_once_share_the_processors_and_each_has_one() {
        let shares = [(8, 1), (8, 2), (7, 2), (2, 2), (2, 3), (1, 1), (1, 0)];
        let shares = shares.map(|(processors, jobs)| share(processors, jobs).get());
        assert_eq!(shares, [8, 4, 3, 1, 1, 1, 1]);
    }
}
