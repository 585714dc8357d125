//! Named points between two durable steps at which a test kills the program as `kill -9` would: at
//! once, with nothing flushed or dropped.
//!
//! Only in builds with debug assertions, which the tests run; in a release the calls do nothing.
//! The variable names one point, and with `:n` its n-th pass: `DIE_AT_FAILPOINT=upload_renamed:2`.

/// Passes a failpoint, or is killed there.
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

/// Passes a failpoint.
#[cfg(not(debug_assertions))]
pub(crate) fn reach(_name: &str) {}
