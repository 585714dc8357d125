//! The journal's database: opened, migrated, read and written by one thread.
//!
//! Called by the parent module and `writer`. A batch is committed as one transaction, because the
//! cost is the sync (`synchronous=FULL`), not the rows.

use crate::policy::job::{Job, JobId};
use crate::policy::poison::EXECUTIONS_KEPT_MAX;
use crate::store::clock::{Clock, Saved};
use crate::store::journal::sqlite::files::Files;
use crate::store::journal::sqlite::loss::{self, Completeness, Contents, History, Loss};
use crate::store::journal::sqlite::rows::{self, INSERT_OR_UPDATE};
use crate::store::journal::sqlite::schema;
use crate::store::journal::{JournalEntry, JournalError, RemovedPart};
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, ffi, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Most rows about deletions; the oldest are removed.
const DELETIONS_KEPT_MAX: i64 = 10_000;

/// The size to which SQLite's WAL is truncated, in bytes.
const WAL_BYTES_KEPT_MAX: i64 = 4 << 20;

/// The setting that says whether the journal is in use, read for [`History`].
const RUN: &str = "run";
const IN_USE: &str = "in use";
const CLOSED: &str = "closed";

/// The tables that have a row once anything was committed.
const TABLES: [&str; 4] = ["settings", "jobs", "poison", "deletions"];

/// The open database.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    path: PathBuf,
    /// Set once the file is marked as in use. After `connection`, which has to close first.
    files: Option<Files>,
}

/// An existing journal with its contents, or how it was lost.
pub(crate) type OpenResult = Result<(Store, Contents), Loss>;

impl Store {
    /// Opens the journal of an earlier run, if it exists and is intact.
    pub(crate) fn find(path: &Path) -> Result<OpenResult, JournalError> {
        let files = loss::FoundFiles::of(path)
            .map_err(|source| JournalError::Examine { path: path.to_owned(), source })?;
        if files.are_without_content()
            && let Err(loss) = files.judge(History::Nothing)
        {
            return Ok(Err(loss));
        }
        match Self::open(path, files) {
            Err(error) if error.is_damage() => Ok(Err(Loss::Damaged(Box::new(error)))),
            found => found,
        }
    }

    fn open(path: &Path, files: loss::FoundFiles) -> Result<OpenResult, JournalError> {
        let mut store = Self::connect(path)?;
        let failed = |source| JournalError::new("read", path, source);
        let completeness = match files.judge(store.history().map_err(failed)?) {
            Ok(completeness) => completeness,
            Err(loss) => return Ok(Err(loss)),
        };
        store.prepare()?;
        let contents = store.contents().map_err(failed)?;
        Ok(Ok((store, Contents { completeness, ..contents })))
    }

    /// Creates the database, or opens an existing one.
    pub(crate) fn create(path: &Path) -> Result<Self, JournalError> {
        let mut store = Self::connect(path)?;
        store.prepare()?;
        Ok(store)
    }

    /// Opens the file without writing to it.
    fn connect(path: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError::new("opened", path, source);
        let connection = Connection::open(path).map_err(failed)?;
        // The state folder is locked by this process, so the index of the WAL can be in private
        // memory: a mapped file would raise SIGBUS on a full disk.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failed)?;
        // The WAL stays after a close, so that a missing one is known to be lost.
        let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        connection.set_db_config(keep_log, true).map_err(failed)?;
        let version = schema::version(&connection).map_err(failed)?;
        if version > schema::VERSION {
            return Err(JournalError::Newer { path: path.to_owned(), version });
        }
        Ok(Self { connection, path: path.to_owned(), files: None })
    }

    /// Migrates the tables and checks the database.
    fn prepare(&mut self) -> Result<(), JournalError> {
        let failed = |source| JournalError::new("opened", &self.path, source);
        configure(&self.connection).map_err(failed)?;
        schema::migrate(&mut self.connection).map_err(failed)?;
        let connection = &self.connection;
        let result: String =
            connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(failed)?;
        if result != "ok" {
            return Err(JournalError::Damaged { path: self.path.clone(), what: result });
        }
        Ok(())
    }

