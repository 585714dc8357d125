//! The sound of output videos: beeps at known times, with every container and codec.

mod faults;
mod matrix;
mod times;

use crate::clip::{Clip, PLAIN, launch};
use crate::{Decoded, READY, decode};
use bodyscript_protocol::message::MediaLimits;
use bodyscript_protocol::options::Part;
use bodyscript_worker::picture::Picture;
use bodyscript_worker::video::{EncodeSpec, FrameTime, ProbedVideo, SoundReport, VideoWriter};
use std::fs::File;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::NamedTempFile;

/// Sample rate of the source and of the decoded sound.
const RATE: usize = 48_000;
/// When the beeps begin, in seconds.
const BEEPS: [f64; 3] = [0.25, 1.0, 1.6];
/// Frames of a clip with all of them.
const FRAMES: u32 = 60;
/// Elements that encode AAC.
const AAC: &str = "avenc_aac ! aacparse";

/// Two seconds of silence with beeps in it: 16 bits, one channel.
static SAMPLES: LazyLock<NamedTempFile> = LazyLock::new(|| {
    let is_beep = |time: f64| BEEPS.iter().any(|from| (*from..from + 0.05).contains(&time));
    let sample = |number: usize| {
        let time = number as f64 / RATE as f64;
        let tone = (time * 1000.0 * std::f64::consts::TAU).cos() * 24_000.0;
        if is_beep(time) { tone as i16 } else { 0 }
    };
    let file = NamedTempFile::new().expect("a temporary file");
    let bytes: Vec<u8> = (0..2 * RATE).flat_map(|n| sample(n).to_le_bytes()).collect();
    std::fs::write(file.path(), bytes).expect("the file takes bytes");
    file
});

/// A clip of pictures with beeps.
fn beeping(clip: Clip, sound_encoder: &str) -> Clip {
    let beside = format!(
        "filesrc location={} ! rawaudioparse format=pcm pcm-format=s16le sample-rate={RATE} \
         num-channels=1 ! audioconvert ! audioresample ! {sound_encoder} ! queue max-size-time=0 ! m.",
        SAMPLES.path().display()
    );
    Clip { frames: FRAMES, beside: beside.leak(), ..clip }
}

/// A video that is decoded and written again.
struct Written {
    file: NamedTempFile,
    report: SoundReport,
    /// The decoded frames of the output.
    pictures: Decoded,
}

/// Writes the pictures of a video, with its sound.
fn written(video: File, limits: &MediaLimits) -> Written {
    written_part(video, limits, Part::default())
}

/// Writes a part of a video as a video of its own.
fn written_part(video: File, limits: &MediaLimits, part: Part) -> Written {
    *READY;
    let video = ProbedVideo::open(video.into(), limits, part).expect("opens");
    let probe = video.probe().clone();
    let mut decoder = video.decode().expect("starts");
    let file = NamedTempFile::new().expect("a temporary file");
    let spec = EncodeSpec {
        width: probe.width,
        height: probe.height,
        frame_rate: probe.frame_rate,
        colours: probe.colours,
        duration_max: Duration::from_millis(limits.duration_ms_max.into()),
    };
    let out = File::options().read(true).write(true).open(file.path()).expect("opens");
    let writer = VideoWriter::create(out.into(), &spec).expect("the writer starts");
    let mut writer = writer.with_sound(decoder.sound());
    let mut picture = Picture::default();
    while let Some(FrameTime { pts }) = decoder.next(&mut picture).expect("decodes") {
        if let Some(pts) = pts.checked_sub(part.start) {
            writer.write(&picture, FrameTime { pts }).expect("the writer writes");
        }
    }
    let report = writer.finish().expect("the writer finishes").expect("sound was requested");
    let pictures = decode(file.reopen().expect("opens"), limits).expect("decodes");
    Written { file, report, pictures }
}

/// The sound of a file as one channel from the start of the presentation on, by the system's own
/// plugins: the mixer has silence where there is none.
fn decoded_sound(video: &Path) -> Vec<f32> {
    let file = NamedTempFile::new().expect("a temporary file");
    launch(
        &format!(
            "filesrc location={} ! decodebin caps=audio/x-raw expose-all-streams=false ! audioconvert ! audioresample \
             ! audio/x-raw,format=F32LE,rate={RATE},channels=1 ! audiomixer \
             ! filesink location={}",
            video.display(),
            file.path().display()
        ),
        &[],
    );
    let bytes = std::fs::read(file.path()).expect("the samples are readable");
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four"))).collect()
}

/// When beeps begin, in seconds.
fn onsets(samples: &[f32]) -> Vec<f64> {
    let mut loud_until = None;
    let mut found = Vec::new();
    for (number, sample) in samples.iter().enumerate() {
        if sample.abs() > 0.2 {
            if loud_until.is_none_or(|last| number > last + RATE / 10) {
                found.push(number as f64 / RATE as f64);
            }
            loud_until = Some(number);
        }
    }
    found
}

/// Asserts that beeps begin at these times, with this tolerance in seconds.
fn assert_onsets(what: &str, found: &[f64], expected: &[f64], within: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: beeps at {found:?} instead of {expected:?}");
    for (found, expected) in found.iter().zip(expected) {
        let off = (found - expected).abs();
        assert!(off <= within, "{what}: a beep at {found} instead of {expected}");
    }
}

/// The packets of a file's sound, as provided by its demuxer.
fn packets(video: &Path, demuxer: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (video, into) = (video.display(), folder.path().join("%06d"));
    let branch = format!("multifilesink location={}", into.display());
    launch(&format!("filesrc location={video} ! {demuxer} name=d d.audio_0 ! {branch}"), &[]);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder is readable")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    names.sort();
    names.iter().map(|name| std::fs::read(name).expect("a packet is readable")).collect()
}

/// A second and a bit of H.264, in a container, with sound.
fn plain(muxer: &'static str, sound_encoder: &str) -> Clip {
    beeping(Clip { muxer, encoder: "x264enc bframes=0 key-int-max=12", ..PLAIN }, sound_encoder)
}

/// Presented duration of the sound track of an MP4, in seconds; none without a track.
fn track_length(video: &Path) -> Option<f64> {
    let bytes = std::fs::read(video).expect("the video is readable");
    let index = crate::writing::inside(&bytes, &["moov"]);
    let be_u32 = |bytes: &[u8], at: usize| {
        u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    };
    let scale = be_u32(crate::writing::inside(index, &["mvhd"]), 12);
    let mut tracks = crate::writing::boxes(index).into_iter().filter(|(kind, _)| kind == "trak");
    let sound = tracks
        .find(|(_, track)| &crate::writing::inside(track, &["mdia", "hdlr"])[8..12] == b"soun");
    let (_, track) = sound?;
    let header = crate::writing::inside(track, &["tkhd"]);
    Some(f64::from(be_u32(header, 20)) / f64::from(scale))
}
