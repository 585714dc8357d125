//! A person detected in the current frame, before it is known who it is.

use super::appearance::Appearance;
use super::estimator::CurrentFrame;
use super::landmarks::PoseEstimate;

/// A person detected in the current frame.
#[derive(Debug)]
pub(super) struct Detection {
    /// The person's pose.
    pub(super) estimate: PoseEstimate,
    /// The person's appearance.
    pub(super) appearance: Appearance,
    /// The name of the strategy that detected the person.
    pub(super) strategy: &'static str,
}

impl Detection {
    /// A person detected by this strategy.
    pub(super) fn of(
        frame: CurrentFrame<'_>,
        estimate: PoseEstimate,
        strategy: &'static str,
    ) -> Self {
        let appearance = Appearance::of(frame.picture, &estimate.pose);
        Self { estimate, appearance, strategy }
    }
}
