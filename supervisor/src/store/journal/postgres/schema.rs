//! The tables, and the migration of older versions.
//!
//! Hosts of two versions share the tables while a service is upgraded, so a step only adds: tables, columns with a
//! default, functions of another name. What is no longer used is removed one version later.

use tokio_postgres::{Client, Error};

/// The schema in the database.
pub(crate) const SCHEMA: &str = "bodyscript";

/// The advisory lock under which one host migrates: any number that no other program uses in this database.
const LOCK: i64 = 0x0062_6f64_7973_6372;

/// Each step migrates one version to the next; a released step is never changed.
const STEPS: [&str; 2] = [FIRST, PROGRESS_ENDS];

const FIRST: &str = "
    CREATE TABLE hosts (
        id bigint PRIMARY KEY,
        name text NOT NULL,
        -- Changes as long as the host is there.
        beat bigint NOT NULL DEFAULT 0,
        memory_budget_bytes bigint NOT NULL,
        version text NOT NULL,
        started_at timestamptz NOT NULL DEFAULT clock_timestamp()
    ) WITH (fillfactor = 50);

    CREATE TABLE jobs (
        seq bigint GENERATED ALWAYS AS IDENTITY,
        id text PRIMARY KEY,
        -- Of the last change; a host that changes the job has to know it.
        revision bigint NOT NULL,
        -- Also `removed`, for as long as a host may not know of it.
        state text NOT NULL,
        -- The host that processes the job.
        host bigint,
        -- What that host is to do.
        request text,
        idempotency_key text UNIQUE,
        -- The content of the video with and without the options.
        execution text NOT NULL,
        content text NOT NULL,
        document json NOT NULL,
        removed_at timestamptz,
        -- The transaction of the last change.
        changed xid8 NOT NULL DEFAULT pg_current_xact_id()
    ) WITH (fillfactor = 70);
    CREATE INDEX jobs_changed ON jobs (changed);
    CREATE INDEX jobs_processing ON jobs (content) WHERE state = 'processing';
    CREATE INDEX jobs_removed ON jobs (removed_at) WHERE state = 'removed';

    -- Content that ended its workers, and how often.
    CREATE TABLE poison (
        execution text PRIMARY KEY,
        content text NOT NULL,
        crashes integer NOT NULL,
        changed xid8 NOT NULL DEFAULT pg_current_xact_id()
    );
    CREATE INDEX poison_changed ON poison (changed);
    CREATE INDEX poison_content ON poison (content);

    -- Webhooks that are not delivered yet, each with the host that delivers it.
    CREATE TABLE webhooks (
        job text PRIMARY KEY,
        url text NOT NULL,
        tries integer NOT NULL,
        host bigint NOT NULL
    );

    -- Uploads that come in several requests, which any host takes.
    CREATE TABLE uploads (
        id text PRIMARY KEY,
        length bigint NOT NULL,
        -- How many bytes count; a host that adds some has to know it.
        committed bigint NOT NULL DEFAULT 0,
        metadata text NOT NULL,
        -- Whether it has become a job.
        submitted boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        -- When a request last showed that it works on it.
        used_at timestamptz NOT NULL DEFAULT clock_timestamp()
    ) WITH (fillfactor = 70);

    -- The objects with the bytes that count, each from its first byte to that of the next.
    CREATE TABLE upload_parts (
        upload text NOT NULL REFERENCES uploads ON DELETE CASCADE,
        first_byte bigint NOT NULL,
        object text NOT NULL,
        PRIMARY KEY (upload, first_byte)
    );

    -- Creates an upload. If there are too many, one gives way that was left with next to nothing.
    CREATE FUNCTION create_upload_1(
        upload text, bytes bigint, client_metadata text, uploads_max bigint, empty_idle_s double precision,
        few_bytes bigint, few_idle_s double precision, OUT created boolean, OUT displaced text
    ) LANGUAGE plpgsql AS $$
    BEGIN
        -- The uploads are counted one creation at a time.
        PERFORM pg_advisory_xact_lock(hashtextextended('uploads', 0));
        created := true;
        IF EXISTS (SELECT FROM uploads WHERE id = upload) THEN
            RETURN;
        END IF;
        IF (SELECT count(*) FROM uploads WHERE NOT submitted) >= uploads_max THEN
            DELETE FROM uploads WHERE id = (
                SELECT id FROM uploads WHERE NOT submitted
                AND (committed = 0 AND used_at <= clock_timestamp() - empty_idle_s * interval '1 s'
                    OR committed <= few_bytes AND used_at <= clock_timestamp() - few_idle_s * interval '1 s')
                ORDER BY committed, used_at LIMIT 1
            ) RETURNING id INTO displaced;
            IF displaced IS NULL THEN
                created := false;
                RETURN;
            END IF;
        END IF;
        INSERT INTO uploads (id, length, metadata) VALUES (upload, bytes, client_metadata);
    END $$;

    -- What hosts tell of their attempts. Not worth a write to the log: it is lost in a crash.
    CREATE UNLOGGED TABLE progress (
        job text PRIMARY KEY,
        document text NOT NULL,
        changed xid8 NOT NULL DEFAULT pg_current_xact_id()
    ) WITH (fillfactor = 50);

    -- Changes a job if it is still as the caller knows it. A job starts only if its content may crash one worker more:
    -- each host that runs it may be about to report a crash. The lock is for two that start at the same time.
    CREATE FUNCTION change_job_1(
        job text, known bigint, next bigint, next_state text, next_host bigint, next_document json,
        execution_max integer, content_max integer
    ) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        old jobs;
    BEGIN
        SELECT * INTO old FROM jobs WHERE id = job AND revision = known;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        IF next_state = 'processing' AND old.state <> 'processing' AND old.content <> '' THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(old.content, 0));
            IF (SELECT count(*) FROM jobs WHERE content = old.content AND state = 'processing')
                + (SELECT coalesce(sum(crashes), 0) FROM poison WHERE content = old.content) >= content_max
            OR (SELECT count(*) FROM jobs WHERE content = old.content AND execution = old.execution
                    AND state = 'processing')
                + (SELECT coalesce(sum(crashes), 0) FROM poison WHERE execution = old.execution) >= execution_max
            THEN
                RETURN false;
            END IF;
        END IF;
        UPDATE jobs SET revision = next, state = next_state, host = next_host, document = next_document,
            request = CASE WHEN next_state IN ('pending', 'processing') THEN request END,
            changed = pg_current_xact_id()
        WHERE id = job AND revision = known;
        RETURN FOUND;
    END $$;
