//! Receives signals. The first SIGTERM or SIGINT requests a graceful stop, the second one an
//! immediate stop; SIGHUP, SIGUSR1 and SIGUSR2 are commands for `operations`.
//!
//! Only forwards them; `service` and `operations` act on them.

use crate::ops::commands::OperatorCommand;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Capacity of the command channel; signals beyond it are dropped, as the same command is queued.
const COMMANDS_MAX: usize = 8;

/// How urgently a stop is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    None,
    Requested,
    Immediate,
}

/// Receives stop requests.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    urgency: watch::Receiver<Urgency>,
}

/// Sends stop requests.
#[derive(Debug, Clone)]
pub(crate) struct ShutdownSender {
    urgency: watch::Sender<Urgency>,
}

/// Everything that signals request.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Stop requests.
    pub shutdown: Shutdown,
    /// Sends a stop request.
    pub shutdown_sender: ShutdownSender,
    /// Other commands.
    pub commands: mpsc::Receiver<OperatorCommand>,
}

impl Signals {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// If a handler cannot be installed.
    pub(crate) fn install() -> io::Result<Self> {
        let (shutdown_sender, shutdown) = Shutdown::channel();
        shutdown_sender.send_on_signals()?;
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        for (kind, name, command) in [
            (SignalKind::hangup(), "SIGHUP", OperatorCommand::Reload),
            (SignalKind::user_defined1(), "SIGUSR1", OperatorCommand::RestartWorkers),
            (SignalKind::user_defined2(), "SIGUSR2", OperatorCommand::Report),
        ] {
            tokio::spawn(forward(signal(kind)?, name, command, sender.clone()));
        }
        Ok(Self { shutdown, shutdown_sender, commands })
    }
}

async fn forward(
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
    /// A pair of sender and receiver. Dropping all senders requests a stop.
    pub(crate) fn channel() -> (ShutdownSender, Self) {
        let (sender, urgency) = watch::channel(Urgency::None);
        (ShutdownSender { urgency: sender }, Self { urgency })
    }

    /// Stop requests by SIGTERM and SIGINT.
    ///
    /// # Errors
    /// If a handler cannot be installed.
    pub(crate) fn from_signals() -> io::Result<Self> {
        let (shutdown_sender, shutdown) = Self::channel();
        shutdown_sender.send_on_signals()?;
        Ok(shutdown)
    }

    /// Waits for the first stop request.
    pub(crate) async fn requested(&mut self) {
        self.wait_for(Urgency::Requested).await;
    }

    /// Waits for the second stop request.
    pub(crate) async fn requested_twice(&mut self) {
        self.wait_for(Urgency::Immediate).await;
    }

    async fn wait_for(&mut self, least: Urgency) {
        // An error means that all senders are dropped, which requests a stop.
        let _ = self.urgency.wait_for(|urgency| *urgency >= least).await;
    }
}

impl ShutdownSender {
    /// Requests a stop; the second time, an immediate one.
    pub(crate) fn request(&self) {
        self.urgency.send_modify(|urgency| {
            *urgency = match urgency {
                Urgency::None => Urgency::Requested,
                Urgency::Requested | Urgency::Immediate => Urgency::Immediate,
            };
        });
    }

    fn send_on_signals(&self) -> io::Result<()> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let shutdown_sender = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = term.recv() => tracing::info!("SIGTERM"),
                    _ = int.recv() => tracing::info!("SIGINT"),
                }
                shutdown_sender.request();
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
    async fn the_first_request_is_graceful_and_the_second_immediate() {
        let (shutdown_sender, mut shutdown) = Shutdown::channel();
        assert!(shutdown.requested().now_or_never().is_none());
        shutdown_sender.request();
        assert!(shutdown.requested().now_or_never().is_some());
        assert!(shutdown.requested_twice().now_or_never().is_none());
        shutdown_sender.request();
        assert!(shutdown.requested_twice().now_or_never().is_some());
    }
}
