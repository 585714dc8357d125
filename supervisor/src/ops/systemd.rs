//! What the service and the service manager tell each other (sd_notify(3), sd_listen_fds(3)).
//!
//! `cli` asks for inherited sockets, `run` tells how the service is. Without a service manager
//! every call does nothing. A sign of life goes out only after the dispatcher has answered a
//! question, so that a stuck dispatcher is restarted however lively the rest of the process is.

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

/// How often the status line is looked at.
const BEAT: Duration = Duration::from_secs(1);

/// Signs of life in each watchdog period; sd_watchdog_enabled(3) asks for two at least.
const SIGNS_PER_PERIOD: u32 = 3;

/// What `FileDescriptorName=` of the operators' socket says (systemd.socket(5)).
pub(crate) const OPERATOR_SOCKET: &str = "operator";

const MIB: u64 = 1 << 20;

/// Why an inherited socket is of no use: the operator's to mend, in the socket unit.
#[derive(Debug, Error)]
pub enum SocketError {
    /// More than one for the same clients.
    #[error(
        "two sockets were passed to the service for {0}; it listens on one for everybody and one \
         for operators (ListenStream=, and FileDescriptorName=operator for the latter)"
    )]
    Several(&'static str),
    /// Not one to accept TCP connections from.
    #[error("the socket passed to the service is of no use: {0}; ListenStream= takes ADDRESS:PORT")]
    NotTcp(#[source] io::Error),
}

/// The sockets that the service manager holds for this service.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// The one for everybody: any that is not the other.
    pub public: Option<TcpListener>,
    /// The one named [`OPERATOR_SOCKET`].
    pub operators: Option<TcpListener>,
}

impl Inherited {
    fn add(&mut self, name: Option<&str>, socket: TcpListener) -> Result<(), SocketError> {
        let (place, whom) = match name {
            Some(OPERATOR_SOCKET) => (&mut self.operators, "operators"),
            _ => (&mut self.public, "everybody"),
        };
        match place.replace(socket) {
            None => Ok(()),
            Some(_) => Err(SocketError::Several(whom)),
        }
    }
}

/// The sockets that were passed, each taken once and closed in every program this one starts.
///
/// To be called while the process has one thread: it clears variables of the environment.
///
/// # Errors
/// When one of them is no TCP socket, or two are for the same clients.
pub(crate) fn inherited_listeners() -> Result<Inherited, SocketError> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let mut passed = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for place in 0..passed.len() {
        if let Some(socket) = passed.take_tcp_listener(place).map_err(SocketError::NotTcp)? {
            socket.set_nonblocking(true).map_err(SocketError::NotTcp)?;
            inherited.add(names.get(place).copied(), socket)?;
        }
    }
    Ok(inherited)
}

/// Tells that the service has started, or that a new configuration is in force.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells that the service takes in a new configuration; [`ready`] ends that.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the clock"),
    }
}

/// Tells that the service is about to end.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: waiting for running jobs")]);
}

/// Tells, until it is aborted, how the dispatcher says it is.
pub(crate) fn report_on(dispatcher: Dispatcher) -> JoinHandle<()> {
    tokio::spawn(async move {
        if env::var_os("NOTIFY_SOCKET").is_some() {
            let period = sd_notify::watchdog_enabled();
            let ask = || {
                let dispatcher = dispatcher.clone();
                async move { dispatcher.health().await }
            };
            report(period, ask, tell).await;
        }
    })
}

/// Asks again and again, and passes the answers on. Ends when nobody is left to answer.
///
/// There is no deadline on the answer: what comes late is told late, and the service manager
/// counts the time in between.
async fn report<Answer: Future<Output = Result<Health, DispatcherStopped>>>(
    watchdog: Option<Duration>,
    ask: impl Fn() -> Answer,
    tell: impl Fn(&[NotifyState]),
) {
    let mut beats = interval(beat(watchdog));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        beats.tick().await;
        let Ok(health) = ask().await else { return };
        let status = status_line(&health);
        let mut news = Vec::new();
        if watchdog.is_some() {
            news.push(NotifyState::Watchdog);
        }
        if status != told {
            news.push(NotifyState::Status(&status));
        }
        if !news.is_empty() {
            tell(&news);
        }
        told = status;
    }
}

/// How often to ask: often enough for the status line, and for the watchdog.
fn beat(watchdog: Option<Duration>) -> Duration {
    let beat = watchdog.map_or(BEAT, |period| BEAT.min(period / SIGNS_PER_PERIOD));
    beat.max(Duration::from_millis(1))
}

fn tell(news: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// What `systemctl status` shows.
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
    use crate::store::retention::Pressure;
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
        }
    }

    #[test]
    fn the_status_line_says_what_goes_on_and_why_nothing_does() {
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
    fn the_unit_leaves_time_for_everything_a_stop_takes() {
        let config = Config::resolve(&RawConfig::default()).expect("sound");
        let limit = setting(UNIT, "TimeoutStopSec").strip_suffix('s').expect("seconds");
        let limit = Duration::from_secs(limit.parse().expect("a number"));
        let stages = 3 * config.deadlines.grace;
        let taken = config.drain_max + stages + crate::http::connections::server::CLOSING_MAX;
        assert!(limit > taken + Duration::from_secs(10), "{taken:?} of {limit:?}");
    }

    #[test]
    fn the_socket_is_where_the_service_would_listen_itself() {
        let socket = include_str!("../../../systemd/bodyscript.socket");
        let config = Config::resolve(&RawConfig::default()).expect("sound");
        assert_eq!(setting(socket, "ListenStream"), config.listen.to_string());
        let socket = include_str!("../../../systemd/bodyscript-operator.socket");
        let operators = config.operator_listen.expect("on").to_string();
        assert_eq!(setting(socket, "ListenStream"), operators);
        assert_eq!(setting(socket, "FileDescriptorName"), OPERATOR_SOCKET);
    }

    #[test]
    fn a_socket_is_for_everybody_unless_its_name_says_operator() {
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
    fn signs_come_well_within_the_period() {
        let ms = Duration::from_millis;
        assert_eq!(beat(None), ms(1000));
        assert_eq!(beat(Some(ms(30_000))), ms(1000));
        assert_eq!(beat(Some(ms(90))), ms(30));
        assert_eq!(beat(Some(ms(0))), ms(1));
    }

    #[tokio::test]
    async fn every_answer_is_a_sign_of_life_and_only_news_are_told() {
        let answers = Cell::new(0);
        let told = RefCell::new(Vec::new());
        let ask = || {
            answers.set(answers.get() + 1);
            ready(match answers.get() {
                1 | 2 => Ok(health(1)),
                3 => Ok(health(2)),
                _ => Err(DispatcherStopped),
            })
        };
        let tell = |news: &[NotifyState]| {
            told.borrow_mut().extend(news.iter().map(ToString::to_string));
        };
        report(PERIOD, ask, tell).await;
        let status = |n| format!("STATUS={n} running, 3 queued, 412/2048 MiB reserved");
        let sign = || "WATCHDOG=1".to_owned();
        assert_eq!(told.into_inner(), [sign(), status(1), sign(), sign(), status(2)]);
    }

    #[tokio::test]
    async fn a_stuck_dispatcher_gives_no_sign_of_life() {
        let signs = Cell::new(0);
        let ask = || async {
            if signs.get() > 0 {
                pending::<()>().await;
            }
            Ok(health(1))
        };
        let reporting = report(PERIOD, ask, |_| signs.set(signs.get() + 1));
        timeout(Duration::from_millis(100), reporting).await.expect_err("it waits for an answer");
        assert_eq!(signs.get(), 1);
    }
}
