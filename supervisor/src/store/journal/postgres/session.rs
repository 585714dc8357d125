//! One connection to the database, and what can be read and written through it.
//!
//! Every call ends within [`ANSWER_MAX`]. After an error that [`DatabaseError::may_pass`] the session is of no further
//! use; whether the database has executed the statement is not known then, so each can be repeated.

use crate::policy::host::HostId;
use crate::policy::job::{JobId, JobState, Revision};
use crate::policy::poison::{self, CONTENT_EXECUTIONS_MAX};
use crate::policy::verdict::EXECUTIONS_MAX;
use crate::store::failpoint;
use crate::store::journal::postgres::DatabaseError;
use crate::store::journal::postgres::connection::Address;
use crate::store::journal::postgres::document;
use crate::store::journal::postgres::schema::{self, SCHEMA, Tables};
use crate::store::journal::{JobRequest, JobRow, JournalEntry, RemovedPart};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

/// Longest time to wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How long a removed job is kept in the tables, for hosts that cannot reach them.
pub(crate) const REMOVED_KEPT: Duration = Duration::from_secs(24 * 3600);

pub(crate) type Result<T> = std::result::Result<T, DatabaseError>;

/// A job in the tables.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is there.
    Job {
        row: Box<JobRow>,
        /// What the host that processes it is to do.
        request: Option<JobRequest>,
    },
    /// It was removed.
    Removed(JobId),
}

/// What became of an entry.
#[derive(Debug)]
pub(crate) enum Written {
    /// It is written.
    Done,
    /// The job is not as this host knows it: it is as given, or removed.
    Superseded(Option<Found>),
    /// The idempotency key is that of this job.
    KeyTaken(Box<JobRow>),
}

/// Up to which transaction changes were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position(u64);

impl Position {
    /// Whether the other one was read before, from the same database.
    pub(crate) const fn follows(&self, other: &Self) -> bool {
        self.0 >= other.0
    }
}

/// What was changed since a position.
#[derive(Debug)]
pub(crate) struct Changes {
    /// Up to where changes were read.
    pub(crate) position: Position,
    /// The jobs; some may have been read before.
    pub(crate) found: Vec<Found>,
    /// The duration of one round trip; of two at the first look through a connection.
    pub(crate) latency: Duration,
}

/// A connection with the statements that it has prepared.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    task: JoinHandle<()>,
    /// By their text.
    statements: Mutex<HashMap<String, Statement>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const COLUMNS: &str = "id, revision, state, host, request, document::text";

impl Session {
    /// Connects, and migrates the tables if need be.
    pub(crate) async fn open(address: &Address) -> Result<Self> {
        let (mut client, task) = address.connect().await?;
        let tables = answer("the migration of its tables", schema::migrate(&mut client)).await?;
        if let Tables::Newer(version) = tables {
            return Err(DatabaseError::Newer(version));
        }
        let path = format!("SET search_path TO {SCHEMA}");
        answer("the choice of its schema", client.batch_execute(&path)).await?;
        Ok(Self { client, task, statements: Mutex::default() })
    }

    /// A statement, prepared when it is first used: that takes a round trip.
    async fn statement(&self, sql: &str) -> std::result::Result<Statement, tokio_postgres::Error> {
        let known = || self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = known().get(sql).cloned();
        if let Some(prepared) = prepared {
            return Ok(prepared);
        }
        let prepared = self.client.prepare(sql).await?;
        known().insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    pub(crate) async fn query(
        &self,
        what: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        answer(what, async { self.client.query(&self.statement(sql).await?, values).await }).await
    }

    pub(crate) async fn execute(
        &self,
        what: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64> {
        answer(what, async { self.client.execute(&self.statement(sql).await?, values).await }).await
    }

    /// The time of the database, in milliseconds since 1970.
    pub(crate) async fn now_ms(&self) -> Result<i64> {
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let rows = self.query("reading the time", sql, &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }
}

/// Reading.
impl Session {
    /// All jobs, and up to where they were read.
    pub(crate) async fn all(&self) -> Result<(Position, Vec<Found>)> {
        let position = self.position().await?;
        let sql = format!("SELECT {COLUMNS} FROM jobs ORDER BY seq");
        Ok((
            position,
            self.query("reading the jobs", &sql, &[]).await?.iter().filter_map(found).collect(),
        ))
    }

    /// The jobs that were changed.
    pub(crate) async fn changes(&self, since: &Position) -> Result<Changes> {
        let asked = Instant::now();
        let position = self.position().await?;
        let latency = asked.elapsed();
        let sql =
            format!("SELECT {COLUMNS} FROM jobs WHERE changed >= $1::text::xid8 ORDER BY seq");
        let rows = self.query("reading changes", &sql, &[&since.0.to_string()]).await?;
        Ok(Changes { position, found: rows.iter().filter_map(found).collect(), latency })
    }

    /// The first transaction that may be in progress: changes of all before it are visible.
    async fn position(&self) -> Result<Position> {
        let sql = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text";
        let rows = self.query("reading the position", sql, &[]).await?;
        let text: Option<String> = rows.first().map(|row| row.get(0));
        Ok(Position(text.and_then(|text| text.parse().ok()).unwrap_or(0)))
    }

    /// The crashes by execution: all, or those that were changed.
    pub(crate) async fn poison(&self, since: Option<&Position>) -> Result<Vec<(String, u32)>> {
        let since = since.map_or(0, |since| since.0).to_string();
        let sql = "SELECT execution, crashes FROM poison WHERE changed >= $1::text::xid8 ORDER BY changed";
        let rows = self.query("reading the crashes", sql, &[&since]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<_, i32>(1) as u32)).collect())
    }

    /// What was told of running attempts.
    pub(crate) async fn progress(&self, since: &Position) -> Result<Vec<(JobId, String)>> {
        let sql = "SELECT job, document FROM progress WHERE changed >= $1::text::xid8";
        let rows = self.query("reading progress", sql, &[&since.0.to_string()]).await?;
        let told = |row: &Row| Some((row.get::<_, &str>(0).parse().ok()?, row.get(1)));
        Ok(rows.iter().filter_map(told).collect())
    }

    async fn job(&self, id: JobId) -> Result<Option<Found>> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1");
        Ok(self.query("reading a job", &sql, &[&id.to_string()]).await?.first().and_then(found))
    }
}

