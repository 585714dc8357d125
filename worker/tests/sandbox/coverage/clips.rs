//! Short clips of every format, and files that are not videos, for the recorded runs. Created by `gst-launch-1.0` with the system's own plugins.

use std::io::Write;
use std::process::Command;
use tempfile::NamedTempFile;

/// An encoding of pictures and a container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    /// What makes the raw pictures unusual: more of their caps, or an element.
    raw: &'static str,
    encoder: &'static str,
    muxer: &'static str,
    /// Elements from samples to coded sound; empty for a clip without.
    sound: &'static str,
}

const fn format(encoder: &'static str, muxer: &'static str) -> Format {
    Format { raw: "", encoder, muxer, sound: "" }
}

const fn with(sound: &'static str, muxer: &'static str) -> Format {
    Format { sound, ..format(H264, muxer) }
}

const H264: &str = "x264enc";
const DNXHD: &str = "videoconvert ! avenc_dnxhd bitrate=75000000";
const HD: &str = ",width=1280,height=720,framerate=30000/1001";
const DV: &str = ",width=720,height=576,framerate=25/1,pixel-aspect-ratio=16/15";

/// Every codec, every container, and every kind of picture and sound that takes a further element.
const FORMATS: &[Format] = &[
    format(H264, "mp4mux"),
    format(H264, "mp4mux fragment-duration=100"),
    format(H264, "matroskamux"),
    format("x265enc ! h265parse", "mp4mux faststart=true"),
    format("vp8enc deadline=1", "webmmux"),
    format("vp9enc deadline=1 cpu-used=8 ! vp9parse", "webmmux"),
    format("av1enc cpu-used=8 ! av1parse", "matroskamux"),
    format("avenc_mpeg4 ! mpeg4videoparse", "avimux"),
    format("jpegenc", "qtmux"),
    format("mpeg2enc format=3 ! mpegvideoparse", "mpegpsmux"),
    format("avenc_wmv2", "asfmux"),
    format("avenc_msmpeg4", "avimux"),
    format("avenc_msmpeg4v2", "avimux"),
    format("videoconvert ! avenc_prores_ks", "qtmux"),
    format("openjpegenc", "mj2mux"),
    format("videoconvert ! avenc_cfhd", "qtmux"),
    format("avenc_flv", "flvmux"),
    format("theoraenc", "oggmux"),
    format("mpeg2enc format=3 ! mpegvideoparse", "mxfmux"),
    format("videoconvert ! pngenc", "qtmux"),
    format("videoconvert ! video/x-raw,format=YUY2", "avimux"),
    format("videoconvert ! video/x-raw,format=Y42B", "y4menc"),
    format(H264, "h264parse ! video/x-h264,stream-format=byte-stream ! identity"),
    format("x265enc", "h265parse ! video/x-h265,stream-format=byte-stream ! identity"),
    Format { raw: ",width=352,height=288", ..format("avenc_h263", "3gppmux") },
    Format { raw: DV, ..format("avenc_dvvideo", "avimux") },
    Format { raw: DV, ..format("avenc_dvvideo", "identity") },
    Format { raw: HD, ..format(DNXHD, "mxfmux") },
    Format { raw: " ! taginject tags=image-orientation=rotate-90", ..format(H264, "qtmux") },
    Format { raw: ",interlace-mode=interleaved", ..format("x264enc interlaced=true", "mp4mux") },
    Format { raw: ",pixel-aspect-ratio=4/3", ..format(H264, "mp4mux") },
    with("avenc_aac ! aacparse", "mp4mux"),
    with("lamemp3enc ! mpegaudioparse", "avimux"),
    with("opusenc", "matroskamux"),
    with("vorbisenc", "matroskamux"),
    with("flacenc ! flacparse", "matroskamux"),
    with("adpcmenc", "matroskamux"),
    with("avenc_wmav2", "matroskamux"),
    with("audio/x-raw,format=S16LE,rate=44100", "qtmux"),
    with("avenc_alac", "mp4mux"),
    with("amrnbenc", "qtmux"),
    with("voamrwbenc", "qtmux"),
    with("alawenc", "qtmux"),
    with("mulawenc", "qtmux"),
    with("avenc_ac3 ! ac3parse", "mpegtsmux"),
    with("twolamemp2enc ! mpegaudioparse", "mpegtsmux"),
];

/// One clip of each format.
pub(super) fn of_every_format() -> impl Iterator<Item = (Format, NamedTempFile)> {
    FORMATS.iter().map(|format| (*format, make(*format)))
}

