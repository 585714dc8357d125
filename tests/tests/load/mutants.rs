//! Damaged videos of every container, made from a seed: each worker ends in a known way, and no sandbox
//! violation is reported.
//!
//! `MUTANTS=2000 MUTANT_SEED=1 cargo test --workspace --test load mutants` is the long run (`make soak`). A mutant
//! that fails is reproduced with `MUTANTS=1` and the reported seed.

use super::run_exclusively;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::fixture::{Clip, Codec, Container, Moov, Tracks};
use bodyscript_tests::mutant::mutate;
use bodyscript_tests::polling::ends;
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Mutants in `make test`.
const MUTANTS: u64 = 200;
/// Mutants uploaded before the first is awaited.
const BATCH: u64 = 40;
/// Frames of each clip.
const FRAMES: u32 = 10;

const FLAGS: [&str; 14] = [
    "--workers",
    "2",
    "--queue-max",
    "100",
    "--worker-progress-s-max",
    "5",
    "--client-uploads-per-minute-max",
    "60000",
    "--client-jobs-max",
    "1000",
    // Also logs messages of libraries in successful workers.
    "--log",
    "info,worker=debug",
    "--standby",
    "2",
];

/// One clip for each container, with sound, and one for each way to lay out an MP4.
fn clips(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let silent = |container, codec| {
        Clip::new().size(128, 96).frames(FRAMES).container(container).codec(codec)
    };
    let clip = |container, codec| silent(container, codec).tracks(Tracks::VideoAndAudio);
    [
        ("back.mp4", clip(Container::Mp4, Codec::H264)),
        ("front.mp4", clip(Container::Mp4, Codec::H264).moov(Moov::Front)),
        ("fragments.mp4", clip(Container::FragmentedMp4, Codec::H264)),
        ("hevc.mp4", clip(Container::Mp4, Codec::H265)),
        ("av1.mp4", clip(Container::Mp4, Codec::Av1)),
        ("jpeg.mov", clip(Container::Mov, Codec::Mjpeg)),
        ("vp9.mkv", clip(Container::Matroska, Codec::Vp9)),
        ("vp8.webm", clip(Container::WebM, Codec::Vp8)),
        ("mpeg4.avi", clip(Container::Avi, Codec::Mpeg4)),
        ("wmv.asf", clip(Container::Asf, Codec::Wmv2)),
        ("h264.ts", clip(Container::MpegTs, Codec::H264)),
        ("mpeg2.mpg", clip(Container::MpegPs, Codec::Mpeg2)),
        ("spark.flv", clip(Container::Flv, Codec::SorensonSpark)),
        ("theora.ogv", clip(Container::Ogg, Codec::Theora)),
        ("mpeg2.mxf", clip(Container::Mxf, Codec::Mpeg2)),
        ("png.mov", clip(Container::Mov, Codec::Png)),
        ("raw.avi", clip(Container::Avi, Codec::Uncompressed)),
        ("raw.y4m", silent(Container::Y4m, Codec::Uncompressed)),
        ("steps.gif", silent(Container::Gif, Codec::Uncompressed)),
        ("steps.png", silent(Container::Apng, Codec::Uncompressed)),
    ]
    .into_iter()
    .map(|(name, clip)| {
        let path = folder.join(name);
        clip.encode(&path)?;
        let bytes = std::fs::read(&path)?;
        Ok((path, bytes))
    })
    .collect()
}

fn number(variable: &str, default: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text} is no number")),
        Err(_) => Ok(default),
    }
}

/// An uploaded mutant.
struct Sent {
    what: String,
    video: PathBuf,
    job: String,
}

fn send(server: &TestServer, clips: &[(PathBuf, Vec<u8>)], seed: u64) -> Result<Sent> {
    let (clip, bytes) = &clips[(seed % clips.len() as u64) as usize];
    let (damage, mutant) = mutate(bytes, seed);
    let name = clip.file_name().and_then(|name| name.to_str()).context("a name")?;
    let video = clip.with_file_name(format!("{seed}_{damage:?}_{name}"));
    std::fs::write(&video, mutant)?;
    let what = format!("MUTANT_SEED={seed} ({name}, {damage:?})");
    let job = server.submit(&video).with_context(|| what.clone())?;
    Ok(Sent { what, video, job })
}