/// Writing.
impl Session {
    /// Writes an entry of this host.
    pub(crate) async fn write(&self, entry: &JournalEntry, host: HostId) -> Result<Written> {
        match entry {
            JournalEntry::Job(row) if row.job.replaced == Revision::NONE => self.insert(row).await,
            JournalEntry::Job(row) => self.change(row).await,
            JournalEntry::Removed { job, part: RemovedPart::Job, known, .. } => {
                self.remove(*job, *known).await
            }
            JournalEntry::Request { job, request } => self.request(*job, *request).await,
            JournalEntry::Progress { job, document } => {
                let sql = "INSERT INTO progress (job, document) VALUES ($1, $2) ON CONFLICT (job) DO UPDATE
                           SET document = excluded.document, changed = pg_current_xact_id()";
                let values: [&(dyn ToSql + Sync); 2] = [&job.to_string(), document];
                self.execute("telling progress", sql, &values).await.map(|_| Written::Done)
            }
            JournalEntry::Webhook { job, record } => {
                self.write_webhook(*job, record.as_ref(), host).await.map(|()| Written::Done)
            }
            JournalEntry::Look { job } => Ok(Written::Superseded(self.job(*job).await?)),
            JournalEntry::Poison { execution, crashes: 0 } => {
                let sql = "UPDATE poison SET crashes = 0, changed = pg_current_xact_id() WHERE execution = $1";
                self.execute("clearing crashes", sql, &[execution]).await.map(|_| Written::Done)
            }
            JournalEntry::Poison { execution, .. } => {
                let sql = "INSERT INTO poison (execution, content, crashes) VALUES ($1, $2, 1)
                           ON CONFLICT (execution) DO UPDATE
                           SET crashes = poison.crashes + 1, changed = pg_current_xact_id()";
                let content = poison::content(execution);
                self.execute("counting a crash", sql, &[execution, &content])
                    .await
                    .map(|_| Written::Done)
            }
            JournalEntry::Removed { part: RemovedPart::Upload, .. } | JournalEntry::Flush => {
                Ok(Written::Done)
            }
        }
    }

    async fn insert(&self, row: &JobRow) -> Result<Written> {
        let job = &row.job;
        let (id, execution) = (job.id.to_string(), job.upload.execution());
        let sql =
            "INSERT INTO jobs (id, revision, state, idempotency_key, execution, content, document)
                   VALUES ($1, $2, $3, $4, $5, $6, $7::text::json) ON CONFLICT DO NOTHING";
        let values: [&(dyn ToSql + Sync); 7] = [
            &id,
            &job.revision.for_journal(),
            &job.state().name(),
            &job.upload.idempotency_key,
            &execution,
            &poison::content(&execution),
            &document::write(row),
        ];
        if self.execute("accepting a job", sql, &values).await? > 0 {
            return Ok(Written::Done);
        }
        if let Some(found) = self.job(job.id).await? {
            // Written before, without an answer; another host may have started it since.
            return Ok(match found {
                Found::Job { .. } => Written::Done,
                found @ Found::Removed(_) => Written::Superseded(Some(found)),
            });
        }
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE idempotency_key = $1");
        let rows = self.query("reading a job", &sql, &[&job.upload.idempotency_key]).await?;
        match rows.first().and_then(found) {
            Some(Found::Job { row, .. }) => Ok(Written::KeyTaken(row)),
            // Removed in between.
            _ => Ok(Written::Superseded(None)),
        }
    }

