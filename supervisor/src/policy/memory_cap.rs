//! Decides whether a worker may have a higher memory cap. Pure.
//!
//! Called by the dispatcher once the video of an attempt is probed. The caps of all workers together
//! never exceed the budget, and nothing is taken from jobs that run.

use crate::runner::attempt::CapReply;

/// Caps are whole MiB, as they are shown to users.
const UNIT_BYTES: u64 = 1 << 20;

/// What is reserved when a worker asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// The cap of the worker, in bytes.
    pub(crate) cap_bytes: u64,
    /// The caps of all workers, this one included, in bytes.
    pub(crate) total_bytes: u64,
    /// Limit of that sum, in bytes.
    pub(crate) budget_bytes: u64,
    /// The highest cap of any worker, in bytes.
    pub(crate) limit_bytes: u64,
}

/// Decides on a worker whose video needs more than its cap.
pub(crate) fn decide(need_bytes: u64, reserved: &Reserved) -> CapReply {
    let Reserved { cap_bytes, total_bytes, budget_bytes, limit_bytes } = *reserved;
    let limit_bytes = limit_bytes.max(cap_bytes);
    if need_bytes > limit_bytes {
        return CapReply::Never { limit_bytes };
    }
    let whole = need_bytes.div_ceil(UNIT_BYTES).saturating_mul(UNIT_BYTES);
    let raised_bytes = whole.min(limit_bytes).max(cap_bytes);
    let others_bytes = total_bytes.saturating_sub(cap_bytes);
    if others_bytes.saturating_add(raised_bytes) <= budget_bytes {
        CapReply::Granted { cap_bytes: raised_bytes }
    } else {
        CapReply::Later { cap_bytes: raised_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    const RESERVED: Reserved = Reserved {
        cap_bytes: 100 * MIB,
        total_bytes: 200 * MIB,
        budget_bytes: 500 * MIB,
        limit_bytes: 450 * MIB,
    };

    #[test]
    fn a_cap_is_raised_to_whole_mebibytes_up_to_what_is_left_of_the_budget() {
        let granted = |mib| CapReply::Granted { cap_bytes: mib * MIB };
        assert_eq!(decide(150 * MIB + 1, &RESERVED), granted(151));
        assert_eq!(decide(400 * MIB, &RESERVED), granted(400));
        assert_eq!(decide(400 * MIB + 1, &RESERVED), CapReply::Later { cap_bytes: 401 * MIB });
    }

    #[test]
    fn a_need_beyond_the_limit_is_refused_whatever_is_free() {
        assert_eq!(decide(450 * MIB, &RESERVED), CapReply::Later { cap_bytes: 450 * MIB });
        for need in [450 * MIB + 1, u64::MAX] {
            let limit_bytes = 450 * MIB;
            assert_eq!(decide(need, &RESERVED), CapReply::Never { limit_bytes });
        }
        let lowered = Reserved { limit_bytes: 50 * MIB, ..RESERVED };
        let limit_bytes = 100 * MIB;
        assert_eq!(decide(101 * MIB, &lowered), CapReply::Never { limit_bytes }, "its own cap");
    }

    proptest! {
        #[test]
        fn whatever_is_needed_the_caps_fit_into_the_budget(
            need_bytes in any::<u64>(),
            [cap_bytes, others_bytes, limit_bytes] in any::<[u32; 3]>(),
            free_bytes in any::<u32>(),
        ) {
            let [cap_bytes, others_bytes, limit_bytes, free_bytes] =
                [cap_bytes, others_bytes, limit_bytes, free_bytes].map(u64::from);
            let total_bytes = cap_bytes + others_bytes;
            let budget_bytes = total_bytes + free_bytes;
            let reserved = Reserved { cap_bytes, total_bytes, budget_bytes, limit_bytes };
            match decide(need_bytes, &reserved) {
                CapReply::Granted { cap_bytes: raised } => {
                    prop_assert!(raised >= need_bytes && raised >= cap_bytes);
                    prop_assert!(others_bytes + raised <= budget_bytes);
                }
                CapReply::Later { cap_bytes: raised } => {
                    prop_assert!(raised >= need_bytes && raised <= limit_bytes.max(cap_bytes));
                }
                CapReply::Never { limit_bytes: limit } => prop_assert!(need_bytes > limit),
            }
        }
    }
}
