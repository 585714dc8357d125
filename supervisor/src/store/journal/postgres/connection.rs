//! Opens connections to the database of a journal that hosts share.
//!
//! Connections to another host are encrypted and its certificate is checked, unless `sslmode` in the URL says
//! otherwise.

use crate::store::journal::postgres::{DatabaseError, SharedJournalConfig};
use crate::tls;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Longest time to wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// The oldest supported version of PostgreSQL, as `server_version_num` counts.
const SERVER_MIN: i32 = 150_000;

/// How to connect.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    config: Config,
}

impl Address {
    /// Reads the URL and the password.
    pub(crate) fn of(settings: &SharedJournalConfig) -> Result<Self, DatabaseError> {
        let mut config: Config =
            settings.url.parse().map_err(|error| DatabaseError::Address(Box::new(error)))?;
        if let Some(path) = &settings.password_file {
            let password = std::fs::read_to_string(path)
                .map_err(|source| DatabaseError::Password { path: path.clone(), source })?;
            config.password(password.trim_end_matches(['\r', '\n']));
        }
        let is_local = config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost"
                    || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
            }
        });
        if !settings.url.contains("sslmode=") {
            config.ssl_mode(if is_local { SslMode::Disable } else { SslMode::Require });
        }
        config
            .connect_timeout(CONNECT_MAX)
            .application_name(format!("bodyscript {}", settings.host_name));
        Ok(Self { config })
    }

    /// Opens a connection. The task carries its traffic, and ends with it.
    pub(crate) async fn connect(&self) -> Result<(Client, JoinHandle<()>), DatabaseError> {
        // The driver limits the wait for the connection to each host, not that for the first answer on it.
        let hosts = u32::try_from(self.config.get_hosts().len()).unwrap_or(u32::MAX);
        let limit = CONNECT_MAX.saturating_mul(hosts.saturating_add(1));
        match timeout(limit, self.try_connect()).await {
            Ok(connected) => connected,
            Err(_) => Err(DatabaseError::Silent(limit)),
        }
    }

    async fn try_connect(&self) -> Result<(Client, JoinHandle<()>), DatabaseError> {
        let failed = |source| DatabaseError::Connect { source };
        let (client, task) = match self.config.get_ssl_mode() {
            SslMode::Disable => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
            _ => {
                let refused = |error: rustls::Error| DatabaseError::Certificates(error.to_string());
                let tls = tls::client(tls::native_roots()).map_err(refused)?;
                let connector = MakeRustlsConnect::new(tls);
                let (client, connection) = self.config.connect(connector).await.map_err(failed)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
        };
        let query = "SELECT current_setting('server_version_num')::integer";
        let version: i32 = client.query_one(query, &[]).await.map_err(failed)?.get(0);
        if version < SERVER_MIN {
            return Err(DatabaseError::TooOld { major: version / 10_000 });
        }
        Ok((client, task))
    }
}