    async fn change(&self, row: &JobRow) -> Result<Written> {
        let job = &row.job;
        let mut known = job.replaced;
        if matches!(job.state(), JobState::Completed { .. }) {
            failpoint::reach("publication_due");
            if failpoint::is_skipped("publication_compare")
                && let Some(Found::Job { row, .. }) = self.job(job.id).await?
            {
                known = row.job.revision;
            }
        }
        let values: [&(dyn ToSql + Sync); 8] = [
            &job.id.to_string(),
            &known.for_journal(),
            &job.revision.for_journal(),
            &job.state().name(),
            &job.host.map(HostId::for_journal),
            &document::write(row),
            &(EXECUTIONS_MAX as i32),
            &(CONTENT_EXECUTIONS_MAX as i32),
        ];
        let sql = "SELECT change_job_2($1, $2, $3, $4, $5, $6::text::json, $7, $8)";
        let changed = self.query("changing a job", sql, &values).await?;
        if changed.first().is_some_and(|row| row.get(0)) {
            return Ok(Written::Done);
        }
        let found = self.job(job.id).await?;
        match &found {
            // Written before, without an answer.
            Some(Found::Job { row, .. }) if row.job.revision == job.revision => Ok(Written::Done),
            _ => Ok(Written::Superseded(found)),
        }
    }

    /// Removes a job if it is still as this host knows it, or however it is.
    async fn remove(&self, id: JobId, known: Option<Revision>) -> Result<Written> {
        let sql = "UPDATE jobs SET state = 'removed', document = '{}', idempotency_key = NULL, host = NULL,
                       request = NULL, removed_at = clock_timestamp(), changed = pg_current_xact_id()
                   WHERE id = $1 AND revision = coalesce($2, revision) AND state NOT IN ('processing', 'removed')";
        let values: [&(dyn ToSql + Sync); 2] = [&id.to_string(), &known.map(Revision::for_journal)];
        if self.execute("removing a job", sql, &values).await? > 0 {
            return Ok(Written::Done);
        }
        Ok(Written::Superseded(self.job(id).await?))
    }

    async fn request(&self, id: JobId, request: JobRequest) -> Result<Written> {
        let sql = "UPDATE jobs SET request = $2, changed = pg_current_xact_id()
                   WHERE id = $1 AND state = 'processing'";
        if self.execute("asking a host", sql, &[&id.to_string(), &request.name()]).await? > 0 {
            return Ok(Written::Done);
        }
        Ok(Written::Superseded(self.job(id).await?))
    }

    /// Deletes what no host needs any more.
    pub(crate) async fn purge(&self) -> Result<()> {
        let sql = "DELETE FROM jobs WHERE state = 'removed' AND removed_at < clock_timestamp() - $1 * interval '1 s'";
        self.execute("deleting removed jobs", sql, &[&REMOVED_KEPT.as_secs_f64()]).await?;
        let sql = "DELETE FROM progress WHERE job NOT IN (SELECT id FROM jobs WHERE state = 'processing')";
        self.execute("deleting progress", sql, &[]).await?;
        let sql = "DELETE FROM poison WHERE execution IN
                   (SELECT execution FROM poison ORDER BY changed DESC OFFSET $1)";
        self.execute("deleting crashes", sql, &[&(poison::EXECUTIONS_KEPT_MAX as i64)])
            .await
            .map(drop)
    }
}

/// Waits for the result of a statement, but not for ever.
pub(crate) async fn answer<T>(
    what: &'static str,
    statement: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    match timeout(ANSWER_MAX, statement).await {
        Ok(result) => result.map_err(|source| DatabaseError::Step { what, source }),
        Err(_) => Err(DatabaseError::Silent(ANSWER_MAX)),
    }
}

/// A row of `jobs`; none if it cannot be read.
fn found(row: &Row) -> Option<Found> {
    let id: String = row.get(0);
    let id: JobId = id.parse().ok()?;
    if row.get::<_, &str>(2) == "removed" {
        return Some(Found::Removed(id));
    }
    let mut read = match document::read(id, row.get(5)) {
        Ok(read) => Box::new(read),
        Err(error) => {
            tracing::error!(job = %id, %error, "a job in the journal cannot be read");
            return None;
        }
    };
    read.job.revision = Revision::from_journal(row.get(1));
    read.job.host = row.get::<_, Option<i64>>(3).map(HostId::from_journal);
    let request: Option<&str> = row.get(4);
    Some(Found::Job { row: read, request: request.and_then(JobRequest::from_name) })
}
