//! Decoding and encoding of real files of every supported format. The files are created by
//! `gst-launch-1.0` with the system's own plugins.

mod animations;
mod clip;
mod colours;
mod faults;
mod formats;
mod hdr;
mod headers;
mod more_formats;
mod orientation;
mod parts;
mod sound;
mod times;
mod transport_stream;
mod writing;

use bodyscript_protocol::message::{MediaLimits, OnLong};
use bodyscript_protocol::warning::Warnings;
use bodyscript_worker::picture::{Picture, RgbPicture};
use bodyscript_worker::video::{self, Decoder, FrameTime, Probe, VideoError};
use std::fs::File;
use std::io::{Seek, Write};
use std::sync::LazyLock;
use std::time::Duration;

/// Initialises GStreamer once in the process; every test uses it.
static READY: LazyLock<()> = LazyLock::new(|| video::init().expect("GStreamer initialises"));

/// Limits above every clip of the tests.
const LIMITS: MediaLimits = MediaLimits {
    duration_ms_max: 10_000,
    on_long: OnLong::Trim,
    side_px_max: 1920,
    area_px_max: 1920 * 1080,
    frame_rate_max: 120,
};

/// The result of decoding a video.
struct Decoded {
    probe: Probe,
    times: Vec<Duration>,
    /// Brightness of the plain part of each frame.
    levels: Vec<f64>,
    last: RgbPicture,
    warnings: Warnings,
}

/// A file of these bytes.
fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("the file takes bytes");
    file.rewind().expect("the file seeks");
    file
}

fn open(file: File, limits: &MediaLimits) -> Result<(Decoder, Probe), VideoError> {
    *READY;
    Decoder::open(file.into(), limits)
}

fn decode(file: File, limits: &MediaLimits) -> Result<Decoded, VideoError> {
    let (mut decoder, probe) = open(file, limits)?;
    let (mut times, mut levels) = (Vec::new(), Vec::new());
    let (mut picture, mut last) = (Picture::default(), RgbPicture::default());
    while let Some(FrameTime { pts }) = decoder.next(&mut picture)? {
        last.convert(&picture);
        times.push(pts);
        levels.push(clip::level_of(&last));
    }
    let warnings = decoder.warnings();
    Ok(Decoded { probe, times, levels, last, warnings })
}

/// Asserts that frames come at these times, each within a millisecond: some containers count in
/// whole ones.
fn assert_times(what: &str, times: &[Duration], expected: impl Iterator<Item = f64>) {
    let expected: Vec<_> = expected.collect();
    assert_eq!(times.len(), expected.len(), "{what}: frames, at {times:?}");
    for (time, expected) in times.iter().zip(&expected) {
        let off = (time.as_secs_f64() - expected).abs();
        assert!(off < 0.001_001, "{what}: a frame at {time:?} instead of {expected:.4} s");
    }
}