/// How a job ended. Fails, and keeps the file, if the end is unknown or a sandbox violation.
fn judge(sent: &Sent, status: &Value, codes: &BTreeSet<String>) -> Result<String> {
    let code = status["error_code"].as_str().unwrap_or_default();
    let ends = ends(status);
    let is_known = match status["status"].as_str() {
        Some("completed") => true,
        Some("failed") => codes.contains(code),
        _ => false,
    };
    if !is_known || code == "sandbox_violation" || ends.contains(&"sigsys") {
        let kept =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(sent.video.file_name().context("a name")?);
        std::fs::copy(&sent.video, &kept)?;
        anyhow::bail!("{} ended as {status}; kept as {}", sent.what, kept.display());
    }
    let unusual = ends.iter().any(|end| !["done", "bad_input"].contains(end));
    if unusual {
        report::print_line(&format!("{}: {code} {ends:?}", sent.what));
    }
    Ok(if code.is_empty() { "completed".into() } else { format!("{code} {ends:?}") })
}

/// Warnings of GLib in workers, with their numbers.
fn glib_warnings(log: &str) -> BTreeMap<&str, u32> {
    let mut warnings = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains(" worker: ")) {
        let text = line.split_once(" worker: ").map_or("", |(_, text)| text);
        let text = text.split_once(" job=").map_or(text, |(text, _)| text).trim();
        if text.contains(" critical: ") || text.contains(" warning: ") {
            *warnings.entry(text).or_insert(0) += 1;
        }
    }
    warnings
}

#[test]
fn damaged_videos_cause_no_sandbox_violation() -> Result<()> {
    let _exclusive = run_exclusively();
    let (mutants, first) = (number("MUTANTS", MUTANTS)?, number("MUTANT_SEED", 1)?);
    let begun = Instant::now();
    let folder = tempfile::tempdir()?;
    let clips = clips(folder.path())?;
    let server = TestServer::start(&FLAGS)?;
    let problems = server.json("/api/problems")?;
    let failures = problems["failures"].as_array().context("a catalogue")?;
    let codes = failures.iter().filter_map(|problem| Some(problem["code"].as_str()?.to_owned()));
    let codes: BTreeSet<_> = codes.collect();
    let (mut counts, mut faults) = (BTreeMap::new(), Vec::new());
    for start in (0..mutants).step_by(BATCH as usize) {
        let seeds = start..(start + BATCH).min(mutants);
        let sent = seeds.map(|n| send(&server, &clips, first + n)).collect::<Result<Vec<_>>>()?;
        for sent in sent {
            let status = server.await_end(&sent.job).with_context(|| sent.what.clone())?;
            match judge(&sent, &status, &codes) {
                Ok(end) => *counts.entry(end).or_insert(0) += 1,
                Err(fault) => faults.push(format!("{fault:#}")),
            }
            std::fs::remove_file(&sent.video)?;
            let url = server.url(&format!("/api/cleanup/{}", sent.job));
            server.client().delete(url).send()?.error_for_status()?;
        }
    }
    let log = server.stop()?;
    let took = begun.elapsed().as_secs();
    let warnings = glib_warnings(&log);
    report::print_line(&format!(
        "{mutants} mutants from seed {first} on in {took} s: {counts:#?}; GLib logged {warnings:#?}"
    ));
    ensure!(faults.is_empty(), "{} mutants: {faults:#?}", faults.len());
    assert!(!log.contains("sandbox refused") && !log.contains("forbidden system call"));
    let completed = counts.get("completed").copied().unwrap_or(0);
    let failed = counts.values().sum::<u64>() - completed;
    assert!(
        mutants < MUTANTS || completed.min(failed) > mutants / 20,
        "nearly all mutants end alike"
    );
    Ok(())
}
