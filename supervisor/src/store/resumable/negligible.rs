//! Which resumable uploads give way to new ones when there are too many: those that their clients seem to have left, and
//! that cost little to send again. Others are kept until they expire.

use std::time::Duration;

/// A client that creates an upload sends its first bytes at once.
pub(super) const EMPTY_IDLE_MAX: Duration = Duration::from_secs(5);

/// One piece as the upload page sends them.
pub(super) const FEW_BYTES_MAX: u64 = 1 << 20;
pub(super) const FEW_BYTES_IDLE_MAX: Duration = Duration::from_secs(60);

/// Whether an upload with so many bytes, and idle for so long, gives way.
pub(super) fn is_negligible(bytes: u64, idle: Duration) -> bool {
    match bytes {
        0 => idle >= EMPTY_IDLE_MAX,
        1..=FEW_BYTES_MAX => idle >= FEW_BYTES_IDLE_MAX,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_with_little_to_lose_give_way_when_idle() {
        let after = |bytes, seconds| is_negligible(bytes, Duration::from_secs(seconds));
        assert!(!after(0, 4) && after(0, 5));
        assert!(!after(1, 59) && after(1, 60) && after(1 << 20, 60));
        assert!(!after((1 << 20) + 1, 1_000_000));
    }
}
