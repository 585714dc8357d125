//! How long results and incomplete uploads are kept.

use std::time::Duration;

/// How long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetentionPeriods {
    /// The normal period.
    pub normal: Duration,
    /// The period while memory or disk space is low.
    pub under_pressure: Duration,
}

/// Limits on resumable uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResumableLimits {
    /// Maximum number of incomplete uploads.
    pub uploads_max: usize,
    /// How long an upload is kept, from its creation to its last byte.
    pub retention: RetentionPeriods,
}

impl RetentionPeriods {
    /// Whether something of this age has expired.
    pub(crate) fn has_expired(&self, age: Duration, is_short: bool) -> bool {
        age >= if is_short { self.under_pressure } else { self.normal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_exact_and_shorter_under_pressure() {
        let periods = RetentionPeriods {
            normal: Duration::from_secs(60),
            under_pressure: Duration::from_secs(6),
        };
        let after = |seconds, is_short| periods.has_expired(Duration::from_secs(seconds), is_short);
        assert!(!after(59, false));
        assert!(after(60, false));
        assert!(!after(5, true));
        assert!(after(6, true));
    }
}
