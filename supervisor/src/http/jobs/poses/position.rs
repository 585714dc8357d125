//! How far a client was told of the poses of a job: the id of a line or event.

use std::fmt;
use std::str::FromStr;

/// A place in the poses of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The start of the job that found them, from 1; 0 before the first.
    pub(super) start: u32,
    /// The frames of that start that were told.
    pub(super) frames: u32,
    /// Whether the end of the job was told.
    pub(super) is_end: bool,
}

impl Position {
    /// Before the first frame of a start.
    pub(super) const fn before(start: u32) -> Self {
        Self { start, frames: 0, is_end: false }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, frames, is_end } = self;
        write!(f, "{start}-{frames}{}", if *is_end { "-end" } else { "" })
    }
}

/// The text is no position.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (text, is_end) = text.strip_suffix("-end").map_or((text, false), |text| (text, true));
        let (start, frames) = text.split_once('-').ok_or(NoPosition)?;
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_number).ok_or(NoPosition)
        };
        Ok(Self { start: number(start)?, frames: number(frames)?, is_end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_back_and_nothing_else_is_one() {
        for is_end in [false, true] {
            let position = Position { start: 2, frames: 57, is_end };
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for wrong in ["", "-", "1", "1-", "-1", "1-2-", "1-2-3", "+1-2", "end", "1-99999999999"] {
            assert_eq!(wrong.parse::<Position>(), Err(NoPosition), "{wrong}");
        }
    }
}
