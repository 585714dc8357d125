//! Every container and codec: all frames, in order, at their times.

use crate::clip::{self, Clip, PLAIN};
use crate::{LIMITS, assert_times, decode};

const H264: &str = "x264enc bframes=2 key-int-max=12";
const H265: &str = "x265enc key-int-max=12 ! h265parse";
const VP8: &str = "vp8enc deadline=1 keyframe-max-dist=12";
const VP9: &str = "vp9enc deadline=1 cpu-used=8 keyframe-max-dist=12 ! vp9parse";
const AV1: &str = "av1enc cpu-used=8 keyframe-max-dist=12 ! av1parse";
const MPEG4: &str = "avenc_mpeg4 bitrate=1000000 max-bframes=2 gop-size=12 ! mpeg4videoparse";
const MJPEG: &str = "jpegenc quality=95";
const MPEG2: &str = "avenc_mpeg2video bitrate=1000000 max-bframes=2 gop-size=12 ! mpegvideoparse";

fn check(encoder: &'static str, muxer: &'static str, container: &str, codec: &str) {
    let clip = Clip { encoder, muxer, ..PLAIN };
    let what = format!("{encoder} ! {muxer}");
    let decoded = decode(clip.make(), &LIMITS).unwrap_or_else(|error| panic!("{what}: {error}"));
    let probe = &decoded.probe;
    assert_eq!((probe.width, probe.height, probe.rotation_degrees), (160, 120, 0), "{what}");
    assert_eq!((&*probe.container, &*probe.codec), (container, codec), "{what}");
    assert!(!probe.trimmed, "{what}");
    if let Some(frames) = probe.frames_estimate {
        assert!(frames.abs_diff(30) <= 1, "{what}: {frames} frames expected");
    }
    assert_eq!((decoded.last.width, decoded.last.height), (160, 120), "{what}");
    clip::assert_red(&what, clip::patch(&decoded.last, 10, 10));
    clip::assert_levels(&what, &decoded.levels, 0..30);
    assert_times(&what, &decoded.times, (0..30).map(|k| f64::from(k) / 30.0));
    assert!(!decoded.truncated && !decoded.trimmed, "{what}");
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn mp4() {
    for (encoder, codec) in [
        (H264, "video/x-h264"),
        (H265, "video/x-h265"),
        (VP9, "video/x-vp9"),
        (AV1, "video/x-av1"),
        (MPEG4, "video/mpeg"),
    ] {
        check(encoder, "mp4mux", "video/quicktime", codec);
        check(encoder, "mp4mux faststart=true", "video/quicktime", codec);
    }
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn mov() {
    for (encoder, codec) in [
        (H264, "video/x-h264"),
        (H265, "video/x-h265"),
        (MJPEG, "image/jpeg"),
        (MPEG4, "video/mpeg"),
    ] {
        check(encoder, "qtmux", "video/quicktime", codec);
    }
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn fragmented_mp4() {
    check(H264, "mp4mux fragment-duration=200", "video/quicktime", "video/x-h264");
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn matroska() {
    for (encoder, codec) in [
        (H264, "video/x-h264"),
        (H265, "video/x-h265"),
        (VP8, "video/x-vp8"),
        (VP9, "video/x-vp9"),
        (AV1, "video/x-av1"),
        (MPEG4, "video/mpeg"),
        (MJPEG, "image/jpeg"),
        (MPEG2, "video/mpeg"),
    ] {
        check(encoder, "matroskamux", "video/x-matroska", codec);
    }
}

#[test]
fn webm() {
    for (encoder, codec) in [(VP8, "video/x-vp8"), (VP9, "video/x-vp9"), (AV1, "video/x-av1")] {
        check(encoder, "webmmux", "video/webm", codec);
    }
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn avi() {
    let mpeg4 = "avenc_mpeg4 bitrate=1000000 gop-size=12 ! mpeg4videoparse";
    let h264 = "x264enc bframes=0 key-int-max=12 ! video/x-h264,stream-format=byte-stream";
    for (encoder, codec) in [(h264, "video/x-h264"), (MJPEG, "image/jpeg"), (mpeg4, "video/mpeg")] {
        check(encoder, "avimux", "video/x-msvideo", codec);
    }
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn wmv() {
    for (encoder, codec) in [
        ("avenc_wmv1 bitrate=1000000 gop-size=12", "video/x-wmv"),
        ("avenc_wmv2 bitrate=1000000 gop-size=12", "video/x-wmv"),
    ] {
        check(encoder, "asfmux", "video/x-ms-asf", codec);
    }
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn transport_stream() {
    for (encoder, codec) in [(H264, "video/x-h264"), (H265, "video/x-h265"), (MPEG2, "video/mpeg")]
    {
        check(encoder, "mpegtsmux", "video/mpegts", codec);
    }
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn program_stream() {
    for (encoder, codec) in [(H264, "video/x-h264"), (MPEG2, "video/mpeg")] {
        check(encoder, "mpegpsmux", "video/mpeg", codec);
    }
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn sound_beside_the_pictures_is_passed_over() {
    for muxer in ["mp4mux name=m", "matroskamux name=m", "mpegtsmux name=m", "avimux name=m"] {
        let beside = "audiotestsrc num-buffers=50 ! avenc_aac ! aacparse ! m.";
        let encoder = "x264enc bframes=0 key-int-max=12";
        let clip = Clip { encoder, muxer, beside, ..PLAIN };
        let decoded =
            decode(clip.make(), &LIMITS).unwrap_or_else(|error| panic!("{muxer}: {error}"));
        clip::assert_levels(muxer, &decoded.levels, 0..30);
        assert_times(muxer, &decoded.times, (0..30).map(|k| f64::from(k) / 30.0));
    }
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn unusual_pixel_formats_become_rgb() {
    for encoder in [
        "videoconvert ! video/x-raw,format=Y444 ! x264enc",
        "videoconvert ! video/x-raw,format=Y42B ! x264enc",
        "videoconvert ! video/x-raw,format=I420_10LE ! x264enc",
        "videoconvert ! video/x-raw,format=I420_10LE ! x265enc ! h265parse",
        "videoconvert ! video/x-raw,format=Y42B ! jpegenc quality=95",
    ] {
        let decoded = decode(Clip { encoder, muxer: "matroskamux", ..PLAIN }.make(), &LIMITS)
            .unwrap_or_else(|error| panic!("{encoder}: {error}"));
        clip::assert_levels(encoder, &decoded.levels, 0..30);
        clip::assert_red(encoder, clip::patch(&decoded.last, 10, 10));
    }
}

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn fields_become_frames() {
    let raw = "interlaced=true top-field-first=true";
    for (encoder, muxer) in
        [("x264enc interlaced=true", "mpegtsmux"), ("x264enc interlaced=true", "mp4mux")]
    {
        let decoded = decode(Clip { raw, encoder, muxer, ..PLAIN }.make(), &LIMITS)
            .unwrap_or_else(|error| panic!("{muxer}: {error}"));
        clip::assert_levels(muxer, &decoded.levels, 0..30);
        assert_times(muxer, &decoded.times, (0..30).map(|k| f64::from(k) / 30.0));
    }
}
