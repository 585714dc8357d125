//! Looks at the database of a shared journal without changing it, for `bodyscript doctor`.

use crate::store::journal::postgres::connection::Address;
use crate::store::journal::postgres::schema::{SCHEMA, VERSION};
use crate::store::journal::postgres::session::{Result, answer};
use crate::store::journal::postgres::{DatabaseError, SharedJournalConfig};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Client;

/// What was seen of the database.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inspected {
    /// The version of the server, as it names it.
    pub server: String,
    /// The duration of one round trip.
    pub latency: Duration,
    /// The tables.
    pub tables: TablesSeen,
    /// The names of the hosts that share the journal.
    pub hosts: Vec<String>,
    /// The age of the oldest open transaction whose age the role may see; zero if there is none.
    pub oldest_transaction: Duration,
    /// How many sessions of other roles have an open transaction of an age that the role may not see.
    pub hidden_transactions: u64,
    /// How far the clock of this host is ahead of that of the database, in seconds.
    pub clock_ahead_s: f64,
}

/// The state of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TablesSeen {
    /// A host can use tables of this version.
    Present(i32),
    /// The next start of a host migrates tables of this version.
    Older(i32),
    /// The next start of a host creates them.
    Absent,
    /// There are none, and the role may not create them.
    Forbidden,
}

/// Connects and looks at the database.
///
/// # Errors
/// If it cannot be used.
pub(crate) async fn inspect(settings: &SharedJournalConfig) -> Result<Inspected> {
    let (client, task) = Address::of(settings)?.connect().await?;
    let inspected = look(&client).await;
    task.abort();
    inspected
}

async fn look(client: &Client) -> Result<Inspected> {
    let (server, latency, clock_ahead_s) = measure(client).await?;
    let tables = tables(client).await?;
    let hosts = match tables {
        TablesSeen::Present(_) | TablesSeen::Older(_) => hosts(client).await?,
        TablesSeen::Absent | TablesSeen::Forbidden => Vec::new(),
    };
    let (oldest_transaction, hidden_transactions) = transactions(client).await?;
    Ok(Inspected {
        server,
        latency,
        tables,
        hosts,
        oldest_transaction,
        hidden_transactions,
        clock_ahead_s,
    })
}

/// The version of the server, the duration of a round trip, and how far the clock of this host is ahead.
async fn measure(client: &Client) -> Result<(String, Duration, f64)> {
    let sql =
        "SELECT current_setting('server_version'), extract(epoch FROM clock_timestamp())::float8";
    // Prepared, so that it is one round trip.
    let statement = answer("reading the version", client.prepare(sql)).await?;
    let (asked, asked_at) = (Instant::now(), Timestamp::now());
    let row = answer("reading the version", client.query_one(&statement, &[])).await?;
    let latency = asked.elapsed();
    let here_s = asked_at.as_duration().as_secs_f64() + latency.as_secs_f64() / 2.0;
    Ok((row.get(0), latency, here_s - row.get::<_, f64>(1)))
}

async fn tables(client: &Client) -> Result<TablesSeen> {
    let sql = format!(
        "SELECT to_regclass('{SCHEMA}.versions') IS NOT NULL,
             to_regnamespace('{SCHEMA}') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE')"
    );
    let row = answer("looking for the tables", client.query_one(&sql, &[])).await?;
    match (row.get(0), row.get(1)) {
        (true, _) => {}
        (false, true) => return Ok(TablesSeen::Absent),
        (false, false) => return Ok(TablesSeen::Forbidden),
    }
    let sql = format!(
        "SELECT coalesce(max(version), 0), coalesce(max(program_min), 0) FROM {SCHEMA}.versions"
    );
    let row = answer("reading the version of the tables", client.query_one(&sql, &[])).await?;
    let (version, program_min): (i32, i32) = (row.get(0), row.get(1));
    match () {
        () if program_min > VERSION => Err(DatabaseError::Newer(version)),
        () if version < VERSION => Ok(TablesSeen::Older(version)),
        () => Ok(TablesSeen::Present(version)),
    }
}

async fn hosts(client: &Client) -> Result<Vec<String>> {
    let sql = format!("SELECT name FROM {SCHEMA}.hosts ORDER BY name, id");
    let rows = answer("reading the hosts", client.query(&sql, &[])).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The age of the oldest open transaction, and how many have an age that the role may not see. A transaction of another
/// database counts once it has written: hosts read again what was changed since the oldest of these began.
async fn transactions(client: &Client) -> Result<(Duration, u64)> {
    let sql = "WITH open AS (
                   SELECT xact_start AS since, backend_xmin IS NOT NULL OR backend_xid IS NOT NULL AS is_open
                   FROM pg_stat_activity
                   -- The type of sessions of other roles may be hidden too.
                   WHERE pid <> pg_backend_pid() AND usesysid IS NOT NULL
                       AND coalesce(backend_type, 'client backend') = 'client backend'
                       AND (datname = current_database() OR backend_xid IS NOT NULL)
                   UNION ALL
                   SELECT prepared, true FROM pg_prepared_xacts
               )
               SELECT coalesce(max(extract(epoch FROM clock_timestamp() - since)), 0)::float8,
                   count(*) FILTER (WHERE since IS NULL AND is_open)
               FROM open";
    let row = answer("looking for open transactions", client.query_one(sql, &[])).await?;
    let oldest = Duration::try_from_secs_f64(row.get(0)).unwrap_or_default();
    Ok((oldest, row.get::<_, i64>(1).unsigned_abs()))
}
