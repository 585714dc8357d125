//! Reads the values of keys: fills in defaults, checks each value alone, and keeps what is in effect.
//! An error names the key, the value and what is accepted.

use crate::config::bytes::ByteCount;
use crate::config::key::{Key, Kind};
use crate::config::{ConfigError, RawConfig, keys};
use bodyscript_protocol::options::alternatives;
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::{Table, Value};

pub(crate) type Result<T> = std::result::Result<T, ConfigError>;

pub(crate) fn refused(
    key: &'static str,
    value: impl Display,
    accepted: impl Into<String>,
) -> ConfigError {
    ConfigError::Refused { key, value: value.to_string(), accepted: accepted.into() }
}

/// The values of all keys: those given, and those in effect once they are read.
pub(crate) struct Values {
    given: RawConfig,
    in_effect: Table,
}

impl Values {
    pub(crate) fn new(given: RawConfig) -> Self {
        Self { given, in_effect: Table::new() }
    }

    /// The values in effect of the keys that were read.
    pub(crate) fn in_effect(self) -> Table {
        self.in_effect
    }

    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.given.values.contains_key(key)
    }

    /// Sets the default of a key that depends on the host or on other keys.
    pub(crate) fn set_default(&mut self, key: &'static str, default: impl Into<Value>) {
        self.given.set_default(key, default);
    }

    /// Limits the default of a number.
    pub(crate) fn limit_default(&mut self, key: &'static str, max: u32) {
        let Kind::Number { default, .. } = row(key).kind else { panic!("{key} is no number") };
        self.set_default(key, default.min(max));
    }

    /// Sets the default of a size that depends on the host or on other keys, from its usual default.
    pub(crate) fn set_default_bytes(&mut self, key: &'static str, of: impl FnOnce(u64) -> u64) {
        let Kind::Bytes { default, .. } = row(key).kind else { panic!("{key} is no size") };
        self.set_default(key, i64::try_from(of(default)).unwrap_or(i64::MAX));
    }

    pub(crate) fn number(&mut self, key: &'static str) -> Result<u32> {
        let Kind::Number { default, range } = &row(key).kind else { panic!("{key} is no number") };
        let value = self.given_value(key).unwrap_or(*default);
        if !range.contains(&value) {
            let accepted = format!("a whole number from {} to {}", range.start(), range.end());
            return Err(refused(key, value, accepted));
        }
        self.keep(key, value);
        Ok(value)
    }

    pub(crate) fn count(&mut self, key: &'static str) -> Result<usize> {
        self.number(key).map(|number| number as usize)
    }

    pub(crate) fn seconds(&mut self, key: &'static str) -> Result<Duration> {
        self.number(key).map(|s| Duration::from_secs(s.into()))
    }

    pub(crate) fn bytes(&mut self, key: &'static str) -> Result<u64> {
        let Kind::Bytes { default, min } = row(key).kind else { panic!("{key} is no size") };
        // TOML cannot represent larger numbers, and file offsets cannot reach them.
        let max = i64::MAX;
        let ByteCount(bytes) = self.given_value(key).unwrap_or(ByteCount(default));
        match i64::try_from(bytes) {
            Ok(value) if bytes >= min => self.keep(key, value),
            _ => {
                return Err(refused(key, bytes, format!("a number of bytes from {min} to {max}")));
            }
        }
        Ok(bytes)
    }

    pub(crate) fn choice(&mut self, key: &'static str) -> Result<&'static str> {
        let Kind::Choice { default, names } = row(key).kind else { panic!("{key} is no choice") };
        let given: Option<String> = self.given_value(key);
        let given = given.as_deref().unwrap_or(default);
        let Some(name) = names.iter().find(|name| **name == given) else {
            return Err(refused(key, given, alternatives(names)));
        };
        self.keep(key, *name);
        Ok(*name)
    }

    pub(crate) fn switch(&mut self, key: &'static str) -> Result<bool> {
        let Kind::Switch { default } = row(key).kind else { panic!("{key} is no switch") };
        let value = self.given_value(key).unwrap_or(default);
        self.keep(key, value);
        Ok(value)
    }

    /// A text from which `parse` makes the value.
    pub(crate) fn text<T: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T>,
    ) -> Result<T> {
        let Kind::Text { default } = row(key).kind else { panic!("{key} is no text") };
        let given: Option<String> = self.given_value(key);
        let value = parse(given.as_deref().unwrap_or(default))?;
        self.keep(key, value.to_string());
        Ok(value)
    }

    /// A path, made absolute.
    pub(crate) fn path(
        &mut self,
        key: &'static str,
        default: impl FnOnce() -> PathBuf,
    ) -> Result<PathBuf> {
        let given: Option<PathBuf> = self.given_value(key);
        let value = given.unwrap_or_else(default);
        let value = std::path::absolute(&value)
            .map_err(|error| refused(key, value.display(), format!("a path ({error})")))?;
        self.keep(key, value.to_string_lossy().into_owned());
        Ok(value)
    }

    /// An optional file; an empty path means none.
    pub(crate) fn file(
        &mut self,
        key: &'static str,
        default: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Option<PathBuf>> {
        let given: Option<PathBuf> = self.given_value(key);
        match given.or_else(default) {
            Some(path) if !path.as_os_str().is_empty() => self.path(key, || path).map(Some),
            _ => {
                self.keep(key, "");
                Ok(None)
            }
        }
    }

    /// A list of what `parse` makes of each entry. An empty entry, as an empty variable or flag gives
    /// it, is none.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T>,
        print: impl Fn(&T) -> String,
    ) -> Result<Vec<T>> {
        let given: Option<Vec<String>> = self.given_value(key);
        let given = given.unwrap_or_else(|| default_list(key).map(str::to_owned).collect());
        let entries = given.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty());
        let values: Vec<T> = entries.map(parse).collect::<Result<_>>()?;
        self.keep(key, values.iter().map(print).collect::<Vec<_>>());
        Ok(values)
    }

    /// A list of addresses and networks.
    pub(crate) fn networks(&mut self, key: &'static str) -> Result<Vec<IpNet>> {
        let parse = |text: &str| {
            let address = text.parse::<IpAddr>().map(IpNet::from);
            address
                .or_else(|_| text.parse::<IpNet>())
                .map_err(|_| refused(key, text, "a list of addresses or networks (10.0.0.0/8)"))
        };
        self.list(key, parse, ToString::to_string)
    }

    fn given_value<T: DeserializeOwned>(&self, key: &'static str) -> Option<T> {
        let value = self.given.values.get(key)?.clone();
        Some(value.try_into().expect("flags and files are checked for the type of each value"))
    }

    fn keep(&mut self, key: &'static str, value: impl Into<Value>) {
        self.in_effect.insert(key.to_owned(), value.into());
    }
}

