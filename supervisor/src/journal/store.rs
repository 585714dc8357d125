//! The journal's file: opened, brought up to date, read and written. One thread owns it.
//!
//! Called by the parent module. Everything of one batch is committed together, because what
//! costs is the disk's word that it is done (`synchronous=FULL`), not the rows.

use super::rows::{self, INSERT_OR_UPDATE, Remembered};
use super::schema;
use super::{Entry, JournalError};
use crate::clock::{Clock, Saved};
use crate::job::{Job, JobId};
use crate::poison::CONTENTS_KEPT_MAX;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Lines about deletions that are kept; beyond, the oldest go.
const DELETIONS_KEPT_MAX: i64 = 10_000;

/// What the log of SQLite itself is cut back to, in bytes.
const WAL_BYTES_KEPT_MAX: i64 = 4 << 20;

/// The journal's file, open.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
}

/// Everything a journal has.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Every job, in the order in which they were accepted.
    pub(super) jobs: Vec<Remembered>,
    /// How often a content ended its workers, oldest first.
    pub(super) poison: Vec<(String, u32)>,
    pub(super) clock: Option<Saved>,
}

impl Store {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError::new("opened", path, source);
        let mut connection = Connection::open(path).map_err(failed)?;
        configure(&connection).map_err(failed)?;
        let version = schema::version(&connection).map_err(failed)?;
        if version > schema::VERSION {
            return Err(JournalError::Newer { path: path.to_owned(), version });
        }
        schema::migrate(&mut connection).map_err(failed)?;
        let verdict: String =
            connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(failed)?;
        if verdict != "ok" {
            return Err(JournalError::Damaged { path: path.to_owned(), what: verdict });
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Reads all of it.
    pub(super) fn read(&self) -> Result<Contents, JournalError> {
        self.contents().map_err(|source| JournalError::new("read", &self.path, source))
    }

    fn contents(&self) -> rusqlite::Result<Contents> {
        let mut jobs: Vec<_> = self
            .connection
            .prepare("SELECT * FROM jobs ORDER BY seq")?
            .query_map([], rows::read)?
            .collect::<rusqlite::Result<_>>()?;
        let places: HashMap<JobId, usize> =
            jobs.iter().enumerate().map(|(place, one)| (one.job.id, place)).collect();
        let mut attempts =
            self.connection.prepare("SELECT * FROM attempts ORDER BY job, number")?;
        let mut attempts = attempts.query([])?;
        while let Some(row) = attempts.next()? {
            let id: String = row.get("job")?;
            let place = id.parse().ok().and_then(|id| places.get(&id));
            if let (Some(place), Ok(record)) = (place, rows::read_attempt(row)) {
                jobs[*place].job.attempts.push(record);
            }
        }
        let poison = self
            .connection
            .prepare("SELECT sha256, deaths FROM poison ORDER BY clock_ms")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let clock = self.setting("clock")?.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Contents { jobs, poison, clock })
    }

    fn setting(&self, key: &str) -> rusqlite::Result<Option<String>> {
        let mut statement = self.connection.prepare("SELECT value FROM settings WHERE key = ?1")?;
        statement.query_row([key], |row| row.get(0)).optional()
    }

    /// Commits these entries, all or none, and with them what the clock shows.
    pub(super) fn commit<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Entry>,
        clock: &Clock,
    ) -> Result<(), JournalError> {
        let failed = |source| JournalError::new("written to", &self.path, source);
        let transaction = self.connection.transaction().map_err(failed)?;
        let written = entries
            .into_iter()
            .try_for_each(|entry| write(&transaction, entry, clock))
            .and_then(|()| set_clock(&transaction, &clock.save()));
        written.and_then(|()| transaction.commit()).map_err(failed)
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // One process has the folder (it holds its lock), so the index of the WAL may be in its own
    // memory: a mapped file would end it with SIGBUS on a full disk.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT_MAX, |_| Ok(()))
}

fn write(connection: &Connection, entry: &Entry, clock: &Clock) -> rusqlite::Result<()> {
    match entry {
        Entry::Job(remembered) => {
            rows::write(&mut connection.prepare(INSERT_OR_UPDATE)?, remembered)?;
            write_attempts(connection, &remembered.job)
        }
        Entry::Removed { job, what, why } => {
            if what.is_whole_job() {
                let mut delete = connection.prepare("DELETE FROM jobs WHERE id = ?1")?;
                delete.execute([job.to_string()])?;
            }
            write_deletion(connection, *job, what.name(), why)
        }
        Entry::Poison { sha256, deaths: 0 } => {
            let mut delete = connection.prepare("DELETE FROM poison WHERE sha256 = ?1")?;
            delete.execute([sha256]).map(drop)
        }
        Entry::Poison { sha256, deaths } => {
            let mut insert =
                connection.prepare("INSERT OR REPLACE INTO poison VALUES (?1, ?2, ?3)")?;
            insert.execute(params![sha256, deaths, clock.now().as_ms()])?;
            let mut trim = connection.prepare(
                "DELETE FROM poison WHERE sha256 IN
                 (SELECT sha256 FROM poison ORDER BY clock_ms DESC LIMIT -1 OFFSET ?1)",
            )?;
            trim.execute([CONTENTS_KEPT_MAX as i64]).map(drop)
        }
        Entry::Nothing => Ok(()),
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
    let text = serde_json::to_string(clock).expect("plain values");
    let mut insert = connection.prepare("INSERT OR REPLACE INTO settings VALUES ('clock', ?1)")?;
    insert.execute([text]).map(drop)
}
