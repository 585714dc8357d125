//! Conversion of jobs to and from rows.
//!
//! Called by `database` alone. Details of an attempt that cannot be read are left out; if a job's
//! own state cannot be read, the row is an error.

use crate::policy::display_name::DisplayName;
use crate::policy::job::{AttemptRecord, Job, JobError, JobId, JobState, Upload};
use crate::runner::attempt::exit_report::{Deadline, ExitReason, ProcessExit};
use crate::runner::attempt::origin::Origin;
use crate::store::clock::Moment;
use bodyscript_protocol::message::Summary;
use jiff::Timestamp;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row, named_params, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

type Result<T> = rusqlite::Result<T>;

/// A job as stored in the journal.
#[derive(Debug, Clone)]
pub struct JobRow {
    /// The job.
    pub job: Job,
    /// When it ended, on the service's clock.
    pub ended: Option<Moment>,
}

pub(crate) const INSERT_OR_UPDATE: &str = "
    INSERT INTO jobs (id, filename, bytes, sha256, options, created_ms, state, started_ms,
        completed_ms, memory_bytes_max, reason, summary, error_code, error_sentence, facts,
        posture, attempts_made, executions, claims, ended_clock_ms, idempotency_key, request_id,
        trace_id)
    VALUES (:id, :filename, :bytes, :sha256, :options, :created_ms, :state, :started_ms,
        :completed_ms, :memory_bytes_max, :reason, :summary, :error_code, :error_sentence, :facts,
        :posture, :attempts_made, :executions, :claims, :ended_clock_ms, :idempotency_key,
        :request_id, :trace_id)
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, started_ms = excluded.started_ms,
        completed_ms = excluded.completed_ms, memory_bytes_max = excluded.memory_bytes_max,
        reason = excluded.reason, summary = excluded.summary, error_code = excluded.error_code,
        error_sentence = excluded.error_sentence, facts = excluded.facts,
        posture = excluded.posture, attempts_made = excluded.attempts_made,
        executions = excluded.executions, claims = excluded.claims, ended_clock_ms = excluded.ended_clock_ms";

/// The columns that depend on the state.
#[derive(Debug, Default)]
struct Columns<'a> {
    memory_bytes_max: Option<u64>,
    reason: Option<&'a str>,
    summary: Option<&'a Summary>,
    error: Option<&'a JobError>,
}

fn columns(state: &JobState) -> Columns<'_> {
    match state {
        JobState::Pending { memory_bytes_max, reason, .. } => Columns {
            memory_bytes_max: Some(*memory_bytes_max),
            reason: reason.as_deref(),
            ..Columns::default()
        },
        JobState::Processing { memory_bytes_max, .. } => {
            Columns { memory_bytes_max: Some(*memory_bytes_max), ..Columns::default() }
        }
        JobState::Completed { summary, .. } => {
            Columns { summary: Some(summary), ..Columns::default() }
        }
        JobState::Failed { error, .. } => Columns { error: Some(error), ..Columns::default() },
        JobState::Cancelled { .. } => Columns::default(),
    }
}

/// Binds a job to the statement and executes it.
pub(crate) fn write(
    statement: &mut rusqlite::Statement<'_>,
    JobRow { job, ended }: &JobRow,
) -> Result<usize> {
    let state = job.state();
    let Columns { memory_bytes_max, reason, summary, error } = columns(state);
    statement.execute(named_params! {
        ":id": job.id.to_string(),
        ":filename": job.upload.filename.to_string(),
        ":bytes": job.upload.bytes as i64,
        ":sha256": job.upload.sha256,
        ":options": json(&job.upload.options),
        ":created_ms": job.created_at.as_millisecond(),
        ":state": state.name(),
        ":started_ms": state.started_at().map(Timestamp::as_millisecond),
        ":completed_ms": state.completed_at().map(Timestamp::as_millisecond),
        ":memory_bytes_max": memory_bytes_max.map(|bytes| bytes as i64),
        ":reason": reason,
        ":summary": summary.map(json),
        ":error_code": error.map(|error| error.code.as_ref()),
        ":error_sentence": error.map(|error| error.sentence.as_str()),
        ":facts": job.facts.as_ref().map(json),
        ":posture": job.sandbox.as_ref().map(json),
        ":attempts_made": job.attempts_made,
        ":executions": job.executions,
        ":claims": job.claims,
        ":ended_clock_ms": ended.map(Moment::as_ms),
        ":idempotency_key": job.upload.idempotency_key,
        ":request_id": job.origin.request_id(),
        ":trace_id": job.origin.trace_id(),
    })
}

pub(crate) fn read(row: &Row<'_>) -> Result<JobRow> {
    let id: JobId = parsed(row, "id", |text| text.parse().ok())?;
    let upload = Upload {
        filename: DisplayName::new(&row.get::<_, String>("filename")?),
        bytes: row.get::<_, i64>("bytes")? as u64,
        sha256: row.get("sha256")?,
        options: parsed(row, "options", |text| serde_json::from_str(text).ok())?,
        idempotency_key: row.get("idempotency_key")?,
    };
    let mut job = Job::from_journal(id, upload, time(row, "created_ms")?, state(row)?);
    job.origin = Origin::from_journal(row.get("request_id")?, row.get("trace_id")?);
    job.facts = details(row, "facts")?;
    job.sandbox = details(row, "posture")?;
    job.attempts_made = row.get("attempts_made")?;
    job.executions = row.get("executions")?;
    job.claims = row.get("claims")?;
    Ok(JobRow { job, ended: row.get::<_, Option<i64>>("ended_clock_ms")?.map(Moment::from_ms) })
}

