//! What becomes of a frame, by its time in the file: those before the chosen part are skipped, except that
//! people are tracked a little before it. Called by `run` for each frame; pure.

use bodyscript_protocol::options::{Mode, Options};
use std::time::Duration;

/// How long before the part people are tracked: the region of a person and the filters have then
/// forgotten where the track began.
const WARM_UP: Duration = Duration::from_secs(1);

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameUse {
    /// Only its time is used.
    Skipped,
    /// People are tracked in it, and nothing of it is written.
    WarmUp,
    /// It is in the results.
    Written,
}

/// The times that decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartStart {
    warm_up: Duration,
    start: Duration,
}

impl PartStart {
    /// Those of a job with these options.
    pub(super) fn of(options: &Options) -> Self {
        let start = options.part().start;
        // Elsewhere each frame is processed without regard to those before it.
        let has_history =
            matches!(options.mode, Mode::Track | Mode::Smart) || options.followed_max() > 1;
        let warm_up = if has_history { start.saturating_sub(WARM_UP) } else { start };
        Self { warm_up, start }
    }

    /// What becomes of a frame at this time.
    pub(super) fn use_of(&self, pts: Duration) -> FrameUse {
        match pts {
            pts if pts >= self.start => FrameUse::Written,
            pts if pts >= self.warm_up => FrameUse::WarmUp,
            _ => FrameUse::Skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::options::Thousandths;

    fn uses(options: Options, times_ms: [u64; 4]) -> [FrameUse; 4] {
        let start = PartStart::of(&Options { start: Some(Thousandths::new(2500)), ..options });
        times_ms.map(|ms| start.use_of(Duration::from_millis(ms)))
    }

    #[test]
    fn people_are_tracked_for_a_second_before_the_part() {
        use FrameUse::{Skipped, WarmUp, Written};
        let times = [1499, 1500, 2499, 2500];
        assert_eq!(uses(Options::default(), times), [Skipped, WarmUp, WarmUp, Written]);
        let each_alone = Options { mode: Mode::Static, ..Options::default() };
        assert_eq!(uses(each_alone, times), [Skipped, Skipped, Skipped, Written]);
        let several = Options { people_max: 2, ..each_alone };
        assert_eq!(uses(several, times), [Skipped, WarmUp, WarmUp, Written]);
    }

    #[test]
    fn the_whole_video_is_written() {
        let start = PartStart::of(&Options::default());
        assert_eq!(start.use_of(Duration::ZERO), FrameUse::Written);
    }
}