    fn history(&self) -> rusqlite::Result<History> {
        let mut has_rows = false;
        for table in TABLES {
            let is_there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
            let has_row = format!("SELECT EXISTS (SELECT 1 FROM {table})");
            has_rows |= self.connection.query_row(is_there, [table], |row| row.get(0))?
                && self.connection.query_row(&has_row, [], |row| row.get(0))?;
        }
        if !has_rows {
            return Ok(History::Nothing);
        }
        // Older versions did not store this setting, and left no WAL when they closed.
        let run = self.setting(RUN)?;
        Ok(if run.as_deref() == Some(IN_USE) { History::InUse } else { History::Closed })
    }

    /// Marks the database file itself, not only its WAL, as in use: from then on it has history and
    /// a WAL. Nothing is committed before.
    pub(crate) fn mark_in_use(&mut self, clock: &Clock) -> Result<(), JournalError> {
        if self.is_in_use() {
            return Ok(());
        }
        self.mark(IN_USE, clock, "FULL")?;
        let examine_error = |source| JournalError::Examine { path: self.path.clone(), source };
        self.files = Some(Files::of(&self.path).map_err(examine_error)?);
        Ok(())
    }

    /// Whether the journal is marked as in use, so that entries can be committed.
    pub(crate) const fn is_in_use(&self) -> bool {
        self.files.is_some()
    }

    /// Moves everything from the WAL into the database and marks it as closed. The WAL stays,
    /// empty.
    pub(crate) fn close(mut self, clock: &Clock) -> Result<(), JournalError> {
        if !self.is_in_use() {
            return Ok(());
        }
        self.check_files()?;
        self.mark(CLOSED, clock, "TRUNCATE")
    }

    fn mark(&mut self, run: &str, clock: &Clock, checkpoint: &str) -> Result<(), JournalError> {
        let failed = |source| JournalError::new("written to", &self.path, source);
        let transaction = self.connection.transaction().map_err(failed)?;
        set(&transaction, RUN, run)
            .and_then(|()| set_clock(&transaction, &clock.save()))
            .and_then(|()| transaction.commit())
            .map_err(failed)?;
        let checkpoint = format!("PRAGMA wal_checkpoint({checkpoint})");
        let is_busy: bool =
            self.connection.query_row(&checkpoint, [], |row| row.get(0)).map_err(failed)?;
        if is_busy {
            let busy = ffi::Error::new(ffi::SQLITE_BUSY);
            return Err(failed(rusqlite::Error::SqliteFailure(busy, None)));
        }
        Ok(())
    }

    /// Whether the next start would find what is committed.
    pub(crate) fn check_files(&mut self) -> Result<(), JournalError> {
        Ok(self.files.as_mut().map_or(Ok(()), Files::check)?)
    }

    fn contents(&self) -> rusqlite::Result<Contents> {
        let mut jobs: Vec<_> = self
            .connection
            .prepare("SELECT * FROM jobs ORDER BY seq")?
            .query_map([], rows::read)?
            .collect::<rusqlite::Result<_>>()?;
        let indexes: HashMap<JobId, usize> =
            jobs.iter().enumerate().map(|(index, one)| (one.job.id, index)).collect();
        let mut attempts =
            self.connection.prepare("SELECT * FROM attempts ORDER BY job, number")?;
        let mut attempts = attempts.query([])?;
        while let Some(row) = attempts.next()? {
            let id: String = row.get("job")?;
            let index = id.parse().ok().and_then(|id| indexes.get(&id));
            if let (Some(index), Ok(record)) = (index, rows::read_attempt(row)) {
                jobs[*index].job.attempts.push(record);
            }
        }
        let poison = self
            .connection
            .prepare("SELECT sha256, deaths FROM poison ORDER BY clock_ms")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let clock = self.setting("clock")?.and_then(|text| serde_json::from_str(&text).ok());
        let removed = self
            .connection
            .prepare("SELECT job FROM deletions WHERE what = ?1")?
            .query_map([RemovedPart::Job.name()], |row| row.get::<_, String>(0))?
            .filter_map(|id| id.map(|id| id.parse().ok()).transpose())
            .collect::<rusqlite::Result<_>>()?;
        Ok(Contents { jobs, poison, removed, clock, completeness: Completeness::Whole })
    }

    fn setting(&self, key: &str) -> rusqlite::Result<Option<String>> {
        let mut statement = self.connection.prepare("SELECT value FROM settings WHERE key = ?1")?;
        statement.query_row([key], |row| row.get(0)).optional()
    }

