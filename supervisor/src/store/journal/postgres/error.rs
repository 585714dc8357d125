//! Why the database of a shared journal cannot be used, and whether that may pass.

use crate::store::error::StateError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is wrong.
    #[error("`journal_url` is not the URL of a database: {0}")]
    Address(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The password cannot be read.
    #[error("`journal_password_file` {}: {source}", path.display())]
    Password {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// There is no connection.
    #[error(
        "the database of `journal_url` cannot be connected to: {}; {}",
        chain(source),
        remedy(source)
    )]
    Connect {
        /// The error.
        source: tokio_postgres::Error,
    },
    /// It is too old.
    #[error(
        "the database of `journal_url` is PostgreSQL {major}; at least 15 is needed: upgrade it, or use another"
    )]
    TooOld {
        /// Its major version.
        major: i32,
    },
    /// A newer version of this program changed its tables.
    #[error(
        "the tables of `journal_url` are of version {0}, which a newer bodyscript made; start that one"
    )]
    Newer(i32),
    /// The state folder has jobs that are not in the database.
    #[error(
        "{} has a journal of its own, whose jobs would no longer be found: choose another state_dir, or remove the file",
        .0.display()
    )]
    OwnJournal(PathBuf),
    /// The certificates that the host trusts cannot be used.
    #[error("cannot use the certificates of this host: {0}")]
    Certificates(String),
    /// An operation failed.
    #[error("the database of `journal_url`: {what} failed: {}", chain(source))]
    Step {
        /// The operation.
        what: &'static str,
        /// The error.
        source: tokio_postgres::Error,
    },
    /// An operation took too long.
    #[error(
        "the database of `journal_url` did not answer for {} s; look at its load and its log", .0.as_secs()
    )]
    Silent(Duration),
    /// The last run cannot be noted.
    #[error(transparent)]
    State(#[from] StateError),
}

/// An error with its causes: those of the driver have the reason in them.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What an operator can do about a connection that fails.
fn remedy(error: &tokio_postgres::Error) -> &'static str {
    match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            "check the role in `journal_url`, its password in `journal_password_file`, and pg_hba.conf of the server"
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => "create it, or correct its name in `journal_url`",
        Some(&SqlState::TOO_MANY_CONNECTIONS) => {
            "raise `max_connections` of the server: each host needs two"
        }
        Some(&SqlState::CANNOT_CONNECT_NOW) => "it is starting or stopping; try again",
        Some(_) => "the log of the server has the cause",
        // The driver has none when the server asks for it.
        None if chain(error).contains("password missing") => "set `journal_password_file`",
        None => {
            "start it, or correct host and port in `journal_url`, and let no firewall keep this host away"
        }
    }
}

impl DatabaseError {
    /// Whether the statement may succeed later, on another connection.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Silent(_) => true,
            Self::Step { source, .. } => {
                source.code().is_none_or(|code| !is_fault_of_statement(code))
            }
            _ => false,
        }
    }

    /// Whether it does not pass without an operator: the role, its password, its rights, the database or a
    /// certificate is wrong. A start then ends. A service that runs waits also for these, because somebody may be
    /// about to mend them.
    pub(crate) fn needs_operator(&self) -> bool {
        match self {
            Self::Connect { source } | Self::Step { source, .. } => match source.code() {
                Some(code) => is_of_class(code, &["28", "3D", "42"]),
                // The network, or a server that has just ended. What else the driver says is of TLS or of the URL.
                None => {
                    !source.is_closed()
                        && !std::error::Error::source(source).is_some_and(is_of_network)
                }
            },
            Self::Silent(_) => false,
            _ => true,
        }
    }
}

/// A certificate that is refused is an error of this kind too.
fn is_of_network(cause: &(dyn std::error::Error + 'static)) -> bool {
    let cause = cause.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() != io::ErrorKind::InvalidData)
}

/// Whether the statement itself is wrong, by the class of the error (PostgreSQL, appendix A): data, constraints,
/// permissions and syntax.
fn is_fault_of_statement(code: &SqlState) -> bool {
    is_of_class(code, &["22", "23", "42"])
}

fn is_of_class(code: &SqlState, classes: &[&str]) -> bool {
    classes.iter().any(|class| code.code().starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::{Config, NoTls};

    fn refused(url: &str) -> DatabaseError {
        let config: Config = url.parse().expect("a URL");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let connected = runtime.expect("a runtime").block_on(config.connect(NoTls)).map(drop);
        DatabaseError::Connect { source: connected.expect_err("nothing listens there") }
    }

    #[test]
    fn a_start_waits_for_the_network_and_not_for_an_operator() {
        let port = {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
            listener.local_addr().expect("an address").port()
        };
        let away = refused(&format!("postgres://a@127.0.0.1:{port}/b"));
        assert!(away.may_pass() && !away.needs_operator(), "{away}");
        let silent = DatabaseError::Silent(Duration::from_secs(1));
        assert!(silent.may_pass() && !silent.needs_operator());
        assert!(DatabaseError::Newer(7).needs_operator());
    }
}
