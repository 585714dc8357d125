//! Whose poses are written, where one of several people is chosen.

use super::Thousandths;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Largest number of a person that can be chosen.
pub const PERSON_NUMBER_MAX: u32 = 999;

/// One of the people in a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonChoice {
    /// Who takes most of the picture, over the whole video.
    Largest,
    /// Who is nearest to its middle, of those who are in view for half as long as anybody.
    Central,
    /// Who is in view longest.
    Longest,
    /// Who is found first, second and so on, from 0.
    Number(u32),
    /// Who is at a place of the upright picture at a time.
    At(Click),
}

/// A place and a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Click {
    /// Fraction of the width.
    pub x: Thousandths,
    /// Fraction of the height.
    pub y: Thousandths,
    /// Seconds of the file's own times.
    pub time: Thousandths,
}

impl fmt::Display for PersonChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Largest => f.write_str("largest"),
            Self::Central => f.write_str("central"),
            Self::Longest => f.write_str("longest"),
            Self::Number(number) => number.fmt(f),
            Self::At(Click { x, y, time }) => write!(f, "{x},{y},{time}"),
        }
    }
}

impl FromStr for PersonChoice {
    type Err = NotAPerson;

    fn from_str(text: &str) -> Result<Self, NotAPerson> {
        match text {
            "largest" => return Ok(Self::Largest),
            "central" => return Ok(Self::Central),
            "longest" => return Ok(Self::Longest),
            _ => {}
        }
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            let number = text.parse().ok().filter(|number| *number <= PERSON_NUMBER_MAX);
            return number.map(Self::Number).ok_or(NotAPerson);
        }
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let [x, y, time] = parts[..] else { return Err(NotAPerson) };
        let number = |part: &str| part.parse().map_err(|_| NotAPerson);
        let (x, y, time): (Thousandths, Thousandths, _) = (number(x)?, number(y)?, number(time)?);
        let is_inside = x <= Thousandths::ONE && y <= Thousandths::ONE;
        is_inside.then_some(Self::At(Click { x, y, time })).ok_or(NotAPerson)
    }
}

/// A text that chooses nobody.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected largest, central, longest, a number up to {}, or x,y,seconds", PERSON_NUMBER_MAX)]
pub struct NotAPerson;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_read_and_printed() {
        for text in ["largest", "central", "longest", "0", "999", "0.25,1,12.5", "0,0,0"] {
            let choice: PersonChoice =
                text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(choice.to_string(), text);
        }
        let spaced: PersonChoice = "0.5, 0.5, 1".parse().expect("a click");
        assert_eq!(spaced.to_string(), "0.5,0.5,1");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "tallest", "1000", "-1", "1.5", "0.5,0.5", "1.001,0,0", "0,2,0", "0,0,0,0"]
        {
            assert_eq!(text.parse::<PersonChoice>(), Err(NotAPerson), "{text}");
        }
    }
}
