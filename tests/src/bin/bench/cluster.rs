//! Hosts that share a journal: how many jobs can be claimed in its database, against a queue in PostgreSQL, and how soon
//! a job is claimed.

use crate::figures::{CLAIMS_PER_S, P50_MS, P95_MS, Place, percentile};
use crate::names::{CLAIM_ELSEWHERE, CLAIM_HERE, CLAIMS_1, CLAIMS_8, CLAIMS_24, OURS, PGMQ};
use crate::paths::bench_folder;
use crate::requests::put;
use crate::rounds::{Bench, Contender, Values};
use crate::selection::Group;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::Cluster;
use bodyscript_tests::database::{Database, Load};
use bodyscript_tests::traces::fault_video;

const GROUP: Group = Group::Cluster;

/// Connections at the same time.
const CLIENTS: [(&str, usize); 3] = [(CLAIMS_1, 1), (CLAIMS_8, 8), (CLAIMS_24, 24)];

/// Jobs that are claimed in one turn.
const TURN_JOBS: usize = 4_800;

/// Jobs whose claim is timed.
const TIMED_JOBS: usize = 100;

/// Limits high enough not to affect what is measured.
const FLAGS: [&str; 6] =
    ["--workers", "1", "--client-uploads-per-minute-max", "60000", "--queue-max", "1000"];

/// The start of a job and its end, each in a transaction, as a host sends them. The hosts have the jobs in memory, so
/// each connection knows which is its next.
const OUR_SCRIPT: &str = "
\\set turn :turn + 1
\\set job :turn * :clients + :client_id
\\set known :job * 4294967296
SELECT change_job_2('job ' || :job, :known, :known + 4294967297, 'processing', 7, :document::json, 3, 6);
SELECT change_job_2('job ' || :job, :known + 4294967297, :known + 8589934593, 'completed', NULL, :document::json, 3, 6);
";

/// A message that is read, which hides it for 30 s, and deleted.
const PGMQ_SCRIPT: &str = "
SELECT msg_id AS message FROM pgmq.read('claims', 30, 1) \\gset
SELECT pgmq.delete('claims', :message::bigint);
";

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    claims(bench)?;
    for (case, hosts) in [(CLAIM_HERE, 1), (CLAIM_ELSEWHERE, 2)] {
        let Some(cluster) = Cluster::start(hosts, &FLAGS)? else { return Ok(()) };
        let times = claim_times(&cluster)?;
        let at = |percent| percentile(&times, percent).context("no claim was timed");
        bench.add(Place { group: GROUP, case, who: OURS }, &[(P50_MS, at(50)?), (P95_MS, at(95)?)]);
        cluster.stop()?;
    }
    Ok(())
}

/// Ours and pgmq's by turns, in the same database.
fn claims(bench: &mut Bench) -> Result<()> {
    let Some(mut cluster) = Cluster::start(1, &FLAGS)? else { return Ok(()) };
    let id = put(cluster.host(0), b"FAULT ok\n".to_vec())?;
    cluster.host(0).await_end(&id)?;
    let document = cluster.query("SELECT document FROM bodyscript.jobs")?;
    // Else it would run the jobs of the turns.
    cluster.end(0)?;
    let database = &*cluster.database();
    let has_pgmq = install_pgmq(bench, database)?;
    for (case, clients) in CLIENTS {
        let ours = || {
            refill(database, &document)?;
            take(database, (OUR_SCRIPT, clients), &document)
        };
        let mut contenders = vec![Contender::new(OURS, ours)];
        if has_pgmq {
            contenders.push(Contender::new(PGMQ, || {
                refill_pgmq(database, &document)?;
                take(database, (PGMQ_SCRIPT, clients), &document)
            }));
        }
        bench.alternate((GROUP, case), bench.rounds, contenders);
        bench.compare(GROUP, case, [OURS, PGMQ], &[CLAIMS_PER_S]);
    }
    Ok(())
}

