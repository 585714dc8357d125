//! The tables of the journal, and the migration of older versions.

use rusqlite::{Connection, Result};

/// Each step migrates one version to the next; a released step is never changed.
pub(crate) const STEPS: [&str; 4] = [
    "
    CREATE TABLE settings (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        filename TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        options TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        state TEXT NOT NULL,
        started_ms INTEGER,
        completed_ms INTEGER,
        memory_bytes_max INTEGER,
        reason TEXT,
        summary TEXT,
        error_code TEXT,
        error_sentence TEXT,
        facts TEXT,
        posture TEXT,
        attempts_made INTEGER NOT NULL,
        executions INTEGER NOT NULL,
        ended_clock_ms INTEGER,
        idempotency_key TEXT UNIQUE
    ) STRICT;

    CREATE TABLE attempts (
        job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        cap_bytes INTEGER NOT NULL,
        peak_bytes INTEGER NOT NULL,
        wall_ms INTEGER NOT NULL,
        cpu_ms INTEGER NOT NULL,
        end TEXT NOT NULL,
        is_counted INTEGER NOT NULL,
        PRIMARY KEY (job, number)
    ) STRICT, WITHOUT ROWID;

    -- Content that ended its workers, and how often.
    CREATE TABLE poison (
        -- The SHA-256 of the content, a space and a digest of the options.
        sha256 TEXT PRIMARY KEY,
        deaths INTEGER NOT NULL,
        clock_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- What was removed, when and why.
    CREATE TABLE deletions (
        seq INTEGER PRIMARY KEY,
        job TEXT NOT NULL,
        what TEXT NOT NULL,
        why TEXT NOT NULL,
        at_ms INTEGER NOT NULL
    ) STRICT;
",
    // The request that submitted the job, by which its log lines are found.
    "
    ALTER TABLE jobs ADD COLUMN request_id TEXT;
    ALTER TABLE jobs ADD COLUMN trace_id TEXT;
",
    // How many attempts were started.
    "
    ALTER TABLE jobs ADD COLUMN claims INTEGER NOT NULL DEFAULT 0;
",
    // The latest change, after which events are named.
    "
    ALTER TABLE jobs ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
",
];

/// The version this program writes.
pub(crate) const VERSION: u32 = STEPS.len() as u32;

/// The version of a journal; 0 if it has no tables yet.
pub(crate) fn version(connection: &Connection) -> Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Migrates a journal to the current version, each step in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    let first = version(connection)? as usize;
    for (step, sql) in STEPS.iter().enumerate().skip(first) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", step as u32 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
