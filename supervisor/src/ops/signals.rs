//! Signals from the operator, as wishes. SIGTERM or SIGINT once lets jobs under way finish, a
//! second one ends them; SIGHUP, SIGUSR1 and SIGUSR2 are orders to `operations`.
//!
//! Only made known here; what they mean is carried out elsewhere.

use crate::ops::commands::OperatorCommand;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Orders that may wait; beyond, a signal that is already waiting says it all.
const ORDERS_MAX: usize = 8;

/// How often the end was asked for, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    None,
    Requested,
    Insisted,
}

/// A wish to stop, to be awaited.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    urgency: watch::Receiver<Urgency>,
}

/// Makes the wish known: by a signal, or by whoever has the switch.
#[derive(Debug, Clone)]
pub(crate) struct ShutdownSwitch {
    urgency: watch::Sender<Urgency>,
}

/// Everything an operator may want of a running service.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Its end.
    pub shutdown: Shutdown,
    /// The way to ask for its end.
    pub switch: ShutdownSwitch,
    /// Anything else.
    pub commands: mpsc::Receiver<OperatorCommand>,
}

impl Signals {
    /// What signals say from now on.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub(crate) fn by_signals() -> io::Result<Self> {
        let (switch, shutdown) = Shutdown::by_switch();
        switch.listen()?;
        let (sender, commands) = mpsc::channel(ORDERS_MAX);
        for (kind, name, command) in [
            (SignalKind::hangup(), "SIGHUP", OperatorCommand::Reload),
            (SignalKind::user_defined1(), "SIGUSR1", OperatorCommand::RestartWorkers),
            (SignalKind::user_defined2(), "SIGUSR2", OperatorCommand::Report),
        ] {
            tokio::spawn(pass_on(signal(kind)?, name, command, sender.clone()));
        }
        Ok(Self { shutdown, switch, commands })
    }
}

async fn pass_on(
    mut signal: Signal,
    name: &'static str,
    command: OperatorCommand,
    commands: mpsc::Sender<OperatorCommand>,
) {
    while signal.recv().await.is_some() {
        tracing::info!("{name}");
        let _ = commands.try_send(command.clone());
    }
}

impl Shutdown {
    /// A wish that somebody else can make known. Dropping the switch asks for the end.
    pub(crate) fn by_switch() -> (ShutdownSwitch, Self) {
        let (sender, urgency) = watch::channel(Urgency::None);
        (ShutdownSwitch { urgency: sender }, Self { urgency })
    }

    /// A wish made known by SIGTERM and SIGINT.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub(crate) fn by_signals() -> io::Result<Self> {
        let (switch, shutdown) = Self::by_switch();
        switch.listen()?;
        Ok(shutdown)
    }

    /// Returns once the end was asked for.
    pub(crate) async fn requested(&mut self) {
        self.reaches(Urgency::Requested).await;
    }

    /// Returns once the end was asked for twice.
    pub(crate) async fn insisted(&mut self) {
        self.reaches(Urgency::Insisted).await;
    }

    async fn reaches(&mut self, least: Urgency) {
        // An error means that nobody can ask any more, which asks for the end as well.
        let _ = self.urgency.wait_for(|urgency| *urgency >= least).await;
    }
}

impl ShutdownSwitch {
    /// Asks for the end; a second time, urgently.
    pub(crate) fn ask(&self) {
        self.urgency.send_modify(|urgency| {
            *urgency = match urgency {
                Urgency::None => Urgency::Requested,
                Urgency::Requested | Urgency::Insisted => Urgency::Insisted,
            };
        });
    }

    fn listen(&self) -> io::Result<()> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let switch = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = term.recv() => tracing::info!("SIGTERM"),
                    _ = int.recv() => tracing::info!("SIGINT"),
                }
                switch.ask();
            }
        });
        Ok(())
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
