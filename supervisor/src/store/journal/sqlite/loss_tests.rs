//! Missing, damaged and replaced files of a journal.

use crate::policy::job::JobEvent;
use crate::store::journal::sqlite::tests::{at, entry, job};
use crate::store::journal::sqlite::{loss, schema};
use crate::store::journal::*;
use std::path::Path;

/// Damages a journal.
type Damage = fn(&Path);

/// The folder as it is if the process is killed after these entries.
fn killed(entries: Vec<JournalEntry>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let (OpenedJournal { journal, .. }, thread) = Journal::open(folder.path()).expect("opens");
    entries.into_iter().for_each(|entry| journal.append(entry));
    let (done, answer) = oneshot::channel();
    journal.engine.write(WriteRequest { entry: JournalEntry::Flush, done: Some(done) });
    answer.blocking_recv().expect("answers").expect("is written");
    let copy = tempfile::tempdir().expect("a folder");
    for file in std::fs::read_dir(folder.path()).expect("lists").flatten() {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("copies");
    }
    drop(journal);
    thread.join().expect("ends");
    std::fs::create_dir(copy.path().join("results")).expect("makes");
    std::fs::write(copy.path().join("results/one"), "r").expect("writes");
    copy
}

fn reopened(folder: &Path) -> OpenedJournal {
    let (mut past, thread) = Journal::open(folder).expect("opens");
    past.journal = OpenedJournal::without_journal().journal;
    thread.join().expect("ends");
    past
}

#[test]
fn a_journal_whose_jobs_are_all_removed_is_not_lost() {
    let removed_job = job(vec![]);
    let removal = JournalEntry::Removed {
        job: removed_job.id,
        part: RemovedPart::Job,
        why: "a test",
        known: None,
    };
    for (entries, removed) in [(vec![], 0), (vec![entry(&removed_job), removal], 1)] {
        let folder = killed(entries);
        let past = reopened(folder.path());
        assert!(past.lost.is_none(), "{:?}", past.lost);
        assert_eq!((past.jobs.len(), past.removed.len()), (0, removed));
        assert!(folder.path().join("results/one").exists());
    }
}

#[test]
fn a_missing_empty_or_new_journal_is_reported_as_lost() {
    let ways: [(&str, Damage); 5] = [
        ("missing", |journal| std::fs::remove_file(journal).expect("removes")),
        ("missing", |journal| {
            std::fs::remove_file(journal).expect("removes");
            std::fs::remove_file(loss::with_suffix(journal, loss::LOG)).expect("removes");
        }),
        ("empty", |journal| std::fs::write(journal, "").expect("writes")),
        ("new", |journal| {
            std::fs::remove_file(journal).expect("removes");
            std::fs::remove_file(loss::with_suffix(journal, loss::LOG)).expect("removes");
            let connection = rusqlite::Connection::open(journal).expect("opens");
            connection.pragma_update(None, "user_version", 0).expect("writes a page");
        }),
        ("new", |journal| {
            std::fs::remove_file(journal).expect("removes");
            std::fs::remove_file(loss::with_suffix(journal, loss::LOG)).expect("removes");
            let mut connection = rusqlite::Connection::open(journal).expect("opens");
            schema::migrate(&mut connection).expect("migrates");
        }),
    ];
    for (why, damage) in ways {
        let folder = killed(vec![entry(&job(vec![]))]);
        let journal = folder.path().join(FILE);
        damage(&journal);
        let log = std::fs::read(loss::with_suffix(&journal, loss::LOG)).ok();
        let (loss, aside) = reopened(folder.path()).lost.expect("reports the loss");
        assert!(loss.to_string().contains(why), "{loss} is not {why}");
        let moved = |name: &str| std::fs::read(aside.folder().join(name)).ok();
        assert_eq!(moved("results/one").as_deref(), Some(&b"r"[..]));
        assert_eq!(moved("journal.db-wal"), log, "SQLite would have removed it");
        assert!(reopened(folder.path()).lost.is_none(), "the new one has history");
    }
}

