//! The sound of uploaded videos: it is described in the metadata and contained in the overlay, and needs
//! little memory.

use anyhow::{Context, Result};
use bodyscript_tests::fixture::{Clip, Codec, Container, Moov, SoundStart, Tracks, decode};
use bodyscript_tests::programs::Run;
use bodyscript_tests::recorded_footage;
use bodyscript_tests::server::TestServer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const FRAMES: u32 = 12;

/// The sound in the metadata of a video.
fn sound_metadata(run: &Run, video: &Path) -> Result<Value> {
    let metadata: Value =
        serde_json::from_slice(&std::fs::read(run.artefact(video, "metadata.json"))?)?;
    metadata.get("sound").cloned().context("no sound in the metadata")
}

fn clip(container: Container, codec: Codec) -> Clip {
    Clip::new().frames(FRAMES).container(container).codec(codec)
}

#[test]
fn the_overlay_has_the_sound_of_its_video_and_metadata_reports_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut videos = Vec::new();
    for (container, codec, sound, outcome) in [
        (Container::Mp4, Codec::H264, "aac", "copied"),
        (Container::Mov, Codec::Mjpeg, "aac", "copied"),
        (Container::Matroska, Codec::H264, "opus", "copied"),
        (Container::WebM, Codec::Vp8, "opus", "copied"),
        (Container::Avi, Codec::Mjpeg, "mp3", "copied"),
        (Container::MpegTs, Codec::H264, "aac", "copied"),
        (Container::Asf, Codec::Wmv2, "wma", "reencoded"),
    ] {
        let video = folder.path().join(format!("{container:?}.{outcome}"));
        clip(container, codec).tracks(Tracks::VideoAndAudio).encode(&video)?;
        videos.push((video, json!({"codec": sound, "outcome": outcome, "note": null})));
    }
    let silent = folder.path().join("silent.mp4");
    clip(Container::Mp4, Codec::H264).encode(&silent)?;
    videos.push((silent, json!({"codec": null, "outcome": "none", "note": null})));
    let paths: Vec<PathBuf> = videos.iter().map(|(video, _)| video.clone()).collect();
    let run = Run::new(&[], &paths, &folder.path().join("out"))?.check()?;
    for (video, expected) in &videos {
        assert_eq!(sound_metadata(&run, video)?, *expected, "{}", video.display());
        let overlay = decode(&run.artefact(video, "output.mp4"))?;
        let tracks = usize::from(expected["outcome"] != "none");
        assert_eq!(overlay.audio_tracks, tracks, "{}", video.display());
        assert_eq!(overlay.frames.len() as u32, FRAMES, "{}", video.display());
        let preview = decode(&run.artefact(video, "preview.mp4"))?;
        assert_eq!(preview.audio_tracks, 0, "{}", video.display());
    }
    Ok(())
}

#[test]
fn sampling_does_not_change_the_overlay_or_its_sound() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walker.mp4");
    clip(Container::Mp4, Codec::H264).tracks(Tracks::VideoAndAudio).encode(&video)?;
    let run =
        Run::new(&["--interval", "4"], std::slice::from_ref(&video), folder.path())?.check()?;
    let overlay = decode(&run.artefact(&video, "output.mp4"))?;
    assert_eq!((overlay.frames.len() as u32, overlay.audio_tracks), (FRAMES, 1));
    Ok(())
}

#[test]
fn sound_is_not_read_without_the_overlay() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walker.mp4");
    clip(Container::Mp4, Codec::H264).tracks(Tracks::VideoAndAudio).encode(&video)?;
    let options = ["--formats", "csv,metadata,preview"];
    let run = Run::new(&options, std::slice::from_ref(&video), folder.path())?.check()?;
    assert_eq!(sound_metadata(&run, &video)?, Value::Null);
    Ok(())
}

