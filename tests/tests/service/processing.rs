//! Jobs over HTTP with real workers: a video is uploaded, pose data and pictures are served.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::{Clip, decode};
use bodyscript_tests::pose_table::{PoseTable, Row};
use bodyscript_tests::programs::Run;
use bodyscript_tests::server::TestServer;
use reqwest::StatusCode;
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION,
    RANGE,
};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const FRAMES: u32 = 30;
const SIZE: (u32, u32) = (320, 240);

fn walker(folder: &TempDir) -> Result<(Clip, PathBuf)> {
    let clip = Clip::new().size(SIZE.0, SIZE.1).frames(FRAMES);
    let path = folder.path().join("walker.mp4");
    clip.encode(&path)?;
    Ok((clip, path))
}

fn fetch(server: &TestServer, id: &str, name: &str, folder: &TempDir) -> Result<PathBuf> {
    let answer = server.get(&format!("/api/serve/{id}/{name}"))?.error_for_status()?;
    let path = folder.path().join(name);
    std::fs::write(&path, answer.bytes()?)?;
    Ok(path)
}

/// The true positions of the joints, as a table.
fn truth(clip: &Clip) -> PoseTable {
    let mut table = PoseTable::default();
    for n in 0..FRAMES {
        for joint in &clip.truth(n)[0] {
            let row = Row {
                x: joint.x.into(),
                y: joint.y.into(),
                visibility: 1.0,
                world: [0.0; 3],
                metric: None,
            };
            table.frames.entry(n).or_default().insert(joint.index, row);
        }
    }
    table
}

#[test]
fn a_video_becomes_pose_data_and_pictures() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (clip, video) = walker(&folder)?;
    let server = TestServer::start(&[])?;

    let answer = server.upload(&video, &[])?;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let location = answer.headers()[LOCATION].to_str()?.to_owned();
    let accepted: Value = answer.json()?;
    let id = accepted["job_id"].as_str().context("an id")?;
    assert_eq!(location, format!("/api/status/{id}"));
    assert!(accepted["file_size_mb"].as_f64().context("a size")? > 0.0, "{accepted}");

    let status = server.await_end(id)?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(status["progress"], 100);
    assert_eq!(status["current_frame"], FRAMES);
    assert_eq!(status["total_frames"], FRAMES);
    assert_eq!(status["filename"], "walker.mp4");
    assert_eq!(status["attempts"][0]["end"], "done");
    assert!(status["attempts"][0]["peak_bytes"].as_u64() > Some(10 << 20), "{status}");
    assert_eq!(status["statistics"]["frames_detected"], FRAMES);

    let table = PoseTable::read(&fetch(&server, id, "pose_data.csv", &folder)?)?;
    assert_eq!(table.rows as u32, FRAMES * 33);
    let (distance, frames) = table.distance(&truth(&clip), (SIZE.0.into(), SIZE.1.into()));
    assert_eq!(frames as u32, FRAMES);
    assert!(distance < 0.015, "landmarks are {distance} of the diagonal from the joints");
    for (frame, time) in &table.times {
        assert!((time - clip.time(*frame).as_secs_f64()).abs() < 1e-3, "frame {frame} at {time}");
    }

    let document: Value =
        serde_json::from_slice(&std::fs::read(fetch(&server, id, "pose_data.json", &folder)?)?)?;
    let frames = document["frames"].as_array().context("frames")?;
    assert_eq!(frames.len() as u32, FRAMES);
    let nose = &frames[7]["people"][0]["landmarks"][0];
    assert!((nose["x"].as_f64().context("x")? - table.frames[&7][&0].x).abs() < 1e-5);
    assert_eq!(document["landmark_names"][0], "nose");
    assert_eq!(document["statistics"]["frames_detected"], FRAMES);
    assert_eq!((&document["warnings"], &status["warnings"]), (&json!([]), &json!([])));

    let metadata: Value =
        serde_json::from_slice(&std::fs::read(fetch(&server, id, "metadata.json", &folder)?)?)?;
    assert_eq!(metadata["video"]["width"], SIZE.0);
    assert_eq!(metadata["video"]["trimmed"], false);
    assert_eq!(metadata["job_id"], *id);
    assert_eq!(metadata["warnings"], json!([]));

    check_pictures(
        &clip,
        &table,
        [
            fetch(&server, id, "output.mp4", &folder)?,
            fetch(&server, id, "preview.mp4", &folder)?,
            fetch(&server, id, "thumbnail.jpg", &folder)?,
        ],
    )
}

