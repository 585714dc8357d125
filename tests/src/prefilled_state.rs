//! A state folder with many jobs, for tests of start and lists with a large journal.

use anyhow::{Context, Result};
use bodyscript::{
    AttemptRecord, DisplayName, Job, JobError, JobEvent, JobId, JobRow, Journal, JournalEntry,
    OpenedJournal, StateDir, Upload, wall_clock,
};
use bodyscript_protocol::message::{Summary, VideoFacts};
use bodyscript_protocol::options::Options;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const MIB: u64 = 1 << 20;

const SUMMARY: Summary = Summary {
    first_frame: 0,
    frames_decoded: 300,
    frames_processed: 300,
    frames_detected: 290,
    mean_visibility: 0.9,
    track_losses: 2,
    jitter: 0.001,
    people: 1,
    warnings: bodyscript_protocol::warning::Warnings::NONE,
};

/// Fills the folder with jobs; gives the state of each. Of ten, six are completed, two failed, one is
/// cancelled, and one is pending or, every other time, processing. The videos of the last are for the
/// fault worker and contain `words`.
pub fn fill(state: &Path, jobs: usize, words: &str) -> Result<BTreeMap<String, &'static str>> {
    let (folder, lock) = StateDir::open(state)?;
    let (OpenedJournal { journal, clock, .. }, thread) = Journal::open(state)?;
    let mut states = BTreeMap::new();
    for number in 0..jobs {
        let mut job = accepted(number);
        for event in events(number) {
            let is_attempt = matches!(event, JobEvent::Completed(_) | JobEvent::Failed(_));
            job.apply(event, wall_clock())?;
            if is_attempt {
                job.record(attempt(job.state().name()), None, None);
                job.facts = Some(facts());
            }
        }
        match job.state().name() {
            "completed" => fs::create_dir(state.join("results").join(job.id.to_string()))?,
            "pending" | "processing" => {
                fs::write(folder.upload(job.id), format!("FAULT {words}\n{number}\n"))?;
            }
            _ => {}
        }
        states.insert(job.id.to_string(), job.state().name());
        let ended = job.state().is_final().then(|| clock.now());
        journal.append(JournalEntry::Job(Box::new(JobRow { job, ended })));
    }
    drop(journal);
    thread.join().ok().context("the journal's thread failed")?;
    drop(lock);
    Ok(states)
}

fn accepted(number: usize) -> Job {
    let upload = Upload {
        filename: DisplayName::new(&format!("clip {number}.mp4")),
        bytes: 5 * MIB,
        sha256: format!("{number:064x}"),
        options: Options::default(),
        idempotency_key: None,
    };
    Job::new(JobId::random(), upload, 384 * MIB, wall_clock())
}

/// The events that bring a job into its state.
fn events(number: usize) -> Vec<JobEvent> {
    let error = || JobError { code: "no_frames".into(), sentence: "No frames.".into() };
    match number % 10 {
        0..6 => vec![JobEvent::Started, JobEvent::Completed(SUMMARY)],
        6 | 7 => vec![JobEvent::Started, JobEvent::Failed(error())],
        8 => vec![JobEvent::Cancelled],
        _ if number % 20 == 9 => vec![],
        _ => vec![JobEvent::Started],
    }
}

fn attempt(state: &str) -> AttemptRecord {
    AttemptRecord {
        cap_bytes: 384 * MIB,
        peak_bytes: 180 * MIB,
        wall_ms: 6000,
        cpu_ms: 5800,
        end: if state == "completed" { "done" } else { "bad_input" },
        is_counted: true,
        is_killed: false,
    }
}

fn facts() -> VideoFacts {
    VideoFacts {
        width: 1280,
        height: 720,
        frame_rate: (30, 1),
        duration_ms: Some(10_000),
        frames_expected: 300,
        trimmed: false,
        rotation_degrees: 0,
        mirrored: false,
        container: "Quicktime".into(),
        codec: "H.264 / AVC".into(),
    }
}
