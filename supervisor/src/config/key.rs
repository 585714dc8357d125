//! What a row of the table of keys states, and which values a key of each kind accepts.

use crate::config::bytes::ByteCount;
use bodyscript_protocol::options::alternatives;
use clap::{Arg, ValueHint};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use toml::{Table, Value};

/// One key: `queue_max` in the file is the flag `--queue-max` and the variable
/// `BODYSCRIPT_QUEUE_MAX`.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) effect: Effect,
    value_name: &'static str,
    help: &'static str,
}

/// When a changed value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Reload,
    NextStart,
}

/// The values of a key. A default that depends on the host or on another key is set where the key
/// is read.
pub(crate) enum Kind {
    Number { default: u32, range: RangeInclusive<u32> },
    Bytes { default: u64, min: u64 },
    Choice { default: &'static str, names: &'static [&'static str] },
    Switch { default: bool },
    Text { default: &'static str },
    Path,
    List { default: &'static [&'static str] },
}

impl Key {
    pub(crate) const fn new(
        name: &'static str,
        value_name: &'static str,
        kind: Kind,
        help: &'static str,
    ) -> Self {
        Self { name, kind, effect: Effect::Reload, value_name, help }
    }

    /// The same key, whose value is read at a start only.
    pub(crate) const fn at_next_start(mut self) -> Self {
        self.effect = Effect::NextStart;
        self
    }

    /// Name of the environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("BODYSCRIPT_{}", self.name.to_uppercase())
    }

    /// The flag, which the environment variable can replace.
    pub(crate) fn flag(&'static self) -> Arg {
        let help = match self.kind {
            Kind::Choice { names, .. } => format!("{}: {}", self.help, alternatives(names)),
            _ => self.help.to_owned(),
        };
        let flag = Arg::new(self.name)
            .long(self.name.replace('_', "-"))
            .env(self.variable())
            .value_name(self.value_name)
            .help(help.clone())
            // The manual page leaves out texts that are hidden in the short help only.
            .long_help(help)
            .hide_short_help(true)
            .value_parser(move |text: &str| self.kind.parse(text));
        match self.kind {
            Kind::List { .. } => flag.value_delimiter(',').num_args(0..),
            Kind::Path => flag.value_hint(ValueHint::AnyPath),
            _ => flag,
        }
    }

    /// Checks the type of a value from the file.
    pub(crate) fn check(&self, value: &Value) -> Result<(), toml::de::Error> {
        match self.kind {
            Kind::Number { .. } => self.check_type::<u32>(value),
            Kind::Bytes { .. } => self.check_type::<ByteCount>(value),
            Kind::Switch { .. } => self.check_type::<bool>(value),
            Kind::Choice { .. } | Kind::Text { .. } | Kind::Path => {
                self.check_type::<String>(value)
            }
            Kind::List { .. } => self.check_type::<Vec<String>>(value),
        }
    }

    fn check_type<T: DeserializeOwned>(&self, value: &Value) -> Result<(), toml::de::Error> {
        // As a table, so that the error names the key.
        let table = Table::from_iter([(self.name.to_owned(), value.clone())]);
        table.try_into::<BTreeMap<String, T>>().map(drop)
    }
}

impl Kind {
    /// The value of a flag or variable, or one of those in a list.
    fn parse(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Number { .. } => match text.parse::<u32>() {
                Ok(number) => Ok(number.into()),
                Err(error) => Err(error.to_string()),
            },
            // TOML has no number for the largest ones, which a later check refuses.
            Self::Bytes { .. } => match text.parse::<ByteCount>() {
                Ok(_) => Ok(text.into()),
                Err(error) => Err(error.to_string()),
            },
            Self::Switch { .. } => match text.parse::<bool>() {
                Ok(switch) => Ok(switch.into()),
                Err(error) => Err(error.to_string()),
            },
            _ => Ok(text.into()),
        }
    }
}
