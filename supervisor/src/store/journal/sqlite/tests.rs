//! Writing a journal and reading it back.

use crate::policy::display_name::DisplayName;
use crate::policy::job::{AttemptRecord, Job, JobError, JobEvent, JobState, Revision, Upload};
use crate::runner::attempt::origin::Origin;
use crate::store::journal::sqlite::schema;
use crate::store::journal::*;
use bodyscript_protocol::message::{Summary, VideoFacts};
use bodyscript_protocol::options::{Mode, Options, Sampling};
use jiff::Timestamp;
use std::path::Path;

const SUMMARY: Summary = Summary {
    first_frame: 0,
    frames_decoded: 9,
    frames_processed: 8,
    frames_detected: 7,
    mean_visibility: 0.625,
    track_losses: 1,
    jitter: 0.25,
    people: 1,
    warnings: bodyscript_protocol::warning::Warnings::NONE,
};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("small")
}

pub(crate) fn job(events: Vec<JobEvent>) -> Job {
    let upload = Upload {
        filename: DisplayName::new("clip \u{1f3c3} '; DROP TABLE jobs; --.mp4"),
        bytes: u64::MAX / 2,
        sha256: "ab".repeat(32),
        options: Options {
            mode: Mode::Quality,
            sampling: Sampling::every(3).expect("an interval"),
            formats: "csv,trc".parse().expect("known"),
            ..Options::default()
        },
        idempotency_key: None,
    };
    let mut job = Job::new(JobId::random(), upload, 384 << 20, at(1));
    for (second, event) in (2..).zip(events) {
        job.apply(event, at(second)).expect("legal");
    }
    job
}

fn record(end: &'static str) -> AttemptRecord {
    AttemptRecord {
        cap_bytes: 1 << 40,
        peak_bytes: 2,
        wall_ms: 3,
        cpu_ms: 4,
        end,
        is_counted: end != "shutdown",
        is_killed: false,
    }
}

/// Writes the entries and reads them back with a new start.
fn written_and_reopened(folder: &Path, entries: Vec<JournalEntry>) -> OpenedJournal {
    let (OpenedJournal { journal, .. }, thread) = Journal::open(folder).expect("opens");
    entries.into_iter().for_each(|entry| journal.append(entry));
    drop(journal);
    thread.join().expect("ends");
    let (mut past, thread) = Journal::open(folder).expect("opens again");
    past.journal = OpenedJournal::without_journal().journal;
    thread.join().expect("ends");
    past
}

pub(crate) fn entry(job: &Job) -> JournalEntry {
    let ended = job.state().is_final().then(|| crate::store::clock::Moment::from_ms(-5));
    JournalEntry::Job(Box::new(JobRow { job: job.clone(), ended }))
}

#[test]
fn a_job_in_any_state_is_read_back_unchanged() {
    let requeued = JobEvent::Requeued { memory_bytes_max: 768 << 20, reason: "More.".into() };
    let failed = JobError { code: "worker_crashed".into(), sentence: "It crashed.".into() };
    let ways = vec![
        vec![],
        vec![JobEvent::Started],
        vec![JobEvent::Started, requeued],
        vec![JobEvent::Started, JobEvent::Completed(SUMMARY)],
        vec![JobEvent::Failed(failed.clone())],
        vec![JobEvent::Started, JobEvent::Failed(failed)],
        vec![JobEvent::Cancelled],
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let mut jobs: Vec<_> = ways.into_iter().map(job).collect();
    jobs[2].record(record("oom"), None, None);
    jobs[3].record(record("shutdown"), None, None);
    jobs[3].record(record("done"), None, None);
    jobs[3].facts = Some(VideoFacts {
        width: 1,
        height: 2,
        frame_rate: (3, 4),
        duration_ms: None,
        frames_expected: 5,
        trimmed: true,
        rotation_degrees: 90,
        mirrored: true,
        container: "c".into(),
        codec: "d".into(),
    });
    jobs[3].sandbox = Some(Default::default());
    jobs[4].upload.idempotency_key = Some("k".into());
    jobs[5].origin = Origin::from_journal(Some("request-7".into()), Some("4b".repeat(16)));
    let past = written_and_reopened(folder.path(), jobs.iter().map(entry).collect());
    assert_eq!(past.jobs.len(), jobs.len());
    for (job, JobRow { job: read, ended }) in jobs.iter_mut().zip(&past.jobs) {
        // Needed for the next write only.
        job.replaced = Revision::NONE;
        assert_eq!(format!("{job:?}"), format!("{read:?}"));
        assert_eq!(ended.is_some(), job.state().is_final());
    }
}

#[test]
fn a_job_keeps_its_place_when_its_state_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = job(vec![]);
    let second = job(vec![]);
    let mut entries = vec![entry(&first), entry(&second)];
    first.apply(JobEvent::Started, at(5)).expect("legal");
    entries.push(entry(&first));
    let past = written_and_reopened(folder.path(), entries);
    let ids: Vec<_> = past.jobs.iter().map(|row| row.job.id).collect();
    assert_eq!(ids, [first.id, second.id]);
}

#[test]
fn only_the_latest_attempts_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut job = job(vec![JobEvent::Started]);
    let mut entries = Vec::new();
    for _ in 0..crate::policy::job::ATTEMPTS_KEPT_MAX + 3 {
        job.record(record("operator"), None, None);
        entries.push(entry(&job));
    }
    let past = written_and_reopened(folder.path(), entries);
    assert_eq!(past.jobs[0].job.attempts, job.attempts);
    assert_eq!(past.jobs[0].job.attempts_made, job.attempts_made);
}

