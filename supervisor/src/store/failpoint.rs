//! Places between two durable steps where a test ends the program as `kill -9` would: at once,
//! with nothing flushed, nothing dropped and nobody told.
//!
//! Compiled into builds with debug assertions only, which are the ones the tests run; a release
//! has none of it. The variable names one place, and with `:n` its n-th visit:
//! `DIE_AT_FAILPOINT=upload_renamed:2`.

/// Passes a place, or ends there.
#[cfg(debug_assertions)]
pub(crate) fn reach(name: &str) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static CHOSEN: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let text = std::env::var("DIE_AT_FAILPOINT").ok()?;
        let (name, visit) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU32::new(visit.parse().ok()?)))
    });
    if let Some((chosen, visits_left)) = CHOSEN.as_ref()
        && chosen == name
        && visits_left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        let _ = kill(Pid::this(), Signal::SIGKILL);
        // The signal is on its way to every thread; this one must do nothing more.
        loop {
            std::thread::park();
        }
    }
}

/// Passes a place.
#[cfg(not(debug_assertions))]
pub fn reach(_name: &str) {}
