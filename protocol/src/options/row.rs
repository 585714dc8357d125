//! What a row of the table of options states: a name, a help text, the accepted values, and how the option is set
//! and read.

use super::{Options, PERSON_NUMBER_MAX, Thousandths};
use serde::Serialize;
use std::fmt;

/// One option of an upload.
pub struct OptionRow {
    /// The name in forms, queries and documents; the flag has dashes for underscores.
    pub name: &'static str,
    /// One sentence without its full stop.
    pub help: &'static str,
    /// What is accepted.
    pub values: Values,
    /// What the value is called in the help of the command line.
    pub value_name: &'static str,
    /// An option that cannot be given as well.
    pub excludes: Option<&'static str>,
    /// Sets the option from a text; `false` if that is not a valid value.
    pub set: fn(&mut Options, &str) -> bool,
    /// The value, if the option applies.
    pub get: fn(&Options) -> Option<Value>,
}

impl OptionRow {
    /// The help text, with the names that are accepted.
    pub fn full_help(&self) -> String {
        let Self { help, .. } = self;
        match self.values {
            Values::OneOf(names) => format!("{help}: {}", alternatives(&names())),
            Values::ListOf(names) => format!("{help}: {}, default or all", names().join(", ")),
            Values::Person => format!("{help}: {}", self.values),
            Values::Whole(..) | Values::Number { .. } | Values::Area => (*help).into(),
        }
    }
}

/// The names as text: `a, b or c`.
pub fn alternatives(names: &[&str]) -> String {
    match names {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        names => names.concat(),
    }
}

/// The values that an option accepts.
#[derive(Clone, Copy)]
pub enum Values {
    /// One name.
    OneOf(fn() -> Vec<&'static str>),
    /// Names separated by commas; `default` and `all` stand for several.
    ListOf(fn() -> Vec<&'static str>),
    /// A whole number from the first to the second.
    Whole(u32, u32),
    /// A number, with up to three decimal places.
    Number {
        /// What is counted, in the plural.
        unit: &'static str,
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// Left, top, width and height as fractions of the picture.
    Area,
    /// One of the people in the video.
    Person,
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(names) => write!(f, "one of {}", names().join(", ")),
            Self::ListOf(names) => {
                write!(
                    f,
                    "all, or one or more of default,{}, separated by commas",
                    names().join(",")
                )
            }
            Self::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Number { unit, min, max } => write!(f, "a number of {unit} from {min} to {max}"),
            Self::Person => write!(
                f,
                "largest, central, longest, a number from 0 to {PERSON_NUMBER_MAX}, or x,y,seconds"
            ),
            Self::Area => {
                f.write_str("left,top,width,height as fractions of the picture, within 0 and 1")
            }
        }
    }
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A name.
    Name(&'static str),
    /// Names separated by commas.
    List(String),
    /// A whole number.
    Whole(u32),
    /// A number.
    Number(f64),
}

impl Value {
    /// A number with up to three decimal places.
    pub(super) fn decimal(number: Thousandths) -> Self {
        Self::Number(number.to_f64())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::List(names) => f.write_str(names),
            Self::Whole(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}
