//! The effective configuration: every value checked, every default filled in.
//!
//! Flags override the environment, the environment the file, the file the defaults. A value that is
//! not accepted ends the program at its start; the error names the key, the value and what is
//! accepted.
//!
//! "MB" in the user interface means MiB (2^20 bytes), as browsers count: the default upload limit
//! "30 MB" is 31,457,280 bytes.

pub(crate) mod access;
pub(crate) mod artefacts;
pub(crate) mod bytes;
pub(crate) mod connections;
pub(crate) mod defaults;
pub(crate) mod journal;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod listen;
pub(crate) mod raw;
pub(crate) mod resolve;
pub(crate) mod values;

pub(crate) use access::{AccessConfig, WebhookConfig};
pub(crate) use bytes::ByteCount;
pub(crate) use connections::{ClientLimits, HttpLimits};
pub(crate) use raw::{RawConfig, unknown_variable};
pub(crate) use resolve::{Config, LogFormat};

use key::Effect;
use keys::KEYS;
use values::Values;

use crate::policy::suggest::hint;
use crate::runner::factory::WorkerFactorySettings;
use std::fmt::Write;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
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
        Self::resolve(merged(flags, file)?)
    }

    /// As [`Config::load`] while `current` is in effect. A memory budget that is not set stays that
    /// of the start: the workers that run now reduce the memory that is available.
    pub(crate) fn reload(
        flags: &RawConfig,
        file: Option<&Path>,
        current: &Self,
    ) -> Result<Self, ConfigError> {
        let mut raw = merged(flags, file)?;
        raw.set_default("memory_budget_bytes", current.in_effect["memory_budget_bytes"].clone());
        Self::resolve(raw)
    }

    /// The state folder only, so that a configuration can be read that is not valid on this host.
    pub(crate) fn state_dir_of(
        flags: &RawConfig,
        file: Option<&Path>,
    ) -> Result<PathBuf, ConfigError> {
        resolve::state_dir(&mut Values::new(merged(flags, file)?))
    }

    /// This configuration with those values of a newer one that can change while the service runs.
    pub(crate) fn with_reloaded(&self, newer: Self) -> Result<Self, ConfigError> {
        let mut values = newer.in_effect;
        for key in KEYS.iter().filter(|key| key.effect == Effect::NextStart) {
            values.insert(key.name.to_owned(), self.in_effect[key.name].clone());
        }
        Self::resolve(RawConfig::of_values(values))
    }

    /// Every key with its value and where that comes from, as a file from which [`Config::load`] reads the same
    /// configuration. No value is a secret: those are in files that keys name.
    pub(crate) fn show(flags: &RawConfig, file: Option<&Path>) -> Result<String, ConfigError> {
        Self::shown(merged(flags, file)?)
    }

    fn shown(raw: RawConfig) -> Result<String, ConfigError> {
        let config = Self::resolve(raw.clone())?;
        let mut text = String::new();
        for key in &KEYS {
            let value = &config.in_effect[key.name];
            writeln!(text, "{} = {value} # {}", key.name, raw.origin(key))
                .expect("writes to a string");
        }
        Ok(text)
    }

    /// The settings of the worker factory.
    pub(crate) fn factory(&self) -> WorkerFactorySettings {
        WorkerFactorySettings {
            worker_program: self.worker_program.clone(),
            models_dir: self.models_dir.clone(),
            cage_required: self.cage_required,
            layers: self.sandbox_layers.clone(),
            layers_required: self.sandbox_required.clone(),
            user_ids: self.worker_user_ids,
        }
    }

    /// Maximum number of concurrent attempts, limited by `workers` and by the memory budget.
    pub(crate) fn slots(&self) -> usize {
        let affordable = self.memory_budget_bytes / self.worker_memory_bytes_max.max(1);
        self.workers.min(affordable.try_into().unwrap_or(usize::MAX)).max(1)
    }

    /// The highest cap to which any worker may be raised, in bytes.
    pub(crate) fn raised_bytes_max(&self) -> u64 {
        self.worker_memory_retry_bytes_max.min(self.memory_budget_bytes)
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
    use bodyscript_protocol::sandbox_report::Layer;

    #[test]
    fn concurrent_jobs_share_the_processors_and_each_has_at_least_one() {
        let shares = [(8, 1), (8, 2), (7, 2), (2, 2), (2, 3), (1, 1), (1, 0)];
        let shares = shares.map(|(processors, jobs)| share(processors, jobs).get());
        assert_eq!(shares, [8, 4, 3, 1, 1, 1, 1]);
    }

    fn resolve(text: &str) -> Config {
        Config::resolve(RawConfig::of(text)).expect("valid")
    }

    #[test]
    fn the_shown_configuration_reads_back_unchanged() {
        let text = "workers = 3\non_long = \"reject\"\nsandbox_required = [\"seccomp\"]\n\
                    memory_budget_bytes = \"1 GiB\"\nworker_grace_ms_max = 1234\n";
        let shown = Config::shown(RawConfig::of(text)).expect("valid");
        for line in
            ["workers = 3 # file test.toml", "sandbox_required = [\"seccomp\"] # file test.toml"]
        {
            assert!(shown.lines().any(|shown| shown == line), "{shown}");
        }
        assert_eq!(resolve(&shown).in_effect, resolve(text).in_effect);
    }

    #[test]
    fn core_scheduling_is_a_layer_that_a_key_of_its_own_adds() {
        let layer = Layer::CoreScheduling;
        assert!(!resolve("").sandbox_layers.contains(&layer));
        let both = "core_scheduling = true\nsandbox_required = [\"core_scheduling\"]";
        assert!(resolve(both).sandbox_layers.contains(&layer));
        assert_eq!(resolve(both).sandbox_required, [layer]);
        for refused in
            ["sandbox_required = [\"core_scheduling\"]", "sandbox_layers = [\"core_scheduling\"]"]
        {
            let error = Config::resolve(RawConfig::of(refused)).expect_err("without the key");
            assert!(error.to_string().contains("core_scheduling"), "{error}");
        }
    }

    #[test]
    fn every_key_is_shown() {
        let shown = Config::shown(RawConfig::default()).expect("valid");
        let keys: Vec<&str> = shown.lines().filter_map(|line| line.split(" = ").next()).collect();
        assert_eq!(keys, KEYS.each_ref().map(|key| key.name));
        assert_eq!(resolve("").in_effect.len(), KEYS.len(), "no key is read that has no row");
    }

    /// Keys whose defaults depend on the host.
    const HOST_DEPENDENT: [&str; 9] = [
        "host_name",
        "journal_password_file",
        "state_dir",
        "worker_program",
        "models_dir",
        "memory_budget_bytes",
        "token_file",
        "webhook_secret_file",
        "artefacts_credentials_file",
    ];

    #[test]
    fn the_installed_file_lists_every_key_with_its_default() {
        let file = include_str!("../../../systemd/bodyscript.toml");
        assert_eq!(RawConfig::of(file).values, toml::Table::new(), "every key is commented out");

        // Commented-out keys begin with `#` directly; `# ` begins prose.
        let keys = file.lines().filter_map(|line| line.strip_prefix('#'));
        let keys: Vec<_> = keys.filter(|line| !line.is_empty() && !line.starts_with(' ')).collect();
        let listed = resolve(&keys.join("\n")).in_effect;
        let default = resolve("").in_effect;
        for (key, value) in &default {
            let line = format!("{key} = ");
            assert!(keys.iter().any(|k| k.starts_with(&line)), "`{key}` is not in the file");
            if !HOST_DEPENDENT.contains(&key.as_str()) {
                assert_eq!(&listed[key], value, "`{key}` has another default");
            }
        }
    }
}