/// Checks that overlay and preview show the video with a skeleton and can be played during the download.
fn check_pictures(clip: &Clip, table: &PoseTable, paths: [PathBuf; 3]) -> Result<()> {
    let [overlay, preview, thumbnail] = paths;
    for path in [&overlay, &preview] {
        assert!(
            is_index_in_front(path)?,
            "{} cannot be played during the download",
            path.display()
        );
    }
    let overlay = decode(&overlay)?.frames;
    assert_eq!(overlay.len() as u32, FRAMES);
    assert_eq!(decode(&preview)?.frames.len() as u32, FRAMES);
    let (_, drawn) = &overlay[10];
    assert_eq!((drawn.width, drawn.height), SIZE);
    let source = clip.picture(10);
    let difference = |x: u32, y: u32| {
        let (a, b) = (drawn.pixel(x, y), source.pixel(x, y));
        a.iter().zip(b).map(|(a, b)| i32::from(*a).abs_diff(b.into())).sum::<u32>()
    };
    let hip = table.frames[&10][&23];
    let at = ((hip.x * f64::from(SIZE.0)) as u32, (hip.y * f64::from(SIZE.1)) as u32);
    assert!(difference(at.0, at.1) > 150, "nothing is drawn at the hip");
    assert!(difference(5, 5) < 60, "the background is not the source's");
    assert_eq!(std::fs::read(thumbnail)?[..3], [0xff, 0xd8, 0xff], "not a JPEG");
    Ok(())
}

/// Whether an MP4's index (`moov`) lies before its media (`mdat`) (ISO/IEC 14496-12).
fn is_index_in_front(path: &Path) -> Result<bool> {
    let bytes = std::fs::read(path)?;
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 8) {
        match &head[4..] {
            b"moov" => return Ok(true),
            b"mdat" => return Ok(false),
            _ => at += u32::from_be_bytes(head[..4].try_into()?) as usize,
        }
    }
    Ok(false)
}

#[test]
fn results_are_served_whole_in_ranges_and_as_attachments() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_, video) = walker(&folder)?;
    let server = TestServer::start(&[])?;
    let id = server.submit(&video)?;
    let early = server.get(&format!("/api/download/{id}/csv"))?;
    assert_eq!(early.status(), StatusCode::CONFLICT, "no results before the end");
    server.await_end(&id)?;

    let url = format!("/api/serve/{id}/output.mp4");
    let complete = server.get(&url)?;
    assert_eq!(complete.headers()[CONTENT_TYPE], "video/mp4");
    assert_eq!(complete.headers()[ACCEPT_RANGES], "bytes");
    let complete = complete.bytes()?;
    let head = server.client().head(server.url(&url)).send()?;
    assert_eq!(head.headers()[CONTENT_LENGTH], complete.len().to_string());

    let part = server.client().get(server.url(&url)).header(RANGE, "bytes=100-199").send()?;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 100-199/{}", complete.len()));
    assert_eq!(part.bytes()?, complete[100..200]);
    let past = format!("bytes={}-", complete.len());
    let past = server.client().get(server.url(&url)).header(RANGE, past).send()?;
    assert_eq!(past.status(), StatusCode::RANGE_NOT_SATISFIABLE);

    let saved = server.get(&format!("/api/download/{id}/video"))?;
    let name = saved.headers()[CONTENT_DISPOSITION].to_str()?.to_owned();
    assert!(name.starts_with("attachment") && name.contains("walker"), "{name}");
    assert_eq!(saved.bytes()?, complete);
    for wrong in [format!("/api/serve/{id}/..%2f..%2flock"), format!("/api/download/{id}/exe")] {
        assert_eq!(server.get(&wrong)?.status(), StatusCode::NOT_FOUND, "{wrong}");
    }

    let gone = server.client().delete(server.url(&format!("/api/cleanup/{id}"))).send()?;
    assert!(gone.status().is_success());
    assert_eq!(server.get(&format!("/api/status/{id}"))?.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.get(&url)?.status(), StatusCode::NOT_FOUND);
    assert!(!server.state_dir().join("results").join(&id).exists(), "files are left");
    Ok(())
}

#[test]
fn each_video_has_a_worker_process_of_its_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("long.mp4");
    Clip::new().size(SIZE.0, SIZE.1).frames(240).encode(&video)?;
    let server = TestServer::start(&["--workers", "2"])?;
    let ids = [server.submit(&video)?, server.submit(&video)?, server.submit(&video)?];
    let mut pids = Vec::new();
    for id in &ids[..2] {
        let status = server.await_status(id, |status| !status["worker"]["pid"].is_null())?;
        let pid = status["worker"]["pid"].as_i64().context("a process id")?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
        assert_eq!(name.trim(), "bodyscript-work", "the kernel keeps 15 characters of a name");
        pids.push(pid);
    }
    assert_ne!(pids[0], pids[1]);
    let waiting = server.status(&ids[2])?;
    assert_eq!(waiting["status"], "pending", "{waiting}");
    assert_eq!(waiting["queue_position"], 1, "{waiting}");
    for id in &ids {
        let status = server.await_end(id)?;
        assert_eq!(status["status"], "completed", "{status}");
    }
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "worker {pid} is still there");
    }
    assert_eq!(server.operator_json("/api/jobs")?["jobs"].as_array().context("jobs")?.len(), 3);
    Ok(())
}

