//! Communication with the service manager (sd_notify(3), sd_listen_fds(3)).
//!
//! `cli` takes inherited sockets, `service` reports readiness and state. Without a service manager
//! every call does nothing. The watchdog is notified only after the dispatcher has replied, so that
//! a stuck dispatcher leads to a restart even if the rest of the process works.

use crate::dispatcher::{Dispatcher, DispatcherStopped, Health};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::env;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often the status line is updated.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Watchdog notifications per period; sd_watchdog_enabled(3) requires at least two.
const NOTIFICATIONS_PER_PERIOD: u32 = 3;

/// How long the service manager waits for the next notification of a start that waits.
const START_EXTENSION: Duration = Duration::from_secs(60);

/// `FileDescriptorName=` of the operators' socket (systemd.socket(5)).
pub(crate) const OPERATOR_SOCKET: &str = "operator";

const MIB: u64 = 1 << 20;

/// Why an inherited socket cannot be used; the socket unit has to be corrected.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Two sockets for the same listener.
    #[error(
        "two sockets were passed for the {0} listener; pass one for the public listener and one for \
         the operator listener (ListenStream=, and FileDescriptorName=operator for the latter)"
    )]
    Several(&'static str),
    /// Not a listening TCP socket.
    #[error(
        "the socket passed to the service cannot be used: {0}; ListenStream= takes ADDRESS:PORT"
    )]
    NotTcp(#[source] io::Error),
}

/// The sockets that the service manager passed.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// The public listener's: any socket that is not named [`OPERATOR_SOCKET`].
    pub public: Option<TcpListener>,
    /// The operator listener's: the socket named [`OPERATOR_SOCKET`].
    pub operators: Option<TcpListener>,
}

impl Inherited {
    fn add(&mut self, name: Option<&str>, socket: TcpListener) -> Result<(), SocketError> {
        let (slot, listener) = match name {
            Some(OPERATOR_SOCKET) => (&mut self.operators, "operator"),
            _ => (&mut self.public, "public"),
        };
        match slot.replace(socket) {
            None => Ok(()),
            Some(_) => Err(SocketError::Several(listener)),
        }
    }
}

/// The passed sockets, each taken once and closed on exec.
///
/// Must be called while the process has one thread, because it changes the environment.
///
/// # Errors
/// If one of them is not a TCP socket, or two are for the same listener.
pub(crate) fn inherited_listeners() -> Result<Inherited, SocketError> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let mut passed = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for index in 0..passed.len() {
        if let Some(socket) = passed.take_tcp_listener(index).map_err(SocketError::NotTcp)? {
            socket.set_nonblocking(true).map_err(SocketError::NotTcp)?;
            inherited.add(names.get(index).copied(), socket)?;
        }
    }
    Ok(inherited)
}

/// Reports that the service has started, or that a new configuration is in effect.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Reports what the start waits for, which takes longer than a start may.
pub(crate) fn waiting(what: &str) {
    let longer_us = u32::try_from(START_EXTENSION.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::Status(what), NotifyState::ExtendTimeoutUsec(longer_us)]);
}

/// Reports that the configuration is being reloaded; [`ready`] reports the end of it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the clock"),
    }
}

/// Reports that the service is stopping.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping: waiting for running jobs")]);
}

/// Reports the state of the dispatcher until the task is aborted.
pub(crate) fn report_on(dispatcher: Dispatcher) -> JoinHandle<()> {
    tokio::spawn(async move {
        if env::var_os("NOTIFY_SOCKET").is_some() {
            let period = sd_notify::watchdog_enabled();
            let query = || {
                let dispatcher = dispatcher.clone();
                async move { dispatcher.health().await }
            };
            report(period, query, notify).await;
        }
    })
}

/// Queries the dispatcher periodically and reports its state. Returns when it has stopped.
///
/// A reply has no deadline: a late one is reported late, and the watchdog of the service manager
/// measures the time in between.
async fn report<Reply: Future<Output = Result<Health, DispatcherStopped>>>(
    watchdog: Option<Duration>,
    query: impl Fn() -> Reply,
    notify: impl Fn(&[NotifyState]),
) {
    let mut ticks = interval(query_interval(watchdog));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = String::new();
    loop {
        ticks.tick().await;
        let Ok(health) = query().await else { return };
        let status = status_line(&health);
        let mut messages = Vec::new();
        if watchdog.is_some() {
            messages.push(NotifyState::Watchdog);
        }
        if status != reported {
            messages.push(NotifyState::Status(&status));
        }
        if !messages.is_empty() {
            notify(&messages);
        }
        reported = status;
    }
}

/// Interval of the queries: short enough for the status line and for the watchdog.
fn query_interval(watchdog: Option<Duration>) -> Duration {
    let interval = watchdog
        .map_or(STATUS_INTERVAL, |period| STATUS_INTERVAL.min(period / NOTIFICATIONS_PER_PERIOD));
    interval.max(Duration::from_millis(1))
}

