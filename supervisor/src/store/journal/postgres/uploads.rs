//! The table of resumable uploads that hosts share.
//!
//! Called by `store::resumable`, through a connection of its own: neither do jobs wait for uploads, nor uploads for
//! jobs. Every statement can be repeated, because whether the database has executed one is not known after an error.

use crate::policy::job::JobId;
use crate::store::journal::postgres::connection::Address;
use crate::store::journal::postgres::session::{Result, Session};
use crate::store::journal::postgres::{DatabaseError, SharedJournalConfig};
use crate::store::journal::{Journal, JournalError, JournalState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// An upload in the table.
#[derive(Debug)]
pub(crate) struct UploadRow {
    /// Its size when complete, in bytes.
    pub length: u64,
    /// Number of bytes that count.
    pub committed: u64,
    /// The metadata sent by the client, unchanged.
    pub metadata: String,
    /// The time since its creation.
    pub age: Duration,
    /// Whether it has become a job.
    pub is_job: bool,
}

/// A new upload.
#[derive(Debug)]
pub(crate) struct NewUpload<'a> {
    /// Its id, also that of the later job.
    pub id: JobId,
    /// Its size when complete, in bytes.
    pub length: u64,
    /// The metadata sent by the client.
    pub metadata: &'a str,
    /// Most uploads that have not become jobs.
    pub uploads_max: usize,
    /// When an upload without bytes gives way to it.
    pub empty_idle: Duration,
    /// When one with at most so many gives way.
    pub few: (u64, Duration),
}

/// Whether an upload was created.
#[derive(Debug)]
pub(crate) enum Creation {
    /// It was, in place of another if one is given.
    Created(Option<JobId>),
    /// There are too many.
    TooMany,
}

/// Bytes that are in the store, and do not count yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPart<'a> {
    /// The number of bytes that count before them.
    pub start: u64,
    /// With them.
    pub end: u64,
    /// The name of the object, which no other part has.
    pub object: &'a str,
}

/// A connection to the table, opened when it is needed.
#[derive(Debug)]
pub(crate) struct UploadTable {
    settings: SharedJournalConfig,
    /// Of the journal in the same database: a statement fails at once while that is known not to answer.
    state: watch::Receiver<JournalState>,
    session: Mutex<Option<Arc<Session>>>,
}

type Answer<T> = std::result::Result<T, JournalError>;

impl UploadTable {
    /// The table in the database of this journal.
    pub(crate) fn of(journal: &Journal, settings: SharedJournalConfig) -> Self {
        Self { settings, state: journal.state.clone(), session: Mutex::default() }
    }

    /// The current session, or a new one.
    async fn session(&self) -> Answer<Arc<Session>> {
        let mut current = self.session.lock().await;
        if *self.state.borrow() == JournalState::Unreachable {
            return Err(JournalError::Unreachable);
        }
        if let Some(session) = &*current {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::open(&Address::of(&self.settings)?).await?);
        *current = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn close(&self, session: &Arc<Session>) {
        let mut current = self.session.lock().await;
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            *current = None;
        }
    }

    /// Executes a statement, once more if the connection was lost: that may have happened long before.
    async fn run<T, F>(&self, statement: impl Fn(Arc<Session>) -> F) -> Answer<T>
    where
        F: Future<Output = Result<T>>,
    {
        let session = self.session().await?;
        let error = match statement(Arc::clone(&session)).await {
            Err(error) if error.may_pass() => error,
            result => return Ok(result?),
        };
        self.close(&session).await;
        if matches!(error, DatabaseError::Silent(_)) {
            return Err(error.into());
        }
        let session = self.session().await?;
        let result = statement(Arc::clone(&session)).await;
        if result.as_ref().is_err_and(DatabaseError::may_pass) {
            self.close(&session).await;
        }
        Ok(result?)
    }

    /// Creates an upload.
    pub(crate) async fn create(&self, upload: NewUpload<'_>) -> Answer<Creation> {
        let upload = &upload;
        self.run(|session| async move { session.create_upload(upload).await }).await
    }

    /// An upload; none if it became a job that was removed.
    pub(crate) async fn find(&self, id: JobId) -> Answer<Option<UploadRow>> {
        self.run(|session| async move { session.upload(id).await }).await
    }

    /// The parts of an upload that count: the first byte and the object of each, in order.
    pub(crate) async fn parts(&self, id: JobId) -> Answer<Vec<(u64, String)>> {
        let sql =
            "SELECT first_byte, object FROM upload_parts WHERE upload = $1 ORDER BY first_byte";
        let part = |row: &Row| (row.get::<_, i64>(0) as u64, row.get(1));
        let id = &id.to_string();
        self.run(|session| async move {
            let rows = session.query("reading the parts of an upload", sql, &[id]).await?;
            Ok(rows.iter().map(part).collect())
        })
        .await
    }

    /// Lets a part count; false if not so many bytes count before it, or the upload is gone.
    pub(crate) async fn add_part(&self, id: JobId, part: NewPart<'_>) -> Answer<bool> {
        self.run(|session| async move { session.add_part(id, part).await }).await
    }

    /// Shows that a request works on an upload; returns how many bytes count, none if it is gone.
    pub(crate) async fn touch(&self, id: JobId) -> Answer<Option<u64>> {
        let sql =
            "UPDATE uploads SET used_at = clock_timestamp() WHERE id = $1 RETURNING committed";
        self.run(|session| async move {
            let rows = session.query("using an upload", sql, &[&id.to_string()]).await?;
            Ok(rows.first().map(|row| row.get::<_, i64>(0) as u64))
        })
        .await
    }

