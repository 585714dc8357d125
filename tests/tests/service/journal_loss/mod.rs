//! A journal that is missing, empty, new or truncated at a start, or lost while the service runs: no file of
//! a user is deleted, and no job is accepted that the next start would not find.

mod harness;

use anyhow::{Context, Result, ensure};
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::programs;
use bodyscript_tests::raw_tus::RawTus;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::names;
use harness::{
    Harness, Lose, RESUMABLE, Tree, USER_FOLDERS, all_files, of_users, remove, set_aside, strs,
    tree,
};
use reqwest::StatusCode;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

#[test]
fn files_of_a_lost_journal_are_set_aside_unchanged() -> Result<()> {
    let ways: [(&str, Lose); 4] = [
        ("journal.db is missing", remove),
        ("journal.db is missing", |state| Ok(fs::remove_file(state.join("journal.db"))?)),
        ("journal.db is empty", |state| {
            Ok(fs::File::options().write(true).open(state.join("journal.db"))?.set_len(0)?)
        }),
        ("journal.db is new", |state| {
            remove(state)?;
            let empty = rusqlite::Connection::open(state.join("journal.db"))?;
            Ok(empty.execute_batch("CREATE TABLE t (a); DROP TABLE t;")?)
        }),
    ];
    for (cause, lose) in ways {
        let killed = Harness::start()?.kill_with_all_files()?;
        let state = killed.state();
        lose(&state)?;
        let before = all_files(&state)?;
        for place in USER_FOLDERS {
            ensure!(before.keys().any(|name| name.starts_with(place)), "nothing in {place}");
        }
        let lost = [killed.completed.clone(), [killed.waiting.clone(), killed.resumable.clone()]];
        let harness = killed.start()?;
        assert_eq!(set_aside(&state)?, before, "after {cause}");
        let log = harness.server.log();
        let reported = log.lines().find(|line| line.contains("the journal was lost"));
        let reported = reported.with_context(|| format!("nothing is reported: {log}"))?;
        for words in ["ERROR", cause, "results (2)", "resumable (2)", "set-aside/", "bytes="] {
            ensure!(reported.contains(words), "no {words} in {reported}");
        }
        let [[one, other], [waiting, resumable]] = lost;
        for id in [one, other, waiting] {
            let gone = harness.server.get(&format!("/api/status/{id}"))?;
            ensure!(gone.status() == StatusCode::NOT_FOUND, "{id}: {}", gone.status());
        }
        let url = harness.server.url(&resumable);
        let gone = RawTus::of(&harness.server).ask(reqwest::Method::HEAD, &url, &[]).send()?;
        ensure!(gone.status() == StatusCode::NOT_FOUND, "{}", gone.status());
        harness.check_it_works()?;
        // The next start uses the new journal and keeps what was set aside.
        let Harness { server, flags, videos } = harness;
        let root = server.kill()?;
        let harness = Harness { server: TestServer::start_in(root, &strs(&flags))?, flags, videos };
        assert_eq!(set_aside(&state)?, before);
        ensure!(
            harness.server.log().contains("files set aside earlier"),
            "the log does not mention them"
        );
        ensure!(harness.server.operator_json("/api/jobs")?["total"] == 1);
        harness.server.stop()?;
    }
    Ok(())
}

/// Restores the files as the runbook describes.
fn restore(state: &Path, journal: &Path) -> Result<()> {
    remove(state)?;
    let start = names(state, "set-aside")?.pop_first().context("one")?;
    let start = state.join("set-aside").join(start);
    for place in USER_FOLDERS {
        for name in names(&start, place)? {
            fs::rename(start.join(place).join(&name), state.join(place).join(&name))?;
        }
    }
    for name in ["journal.db", "journal.db-wal"] {
        fs::rename(journal.join(name), state.join(name))?;
    }
    Ok(fs::remove_dir_all(state.join("set-aside"))?)
}

#[test]
fn files_set_aside_can_be_restored() -> Result<()> {
    let killed = Harness::start()?.kill_with_all_files()?;
    let (state, elsewhere) = (killed.state(), tempfile::tempdir()?);
    for name in ["journal.db", "journal.db-wal"] {
        fs::rename(state.join(name), elsewhere.path().join(name))?;
    }
    let (completed, waiting) = (killed.completed.clone(), killed.waiting.clone());
    let resumable = killed.resumable.clone();
    let results = tree(&state, &["results"])?;
    let harness = killed.start()?;
    let doctor = Command::new(programs::path("bodyscript")?)
        .args(["doctor", "--state-dir"])
        .arg(&state)
        .output()?;
    let report = String::from_utf8(doctor.stdout)?;
    ensure!(report.contains("set aside") && report.contains("of 1 starts"), "{report}");
    let Harness { server, flags, videos } = harness;
    let root = server.kill()?;
    restore(&state, elsewhere.path())?;
    let harness = Harness { server: TestServer::start_in(root, &strs(&flags))?, flags, videos };
    assert_eq!(tree(&state, &["results"])?, results);
    for id in &completed {
        let csv = harness.server.get(&format!("/api/serve/{id}/pose_data.csv"))?;
        ensure!(csv.text()?.starts_with("frame_id,"), "{id} is not served");
    }
    ensure!(harness.server.status(&waiting)?["status"] == "pending");
    let url = harness.server.url(&resumable);
    ensure!(RawTus::of(&harness.server).offset(&url)? == RESUMABLE.1);
    ensure!(!state.join("set-aside").exists(), "files were set aside again");
    harness.server.kill()?;
    Ok(())
}

