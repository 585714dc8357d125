//! A journal that is missing, empty, new or cut short at a start, or goes while the service runs:
//! nothing of users is deleted for it, and nothing is promised that a start would not find.

mod stage;

use anyhow::{Context, Result, ensure};
use bodyscript_tests::programs;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::told::await_that;
use bodyscript_tests::traces::names;
use bodyscript_tests::tus_hand::Hand;
use reqwest::StatusCode;
use serde_json::Value;
use stage::{
    Lose, PLACES, RESUMABLE, Stage, Tree, aside, everything, of_users, remove, strs, tree,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

#[test]
fn what_is_beside_a_lost_journal_is_set_aside_byte_for_byte() -> Result<()> {
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
        let dead = Stage::start()?.die_with_everything()?;
        let state = dead.state();
        lose(&state)?;
        let before = everything(&state)?;
        for place in PLACES {
            ensure!(before.keys().any(|name| name.starts_with(place)), "nothing in {place}");
        }
        let lost = [dead.completed.clone(), [dead.waiting.clone(), dead.resumable.clone()]];
        let stage = dead.start()?;
        assert_eq!(aside(&state)?, before, "after {cause}");
        let log = stage.server.log();
        let told = log.lines().find(|line| line.contains("the journal was lost"));
        let told = told.with_context(|| format!("nothing is told: {log}"))?;
        for words in ["ERROR", cause, "results (2)", "resumable (2)", "set-aside/", "bytes="] {
            ensure!(told.contains(words), "no {words} in {told}");
        }
        let [[one, other], [waiting, resumable]] = lost;
        for id in [one, other, waiting] {
            let gone = stage.server.get(&format!("/api/status/{id}"))?;
            ensure!(gone.status() == StatusCode::NOT_FOUND, "{id}: {}", gone.status());
        }
        let url = stage.server.url(&resumable);
        let gone = Hand::of(&stage.server).ask(reqwest::Method::HEAD, &url, &[]).send()?;
        ensure!(gone.status() == StatusCode::NOT_FOUND, "{}", gone.status());
        stage.check_it_works()?;
        // The new journal is this folder's, and nothing sweeps what is set aside.
        let Stage { server, flags, videos } = stage;
        let root = server.kill()?;
        let stage = Stage { server: TestServer::start_in(root, &strs(&flags))?, flags, videos };
        assert_eq!(aside(&state)?, before);
        ensure!(stage.server.log().contains("files set aside earlier"), "it is not recalled");
        ensure!(stage.server.operator_json("/api/jobs")?["total"] == 1);
        stage.server.stop()?;
    }
    Ok(())
}

