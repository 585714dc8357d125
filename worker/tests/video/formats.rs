//! Every container and codec: all frames, in order, at their times.

use crate::clip::{self, Clip, PLAIN};
use crate::{LIMITS, assert_times, decode, file_of};
use bodyscript_protocol::warning::{Warning, Warnings};

/// An encoder, elements that restore times where it loses them, and the name of the codec.
type Coding = (&'static str, &'static str, &'static str);

const H264: Coding = ("x264enc bframes=2 key-int-max=12", "", "video/x-h264");
const H265: Coding = ("x265enc key-int-max=12 ! h265parse", "", "video/x-h265");
const VP8: Coding = ("vp8enc deadline=1 keyframe-max-dist=12", "", "video/x-vp8");
// Without a chroma site GStreamer 1.22's MP4 muxer reads through a null pointer.
const VP9: Coding = (
    "videoconvert ! video/x-raw,chroma-site=mpeg2 ! vp9enc deadline=1 cpu-used=8 keyframe-max-dist=12 ! vp9parse",
    "",
    "video/x-vp9",
);
const AV1: Coding = ("av1enc cpu-used=8 keyframe-max-dist=12 ! av1parse", "", "video/x-av1");
// In AVI, and in files converted from it, this codec is called DivX.
const MPEG4: Coding = (
    "avenc_mpeg4 pass=quant quantizer=2 gop-size=12",
    "avidemux ! mpeg4videoparse",
    "video/x-divx",
);
// JPEG is full range by definition (JFIF); its encoder does not convert pictures.
const MJPEG: Coding = (
    "videoconvert ! video/x-raw,colorimetry=(string)1:4:0:0 ! jpegenc quality=95",
    "",
    "image/jpeg",
);
// GStreamer 1.22 passes libav's encoder a frame rate of a billion, which it rejects.
const MPEG2: Coding = ("mpeg2enc format=3 bitrate=4000 ! mpegvideoparse", "", "video/mpeg");
const WMV1: Coding = ("avenc_wmv1 bitrate=1000000 gop-size=12", "", "video/x-wmv");
const WMV2: Coding = ("avenc_wmv2 bitrate=1000000 gop-size=12", "", "video/x-wmv");

const MSMPEG4: Coding =
    ("avenc_msmpeg4 pass=quant quantizer=2 gop-size=12", "avidemux", "video/x-msmpeg");
const MSMPEG4V2: Coding =
    ("avenc_msmpeg4v2 pass=quant quantizer=2 gop-size=12", "avidemux", "video/x-msmpeg");
const PRORES: Coding = ("videoconvert ! avenc_prores_ks", "", "video/x-prores");

fn check(coding: Coding, muxer: &'static str, container: &str) {
    check_from(0.0, coding, muxer, container);
}

/// With the first frame at `start`, in seconds.
fn check_from(start: f64, (encoder, retimed, codec): Coding, muxer: &'static str, container: &str) {
    let clip = Clip { encoder, retimed, muxer, ..PLAIN };
    let what = format!("{encoder} ! {muxer}");
    let decoded = decode(clip.make(), &LIMITS).unwrap_or_else(|error| panic!("{what}: {error}"));
    let probe = &decoded.probe;
    assert_eq!((probe.width, probe.height, probe.rotation_degrees), (160, 120, 0), "{what}");
    assert_eq!((&*probe.container, &*probe.codec), (container, codec), "{what}");
    assert!(!probe.trimmed, "{what}");
    assert_eq!((decoded.last.width, decoded.last.height), (160, 120), "{what}");
    assert_times(&what, &decoded.times, (0..30).map(|k| start + f64::from(k) / 30.0));
    clip::assert_levels(&what, &decoded.levels, 0..30);
    clip::assert_red(&what, clip::patch(&decoded.last, 10, 10));
    assert_eq!(decoded.warnings, Warnings::NONE, "{what}");
    if let Some(frames) = probe.frames_estimate {
        assert!(frames.abs_diff(30) <= 1, "{what}: {frames} frames expected of {probe:?}");
    }
}

// MPEG-4 part 2 in MP4 and QuickTime is tested with the whole programs (`formats`): from AVI these
// muxers do not accept it, and its encoder alone provides no times.
#[test]
fn mp4() {
    for coding in [H264, H265, VP9, AV1] {
        check(coding, "mp4mux", "video/quicktime");
        check(coding, "mp4mux faststart=true", "video/quicktime");
    }
}

#[test]
fn mov() {
    for coding in [H264, H265, MJPEG, PRORES] {
        check(coding, "qtmux", "video/quicktime");
    }
}

#[test]
fn fragmented_mp4() {
    // This muxer's fragments have no edit list, so that reordering delays the start by two frames.
    check_from(2.0 / 30.0, H264, "mp4mux fragment-duration=200", "video/quicktime");
}

#[test]
fn matroska() {
    for coding in [H264, H265, VP8, VP9, AV1, MPEG4, MJPEG, MPEG2] {
        check(coding, "matroskamux", "video/x-matroska");
    }
}

#[test]
fn webm() {
    for coding in [VP8, VP9, AV1] {
        check(coding, "webmmux", "video/webm");
    }
}

#[test]
fn avi() {
    let h264 = "x264enc bframes=0 key-int-max=12 ! video/x-h264,stream-format=byte-stream";
    for coding in [
        (h264, "", "video/x-h264"),
        MJPEG,
        (MPEG4.0, "", MPEG4.2),
        (MSMPEG4.0, "", MSMPEG4.2),
        (MSMPEG4V2.0, "", MSMPEG4V2.2),
    ] {
        check(coding, "avimux", "video/x-msvideo");
    }
}

#[test]
fn wmv() {
    for coding in [WMV1, WMV2] {
        check(coding, "asfmux", "video/x-ms-asf");
    }
}

#[test]
fn transport_stream() {
    for coding in [H264, H265, MPEG2] {
        check(coding, "mpegtsmux", "video/mpegts");
    }
}

#[test]
fn program_stream() {
    for coding in [H264, MPEG2] {
        check(coding, "mpegpsmux", "video/mpeg");
    }
}

#[test]

fn sound_tracks_are_ignored_by_the_decoder() {
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

fn unusual_pixel_formats_become_rgb() {
    for encoder in [
        "videoconvert ! video/x-raw,format=Y444 ! x264enc",
        "videoconvert ! video/x-raw,format=Y42B ! x264enc",
        "videoconvert ! video/x-raw,format=I420_10LE ! x264enc",
        "videoconvert ! video/x-raw,format=I420_10LE ! x265enc ! h265parse",
        "videoconvert ! video/x-raw,format=I420,colorimetry=(string)1:4:0:0 ! videoconvert \
         ! video/x-raw,format=Y42B,colorimetry=(string)1:4:0:0 ! jpegenc quality=95",
    ] {
        let decoded = decode(Clip { encoder, muxer: "matroskamux", ..PLAIN }.make(), &LIMITS)
            .unwrap_or_else(|error| panic!("{encoder}: {error}"));
        clip::assert_levels(encoder, &decoded.levels, 0..30);
        clip::assert_red(encoder, clip::patch(&decoded.last, 10, 10));
    }
}

#[test]
fn interlaced_fields_become_frames() {
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

#[test]
fn pictures_of_another_size_are_scaled_to_the_first() {
    let part =
        |width, height| Clip { width, height, frames: 15, muxer: "mpegtsmux", ..PLAIN }.bytes();
    let both = [part(160, 120), part(80, 60)].concat();
    let decoded = decode(file_of(&both), &LIMITS).expect("both parts");
    clip::assert_levels("two sizes", &decoded.levels, (0..15).chain(0..15));
    assert_eq!((decoded.last.width, decoded.last.height), (160, 120));
    clip::assert_red("the smaller part", clip::patch(&decoded.last, 10, 10));
    assert!(decoded.warnings.contains(Warning::SizeChanged), "{:?}", decoded.warnings);
    let plain = decode(file_of(&part(160, 120)), &LIMITS).expect("one part");
    assert_eq!(plain.warnings, Warnings::NONE);
}