#[test]
fn files_unknown_to_a_journal_without_its_log_are_not_swept() -> Result<()> {
    let killed = Harness::start()?.kill_with_all_files()?;
    let state = killed.state();
    let before = all_files(&state)?;
    let resumable = killed.resumable.clone();
    fs::remove_file(state.join("journal.db-wal"))?;
    let harness = killed.start()?;
    // An unfinished upload does not depend on the journal and can be resumed.
    let url = harness.server.url(&resumable);
    ensure!(RawTus::of(&harness.server).offset(&url)? == RESUMABLE.1);
    let mut found = set_aside(&state)?;
    found.extend(tree(&state, &["resumable"])?);
    assert_eq!(found, of_users(&before));
    let log = harness.server.log();
    ensure!(log.contains("journal.db-wal is missing or empty"), "{log}");
    ensure!(log.contains("are set aside; nothing was deleted"), "{log}");
    harness.check_it_works()?;
    harness.server.kill()?;
    Ok(())
}

#[test]
fn unknown_results_are_set_aside_and_removed_ones_swept() -> Result<()> {
    let harness = Harness::start()?;
    let state = harness.server.state_dir();
    let (kept, removed) = (harness.complete()?, harness.complete()?);
    let unknown = "0123456789abcdef0123456789abcdef";
    // The service is killed between the journal entry of a removal and the removal of the files.
    let Harness { server, flags, videos } = harness;
    let root = server.kill()?;
    let flags = strs(&flags);
    let mut server = TestServer::launch(root, &flags, Some("removal_committed"))?;
    ensure!(server.ready_or_exited()?, "{}", server.log());
    let cleanup = server.client().delete(server.url(&format!("/api/cleanup/{removed}"))).send();
    ensure!(cleanup.is_err(), "it was killed before the response");
    let root = server.kill()?;
    ensure!(state.join("results").join(&removed).exists(), "the files were removed already");
    fs::create_dir(state.join("results").join(unknown))?;
    fs::write(state.join("results").join(unknown).join("pose_data.csv"), "unknown")?;
    fs::write(state.join("spool").join(unknown), "unknown")?;
    fs::create_dir_all(state.join("jobs").join(unknown).join("attempt-1"))?;

    let server = TestServer::start_in(root, &flags)?;
    assert_eq!(names(&state, "results")?, [kept].into());
    ensure!(names(&state, "spool")?.is_empty() && names(&state, "jobs")?.is_empty());
    let name = PathBuf::from(format!("results/{unknown}/pose_data.csv"));
    assert_eq!(set_aside(&state)?, Tree::from([(name, b"unknown".to_vec())]));
    let log = server.log();
    let reported =
        log.lines().find(|line| line.contains("results without an entry in the journal"));
    ensure!(reported.is_some_and(|line| line.contains("ERROR") && line.contains(unknown)), "{log}");
    server.stop()?;
    drop(videos);
    Ok(())
}

#[test]
fn a_crash_between_two_moves_loses_nothing() -> Result<()> {
    let ways: [(Lose, usize); 2] = [
        (remove, USER_FOLDERS.len()),
        // Two results, two uploads, a webhook and the attempts of a job are moved one by one.
        (|state| Ok(fs::remove_file(state.join("journal.db-wal"))?), 6),
    ];
    for (lose, moves) in ways {
        let killed = Harness::start()?.kill_with_all_files()?;
        let state = killed.state();
        lose(&state)?;
        let before = of_users(&all_files(&state)?);
        let mut crashes = 0;
        loop {
            let flags = strs(&killed.flags);
            let root = Arc::clone(&killed.root);
            let mut server = TestServer::launch(root, &flags, Some("set_aside_moved"))?;
            if server.ready_or_exited()? {
                server.kill()?;
                break;
            }
            crashes += 1;
            let mut found = of_users(&all_files(&state)?);
            found.extend(set_aside(&state)?);
            assert_eq!(found, before, "after {crashes} crashes");
        }
        ensure!(crashes == moves, "{crashes} crashes");
        let mut found = of_users(&all_files(&state)?);
        found.extend(set_aside(&state)?);
        assert_eq!(found, before, "after the start without a crash");
        killed.start()?.check_it_works()?;
    }
    Ok(())
}

#[test]
fn files_that_cannot_be_set_aside_stop_the_start() -> Result<()> {
    let killed = Harness::start()?.kill_with_all_files()?;
    let state = killed.state();
    remove(&state)?;
    let before = all_files(&state)?;
    fs::write(state.join("set-aside"), "in the way")?;
    let mut server = TestServer::launch(Arc::clone(&killed.root), &strs(&killed.flags), None)?;
    ensure!(!server.ready_or_exited()?, "it started");
    let log = server.log();
    ensure!(
        log.contains("have to be set aside in") && log.contains("nothing was deleted"),
        "{log}"
    );
    assert_eq!(all_files(&state)?, before);
    fs::remove_file(state.join("set-aside"))?;
    let harness = killed.start()?;
    assert_eq!(set_aside(&state)?, before);
    harness.check_it_works()
}