    /// Notes that an upload has become a job; false if it is gone.
    pub(crate) async fn submitted(&self, id: JobId) -> Answer<bool> {
        let id = &id.to_string();
        self.run(|session| async move {
            let sql = "UPDATE uploads SET submitted = true WHERE id = $1";
            let is_there = session.execute("submitting an upload", sql, &[id]).await? > 0;
            let sql = "DELETE FROM upload_parts WHERE upload = $1";
            session.execute("deleting the parts of an upload", sql, &[id]).await?;
            Ok(is_there)
        })
        .await
    }

    /// Removes an upload; returns whether it is a job.
    pub(crate) async fn remove(&self, id: JobId) -> Answer<bool> {
        let id = &id.to_string();
        self.run(|session| async move {
            let sql = "DELETE FROM uploads WHERE id = $1";
            session.execute("removing an upload", sql, &[id]).await?;
            let sql = "SELECT FROM jobs WHERE id = $1 AND state <> 'removed'";
            Ok(!session.query("reading a job", sql, &[id]).await?.is_empty())
        })
        .await
    }

    /// The uploads of this age that no request has worked on for a while.
    pub(crate) async fn expired(&self, age: Duration, idle: Duration) -> Answer<Vec<JobId>> {
        let sql =
            "SELECT id FROM uploads WHERE created_at <= clock_timestamp() - $1 * interval '1 s'
                       AND used_at <= clock_timestamp() - $2 * interval '1 s'";
        let (age, idle) = (age.as_secs_f64(), idle.as_secs_f64());
        self.ids(sql, &[&age, &idle]).await
    }

    /// The uploads that are jobs, as nobody has noted: the host that was about to is lost.
    pub(crate) async fn unnoted(&self, idle: Duration) -> Answer<Vec<JobId>> {
        let sql = "SELECT uploads.id FROM uploads JOIN jobs USING (id) WHERE NOT submitted
                       AND used_at <= clock_timestamp() - $1 * interval '1 s'";
        self.ids(sql, &[&idle.as_secs_f64()]).await
    }

    /// Those of these uploads whose parts are needed.
    pub(crate) async fn unfinished(&self, ids: &[JobId]) -> Answer<Vec<JobId>> {
        let sql = "SELECT id FROM uploads WHERE id = ANY($1) AND NOT submitted";
        self.ids(sql, &[&texts(ids)]).await
    }

    /// Those of these uploads that are jobs.
    pub(crate) async fn jobs(&self, ids: &[JobId]) -> Answer<Vec<JobId>> {
        let sql = "SELECT id FROM jobs WHERE id = ANY($1) AND state <> 'removed'";
        self.ids(sql, &[&texts(ids)]).await
    }

    async fn ids(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Answer<Vec<JobId>> {
        self.run(|session| async move {
            let rows = session.query("reading uploads", sql, values).await?;
            Ok(rows.iter().filter_map(|row| row.get::<_, &str>(0).parse().ok()).collect())
        })
        .await
    }
}

fn texts(ids: &[JobId]) -> Vec<String> {
    ids.iter().map(JobId::to_string).collect()
}

impl Session {
    async fn create_upload(&self, upload: &NewUpload<'_>) -> Result<Creation> {
        let (few_bytes, few_idle) = upload.few;
        let values: [&(dyn ToSql + Sync); 7] = [
            &upload.id.to_string(),
            &(upload.length as i64),
            &upload.metadata,
            &(upload.uploads_max as i64),
            &upload.empty_idle.as_secs_f64(),
            &(few_bytes as i64),
            &few_idle.as_secs_f64(),
        ];
        let sql = "SELECT created, displaced FROM create_upload_1($1, $2, $3, $4, $5, $6, $7)";
        let rows = self.query("creating an upload", sql, &values).await?;
        Ok(match rows.first() {
            Some(row) if row.get(0) => {
                let displaced: Option<&str> = row.get(1);
                Creation::Created(displaced.and_then(|id| id.parse().ok()))
            }
            _ => Creation::TooMany,
        })
    }

    async fn upload(&self, id: JobId) -> Result<Option<UploadRow>> {
        let sql = "SELECT length, committed, metadata, submitted,
                       (extract(epoch FROM clock_timestamp() - created_at) * 1000)::bigint,
                       (SELECT state FROM jobs WHERE jobs.id = uploads.id)
                   FROM uploads WHERE id = $1";
        let rows = self.query("reading an upload", sql, &[&id.to_string()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let is_job = match (row.get(3), row.get::<_, Option<&str>>(5)) {
            (false, None) => false,
            (true, None) | (_, Some("removed")) => return Ok(None),
            (_, Some(_)) => true,
        };
        Ok(Some(UploadRow {
            length: row.get::<_, i64>(0) as u64,
            committed: row.get::<_, i64>(1) as u64,
            metadata: row.get(2),
            age: Duration::from_millis(u64::try_from(row.get::<_, i64>(4)).unwrap_or(0)),
            is_job,
        }))
    }

    async fn add_part(&self, id: JobId, part: NewPart<'_>) -> Result<bool> {
        let (id, start) = (id.to_string(), part.start as i64);
        let sql = "WITH moved AS (
                       UPDATE uploads SET committed = $3, used_at = clock_timestamp()
                       WHERE id = $1 AND committed = $2 RETURNING id
                   ) INSERT INTO upload_parts SELECT id, $2, $4 FROM moved";
        let values: [&(dyn ToSql + Sync); 4] = [&id, &start, &(part.end as i64), &part.object];
        if self.execute("committing a part of an upload", sql, &values).await? > 0 {
            return Ok(true);
        }
        // Unless that was done before, without an answer.
        let sql = "SELECT FROM upload_parts WHERE upload = $1 AND first_byte = $2 AND object = $3";
        let values: [&(dyn ToSql + Sync); 3] = [&id, &start, &part.object];
        Ok(!self.query("reading a part of an upload", sql, &values).await?.is_empty())
    }
}