/// Reads a row with these columns, one in each line, for the fuzz targets.
pub(crate) fn read_row_of_lines(text: &str) {
    const COLUMNS: &str = "?1 AS id, ?2 AS filename, ?3 AS bytes, ?4 AS sha256, ?5 AS options, \
        ?6 AS created_ms, ?7 AS state, ?8 AS started_ms, ?9 AS completed_ms, \
        ?10 AS memory_bytes_max, ?11 AS reason, ?12 AS summary, ?13 AS error_code, \
        ?14 AS error_sentence, ?15 AS facts, ?16 AS posture, ?17 AS attempts_made, \
        ?18 AS executions, ?19 AS ended_clock_ms, ?20 AS idempotency_key, ?21 AS request_id, \
        ?22 AS trace_id, ?23 AS cap_bytes, ?24 AS peak_bytes, ?25 AS wall_ms, ?26 AS cpu_ms, \
        ?27 AS end, ?28 AS is_counted, ifnull(?29, 0) AS claims";
    thread_local! {
        static CONNECTION: Connection = Connection::open_in_memory().expect("memory");
    }
    let value = |line: &str| line.parse().map_or(Value::Text(line.into()), Value::Integer);
    let lines = text.split('\n').map(value).chain(std::iter::repeat(Value::Null));
    CONNECTION.with(|connection| {
        let query = format!("SELECT {COLUMNS}");
        let mut statement = connection.prepare(&query).expect("a statement");
        let _ = statement.query_row(params_from_iter(lines.take(29)), |row| {
            let _ = read_attempt(row);
            let job = read(row)?;
            // What is read can be written.
            drop(json(&job.job.upload.options));
            Ok(())
        });
    });
}

fn state(row: &Row<'_>) -> Result<JobState> {
    let started_at = optional_time(row, "started_ms")?;
    let memory_bytes_max = || row.get::<_, i64>("memory_bytes_max").map(|bytes| bytes as u64);
    let name: String = row.get("state")?;
    Ok(match name.as_str() {
        "pending" => JobState::Pending {
            started_at,
            memory_bytes_max: memory_bytes_max()?,
            reason: row.get("reason")?,
        },
        "processing" => JobState::Processing {
            started_at: time(row, "started_ms")?,
            memory_bytes_max: memory_bytes_max()?,
        },
        "completed" => JobState::Completed {
            started_at: time(row, "started_ms")?,
            completed_at: time(row, "completed_ms")?,
            summary: parsed(row, "summary", |text| serde_json::from_str(text).ok())?,
        },
        "failed" => JobState::Failed {
            started_at,
            completed_at: time(row, "completed_ms")?,
            error: JobError {
                code: Cow::Owned(row.get("error_code")?),
                sentence: row.get("error_sentence")?,
            },
        },
        "cancelled" => JobState::Cancelled { started_at, completed_at: time(row, "completed_ms")? },
        _ => return Err(unreadable("state")),
    })
}

/// A row of `attempts`, without its job and number.
pub(crate) fn read_attempt(row: &Row<'_>) -> Result<AttemptRecord> {
    let end = end_name(&row.get::<_, String>("end")?).ok_or_else(|| unreadable("end"))?;
    Ok(AttemptRecord {
        cap_bytes: row.get::<_, i64>("cap_bytes")? as u64,
        peak_bytes: row.get::<_, i64>("peak_bytes")? as u64,
        wall_ms: row.get::<_, i64>("wall_ms")? as u64,
        cpu_ms: row.get::<_, i64>("cpu_ms")? as u64,
        end,
        is_counted: row.get("is_counted")?,
        // Which of the ends by an operator were no command is not stored.
        is_killed: end == ExitReason::Killed.name(),
    })
}

/// The name of an end, from the stored text.
fn end_name(text: &str) -> Option<&'static str> {
    const NAMES: [&str; 13] = [
        ExitReason::Done.name(),
        ExitReason::BadInput.name(),
        ExitReason::Oom.name(),
        ExitReason::RssCap.name(),
        ExitReason::Crash(ProcessExit::Status(0)).name(),
        ExitReason::Sigsys { syscall: None }.name(),
        ExitReason::Deadline(Deadline::Wall).name(),
        ExitReason::Protocol.name(),
        ExitReason::Cancelled.name(),
        ExitReason::Operator.name(),
        ExitReason::Killed.name(),
        ExitReason::Shutdown.name(),
        ExitReason::SpawnFailed.name(),
    ];
    NAMES.into_iter().find(|name| *name == text)
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain values with text keys")
}

/// A value that is useful but not required: none if it cannot be read.
fn details<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn parsed<T>(row: &Row<'_>, column: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| unreadable(column))
}

fn time(row: &Row<'_>, column: &'static str) -> Result<Timestamp> {
    optional_time(row, column)?.ok_or_else(|| unreadable(column))
}

fn optional_time(row: &Row<'_>, column: &'static str) -> Result<Option<Timestamp>> {
    let ms: Option<i64> = row.get(column)?;
    ms.map(|ms| Timestamp::from_millisecond(ms).map_err(|_| unreadable(column))).transpose()
}

fn unreadable(column: &'static str) -> rusqlite::Error {
    let error = format!("the column {column} has an unreadable value");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into())
}
