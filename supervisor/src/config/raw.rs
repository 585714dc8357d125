//! The configuration as given in flags, environment and file, before values are checked.
//!
//! [`RawConfig`] is filled from flags and the environment by the command line parser, and merged over
//! a file by [`RawConfig::over_file`]. [`crate::config::Config`] checks the values.

use crate::config::ConfigError;
use crate::config::key::{Key, Kind};
use crate::config::keys::{self, KEYS};
use crate::policy::display_name::visible;
use crate::policy::suggest::nearest;
use crate::runner::factory::SIMD_VARIABLE;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The given values, by the names of their keys, and where they are given.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawConfig {
    pub(crate) values: Table,
    origins: BTreeMap<&'static str, Origin>,
}

/// Where a value is given.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Flag,
    Variable,
    File(PathBuf),
}

impl Args for RawConfig {
    fn augment_args(command: Command) -> Command {
        let flag = |key: &'static Key| key.flag().help_heading("Configuration");
        command.args(KEYS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RawConfig {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut raw = Self::default();
        raw.update_from_arg_matches(matches)?;
        Ok(raw)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for key in KEYS.iter().filter(|key| matches.contains_id(key.name)) {
            let mut given = matches.get_many::<Value>(key.name).into_iter().flatten().cloned();
            let value = match key.kind {
                Kind::List { .. } => Some(Value::Array(given.collect())),
                _ => given.next(),
            };
            self.values.extend(value.map(|value| (key.name.to_owned(), value)));
            let origin = match matches.value_source(key.name) {
                Some(ValueSource::EnvVariable) => Origin::Variable,
                _ => Origin::Flag,
            };
            self.origins.insert(key.name, origin);
        }
        Ok(())
    }
}

impl RawConfig {
    /// Values that are in effect already, from wherever they came.
    pub(crate) const fn of_values(values: Table) -> Self {
        Self { values, origins: BTreeMap::new() }
    }

    /// Sets a key that is not given.
    pub(crate) fn set_default(&mut self, key: &'static str, value: impl Into<Value>) {
        debug_assert!(keys::find(key).is_some(), "{key}");
        self.values.entry(key).or_insert(value.into());
    }

    /// Sets `workers`, if a number is given in another way.
    pub(crate) fn set_workers(&mut self, workers: Option<u32>) {
        self.values.extend(workers.map(|workers| ("workers".to_owned(), workers.into())));
    }

    /// Whether a value of this key is given.
    pub(crate) fn is_given(&self, key: &'static str) -> bool {
        debug_assert!(keys::find(key).is_some(), "{key}");
        self.values.contains_key(key)
    }

    /// Where the value of a key comes from, as a sentence without its full stop.
    pub(crate) fn origin(&self, key: &'static Key) -> String {
        match self.origins.get(key.name) {
            Some(Origin::Flag) => format!("flag --{}", key.name.replace('_', "-")),
            Some(Origin::Variable) => format!("variable {}", key.variable()),
            Some(Origin::File(path)) => format!("file {}", visible(&path.to_string_lossy())),
            None => "default".into(),
        }
    }

    /// Merges these values (flags and environment) over those of a file.
    ///
    /// In the file a table is a prefix: `required` in `[cage]` is the key `cage_required`.
    pub(crate) fn over_file(&self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        self.over_text(&text, path)
    }

    pub(crate) fn over_text(&self, text: &str, path: &Path) -> Result<Self, ConfigError> {
        let parse = |source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) };
        let (mut values, mut origins) = (Table::new(), BTreeMap::new());
        flatten(text.parse().map_err(parse)?, "", &mut values)?;
        // An invalid value is reported even if a flag overrides it.
        for (name, value) in &values {
            let key = keys::find(name).ok_or_else(|| unknown_key(name, path))?;
            key.check(value).map_err(parse)?;
            origins.insert(key.name, Origin::File(path.to_owned()));
        }
        values.extend(self.values.clone());
        origins.extend(self.origins.clone());
        Ok(Self { values, origins })
    }

    /// The values of a file with this text.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self::default().over_text(text, Path::new("test.toml")).expect("keys and values")
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

/// The error for an unknown key, with the most similar known one.
fn unknown_key(name: &str, path: &Path) -> ConfigError {
    let suggestion = nearest(name, KEYS.iter().map(|key| key.name)).map(str::to_owned);
    ConfigError::UnknownKey { path: path.to_owned(), key: name.to_owned(), suggestion }
}

/// The first variable with the prefix of the settings that is not a setting, and the most similar
/// setting.
pub(crate) fn unknown_variable(
    names: impl Iterator<Item = String>,
) -> Option<(String, Option<String>)> {
    let others = ["BODYSCRIPT_CONFIG", SIMD_VARIABLE].map(str::to_owned);
    let known: Vec<String> = KEYS.iter().map(Key::variable).chain(others).collect();
    let unknown =
        names.filter(|name| name.starts_with("BODYSCRIPT_")).find(|name| !known.contains(name))?;
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

    fn flags(flags: &[&str]) -> RawConfig {
        let command = RawConfig::augment_args(Command::new("serve").no_binary_name(true));
        let matches = command.try_get_matches_from(flags).expect("flags");
        RawConfig::from_arg_matches(&matches).expect("values")
    }

    #[test]
    fn flags_and_file_give_the_same_values() {
        let given = flags(&["--queue-max", "3", "--log=debug", "--cors-origins", "a,b"]);
        let file = "queue_max = 3\nlog = \"debug\"\ncors_origins = [\"a\", \"b\"]";
        assert_eq!(given.values, RawConfig::of(file).values);
        let none = RawConfig::of("sandbox_layers = []").values;
        assert_eq!(flags(&["--sandbox-layers"]).values, none);
        assert_eq!(flags(&[]).values, Table::new());
    }

    #[test]
    fn flags_override_single_keys_of_the_file() {
        let raw = over(&flags(&["--workers", "4"]), "workers = 1\nqueue_max = 3\n");
        let raw = raw.expect("both are keys");
        assert_eq!(raw.values, RawConfig::of("workers = 4\nqueue_max = 3").values);
        let origin = |name| raw.origin(keys::find(name).expect("a key"));
        assert_eq!(origin("workers"), "flag --workers");
        assert_eq!(origin("queue_max"), "file test.toml");
        assert_eq!(origin("state_dir"), "default");
    }

    #[test]
    fn a_table_is_a_prefix() {
        let raw = over(&RawConfig::default(), "[cage]\nrequired = \"v2\"\n").expect("a key");
        assert_eq!(raw.values, RawConfig::of("cage_required = \"v2\"").values);
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
        over(&flags(&["--workers", "4"]), "workers = \"two\"").expect_err("the file is at fault");
    }

    #[test]
    fn unknown_variables_with_the_prefix_are_found() {
        let names = ["PATH", "BODYSCRIPT_WORKERS", "BODYSCRIPT_CONFIG", "BODYSCRIPT_WORKER"];
        let unknown = unknown_variable(names.into_iter().map(String::from));
        let suggestion = Some("BODYSCRIPT_WORKERS".to_owned());
        assert_eq!(unknown, Some(("BODYSCRIPT_WORKER".to_owned(), suggestion)));
    }
}