/// What the runbook says.
fn restore(state: &Path, journal: &Path) -> Result<()> {
    remove(state)?;
    let start = names(state, "set-aside")?.pop_first().context("one")?;
    let start = state.join("set-aside").join(start);
    for place in PLACES {
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
fn what_is_set_aside_can_be_restored() -> Result<()> {
    let dead = Stage::start()?.die_with_everything()?;
    let (state, elsewhere) = (dead.state(), tempfile::tempdir()?);
    for name in ["journal.db", "journal.db-wal"] {
        fs::rename(state.join(name), elsewhere.path().join(name))?;
    }
    let (completed, waiting) = (dead.completed.clone(), dead.waiting.clone());
    let resumable = dead.resumable.clone();
    let results = tree(&state, &["results"])?;
    let stage = dead.start()?;
    let doctor = Command::new(programs::path("bodyscript")?)
        .args(["doctor", "--state-dir"])
        .arg(&state)
        .output()?;
    let report = String::from_utf8(doctor.stdout)?;
    ensure!(report.contains("set aside") && report.contains("of 1 starts"), "{report}");
    let Stage { server, flags, videos } = stage;
    let root = server.kill()?;
    restore(&state, elsewhere.path())?;
    let stage = Stage { server: TestServer::start_in(root, &strs(&flags))?, flags, videos };
    assert_eq!(tree(&state, &["results"])?, results);
    for id in &completed {
        let csv = stage.server.get(&format!("/api/serve/{id}/pose_data.csv"))?;
        ensure!(csv.text()?.starts_with("frame_id,"), "{id} is not served");
    }
    ensure!(stage.server.status(&waiting)?["status"] == "pending");
    let url = stage.server.url(&resumable);
    ensure!(Hand::of(&stage.server).offset(&url)? == RESUMABLE.1);
    ensure!(!state.join("set-aside").exists(), "nothing is unknown any more");
    stage.server.kill()?;
    Ok(())
}

#[test]
fn without_its_log_a_journal_forgets_and_nothing_of_that_is_swept() -> Result<()> {
    let dead = Stage::start()?.die_with_everything()?;
    let state = dead.state();
    let before = everything(&state)?;
    let resumable = dead.resumable.clone();
    fs::remove_file(state.join("journal.db-wal"))?;
    let stage = dead.start()?;
    // An upload that is no job's yet is not the journal's, and goes on.
    let url = stage.server.url(&resumable);
    ensure!(Hand::of(&stage.server).offset(&url)? == RESUMABLE.1);
    let mut there = aside(&state)?;
    there.extend(tree(&state, &["resumable"])?);
    assert_eq!(there, of_users(&before));
    let log = stage.server.log();
    ensure!(log.contains("journal.db-wal is missing or empty"), "{log}");
    ensure!(log.contains("are set aside; nothing was deleted"), "{log}");
    stage.check_it_works()?;
    stage.server.kill()?;
    Ok(())
}

#[test]
fn beside_history_unknown_results_are_set_aside_and_removed_ones_swept() -> Result<()> {
    let stage = Stage::start()?;
    let state = stage.server.state_dir();
    let (kept, removed) = (stage.complete()?, stage.complete()?);
    let unknown = "0123456789abcdef0123456789abcdef";
    // It dies after the journal has the removal and before the files go.
    let Stage { server, flags, videos } = stage;
    let root = server.kill()?;
    let flags = strs(&flags);
    let mut server = TestServer::launch(root, &flags, Some("removal_committed"))?;
    ensure!(server.ready_or_dead()?, "{}", server.log());
    let cleanup = server.client().delete(server.url(&format!("/api/cleanup/{removed}"))).send();
    ensure!(cleanup.is_err(), "it died before it answered");
    let root = server.kill()?;
    ensure!(state.join("results").join(&removed).exists(), "the files are there still");
    fs::create_dir(state.join("results").join(unknown))?;
    fs::write(state.join("results").join(unknown).join("pose_data.csv"), "unknown")?;
    fs::write(state.join("spool").join(unknown), "unknown")?;
    fs::create_dir_all(state.join("jobs").join(unknown).join("attempt-1"))?;

    let server = TestServer::start_in(root, &flags)?;
    assert_eq!(names(&state, "results")?, [kept].into());
    ensure!(names(&state, "spool")?.is_empty() && names(&state, "jobs")?.is_empty());
    let name = PathBuf::from(format!("results/{unknown}/pose_data.csv"));
    assert_eq!(aside(&state)?, Tree::from([(name, b"unknown".to_vec())]));
    let log = server.log();
    let told = log.lines().find(|line| line.contains("results without an entry in the journal"));
    ensure!(told.is_some_and(|line| line.contains("ERROR") && line.contains(unknown)), "{log}");
    server.stop()?;
    drop(videos);
    Ok(())
}

#[test]
fn a_death_between_two_moves_loses_nothing() -> Result<()> {
    let ways: [(Lose, usize); 2] = [
        (remove, PLACES.len()),
        // Two results, two uploads, a notice and the attempts of a job, one by one.
        (|state| Ok(fs::remove_file(state.join("journal.db-wal"))?), 6),
    ];
    for (lose, moves) in ways {
        let dead = Stage::start()?.die_with_everything()?;
        let state = dead.state();
        lose(&state)?;
        let before = of_users(&everything(&state)?);
        let mut deaths = 0;
        loop {
            let flags = strs(&dead.flags);
            let root = Arc::clone(&dead.root);
            let mut server = TestServer::launch(root, &flags, Some("set_aside_moved"))?;
            if server.ready_or_dead()? {
                server.kill()?;
                break;
            }
            deaths += 1;
            let mut there = of_users(&everything(&state)?);
            there.extend(aside(&state)?);
            assert_eq!(there, before, "after {deaths} deaths");
        }
        ensure!(deaths == moves, "{deaths} deaths");
        let mut there = of_users(&everything(&state)?);
        there.extend(aside(&state)?);
        assert_eq!(there, before, "after the start that went on");
        dead.start()?.check_it_works()?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_set_aside_stops_the_start() -> Result<()> {
    let dead = Stage::start()?.die_with_everything()?;
    let state = dead.state();
    remove(&state)?;
    let before = everything(&state)?;
    fs::write(state.join("set-aside"), "in the way")?;
    let mut server = TestServer::launch(Arc::clone(&dead.root), &strs(&dead.flags), None)?;
    ensure!(!server.ready_or_dead()?, "it started");
    let log = server.log();
    ensure!(
        log.contains("have to be set aside in") && log.contains("nothing was deleted"),
        "{log}"
    );
    assert_eq!(everything(&state)?, before);
    fs::remove_file(state.join("set-aside"))?;
    let stage = dead.start()?;
    assert_eq!(aside(&state)?, before);
    stage.check_it_works()
}

/// What is done to a file of the journal while the service runs, and how it is undone.
struct Harm {
    file: &'static str,
    harm: fn(&Path, &Path) -> Result<()>,
    told: &'static str,
}

const HARMS: [Harm; 3] = [
    Harm {
        file: "journal.db",
        harm: |path, kept| {
            fs::hard_link(path, kept)?;
            Ok(fs::remove_file(path)?)
        },
        told: "journal.db was removed",
    },
    Harm {
        file: "journal.db",
        harm: |path, kept| {
            fs::rename(path, kept)?;
            fs::copy(kept, path)?;
            Ok(())
        },
        told: "journal.db was replaced",
    },
    Harm {
        file: "journal.db-wal",
        harm: |path, kept| Ok(fs::rename(path, kept)?),
        told: "journal.db-wal was removed",
    },
];

fn check_it_is_told(stage: &Stage, told: &str) -> Result<()> {
    let server = &stage.server;
    let ready = server.get("/readyz")?;
    ensure!(ready.status() == StatusCode::SERVICE_UNAVAILABLE, "{}", ready.status());
    let reason = ready.json::<Value>()?["reason"].clone();
    ensure!(reason == "the journal was removed, replaced or truncated", "{reason}");
    ensure!(server.json("/health")?["status"] == "degraded");
    ensure!(server.get("/livez")?.status().is_success());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("the journal is lost"));
    let is_told = line.is_some_and(|line| line.contains("ERROR") && line.contains(told));
    ensure!(is_told, "{log}");
    Ok(())
}

#[test]
fn nothing_is_taken_while_the_journal_is_away_and_all_is_there_when_it_is_back() -> Result<()> {
    for Harm { file, harm, told } in HARMS {
        let stage = Stage::start()?;
        let (state, kept) = (stage.server.state_dir(), stage.videos.path().join("kept"));
        let before = stage.complete()?;
        let running = stage.submit("progress:1 sleep:1500 ok")?;
        stage.server.await_status(&running, |status| status["current_frame"] == 1)?;
        harm(&state.join(file), &kept)?;
        // The very next one, before anything can have been noticed.
        stage.is_refused("ok").with_context(|| told)?;
        check_it_is_told(&stage, told)?;
        let over = stage.server.await_end(&running)?;
        ensure!(over["status"] == "completed", "what is under way goes on: {over}");
        let csv = stage.server.get(&format!("/api/serve/{before}/pose_data.csv"))?;
        ensure!(csv.text()?.starts_with("frame_id,"), "what is there is served");
        stage.is_refused("ok").with_context(|| told)?;

        fs::rename(&kept, state.join(file))?;
        let is_ready = || Ok(stage.server.get("/readyz")?.status().is_success());
        await_that("it takes uploads again", is_ready)?;
        let after = stage.submit("ok")?;
        let Stage { server, flags, videos } = stage;
        let server = TestServer::start_in(server.kill()?, &strs(&flags))?;
        for id in [&before, &running, &after] {
            let over = server.await_end(id)?;
            ensure!(over["status"] == "completed", "after {told}: {over}");
        }
        ensure!(server.operator_json("/api/jobs")?["total"] == 3, "what was refused is not back");
        ensure!(!state.join("set-aside").exists());
        server.stop()?;
        drop(videos);
    }
    Ok(())
}

#[test]
fn a_journal_that_is_truncated_while_the_service_runs_takes_a_new_start() -> Result<()> {
    for file in ["journal.db", "journal.db-wal"] {
        let stage = Stage::start()?;
        let state = stage.server.state_dir();
        stage.complete()?;
        let path = state.join(file);
        let content = fs::read(&path)?;
        fs::File::options().write(true).open(&path)?.set_len(0)?;
        // Noticed without anybody asking for a job.
        await_that("it is noticed", || {
            Ok(stage.server.get("/readyz")?.status() == StatusCode::SERVICE_UNAVAILABLE)
        })?;
        check_it_is_told(&stage, "was truncated or overwritten")?;
        stage.is_refused("ok")?;
        // Looking right again does not make it right.
        fs::write(&path, &content)?;
        let dead_end = stage.is_refused("ok");
        dead_end.context("content that was put back counts as whole")?;
        fs::File::options().write(true).open(&path)?.set_len(0)?;
        let (results, spool) = (tree(&state, &["results"])?, tree(&state, &["spool"])?);
        ensure!(!results.is_empty() && spool.is_empty(), "what was refused leaves nothing");
        let Stage { server, flags, videos } = stage;
        let server = TestServer::start_in(server.kill()?, &strs(&flags))?;
        assert_eq!(of_users(&aside(&state)?), results);
        Stage { server, flags, videos }.check_it_works()?;
    }
    Ok(())
}