fn notify(messages: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(messages) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// The status line of `systemctl status`.
fn status_line(health: &Health) -> String {
    let state = format!(
        "{} running, {} queued, {}/{} MiB reserved",
        health.jobs.processing,
        health.jobs.pending,
        health.reserved_bytes / MIB,
        health.budget_bytes / MIB,
    );
    match health.reason {
        None => state,
        Some(reason) => format!("{state}; not accepting uploads: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RawConfig};
    use crate::dispatcher::Counts;
    use crate::store::Pressure;
    use std::cell::{Cell, RefCell};
    use std::future::{pending, ready};
    use tokio::time::timeout;

    const PERIOD: Option<Duration> = Some(Duration::from_millis(3));

    fn health(processing: usize) -> Health {
        Health {
            is_ready: true,
            reason: None,
            workers: 2,
            standby: Vec::new(),
            jobs: Counts { processing, pending: 3, ..Counts::default() },
            uploads: 0,
            reserved_bytes: 412 * MIB,
            budget_bytes: 2048 * MIB,
            workers_rss_bytes: 0,
            pressure: Pressure::default(),
            service_time_ms: 0,
            shared_journal: None,
        }
    }

    #[test]
    fn the_status_line_reports_jobs_and_why_uploads_are_refused() {
        let line = "2 running, 3 queued, 412/2048 MiB reserved";
        assert_eq!(status_line(&health(2)), line);
        let full = Health { reason: Some("the queue is full"), ..health(2) };
        assert_eq!(status_line(&full), format!("{line}; not accepting uploads: the queue is full"));
    }

    const UNIT: &str = include_str!("../../../systemd/bodyscript.service");

    fn setting<'a>(unit: &'a str, key: &str) -> &'a str {
        let value = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("{key} is set"))
    }

    #[test]
    fn the_stop_timeout_of_the_unit_covers_every_stage_of_a_stop() {
        let config = Config::resolve(RawConfig::default()).expect("valid");
        let limit = setting(UNIT, "TimeoutStopSec").strip_suffix('s').expect("seconds");
        let limit = Duration::from_secs(limit.parse().expect("a number"));
        let stages = 3 * config.deadlines.grace;
        let taken = config.drain_max.max(config.stop_delay)
            + stages
            + crate::http::connections::server::CLOSING_MAX;
        assert!(limit > taken + Duration::from_secs(10), "{taken:?} of {limit:?}");
    }

    #[test]
    fn the_socket_units_have_the_default_addresses() {
        let socket = include_str!("../../../systemd/bodyscript.socket");
        let config = Config::resolve(RawConfig::default()).expect("valid");
        assert_eq!(setting(socket, "ListenStream"), config.listen.to_string());
        let socket = include_str!("../../../systemd/bodyscript-operator.socket");
        let operators = config.operator_listen.expect("on").to_string();
        assert_eq!(setting(socket, "ListenStream"), operators);
        assert_eq!(setting(socket, "FileDescriptorName"), OPERATOR_SOCKET);
    }

    #[test]
    fn a_socket_is_public_unless_it_is_named_operator() {
        let socket = || TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        for name in [None, Some("unknown"), Some("bodyscript.socket"), Some("operators")] {
            let mut inherited = Inherited::default();
            inherited.add(name, socket()).expect("the first");
            assert!(inherited.public.is_some() && inherited.operators.is_none(), "{name:?}");
            inherited.add(Some("operator"), socket()).expect("the other");
            assert!(inherited.operators.is_some());
            for again in [name, Some("operator")] {
                let error = inherited.add(again, socket()).expect_err("a third");
                assert!(matches!(error, SocketError::Several(_)), "{error}");
            }
        }
    }

    #[test]
    fn the_query_interval_is_well_within_the_watchdog_period() {
        let ms = Duration::from_millis;
        assert_eq!(query_interval(None), ms(1000));
        assert_eq!(query_interval(Some(ms(30_000))), ms(1000));
        assert_eq!(query_interval(Some(ms(90))), ms(30));
        assert_eq!(query_interval(Some(ms(0))), ms(1));
    }

    #[tokio::test]
    async fn every_reply_notifies_the_watchdog_and_only_changes_update_the_status() {
        let replies = Cell::new(0);
        let notified = RefCell::new(Vec::new());
        let query = || {
            replies.set(replies.get() + 1);
            ready(match replies.get() {
                1 | 2 => Ok(health(1)),
                3 => Ok(health(2)),
                _ => Err(DispatcherStopped),
            })
        };
        let notify = |messages: &[NotifyState]| {
            notified.borrow_mut().extend(messages.iter().map(ToString::to_string));
        };
        report(PERIOD, query, notify).await;
        let status = |n| format!("STATUS={n} running, 3 queued, 412/2048 MiB reserved");
        let watchdog = || "WATCHDOG=1".to_owned();
        assert_eq!(
            notified.into_inner(),
            [watchdog(), status(1), watchdog(), watchdog(), status(2)]
        );
    }

    #[tokio::test]
    async fn a_stuck_dispatcher_does_not_notify_the_watchdog() {
        let notifications = Cell::new(0);
        let query = || async {
            if notifications.get() > 0 {
                pending::<()>().await;
            }
            Ok(health(1))
        };
        let reporting = report(PERIOD, query, |_| notifications.set(notifications.get() + 1));
        timeout(Duration::from_millis(100), reporting).await.expect_err("it waits for a reply");
        assert_eq!(notifications.get(), 1);
    }
}