#[test]
fn a_removed_job_is_gone_and_leaves_a_deletion_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let (kept_job, gone) = (job(vec![]), job(vec![JobEvent::Started]));
    let removed =
        |job: &Job, part| JournalEntry::Removed { job: job.id, part, why: "a test", known: None };
    let past = written_and_reopened(
        folder.path(),
        vec![
            entry(&kept_job),
            entry(&gone),
            removed(&kept_job, RemovedPart::Upload),
            removed(&gone, RemovedPart::Job),
        ],
    );
    assert_eq!(past.jobs.len(), 1);
    assert_eq!(past.jobs[0].job.id, kept_job.id);
    let rows = deletions(folder.path());
    let row = |job: &Job, what: &str| (job.id.to_string(), what.to_owned(), "a test".to_owned());
    assert_eq!(rows, [row(&kept_job, "upload"), row(&gone, "job")]);
}

fn deletions(folder: &Path) -> Vec<(String, String, String)> {
    let connection = rusqlite::Connection::open(folder.join(FILE)).expect("opens");
    let mut statement =
        connection.prepare("SELECT job, what, why FROM deletions ORDER BY seq").expect("SQL");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.expect("SQL").collect::<Result<_, _>>().expect("texts")
}

#[test]
fn poison_is_kept_until_it_is_reset() {
    let folder = tempfile::tempdir().expect("a folder");
    let poison =
        |execution: &str, crashes| JournalEntry::Poison { execution: execution.into(), crashes };
    let entries = vec![poison("a", 1), poison("b", 1), poison("a", 2), poison("b", 0)];
    let past = written_and_reopened(folder.path(), entries);
    assert_eq!(past.poison, [("a".to_owned(), 2)]);
}

#[tokio::test]
async fn a_commit_is_on_the_disk_when_it_returns() {
    let folder = tempfile::tempdir().expect("a folder");
    let (OpenedJournal { journal, .. }, thread) = Journal::open(folder.path()).expect("opens");
    let job = job(vec![]);
    journal.commit(entry(&job)).await.expect("is written");
    // As after `kill -9`: only what is in the files.
    let copy = tempfile::tempdir().expect("a folder");
    for file in std::fs::read_dir(folder.path()).expect("lists").flatten() {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("copies");
    }
    let (past, _thread) = Journal::open(copy.path()).expect("opens");
    assert_eq!(past.jobs[0].job.id, job.id);
    drop(journal);
    thread.join().expect("ends");
}

#[test]
fn a_damaged_journal_is_set_aside_with_the_files_it_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    drop(written_and_reopened(root, (0..200).map(|_| entry(&job(vec![]))).collect()));
    std::fs::create_dir(root.join("spool")).expect("makes");
    std::fs::create_dir(root.join("results")).expect("makes");
    std::fs::write(root.join("spool/video"), "v").expect("writes");
    std::fs::remove_file(root.join("journal.db-wal")).ok();
    let bytes = std::fs::read(root.join(FILE)).expect("reads");
    assert!(bytes.len() > 16_384, "the damage below falls within the tables");
    for (round, damage) in [(0, 0..64), (1, 4096..12_288), (2, 100..200)] {
        let mut damaged = bytes.clone();
        damaged[damage].fill(0xa5);
        std::fs::write(root.join(FILE), damaged).expect("writes");
        let (past, thread) = Journal::open(root).expect("opens");
        let (loss, aside) = past.lost.expect("reports the loss");
        assert!(matches!(loss, Loss::Damaged(_)), "{loss}");
        assert!(past.jobs.is_empty());
        assert!(aside.folder().join(FILE).exists());
        assert_eq!(aside.folder().join("spool/video").exists(), round == 0);
        drop(past.journal);
        thread.join().expect("ends");
    }
}

#[test]
fn a_journal_of_a_newer_version_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(written_and_reopened(folder.path(), vec![entry(&job(vec![]))]));
    let connection = rusqlite::Connection::open(folder.path().join(FILE)).expect("opens");
    connection.pragma_update(None, "user_version", schema::VERSION + 1).expect("sets");
    drop(connection);
    let error = Journal::open(folder.path()).expect_err("refused");
    assert!(matches!(error, JournalError::Newer { .. }), "{error}");
    assert!(!folder.path().join("set-aside").exists());
}

#[test]
fn a_journal_of_the_first_version_is_migrated_with_its_jobs() {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = rusqlite::Connection::open(folder.path().join(FILE)).expect("opens");
    connection.execute_batch(schema::STEPS[0]).expect("SQL");
    connection.pragma_update(None, "user_version", 1).expect("sets");
    let old = job(vec![]);
    let insert = "INSERT INTO jobs (id, filename, bytes, sha256, options, created_ms, state,
        memory_bytes_max, attempts_made, executions) VALUES (?1, 'a.mp4', 5, 'ab', ?2, 1000,
        'pending', 7, 0, 0)";
    let options = serde_json::to_string(&old.upload.options).expect("plain values");
    connection.execute(insert, [old.id.to_string(), options]).expect("SQL");
    drop(connection);

    let mut new = job(vec![]);
    new.origin = Origin::of(Some("request-7"), None);
    let past = written_and_reopened(folder.path(), vec![entry(&new)]);
    assert!(past.lost.is_none());
    let read: Vec<_> = past.jobs.iter().map(|one| (one.job.id, one.job.origin.clone())).collect();
    assert_eq!(read, [(old.id, Origin::NONE), (new.id, new.origin)]);
    let pending = JobState::Pending { started_at: None, memory_bytes_max: 7, reason: None };
    assert_eq!(past.jobs[0].job.state(), &pending);
}
