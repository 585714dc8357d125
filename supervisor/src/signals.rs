//! Signals from the operator, as a wish to stop: SIGTERM or SIGINT once lets jobs under way
//! finish, a second one ends them.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often the end was asked for, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    None,
    Requested,
    Insisted,
}

/// A wish to stop, to be awaited.
#[derive(Debug, Clone)]
pub struct Shutdown {
    urgency: watch::Receiver<Urgency>,
}

/// Makes the wish known: what a test uses in place of signals.
#[derive(Debug)]
pub struct ShutdownSwitch {
    urgency: watch::Sender<Urgency>,
}

impl Shutdown {
    /// A wish that somebody else can make known. Dropping the switch asks for the end.
    pub fn by_switch() -> (ShutdownSwitch, Self) {
        let (sender, urgency) = watch::channel(Urgency::None);
        (ShutdownSwitch { urgency: sender }, Self { urgency })
    }

    /// A wish made known by SIGTERM and SIGINT.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn by_signals() -> io::Result<Self> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let (switch, shutdown) = Self::by_switch();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = term.recv() => tracing::info!("SIGTERM"),
                    _ = int.recv() => tracing::info!("SIGINT"),
                }
                switch.ask();
            }
        });
        Ok(shutdown)
    }

    /// Returns once the end was asked for.
    pub async fn requested(&mut self) {
        self.reaches(Urgency::Requested).await;
    }

    /// Returns once the end was asked for twice.
    pub async fn insisted(&mut self) {
        self.reaches(Urgency::Insisted).await;
    }

    async fn reaches(&mut self, least: Urgency) {
        // An error means that nobody can ask any more, which asks for the end as well.
        let _ = self.urgency.wait_for(|urgency| *urgency >= least).await;
    }
}

impl ShutdownSwitch {
    /// Asks for the end; a second time, urgently.
    pub fn ask(&self) {
        self.urgency.send_modify(|urgency| {
            *urgency = match urgency {
                Urgency::None => Urgency::Requested,
                Urgency::Requested | Urgency::Insisted => Urgency::Insisted,
            };
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn the_first_wish_is_a_request_and_the_second_insists() {
        let (switch, mut shutdown) = Shutdown::by_switch();
        assert!(shutdown.requested().now_or_never().is_none());
        switch.ask();
        assert!(shutdown.requested().now_or_never().is_some());
        assert!(shutdown.insisted().now_or_never().is_none());
        switch.ask();
        assert!(shutdown.insisted().now_or_never().is_some());
    }
}
