//! Options that contradict each other.

use super::{Filter, LowPass, Options, Thousandths};
use thiserror::Error;

/// Options that are valid alone but not together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Contradiction {
    /// The part has no length.
    #[error("a number of seconds above `start`, which is {start}")]
    EndNotAfterStart {
        /// The start.
        start: Thousandths,
    },
    /// The filter that it is part of is not chosen.
    #[error("butterworth, which is the default; savitzky_golay requires `filter=offline`")]
    LowPassWithoutFilter,
}

impl Contradiction {
    /// The option that cannot have its value because of another. The text of the error is what it accepts.
    pub const fn option(&self) -> &'static str {
        match self {
            Self::EndNotAfterStart { .. } => "end",
            Self::LowPassWithoutFilter => "low_pass",
        }
    }
}

impl Options {
    /// Checks the options against each other.
    ///
    /// # Errors
    /// Two of them contradict each other.
    pub fn check(&self) -> Result<(), Contradiction> {
        let start = self.start.unwrap_or_default();
        if self.end.is_some_and(|end| end <= start) {
            return Err(Contradiction::EndNotAfterStart { start });
        }
        if self.low_pass != LowPass::default() && self.filter != Filter::Offline {
            return Err(Contradiction::LowPassWithoutFilter);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_a_length() {
        let options = |start: Option<u32>, end: Option<u32>| {
            let [start, end] = [start, end].map(|time| time.map(Thousandths::new));
            Options { start, end, ..Options::default() }
        };
        for (start, end) in [(None, None), (Some(9), None), (None, Some(1)), (Some(1), Some(2))] {
            assert_eq!(options(start, end).check(), Ok(()));
        }
        for (start, end) in [(None, 0), (Some(2500), 2500), (Some(2500), 1)] {
            let refused = options(start, Some(end)).check().expect_err("without a length");
            assert_eq!(refused.option(), "end");
        }
        let refused = options(Some(2500), Some(1)).check().expect_err("without a length");
        assert_eq!(refused.to_string(), "a number of seconds above `start`, which is 2.5");
    }

    #[test]
    fn only_the_filter_that_knows_all_frames_has_a_choice_of_low_passes() {
        let options = |filter| {
            Options { filter, low_pass: LowPass::SavitzkyGolay, ..Options::default() }.check()
        };
        assert_eq!(options(Filter::Offline), Ok(()));
        for filter in [Filter::None, Filter::Live] {
            assert_eq!(options(filter).map_err(|it| it.option()), Err("low_pass"));
        }
    }
}
