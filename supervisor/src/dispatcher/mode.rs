//! Whether the service accepts and starts jobs. The scheduler has it; operators and a stop change it.

/// Whether jobs are accepted and started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are.
    Open,
    /// Not until an operator takes that back.
    Paused,
    /// The service stops: they are accepted, for other hosts or the next start, and not started.
    Leaving,
    /// Not any more: the service stops.
    Closing,
}