";

/// What is told of an attempt goes with its end: hosts read all of it that is left, several times a second.
const PROGRESS_ENDS: &str = "
    CREATE FUNCTION change_job_2(
        job text, known bigint, next bigint, next_state text, next_host bigint, next_document json,
        execution_max integer, content_max integer
    ) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT change_job_1(job, known, next, next_state, next_host, next_document, execution_max, content_max) THEN
            RETURN false;
        END IF;
        IF next_state <> 'processing' THEN
            DELETE FROM progress WHERE progress.job = change_job_2.job;
        END IF;
        RETURN true;
    END $$;
";

/// The version this program writes.
pub(crate) const VERSION: i32 = STEPS.len() as i32;

/// The state of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    /// As this program needs them.
    Current,
    /// A newer program has changed them so that this one cannot use them.
    Newer(i32),
}

/// Creates the tables, or migrates them, unless another host has done so.
pub(crate) async fn migrate(client: &mut Client) -> Result<Tables, Error> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction
        .batch_execute(&format!(
            "SET LOCAL client_min_messages TO warning;
             CREATE SCHEMA IF NOT EXISTS {SCHEMA};
             SET LOCAL search_path TO {SCHEMA};
             -- Which program can use the tables of which version.
             CREATE TABLE IF NOT EXISTS versions (version integer PRIMARY KEY, program_min integer NOT NULL);"
        ))
        .await?;
    let query = "SELECT coalesce(max(version), 0), coalesce(max(program_min), 0) FROM versions";
    let row = transaction.query_one(query, &[]).await?;
    let (version, program_min): (i32, i32) = (row.get(0), row.get(1));
    if program_min > VERSION {
        return Ok(Tables::Newer(version));
    }
    for (step, sql) in (1_i32..).zip(STEPS).skip(version.max(0) as usize) {
        transaction.batch_execute(sql).await?;
        // Programs of the version before go on with what a step has added.
        let program_min = (step - 1).max(1);
        let insert = "INSERT INTO versions VALUES ($1, $2)";
        transaction.execute(insert, &[&step, &program_min]).await?;
    }
    transaction.commit().await?;
    Ok(Tables::Current)
}
