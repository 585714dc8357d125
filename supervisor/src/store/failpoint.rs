//! Named points at which a test kills the program as `kill -9` would, at once, with nothing flushed or dropped;
//! suspends it as SIGSTOP does; or has it skip a step, to show what the step is for.
//!
//! Only in builds with debug assertions, which the tests run; in a release the calls do nothing.
//! A variable names one point, and with `:n` its n-th pass: `DIE_AT_FAILPOINT=upload_renamed:2`, `SUSPEND_AT_FAILPOINT`;
//! `SKIP_AT_FAILPOINT` names a step that is skipped each time.

#[cfg(debug_assertions)]
mod chosen {
    use nix::sys::signal::{Signal, kill, raise};
    use nix::unistd::Pid;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A point, and how many passes are left.
    type Point = LazyLock<Option<(String, AtomicU32)>>;

    static DEATH: Point = LazyLock::new(|| named_by("DIE_AT_FAILPOINT"));
    static SUSPENSION: Point = LazyLock::new(|| named_by("SUSPEND_AT_FAILPOINT"));
    static SKIPPED: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("SKIP_AT_FAILPOINT").ok());

    fn named_by(variable: &str) -> Option<(String, AtomicU32)> {
        let text = std::env::var(variable).ok()?;
        let (name, visit) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU32::new(visit.parse().ok()?)))
    }

    fn is_due(point: &Point, name: &str) -> bool {
        point.as_ref().is_some_and(|(chosen, visits_left)| {
            chosen == name && visits_left.fetch_sub(1, Ordering::Relaxed) == 1
        })
    }

    /// Passes a failpoint, or is killed or suspended there.
    pub(crate) fn reach(name: &str) {
        if is_due(&SUSPENSION, name) {
            // Sent to this thread: another one might take a signal of the process while this one goes on.
            let _ = raise(Signal::SIGSTOP);
        }
        if is_due(&DEATH, name) {
            let _ = kill(Pid::this(), Signal::SIGKILL);
            // The signal is on its way to every thread; this one must do nothing more.
            loop {
                std::thread::park();
            }
        }
    }

    /// Whether a step is to be skipped.
    pub(crate) fn is_skipped(name: &str) -> bool {
        SKIPPED.as_deref() == Some(name)
    }
}

#[cfg(debug_assertions)]
pub(crate) use chosen::{is_skipped, reach};

/// Passes a failpoint.
#[cfg(not(debug_assertions))]
pub(crate) fn reach(_name: &str) {}

/// Whether a step is to be skipped: never.
#[cfg(not(debug_assertions))]
pub(crate) const fn is_skipped(_name: &str) -> bool {
    false
}