/// The entries of a list that is not given.
pub(crate) fn default_list(key: &'static str) -> impl Iterator<Item = &'static str> {
    let Kind::List { default } = row(key).kind else { panic!("{key} is no list") };
    default.iter().copied()
}

fn row(key: &str) -> &'static Key {
    keys::find(key).expect("every key that is read has a row")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T>(result: Result<T>) -> Option<String> {
        result.err().map(|error| error.to_string())
    }

    #[test]
    fn numbers_are_checked_at_both_ends_of_their_range() {
        let number = |text: &str| Values::new(RawConfig::of(text)).number("workers");
        assert_eq!(number("").expect("the default"), 2);
        assert_eq!(number("workers = 1").expect("the least"), 1);
        assert_eq!(number("workers = 256").expect("the most"), 256);
        let past = "`workers` is 257; expected a whole number from 1 to 256";
        assert_eq!(refusal(number("workers = 257")).as_deref(), Some(past));
        assert!(number("workers = 0").is_err());
    }

    #[test]
    fn byte_counts_may_carry_a_unit_and_are_shown_without() {
        for (text, bytes) in [("\"2 MiB\"", 2 << 20), ("2048", 2048)] {
            let mut values = Values::new(RawConfig::of(&format!("upload_bytes_max = {text}")));
            assert_eq!(values.bytes("upload_bytes_max").expect("a size"), bytes);
            assert_eq!(values.in_effect()["upload_bytes_max"], Value::Integer(bytes as i64));
        }
    }

    #[test]
    fn a_choice_is_refused_with_the_names_that_there_are() {
        let choice = |text: &str| Values::new(RawConfig::of(text)).choice("cage_required");
        assert_eq!(choice("").expect("the default"), "any");
        assert_eq!(choice("cage_required = \"v2\"").expect("a name"), "v2");
        let wrong = "`cage_required` is v3; expected v2, cgroup or any";
        assert_eq!(refusal(choice("cage_required = \"v3\"")).as_deref(), Some(wrong));
    }

    #[test]
    fn an_empty_path_is_no_file_and_an_empty_entry_is_none() {
        let mut values =
            Values::new(RawConfig::of("token_file = \"\"\ncors_origins = [\" a \", \"\"]"));
        let file = values.file("token_file", || Some("/default".into()));
        assert_eq!(file.expect("valid"), None);
        let list = values.list("cors_origins", |entry| Ok(entry.to_owned()), String::clone);
        assert_eq!(list.expect("valid"), ["a"]);
    }
}