/// One clip of each kind of animation, of two frames.
pub(super) fn of_every_animation() -> [(&'static str, NamedTempFile); 2] {
    let picture = |level: u8| vec![level; 160 * 120];
    let (mut gif, mut apng) = (Vec::new(), Vec::new());
    let grey: Vec<_> = (0..=255).flat_map(|level| [level; 3]).collect();
    let mut encoder = gif::Encoder::new(&mut gif, 160, 120, &grey).expect("a GIF");
    for level in [50, 200] {
        let frame = gif::Frame::from_indexed_pixels(160, 120, picture(level), None);
        encoder.write_frame(&frame).expect("it is written");
    }
    drop(encoder);
    let mut encoder = png::Encoder::new(&mut apng, 160, 120);
    encoder.set_animated(2, 0).expect("it can be animated");
    let mut writer = encoder.write_header().expect("a header");
    for level in [50, 200] {
        writer.write_image_data(&picture(level)).expect("it is written");
    }
    writer.finish().expect("it ends");
    [("GIF", file(&gif)), ("APNG", file(&apng))]
}

/// One clip in the commonest format.
pub(super) fn plain() -> NamedTempFile {
    make(FORMATS[0])
}

/// One file for each fault of a video.
pub(super) fn of_every_fault() -> Vec<(&'static str, NamedTempFile)> {
    let whole = std::fs::read(plain().path()).expect("the clip is readable");
    vec![
        ("empty", file(&[])),
        ("no video", file(b"PK\x03\x04 and the rest of an archive")),
        ("cut short", file(&whole[..whole.len() / 3])),
    ]
}

/// Every container, with sound where it is read differently.
const DAMAGED: &[Format] = &[
    with("avenc_aac ! aacparse", "mp4mux"),
    with("avenc_aac ! aacparse", "mp4mux fragment-duration=100"),
    with("opusenc", "matroskamux"),
    with("lamemp3enc ! mpegaudioparse", "avimux"),
    with("twolamemp2enc ! mpegaudioparse", "mpegtsmux"),
    Format { sound: "vorbisenc", ..format("vp8enc deadline=1", "webmmux") },
    format("jpegenc", "qtmux"),
    format("mpeg2enc format=3 ! mpegvideoparse", "mpegpsmux"),
    with("avenc_aac ! aacparse", "flvmux"),
    Format { sound: "vorbisenc", ..format("theoraenc", "oggmux") },
    Format { sound: "avenc_wmav2", ..format("avenc_wmv2", "asfmux") },
    format("mpeg2enc format=3 ! mpegvideoparse", "mxfmux"),
];

/// Clips with bytes of their headers and of their media inverted, so that demuxers, parsers
/// and decoders complain: three of each container, always at the same places.
pub(super) fn of_every_damage() -> impl Iterator<Item = (String, NamedTempFile)> {
    DAMAGED.iter().flat_map(|format| {
        let whole = std::fs::read(make(*format).path()).expect("the clip is readable");
        [(0, 61), (whole.len() / 3, 257), (whole.len() * 2 / 3, 1009)].map(|(from, every)| {
            let mut damaged = whole.clone();
            damaged.iter_mut().skip(from + 40).step_by(every).for_each(|byte| *byte ^= 0x5a);
            (format!("{format:?}, one byte in {every} from {from} on"), file(&damaged))
        })
    })
}

/// A clip whose demuxer as a rule raises a critical message of GLib: an AVI file with the beginning of its
/// media twice.
pub(super) fn that_may_raise_a_critical_message() -> NamedTempFile {
    const TWICE: usize = 2000;
    let format = with("lamemp3enc ! mpegaudioparse", "avimux");
    let whole = std::fs::read(make(format).path()).expect("the clip is readable");
    let media = whole.windows(4).position(|name| name == b"movi").expect("media");
    file(&[&whole[..media + TWICE], &whole[media..]].concat())
}

fn file(contents: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(contents).expect("it is written");
    file
}

fn make(Format { raw, encoder, muxer, sound }: Format) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    let beside = if sound.is_empty() {
        String::new()
    } else {
        format!(
            "audiotestsrc num-buffers=18 ! audio/x-raw,rate=48000 ! audioconvert ! audioresample ! {sound} ! queue ! m."
        )
    };
    let graph = format!(
        "videotestsrc num-buffers=12 ! video/x-raw,format=I420,width=160,height=120,framerate=30/1{raw} \
         ! {encoder} ! {muxer} name=m ! filesink location={} {beside}",
        file.path().display()
    );
    let status = Command::new("gst-launch-1.0")
        .arg("-q")
        .args(graph.split_whitespace())
        .status()
        .expect("gst-launch-1.0 runs; install gstreamer1.0-tools");
    assert!(status.success(), "{graph}");
    file
}