/// A loss of a file of the journal while the service runs, which can be undone.
struct Loss {
    file: &'static str,
    lose: fn(&Path, &Path) -> Result<()>,
    reported: &'static str,
}

const LOSSES: [Loss; 3] = [
    Loss {
        file: "journal.db",
        lose: |path, kept| {
            fs::hard_link(path, kept)?;
            Ok(fs::remove_file(path)?)
        },
        reported: "journal.db was removed",
    },
    Loss {
        file: "journal.db",
        lose: |path, kept| {
            fs::rename(path, kept)?;
            fs::copy(kept, path)?;
            Ok(())
        },
        reported: "journal.db was replaced",
    },
    Loss {
        file: "journal.db-wal",
        lose: |path, kept| Ok(fs::rename(path, kept)?),
        reported: "journal.db-wal was removed",
    },
];

fn check_it_is_reported(harness: &Harness, reported: &str) -> Result<()> {
    let server = &harness.server;
    let ready = server.get("/readyz")?;
    ensure!(ready.status() == StatusCode::SERVICE_UNAVAILABLE, "{}", ready.status());
    let reason = ready.json::<Value>()?["reason"].clone();
    ensure!(reason == "the journal was removed, replaced or truncated", "{reason}");
    ensure!(server.json("/health")?["status"] == "degraded");
    ensure!(server.get("/livez")?.status().is_success());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("the journal is lost"));
    let is_reported = line.is_some_and(|line| line.contains("ERROR") && line.contains(reported));
    ensure!(is_reported, "{log}");
    Ok(())
}

#[test]
fn uploads_are_refused_while_the_journal_is_missing() -> Result<()> {
    for Loss { file, lose, reported } in LOSSES {
        let harness = Harness::start()?;
        let (state, kept) = (harness.server.state_dir(), harness.videos.path().join("kept"));
        let before = harness.complete()?;
        let running = harness.submit("progress:1 sleep:1500 ok")?;
        harness.server.await_status(&running, |status| status["current_frame"] == 1)?;
        lose(&state.join(file), &kept)?;
        // The next upload, before a periodic check can notice.
        harness.is_refused("ok").with_context(|| reported)?;
        check_it_is_reported(&harness, reported)?;
        let over = harness.server.await_end(&running)?;
        ensure!(over["status"] == "completed", "running jobs continue: {over}");
        let csv = harness.server.get(&format!("/api/serve/{before}/pose_data.csv"))?;
        ensure!(csv.text()?.starts_with("frame_id,"), "finished results are served");
        harness.is_refused("ok").with_context(|| reported)?;

        fs::rename(&kept, state.join(file))?;
        let is_ready = || Ok(harness.server.get("/readyz")?.status().is_success());
        wait_until("uploads are accepted again", is_ready)?;
        let after = harness.submit("ok")?;
        let Harness { server, flags, videos } = harness;
        let server = TestServer::start_in(server.kill()?, &strs(&flags))?;
        for id in [&before, &running, &after] {
            let over = server.await_end(id)?;
            ensure!(over["status"] == "completed", "after {reported}: {over}");
        }
        ensure!(server.operator_json("/api/jobs")?["total"] == 3, "a refused upload became a job");
        ensure!(!state.join("set-aside").exists());
        server.stop()?;
        drop(videos);
    }
    Ok(())
}

#[test]
fn a_journal_truncated_at_run_time_requires_a_restart() -> Result<()> {
    for file in ["journal.db", "journal.db-wal"] {
        let harness = Harness::start()?;
        let state = harness.server.state_dir();
        harness.complete()?;
        let path = state.join(file);
        let content = fs::read(&path)?;
        fs::File::options().write(true).open(&path)?.set_len(0)?;
        // Noticed without an upload.
        wait_until("the loss is noticed", || {
            Ok(harness.server.get("/readyz")?.status() == StatusCode::SERVICE_UNAVAILABLE)
        })?;
        check_it_is_reported(&harness, "was truncated or overwritten")?;
        harness.is_refused("ok")?;
        // Restoring the content is not enough.
        fs::write(&path, &content)?;
        let refused = harness.is_refused("ok");
        refused.context("restored content is accepted")?;
        fs::File::options().write(true).open(&path)?.set_len(0)?;
        let (results, spool) = (tree(&state, &["results"])?, tree(&state, &["spool"])?);
        ensure!(!results.is_empty() && spool.is_empty(), "files of refused uploads are left");
        let Harness { server, flags, videos } = harness;
        let server = TestServer::start_in(server.kill()?, &strs(&flags))?;
        assert_eq!(of_users(&set_aside(&state)?), results);
        Harness { server, flags, videos }.check_it_works()?;
    }
    Ok(())
}