    /// Commits these entries in one transaction, together with the time.
    pub(crate) fn commit<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a JournalEntry>,
        clock: &Clock,
    ) -> Result<(), JournalError> {
        self.mark_in_use(clock)?;
        let failed = |source| JournalError::new("written to", &self.path, source);
        let transaction = self.connection.transaction().map_err(failed)?;
        let written = entries
            .into_iter()
            .try_for_each(|entry| write(&transaction, entry, clock))
            .and_then(|()| set_clock(&transaction, &clock.save()));
        let committed = written.and_then(|()| transaction.commit()).map_err(failed);
        // After a failure as well: some of it may have reached the files.
        self.files.iter_mut().for_each(Files::note_sizes);
        committed
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT_MAX, |_| Ok(()))
}

fn write(connection: &Connection, entry: &JournalEntry, clock: &Clock) -> rusqlite::Result<()> {
    match entry {
        JournalEntry::Job(row) => {
            rows::write(&mut connection.prepare(INSERT_OR_UPDATE)?, row)?;
            write_attempts(connection, &row.job)
        }
        JournalEntry::Removed { job, part, why, known: _ } => {
            if *part == RemovedPart::Job {
                let mut delete = connection.prepare("DELETE FROM jobs WHERE id = ?1")?;
                delete.execute([job.to_string()])?;
            }
            write_deletion(connection, *job, part.name(), why)
        }
        JournalEntry::Poison { execution, crashes: 0 } => {
            let mut delete = connection.prepare("DELETE FROM poison WHERE sha256 = ?1")?;
            delete.execute([execution]).map(drop)
        }
        JournalEntry::Poison { execution, crashes } => {
            let mut insert =
                connection.prepare("INSERT OR REPLACE INTO poison VALUES (?1, ?2, ?3)")?;
            insert.execute(params![execution, crashes, clock.now().as_ms()])?;
            let mut trim = connection.prepare(
                "DELETE FROM poison WHERE sha256 IN
                 (SELECT sha256 FROM poison ORDER BY clock_ms DESC LIMIT -1 OFFSET ?1)",
            )?;
            trim.execute([EXECUTIONS_KEPT_MAX as i64]).map(drop)
        }
        JournalEntry::Request { .. }
        | JournalEntry::Progress { .. }
        | JournalEntry::Webhook { .. }
        | JournalEntry::Look { .. }
        | JournalEntry::Flush => Ok(()),
    }
}

fn write_attempts(connection: &Connection, job: &Job) -> rusqlite::Result<()> {
    let mut insert = connection
        .prepare("INSERT OR IGNORE INTO attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    let first = job.attempts_made - job.attempts.len() as u32 + 1;
    for (number, attempt) in (first..).zip(&job.attempts) {
        insert.execute(params![
            job.id.to_string(),
            number,
            attempt.cap_bytes as i64,
            attempt.peak_bytes as i64,
            attempt.wall_ms as i64,
            attempt.cpu_ms as i64,
            attempt.end,
            attempt.is_counted
        ])?;
    }
    let mut trim = connection.prepare("DELETE FROM attempts WHERE job = ?1 AND number < ?2")?;
    trim.execute(params![job.id.to_string(), first]).map(drop)
}

fn write_deletion(
    connection: &Connection,
    job: JobId,
    what: &str,
    why: &str,
) -> rusqlite::Result<()> {
    let mut insert = connection
        .prepare("INSERT INTO deletions (job, what, why, at_ms) VALUES (?1, ?2, ?3, ?4)")?;
    let now = Timestamp::now().as_millisecond();
    insert.execute(params![job.to_string(), what, why, now])?;
    let mut trim = connection.prepare("DELETE FROM deletions WHERE seq <= ?1")?;
    trim.execute([connection.last_insert_rowid() - DELETIONS_KEPT_MAX]).map(drop)
}

fn set_clock(connection: &Connection, clock: &Saved) -> rusqlite::Result<()> {
    set(connection, "clock", &serde_json::to_string(clock).expect("plain values"))
}

fn set(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let mut insert = connection.prepare("INSERT OR REPLACE INTO settings VALUES (?1, ?2)")?;
    insert.execute([key, value]).map(drop)
}
