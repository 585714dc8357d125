//! Containers and codecs that few cameras and many editing programs and web sites write.

use crate::clip::{Clip, PLAIN, assert_levels, assert_red, level, patch};
use crate::{Decoded, LIMITS, assert_times, decode, file_of};
use bodyscript_protocol::warning::{Warning, Warnings};

fn decoded(what: &str, clip: &Clip) -> Decoded {
    decode(clip.make(), &LIMITS).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Thirty frames at their times, upright and in their colours.
fn check(clip: &Clip, container: &str, codec: &str) {
    let what = format!("{} ! {}", clip.encoder, clip.muxer);
    let decoded = decoded(&what, clip);
    let probe = &decoded.probe;
    assert_eq!((probe.width, probe.height), (clip.width, clip.height), "{what}");
    assert_eq!((&*probe.container, &*probe.codec), (container, codec), "{what}");
    assert_times(&what, &decoded.times, (0..30).map(|k| f64::from(k) / 30.0));
    assert_near(&what, &decoded.levels);
    assert_red(&what, patch(&decoded.last, 10, 10));
    assert_eq!(decoded.warnings, Warnings::NONE, "{what}");
}

/// Each conversion rounds down: from RGB to luma and back is a level more than from luma alone.
fn assert_near(what: &str, levels: &[f64]) {
    assert_eq!(levels.len(), 30, "{what}");
    for (found, number) in levels.iter().zip(0..) {
        let expected = f64::from(level(number));
        assert!(
            (found - expected).abs() < 4.5,
            "{what}: frame {number} is {found}, not {expected}"
        );
    }
}

const FLV1: Clip = Clip {
    encoder: "avenc_flv pass=quant quantizer=2 gop-size=12",
    retimed: "",
    muxer: "flvmux name=m",
    ..PLAIN
};

#[test]
fn flash_video() {
    check(&FLV1, "video/x-flv", "video/x-flash-video");
    let encoder = "x264enc bframes=0 key-int-max=12";
    check(&Clip { encoder, ..FLV1 }, "video/x-flv", "video/x-h264");
}

#[test]
fn flash_video_that_states_no_size() {
    let mut bytes = FLV1.bytes();
    for name in [b"\0\x05width".as_slice(), b"\0\x06height"] {
        let at = bytes.windows(name.len()).position(|w| w == name).expect("the size");
        bytes[at + 2] = b'*';
    }
    let decoded = decode(file_of(&bytes), &LIMITS).expect("a video");
    assert_eq!((decoded.probe.width, decoded.probe.height), (160, 120));
    assert_levels("no size", &decoded.levels, 0..30);
}

#[test]
fn uncompressed() {
    for (encoder, muxer, container) in [
        ("videoconvert ! video/x-raw,format=I420", "avimux", "video/x-msvideo"),
        ("videoconvert ! video/x-raw,format=YUY2", "avimux", "video/x-msvideo"),
        ("videoconvert ! video/x-raw,format=BGR", "avimux", "video/x-msvideo"),
        ("videoconvert ! video/x-raw,format=UYVY", "qtmux", "video/quicktime"),
        ("videoconvert ! video/x-raw,format=v210", "qtmux", "video/quicktime"),
        ("videoconvert ! video/x-raw,format=RGB", "qtmux", "video/quicktime"),
        ("videoconvert ! video/x-raw,format=I420", "matroskamux", "video/x-matroska"),
    ] {
        check(&Clip { encoder, muxer, ..PLAIN }, container, "video/x-raw");
    }
}

#[test]
fn yuv4mpeg() {
    for format in ["I420", "Y42B", "Y444"] {
        let encoder = match format {
            "I420" => "videoconvert ! video/x-raw,format=I420",
            "Y42B" => "videoconvert ! video/x-raw,format=Y42B",
            _ => "videoconvert ! video/x-raw,format=Y444",
        };
        check(&Clip { encoder, muxer: "y4menc", ..PLAIN }, "application/x-yuv4mpeg", "video/x-raw");
    }
}

#[test]
fn yuv4mpeg_that_is_cut_off_keeps_its_whole_frames() {
    let bytes = Clip { encoder: "identity", muxer: "y4menc", ..PLAIN }.bytes();
    let decoded = decode(file_of(&bytes[..bytes.len() / 2]), &LIMITS).expect("a video");
    assert_levels("cut off", &decoded.levels, 0..14);
    assert!(decoded.warnings.contains(Warning::Truncated), "{:?}", decoded.warnings);
}

#[test]
fn ogg() {
    check(&Clip { encoder: "theoraenc", muxer: "oggmux", ..PLAIN }, "video/ogg", "video/x-theora");
    check(
        &Clip { encoder: "theoraenc", muxer: "matroskamux", ..PLAIN },
        "video/x-matroska",
        "video/x-theora",
    );
}

#[test]
fn portable_network_graphics_in_quicktime() {
    for format in ["videoconvert ! pngenc", "videoconvert ! video/x-raw,format=RGBA ! pngenc"] {
        check(&Clip { encoder: format, muxer: "qtmux", ..PLAIN }, "video/quicktime", "image/png");
    }
    let encoder = "videoconvert ! pngenc";
    let high = Clip { encoder, muxer: "qtmux", width: 1280, height: 720, ..PLAIN };
    check(&high, "video/quicktime", "image/png");
}

#[test]
fn exchange_format() {
    let mpeg2 = "mpeg2enc format=3 bitrate=4000 ! mpegvideoparse";
    check(&Clip { encoder: mpeg2, muxer: "mxfmux", ..PLAIN }, "application/mxf", "video/mpeg");
}

#[test]
fn vc3() {
    let encoder = "videoconvert ! videoscale ! video/x-raw,format=Y42B,width=1280,height=720 \
                   ! avenc_dnxhd bitrate=75000000";
    let clip = Clip { width: 1280, height: 720, rate: (30000, 1001), encoder, ..PLAIN };
    let decoded = decoded("mxfmux", &Clip { muxer: "mxfmux", ..clip });
    let probe = &decoded.probe;
    assert_eq!([&*probe.container, &*probe.codec], ["application/mxf", "video/x-dnxhd"]);
    assert_levels("mxfmux", &decoded.levels, 0..30);
    assert_times("mxfmux", &decoded.times, (0..30).map(|k| f64::from(k) * 1001.0 / 30000.0));
}

const DV: Clip = Clip {
    width: 720,
    height: 576,
    rate: (25, 1),
    raw: "pixel-aspect-ratio=16/15",
    encoder: "avenc_dvvideo",
    ..PLAIN
};

#[test]
fn digital_video() {
    for (muxer, container) in
        [("avimux", "video/x-msvideo"), ("qtmux", "video/quicktime"), ("identity", "video/x-dv")]
    {
        let decoded = decoded(muxer, &Clip { muxer, ..DV });
        assert_eq!(&*decoded.probe.container, container);
        assert_eq!(decoded.probe.codec, "video/x-dv", "{muxer}");
        assert_levels(muxer, &decoded.levels, 0..30);
        assert_times(muxer, &decoded.times, (0..30).map(|k| f64::from(k) / 25.0));
        // Pixels of 16 to 15.
        assert_eq!((decoded.probe.width, decoded.probe.height), (768, 576), "{muxer}");
    }
}

#[test]
fn bare_streams_have_the_times_of_their_rate() {
    for (encoder, muxer, container) in [
        (
            "x264enc bframes=2 key-int-max=12",
            "h264parse ! video/x-h264,stream-format=byte-stream",
            "video/x-h264",
        ),
        (
            "x265enc key-int-max=12",
            "h265parse ! video/x-h265,stream-format=byte-stream",
            "video/x-h265",
        ),
    ] {
        let decoded = decoded(encoder, &Clip { encoder, muxer, ..PLAIN });
        assert_eq!([&*decoded.probe.container, &*decoded.probe.codec], [container; 2]);
        assert_times(encoder, &decoded.times, (0..30).map(|k| f64::from(k) / 30.0));
        assert_levels(encoder, &decoded.levels, 0..30);
        assert!(decoded.warnings.contains(Warning::TimesEstimated), "{:?}", decoded.warnings);
    }
}