#[test]
fn a_truncated_video_keeps_the_sound_it_has() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("broken.mp4");
    let complete = Clip::new().tracks(Tracks::VideoAndAudio).moov(Moov::Front);
    complete.truncated(0.7).encode(&video)?;
    let run = Run::new(&[], std::slice::from_ref(&video), folder.path())?.check()?;
    assert_eq!(sound_metadata(&run, &video)?["outcome"], "copied");
    assert_eq!(decode(&run.artefact(&video, "output.mp4"))?.audio_tracks, 1);
    Ok(())
}

/// Options with which log lines of successful workers are shown.
const SHOW_WORKER_LOG: [&str; 2] = ["--log", "warn,worker=debug"];

#[test]
fn an_empty_audio_packet_causes_no_library_warning() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("empty_start.mp4");
    let with_sound = clip(Container::Mp4, Codec::H264).tracks(Tracks::VideoAndAudio);
    with_sound.clone().sound_start(SoundStart::Empty).encode(&video)?;
    let run = Run::new(&SHOW_WORKER_LOG, std::slice::from_ref(&video), folder.path())?.check()?;
    assert_eq!(
        sound_metadata(&run, &video)?,
        json!({"codec": "aac", "outcome": "copied", "note": null})
    );
    let overlay = decode(&run.artefact(&video, "output.mp4"))?;
    assert_eq!((overlay.frames.len() as u32, overlay.audio_tracks), (FRAMES, 1));
    assert!(!run.stderr().contains("DEBUG worker: "), "{}", run.stderr());

    // Messages of libraries are shown otherwise.
    let damaged = folder.path().join("damaged.mp4");
    with_sound.moov(Moov::Front).encode(&damaged)?;
    let mut bytes = std::fs::read(&damaged)?;
    let half = bytes.len() / 2;
    bytes[half..].iter_mut().step_by(7).for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&damaged, bytes)?;
    let run = Run::new(&SHOW_WORKER_LOG, &[damaged], folder.path())?;
    assert!(run.stderr().contains("libav error: "), "{}", run.stderr());
    Ok(())
}

#[test]
fn a_recorded_video_with_an_empty_first_audio_packet_is_complete() -> Result<()> {
    let Some(video) = recorded_footage::find("media/cases/exo__sample.mp4") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let run = Run::new(&SHOW_WORKER_LOG, std::slice::from_ref(&video), folder.path())?.check()?;
    assert!(!run.stderr().contains(" critical: "), "{}", run.stderr());
    assert_eq!(
        sound_metadata(&run, &video)?,
        json!({"codec": "aac", "outcome": "copied", "note": null})
    );
    let overlay = decode(&run.artefact(&video, "output.mp4"))?;
    assert_eq!((overlay.frames.len(), overlay.audio_tracks), (30, 1));
    assert_eq!(decode(&run.artefact(&video, "preview.mp4"))?.frames.len(), 30);
    for name in ["pose_data.csv", "pose_data.json", "thumbnail.jpg", "metadata.json"] {
        assert!(run.artefact(&video, name).metadata()?.len() > 500, "{name}");
    }
    Ok(())
}

#[test]
fn memory_does_not_depend_on_position_or_length_of_the_sound() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = TestServer::start(&[])?;
    let mut peaks = Vec::new();
    for tracks in [Tracks::Video, Tracks::VideoThenAudio] {
        let video = folder.path().join(format!("{tracks:?}.mov"));
        let ten_seconds = clip(Container::Mov, Codec::H264).fps(10, 1).frames(100);
        ten_seconds.tracks(tracks).encode(&video)?;
        let status = server.await_end(&server.submit(&video)?)?;
        assert_eq!(status["statistics"]["frames_processed"], 100, "{status}");
        peaks.push(status["attempts"][0]["peak_bytes"].as_u64().context("a peak")?);
        let size = video.metadata()?.len();
        assert_eq!(size > 15_000_000, tracks == Tracks::VideoThenAudio, "{size} bytes");
    }
    // The sound is 15 MB, and twice that once decoded.
    assert!(peaks[1] < peaks[0] + (12 << 20), "without and with sound: {peaks:?} bytes");
    println!("peaks without and with sound: {peaks:?} bytes");
    Ok(())
}