#[test]
fn a_missing_wal_is_reported_unless_the_journal_was_closed() {
    for damage in [|log: &Path| std::fs::remove_file(log), |log: &Path| std::fs::write(log, "")] {
        let folder = killed(vec![entry(&job(vec![]))]);
        let log = loss::with_suffix(&folder.path().join(FILE), loss::LOG);
        let result = folder.path().join("results/one");
        damage(&log).expect("loses");
        let past = reopened(folder.path());
        assert!(past.jobs.is_empty() && !result.exists());
        assert!(matches!(past.lost, Some((Loss::WithoutLog, _))), "{:?}", past.lost);

        std::fs::write(&result, "r").expect("writes");
        assert!(reopened(folder.path()).lost.is_none(), "it is reported once");
        damage(&log).expect("loses");
        assert!(reopened(folder.path()).lost.is_none(), "it was closed");
    }
}

#[test]
fn a_wal_that_was_merged_by_another_program_is_no_loss() {
    let known = job(vec![]);
    let folder = killed(vec![entry(&known)]);
    std::fs::remove_dir_all(folder.path().join("results")).expect("removes");
    std::fs::create_dir(folder.path().join("spool")).expect("makes");
    let upload = folder.path().join("spool").join(known.id.to_string());
    std::fs::write(&upload, "v").expect("writes");
    // SQLite's own shell removes the WAL once all of it is in the database.
    let shell = rusqlite::Connection::open(folder.path().join(FILE)).expect("opens");
    shell.query_row("SELECT count(*) FROM jobs", [], |_| Ok(())).expect("SQL");
    drop(shell);
    let past = reopened(folder.path());
    assert!(past.lost.is_none() && upload.exists(), "{:?}", past.lost);
    assert_eq!(past.jobs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_commit_succeeds_while_the_file_is_away_and_no_refused_job_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, away) = (folder.path().join(FILE), folder.path().join("away"));
    let (OpenedJournal { journal, .. }, thread) = Journal::open(folder.path()).expect("opens");
    let is_finished = std::sync::atomic::AtomicBool::new(false);
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    let move_back_and_forth = || {
        while !is_finished.load(std::sync::atomic::Ordering::Relaxed) {
            std::fs::rename(&path, &away).expect("moves");
            std::fs::rename(&away, &path).expect("moves");
        }
    };
    let commits = async {
        while kept.len() < 50 || refused.len() < 50 {
            let job = job(vec![]);
            match journal.commit(entry(&job)).await {
                Ok(()) => kept.push(job.id),
                Err(error) => {
                    assert!(matches!(*error, JournalError::Lost(_)), "{error}");
                    refused.push(job.id);
                }
            }
        }
        is_finished.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        scope.spawn(move_back_and_forth);
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(commits));
    });
    drop(journal);
    thread.join().expect("ends");
    let ids: Vec<_> = reopened(folder.path()).jobs.iter().map(|one| one.job.id).collect();
    assert_eq!(ids, kept, "{} were refused", refused.len());
}

#[tokio::test]
async fn entries_sent_while_the_file_is_away_are_written_when_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, away) = (folder.path().join(FILE), folder.path().join("away"));
    let (OpenedJournal { mut journal, .. }, thread) = Journal::open(folder.path()).expect("opens");
    let mut known = job(vec![]);
    journal.commit(entry(&known)).await.expect("is written");
    std::fs::rename(&path, &away).expect("moves");
    known.apply(JobEvent::Started, at(5)).expect("legal");
    journal.append(entry(&known));
    let refused = journal.commit(entry(&job(vec![]))).await.expect_err("is away");
    assert!(matches!(*refused, JournalError::Lost(FileProblem::Removed(_))), "{refused}");
    assert_eq!(journal.state(), JournalState::Lost);
    std::fs::rename(&away, &path).expect("moves back");
    journal
        .state
        .wait_for(|state| *state == JournalState::Writable)
        .await
        .expect("the thread runs");
    drop(journal);
    thread.join().expect("ends");
    let jobs = reopened(folder.path()).jobs;
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].job.state().name(), "processing");
}