#[test]
fn progress_is_reported_while_it_happens() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walker.mp4");
    Clip::new().size(SIZE.0, SIZE.1).frames(120).encode(&video)?;
    let server = TestServer::start(&[])?;
    let id = server.submit(&video)?;
    let events = server.get(&format!("/api/events/{id}"))?;
    assert_eq!(events.headers()[CONTENT_TYPE], "text/event-stream");
    let mut frames = Vec::new();
    let mut last = String::new();
    for line in BufReader::new(events).lines() {
        if let Some(data) = line?.strip_prefix("data:") {
            let status: Value = serde_json::from_str(data.trim())?;
            last = status["status"].as_str().context("a status")?.to_owned();
            frames.push(status["current_frame"].as_u64().context("a frame")?);
        }
    }
    assert_eq!(last, "completed", "the stream ends with the job");
    assert!(frames.is_sorted(), "{frames:?}");
    assert!(frames.iter().any(|frame| (1..120).contains(frame)), "no frame in between: {frames:?}");
    Ok(())
}

#[test]
fn a_cancelled_job_ends_at_once_and_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("long.mp4");
    Clip::new().size(SIZE.0, SIZE.1).frames(300).encode(&video)?;
    let server = TestServer::start(&["--workers", "1"])?;
    let running = server.submit(&video)?;
    let waiting = server.submit(&video)?;
    let status =
        server.await_status(&running, |status| status["current_frame"].as_u64() > Some(0))?;
    let pid = status["worker"]["pid"].as_i64().context("a process id")?;
    for id in [&waiting, &running] {
        let url = server.url(&format!("/api/cancel/{id}"));
        let cancelled: Value = server.client().post(&url).send()?.error_for_status()?.json()?;
        assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
        let again: Value = server.client().post(&url).send()?.error_for_status()?.json()?;
        assert_eq!(again["status"], "cancelled", "cancelling twice: {again}");
        let status = server.status(id)?;
        assert_eq!(status["status"], "cancelled", "{status}");
    }
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "its worker is still there");
    for place in ["spool", "jobs", "results"] {
        let folder = server.state_dir().join(place);
        let start = std::time::Instant::now();
        // The files are deleted right after the response.
        while std::fs::read_dir(&folder)?.count() > 0 {
            assert!(start.elapsed().as_secs() < 60, "{place} is not empty");
            std::thread::yield_now();
        }
    }
    Ok(())
}

#[test]
fn a_long_video_is_trimmed_or_refused_as_configured() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("slow.mp4");
    Clip::new().size(SIZE.0, SIZE.1).fps(5, 1).frames(60).encode(&video)?;
    let server = TestServer::start(&[])?;
    let id = server.submit(&video)?;
    let status = server.await_end(&id)?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(status["statistics"]["frames_processed"], 50, "10 s at 5 frames a second");
    let metadata: Value = server.json(&format!("/api/serve/{id}/metadata.json"))?;
    assert_eq!(metadata["video"]["trimmed"], true);
    let document: Value = server.json(&format!("/api/serve/{id}/pose_data.json"))?;
    for warnings in [&status["warnings"], &metadata["warnings"], &document["warnings"]] {
        assert_eq!(warnings[0]["code"], "video_trimmed", "{warnings}");
        assert_eq!(warnings.as_array().map(Vec::len), Some(1), "{warnings}");
    }

    let strict = TestServer::start(&["--on-long", "reject"])?;
    let status = strict.await_end(&strict.submit(&video)?)?;
    assert_eq!(status["status"], "failed", "{status}");
    assert_eq!(status["error_code"], "video_too_long");
    Ok(())
}

#[test]
fn a_local_video_has_no_limit_on_its_length_unless_one_is_given() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("slow.mp4");
    Clip::new().size(SIZE.0, SIZE.1).fps(5, 1).frames(60).encode(&video)?;
    for (options, frames, is_warned) in
        [(&[] as &[&str], 60, false), (&["--duration-s-max", "10"], 50, true)]
    {
        let run = Run::new(options, std::slice::from_ref(&video), folder.path())?.check()?;
        let metadata = std::fs::read(run.artefact(&video, "metadata.json"))?;
        let metadata: Value = serde_json::from_slice(&metadata)?;
        assert_eq!(metadata["statistics"]["frames_processed"], frames);
        let printed = String::from_utf8_lossy(&run.output.stdout).into_owned();
        assert_eq!(printed.contains("Warning: The video is longer"), is_warned, "{printed}");
    }
    Ok(())
}

#[test]
fn memory_does_not_depend_on_the_length_of_the_video() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = TestServer::start(&[])?;
    let mut peaks = Vec::new();
    for frames in [30, 300] {
        let video = folder.path().join(format!("{frames}.mp4"));
        Clip::new().size(SIZE.0, SIZE.1).frames(frames).encode(&video)?;
        let status = server.await_end(&server.submit(&video)?)?;
        assert_eq!(status["statistics"]["frames_processed"], frames, "{status}");
        peaks.push(status["attempts"][0]["peak_bytes"].as_u64().context("a peak")?);
    }
    // The 270 additional frames are 62 MB of pictures.
    assert!(peaks[1] < peaks[0] + (16 << 20), "ten times the frames: {peaks:?} bytes");
    Ok(())
}
