//! Conversion of jobs to and from rows of SQLite.
//!
//! Called by `database` alone. Details of an attempt that cannot be read are left out; if a job's
//! own state cannot be read, the row is an error.

use crate::policy::job::AttemptRecord;
use crate::store::journal::JobRow;
use crate::store::journal::stored_job::{StoredAttempt, StoredJob, Unreadable};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row, named_params, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;

type Result<T> = rusqlite::Result<T>;

pub(crate) const INSERT_OR_UPDATE: &str = "
    INSERT INTO jobs (id, filename, bytes, sha256, options, created_ms, state, started_ms,
        completed_ms, memory_bytes_max, reason, summary, error_code, error_sentence, facts,
        posture, attempts_made, executions, claims, revision, ended_clock_ms, idempotency_key, request_id,
        trace_id)
    VALUES (:id, :filename, :bytes, :sha256, :options, :created_ms, :state, :started_ms,
        :completed_ms, :memory_bytes_max, :reason, :summary, :error_code, :error_sentence, :facts,
        :posture, :attempts_made, :executions, :claims, :revision, :ended_clock_ms, :idempotency_key,
        :request_id, :trace_id)
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, started_ms = excluded.started_ms,
        completed_ms = excluded.completed_ms, memory_bytes_max = excluded.memory_bytes_max,
        reason = excluded.reason, summary = excluded.summary, error_code = excluded.error_code,
        error_sentence = excluded.error_sentence, facts = excluded.facts,
        posture = excluded.posture, attempts_made = excluded.attempts_made,
        executions = excluded.executions, claims = excluded.claims, revision = excluded.revision,
        ended_clock_ms = excluded.ended_clock_ms";

/// Binds a job to the statement and executes it.
pub(crate) fn write(statement: &mut rusqlite::Statement<'_>, row: &JobRow) -> Result<usize> {
    let stored = StoredJob::of(row);
    statement.execute(named_params! {
        ":id": row.job.id.to_string(),
        ":filename": stored.filename,
        ":bytes": stored.bytes as i64,
        ":sha256": stored.sha256,
        ":options": json(&stored.options),
        ":created_ms": stored.created_ms,
        ":state": stored.state,
        ":started_ms": stored.started_ms,
        ":completed_ms": stored.completed_ms,
        ":memory_bytes_max": stored.memory_bytes_max.map(|bytes| bytes as i64),
        ":reason": stored.reason,
        ":summary": stored.summary.as_ref().map(json),
        ":error_code": stored.error_code,
        ":error_sentence": stored.error_sentence,
        ":facts": stored.facts.as_ref().map(json),
        ":posture": stored.posture.as_ref().map(json),
        ":attempts_made": stored.attempts_made,
        ":executions": stored.executions,
        ":claims": stored.claims,
        ":revision": stored.revision,
        ":ended_clock_ms": stored.ended_clock_ms,
        ":idempotency_key": stored.idempotency_key,
        ":request_id": stored.request_id,
        ":trace_id": stored.trace_id,
    })
}

pub(crate) fn read(row: &Row<'_>) -> Result<JobRow> {
    let id: String = row.get("id")?;
    let id = id.parse().map_err(|_| unreadable(Unreadable("id")))?;
    let stored = StoredJob {
        filename: row.get("filename")?,
        bytes: row.get::<_, i64>("bytes")? as u64,
        sha256: row.get("sha256")?,
        options: parsed(row, "options")?.ok_or_else(|| unreadable(Unreadable("options")))?,
        created_ms: row.get("created_ms")?,
        state: row.get::<_, String>("state")?.into(),
        started_ms: row.get("started_ms")?,
        completed_ms: row.get("completed_ms")?,
        memory_bytes_max: row.get::<_, Option<i64>>("memory_bytes_max")?.map(|bytes| bytes as u64),
        reason: row.get("reason")?,
        summary: parsed(row, "summary")?,
        error_code: row.get("error_code")?,
        error_sentence: row.get("error_sentence")?,
        facts: parsed(row, "facts")?,
        posture: parsed(row, "posture")?,
        attempts_made: row.get("attempts_made")?,
        executions: row.get("executions")?,
        claims: row.get("claims")?,
        revision: row.get("revision")?,
        ended_clock_ms: row.get("ended_clock_ms")?,
        idempotency_key: row.get("idempotency_key")?,
        request_id: row.get("request_id")?,
        trace_id: row.get("trace_id")?,
    };
    stored.into_row(id).map_err(unreadable)
}

/// Reads a row with these columns, one in each line, for the fuzz targets.
pub(crate) fn read_row_of_lines(text: &str) {
    const COLUMNS: &str = "?1 AS id, ?2 AS filename, ?3 AS bytes, ?4 AS sha256, ?5 AS options, \
        ?6 AS created_ms, ?7 AS state, ?8 AS started_ms, ?9 AS completed_ms, \
        ?10 AS memory_bytes_max, ?11 AS reason, ?12 AS summary, ?13 AS error_code, \
        ?14 AS error_sentence, ?15 AS facts, ?16 AS posture, ?17 AS attempts_made, \
        ?18 AS executions, ?19 AS ended_clock_ms, ?20 AS idempotency_key, ?21 AS request_id, \
        ?22 AS trace_id, ?23 AS cap_bytes, ?24 AS peak_bytes, ?25 AS wall_ms, ?26 AS cpu_ms, \
        ?27 AS end, ?28 AS is_counted, ifnull(?29, 0) AS claims, \
        ifnull(?30, 0) AS revision";
    thread_local! {
        static CONNECTION: Connection = Connection::open_in_memory().expect("memory");
    }
    let value = |line: &str| line.parse().map_or(Value::Text(line.into()), Value::Integer);
    let lines = text.split('\n').map(value).chain(std::iter::repeat(Value::Null));
    CONNECTION.with(|connection| {
        let query = format!("SELECT {COLUMNS}");
        let mut statement = connection.prepare(&query).expect("a statement");
        let _ = statement.query_row(params_from_iter(lines.take(30)), |row| {
            let _ = read_attempt(row);
            // What is read can be written.
            drop(json(&StoredJob::of(&read(row)?)));
            Ok(())
        });
    });
}

/// A row of `attempts`, without its job and number.
pub(crate) fn read_attempt(row: &Row<'_>) -> Result<AttemptRecord> {
    let stored = StoredAttempt {
        cap_bytes: row.get::<_, i64>("cap_bytes")? as u64,
        peak_bytes: row.get::<_, i64>("peak_bytes")? as u64,
        wall_ms: row.get::<_, i64>("wall_ms")? as u64,
        cpu_ms: row.get::<_, i64>("cpu_ms")? as u64,
        end: row.get::<_, String>("end")?.into(),
        is_counted: row.get("is_counted")?,
    };
    stored.into_record().map_err(unreadable)
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain values with text keys")
}

/// A value that is stored as JSON: none if there is none, or it cannot be read.
fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn unreadable(what: Unreadable) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(what))
}