/// Installs the queue; false, and a note, if it was not fetched.
fn install_pgmq(bench: &mut Bench, database: &Database) -> Result<bool> {
    let Ok(sql) = std::fs::read_to_string(bench_folder().join("pgmq.sql")) else {
        bench.note(format!("{PGMQ}: not fetched; run `make bench-pgmq`"));
        return Ok(false);
    };
    database.run_script(&format!("CREATE SCHEMA pgmq;\n{sql}\nSELECT pgmq.create('claims');"))?;
    Ok(true)
}

fn refill(database: &Database, document: &str) -> Result<()> {
    database.run_script(&format!(
        "TRUNCATE bodyscript.jobs;
         INSERT INTO bodyscript.jobs (id, revision, state, execution, content, document)
         SELECT 'job ' || n, n::bigint * 4294967296, 'pending', 'execution ' || n, 'content ' || n, $d${document}$d$
         FROM generate_series(1, {}) AS n;
         VACUUM ANALYZE bodyscript.jobs;
         CHECKPOINT;",
        // Each connection begins with its second turn.
        2 * TURN_JOBS
    ))
}

fn refill_pgmq(database: &Database, document: &str) -> Result<()> {
    database.run_script(&format!(
        "SELECT pgmq.purge_queue('claims');
         SELECT count(*) FROM pgmq.send_batch('claims',
             ARRAY(SELECT $d${document}$d$::jsonb FROM generate_series(1, {})));
         VACUUM ANALYZE pgmq.q_claims;
         CHECKPOINT;",
        2 * TURN_JOBS
    ))
}

fn take(database: &Database, (script, clients): (&str, usize), document: &str) -> Result<Values> {
    let count = clients.to_string();
    let load = Load {
        script,
        clients,
        transactions: TURN_JOBS / clients,
        variables: &[("turn", "0"), ("clients", &count), ("document", document)],
    };
    Ok(vec![(CLAIMS_PER_S, database.run_load(&load)?)])
}

/// Notes when the database has each state of a job.
const NOTES: &str = "
    CREATE TABLE bodyscript.noted (job text, state text, at timestamptz DEFAULT clock_timestamp());
    CREATE FUNCTION bodyscript.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO bodyscript.noted VALUES (NEW.id, NEW.state);
        RETURN NULL;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE ON bodyscript.jobs
        FOR EACH ROW EXECUTE FUNCTION bodyscript.note();
";

/// The times from the acceptance of a job in the database to its start there, in ms. Of two hosts one accepts the jobs
/// while its only worker is busy.
fn claim_times(cluster: &Cluster) -> Result<Vec<f64>> {
    let videos = tempfile::tempdir()?;
    let mut server = cluster.host(0);
    let mut busy = None;
    if cluster.size() > 1 {
        let video = fault_video(videos.path(), "progress:1 sleep:3000000 ok")?;
        let id = busy.insert(server.submit(&video)?);
        server.await_status(id, |status| status["current_frame"] == 1)?;
        let runner =
            "SELECT name FROM bodyscript.hosts WHERE id = (SELECT host FROM bodyscript.jobs)";
        server = cluster.host(usize::from(cluster.query(runner)? == "b"));
    }
    cluster.query(NOTES)?;
    for number in 0..TIMED_JOBS {
        server.await_end(&put(server, format!("FAULT ok\n{number}\n").into_bytes())?)?;
    }
    if let Some(id) = busy {
        let cancel = server.url(&format!("/api/cancel/{id}"));
        server.client().post(cancel).send()?.error_for_status()?;
    }
    let rows = cluster.query(
        "SELECT extract(epoch FROM min(at) FILTER (WHERE state = 'processing') - min(at)) * 1000
         FROM bodyscript.noted GROUP BY job
         HAVING bool_or(state = 'pending') AND bool_or(state = 'processing')",
    )?;
    let times =
        rows.lines().map(|row| row.parse().context("a time")).collect::<Result<Vec<_>>>()?;
    ensure!(times.len() == TIMED_JOBS, "{} claims were timed", times.len());
    Ok(times)
}
