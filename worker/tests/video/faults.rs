//! Every rejected input, with its fault; and every limit, at it and one past it.

use crate::clip::{self, Clip, PLAIN, launch};
use crate::{LIMITS, assert_times, decode, file_of, open};
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::{MediaLimits, OnLong};
use bodyscript_protocol::warning::Warning;
use std::fs::File;

fn fault_of(file: File, limits: &MediaLimits) -> Fault {
    match decode(file, limits) {
        Ok(decoded) => panic!("decoded {} frames", decoded.times.len()),
        Err(error) => error.fault(),
    }
}

/// A file made by a graph that ends in `! filesink`.
fn launched(graph: &str) -> File {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    launch(&format!("{graph} ! filesink location={}", file.path().display()), &[]);
    file.reopen().expect("the file opens")
}

#[test]
fn an_empty_file() {
    assert_eq!(fault_of(file_of(&[]), &LIMITS), Fault::Empty);
}

#[test]
fn files_that_are_no_video() {
    let noise: Vec<u8> =
        (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let text = "A line of text like any other.\n".repeat(5000);
    let zip = [b"PK\x03\x04\x14\0\0\0\x08\0".as_slice(), &noise[..5000]].concat();
    // Has start codes, so that it passes for a bare stream at first.
    let squares: Vec<u8> = (0..50_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    for (what, bytes) in [
        ("text", text.as_bytes()),
        ("noise", &noise),
        ("squares", &squares),
        ("zip", &zip),
        ("one byte", &[0]),
    ] {
        assert_eq!(fault_of(file_of(bytes), &LIMITS), Fault::NotAVideo, "{what}");
    }
    for graph in [
        "videotestsrc num-buffers=1 ! jpegenc",
        "videotestsrc num-buffers=1 ! pngenc",
        "audiotestsrc num-buffers=50 ! lamemp3enc ! id3v2mux",
        "audiotestsrc num-buffers=50 ! wavenc",
    ] {
        assert_eq!(fault_of(launched(graph), &LIMITS), Fault::NotAVideo, "{graph}");
    }
}

#[test]
fn containers_without_a_picture() {
    for muxer in ["mp4mux", "matroskamux", "webmmux", "mpegtsmux", "asfmux", "avimux"] {
        let encoder = match muxer {
            "webmmux" => "vorbisenc",
            "asfmux" => "avenc_wmav2",
            "avimux" => "lamemp3enc ! mpegaudioparse",
            _ => "avenc_aac ! aacparse",
        };
        let graph = format!("audiotestsrc num-buffers=50 ! audioconvert ! {encoder} ! {muxer}");
        assert_eq!(fault_of(launched(&graph), &LIMITS), Fault::NoVideoTrack, "{muxer}");
    }
}

#[test]
fn codecs_without_a_decoder() {
    for (encoder, muxer, name) in [
        ("avenc_huffyuv", "avimux", "video/x-huffyuv"),
        ("avenc_flashsv", "flvmux", "video/x-flash-screen"),
        ("avenc_ffv1", "matroskamux", "video/x-ffv"),
    ] {
        let graph = format!("videotestsrc num-buffers=5 ! videoconvert ! {encoder} ! {muxer}");
        let fault = fault_of(launched(&graph), &LIMITS);
        assert_eq!(fault, Fault::UnsupportedCodec(name.into()), "{encoder}");
    }
}

/// Codecs that no muxer here writes: the name in a file of another codec is replaced.
#[test]
fn codecs_that_a_demuxer_does_not_know_are_named() {
    let h264 = "x264enc bframes=0 ! h264parse";
    for (encoder, muxer, name, other, expected) in [
        (h264, "qtmux", "avc1", "aprn", "ProRes RAW"),
        (h264, "mp4mux", "avc1", "brst", "Blackmagic RAW"),
        ("avenc_msmpeg4", "avimux", "MP43", "iv50", "Indeo 5"),
        ("avenc_msmpeg4", "avimux", "MP43", "LAGS", "Lagarith"),
        ("avenc_wmv2", "asfmux", "WMV2", "MSS2", "Windows Media Screen"),
        (h264, "matroskamux", "V_MPEG4/ISO/AVC", "V_MPEGI/ISO/VVC", "H.266"),
        (h264, "mp4mux", "avc1", "cvid", "Cinepak"),
    ] {
        let mut bytes = Clip { encoder, muxer, ..PLAIN }.bytes();
        for at in 0..bytes.len() - name.len() {
            if bytes[at..].starts_with(name.as_bytes()) {
                bytes[at..at + name.len()].copy_from_slice(other.as_bytes());
            }
        }
        let fault = fault_of(file_of(&bytes), &LIMITS);
        assert!(matches!(fault, Fault::UnsupportedCodec(_)), "{other} in {muxer}: {fault:?}");
        let sentence = fault.sentence();
        assert!(sentence.starts_with(&format!("{expected} video isn't")), "{muxer}: {sentence}");
    }
}

#[test]
fn pictures_that_a_demuxer_leaves_out_are_named() {
    let flash = Clip { encoder: "avenc_flv", muxer: "flvmux", ..PLAIN };
    let mut bytes = flash.bytes();
    let pictures = bytes
        .windows(12)
        .enumerate()
        .filter(|(_, tag)| tag[0] == 9 && tag[8..11] == [0; 3] && tag[11] & 0x0f == 2);
    let pictures: Vec<_> = pictures.map(|(at, _)| at + 11).collect();
    pictures.iter().for_each(|at| bytes[*at] = 0x1c);
    let codec = |bytes: &[u8]| fault_of(file_of(bytes), &LIMITS);
    assert_eq!(codec(&bytes), Fault::UnsupportedCodec("flv:hvc1".into()));

    let mut bytes = Clip { encoder: "x264enc", muxer: "mpegtsmux", ..PLAIN }.bytes();
    for at in 0..bytes.len() - 20 {
        // The kind and number of the stream, in the program map.
        if bytes[at] == 0x1b && bytes[at + 1..at + 3] == [0xe0, 0x41] {
            bytes[at] = 0x33;
            let start = (0..at).rev().find(|n| bytes[*n..].starts_with(&[2, 0xb0])).expect("a map");
            let end = start + 3 + usize::from(bytes[start + 2]) - 4;
            let sum = bytes[start..end].iter().fold(u32::MAX, |sum, byte| {
                (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
                    if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
                })
            });
            bytes[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        }
    }
    assert_eq!(codec(&bytes), Fault::UnsupportedCodec("fourcc:vvc1".into()));
}

#[test]
fn damage_before_the_first_frame() {
    let whole = PLAIN.bytes();
    let index_first = Clip { muxer: "mp4mux faststart=true", ..PLAIN }.bytes();
    let matroska = Clip { muxer: "matroskamux", ..PLAIN }.bytes();
    let data = index_first.windows(4).position(|w| w == b"mdat").expect("an mdat box");
    let cluster =
        matroska.windows(4).position(|w| w == [0x1f, 0x43, 0xb6, 0x75]).expect("a cluster");
    for (what, bytes) in [
        ("index missing", &whole[..whole.len() / 2]),
        ("data missing", &index_first[..data + 4]),
        ("clusters missing", &matroska[..cluster]),
    ] {
        assert_eq!(fault_of(file_of(bytes), &LIMITS), Fault::Damaged, "{what}");
    }
}

/// The demuxer would read it in an endless loop, until a deadline.
#[test]
fn fragments_without_an_index_are_rejected_at_once() {
    let mut bytes = Clip { muxer: "mp4mux fragment-duration=100 name=m", ..PLAIN }.bytes();
    let at = bytes.windows(4).position(|name| name == b"moov").expect("an index");
    bytes[at + 3] = b'*';
    let error = open(file_of(&bytes), &LIMITS).err().expect("a refusal");
    assert_eq!(error.fault(), Fault::Damaged);
    assert!(error.to_string().contains("fragments without an index"), "{error}");
}

/// The demuxer sees none of it.
#[test]
fn a_table_without_room_for_its_entries_is_refused() {
    let whole = PLAIN.bytes();
    for table in [b"stts", b"stsc", b"stsz", b"stco", b"elst"] {
        let mut bytes = whole.clone();
        let at = bytes.windows(4).position(|name| name == table).expect("a table");
        let number_at = if table == b"stsz" { at + 12 } else { at + 8 };
        bytes[number_at..number_at + 4].copy_from_slice(&0x0fff_ffff_u32.to_be_bytes());
        let error = open(file_of(&bytes), &LIMITS).err().expect("a refusal");
        assert_eq!(error.fault(), Fault::Damaged);
        assert!(error.to_string().contains("states more entries than it has"), "{error}");
    }
    decode(file_of(&whole), &LIMITS).expect("the file is right otherwise");
}

#[test]
fn a_track_without_a_frame() {
    let mut bytes = Clip { muxer: "matroskamux", ..PLAIN }.bytes();
    let cluster = bytes.windows(4).position(|w| w == [0x1f, 0x43, 0xb6, 0x75]).expect("a cluster");
    bytes.truncate(cluster);
    // Duration: element 4489, eight bytes, a float.
    let at = bytes.windows(3).position(|w| w == [0x44, 0x89, 0x88]).expect("a duration");
    bytes[at + 3..at + 11].fill(0);
    assert_eq!(fault_of(file_of(&bytes), &LIMITS), Fault::NoFrames);
}

#[test]

fn a_truncated_video_ends_early() {
    for (muxer, encoder) in [
        ("mp4mux faststart=true", "x264enc bframes=0"),
        ("matroskamux", "x264enc bframes=0"),
        ("mpegtsmux", "x264enc bframes=0"),
        ("avimux", "jpegenc"),
    ] {
        let clip = Clip { muxer, encoder, frames: 150, ..PLAIN };
        let bytes = clip.bytes();
        let decoded = decode(file_of(&bytes[..bytes.len() / 2]), &LIMITS)
            .unwrap_or_else(|error| panic!("{muxer}: {error}"));
        let frames = decoded.times.len();
        assert!((10..140).contains(&frames), "{muxer}: {frames} frames");
        assert_times(muxer, &decoded.times, (0..frames).map(|k| k as f64 / 30.0));
        // A transport stream states no duration, and the AVI demuxer takes a file without its index
        // for complete.
        let is_known = !["mpegtsmux", "avimux"].contains(&muxer);
        assert_eq!(decoded.warnings.contains(Warning::Truncated), is_known, "{muxer}");
    }
}

#[test]
fn sides_at_the_limit_and_one_past_it() {
    for (muxer, encoder) in [
        ("mp4mux", "x264enc"),
        ("mpegtsmux", "x264enc"),
        ("webmmux", "vp8enc"),
        ("webmmux", "vp9enc"),
        ("qtmux", "jpegenc"),
        ("asfmux", "avenc_wmv2"),
    ] {
        let clip = Clip { muxer, encoder, frames: 3, ..PLAIN };
        for (side_px_max, area_px_max) in [(160, 1920 * 1080), (1920, 160 * 120)] {
            let at = MediaLimits { side_px_max, area_px_max, ..LIMITS };
            let decoded = decode(clip.make(), &at);
            assert_eq!(decoded.map(|d| d.times.len()).ok(), Some(3), "{muxer} {encoder}");
        }
        for (side_px_max, area_px_max) in [(159, 1920 * 1080), (1920, 160 * 120 - 1)] {
            let under = MediaLimits { side_px_max, area_px_max, ..LIMITS };
            let fault =
                Fault::PictureTooLarge { width: 160, height: 120, side_px_max, area_px_max };
            assert_eq!(fault_of(clip.make(), &under), fault, "{muxer} {encoder}");
        }
    }
}

#[test]

fn a_size_stated_only_in_the_stream_is_checked_against_the_limit() {
    for (encoder, retimed) in [
        ("vp8enc", ""),
        ("vp9enc", ""),
        ("av1enc cpu-used=8 ! av1parse", ""),
        ("avenc_mpeg4", "avidemux ! mpeg4videoparse"),
    ] {
        let clip = Clip { muxer: "matroskamux", encoder, retimed, frames: 3, ..PLAIN };
        let mut bytes = clip.bytes();
        // The container's own elements: PixelWidth (B0) and PixelHeight (BA), one byte each.
        for (id, value) in [(0xb0, 160), (0xba, 120)] {
            let at = bytes.windows(3).position(|w| w == [id, 0x81, value]);
            bytes[at.expect("a size") + 2] = 40;
        }
        let limits = MediaLimits { side_px_max: 100, ..LIMITS };
        let fault = fault_of(file_of(&bytes), &limits);
        assert!(
            matches!(fault, Fault::PictureTooLarge { width: 160, height: 120, .. }),
            "{encoder}: {fault:?}"
        );
    }
}

#[test]
fn non_square_pixels_count_at_their_display_size() {
    let clip = Clip { raw: "pixel-aspect-ratio=2/1", ..PLAIN };
    let at = MediaLimits { side_px_max: 320, ..LIMITS };
    let decoded = decode(clip.make(), &at).expect("within the limit");
    assert_eq!((decoded.probe.width, decoded.probe.height), (320, 120));
    assert_eq!((decoded.last.width, decoded.last.height), (320, 120));
    let under = MediaLimits { side_px_max: 319, ..LIMITS };
    assert!(matches!(fault_of(clip.make(), &under), Fault::PictureTooLarge { width: 320, .. }));
}

#[test]
fn sides_at_the_least_size_and_one_under_it() {
    for (muxer, crop, encoder, under) in [
        ("mp4mux", "right=2", "x264enc", (30, 32)),
        ("webmmux", "right=1", "vp8enc", (31, 32)),
        ("webmmux", "bottom=1", "vp9enc ! vp9parse", (32, 31)),
        ("asfmux", "bottom=2", "avenc_wmv2", (32, 30)),
    ] {
        let clip = Clip { width: 32, height: 32, muxer, encoder, frames: 3, ..PLAIN };
        let decoded = decode(clip.make(), &LIMITS);
        assert_eq!(decoded.map(|d| d.times.len()).ok(), Some(3), "{muxer} {encoder}");
        let cropped = format!("videocrop {crop} ! {encoder}");
        let fault = fault_of(Clip { encoder: cropped.leak(), ..clip }.make(), &LIMITS);
        let (width, height) = under;
        let expected = Fault::PictureTooSmall { width, height, side_px_min: 32 };
        assert_eq!(fault, expected, "{muxer} {encoder}");
    }
}

#[test]
fn oblong_pixels_do_not_make_a_small_picture_large_enough() {
    let raw = "pixel-aspect-ratio=1/2";
    let fault = fault_of(Clip { width: 64, height: 16, raw, ..PLAIN }.make(), &LIMITS);
    assert_eq!(fault, Fault::PictureTooSmall { width: 64, height: 16, side_px_min: 32 });
}

#[test]
fn a_small_picture_is_reported_before_its_codec() {
    let picture = "videotestsrc num-buffers=5 ! video/x-raw,width=48,height=24 ! videoconvert";
    let fault = fault_of(launched(&format!("{picture} ! avenc_ffv1 ! matroskamux")), &LIMITS);
    assert_eq!(fault, Fault::PictureTooSmall { width: 48, height: 24, side_px_min: 32 });
}

#[test]
fn a_small_picture_is_reported_in_a_file_that_no_demuxer_reads() {
    let mut bytes = Clip { width: 64, height: 24, ..PLAIN }.bytes();
    // Without the type of the track the file is corrupt.
    while let Some(at) = bytes.windows(4).position(|kind| kind == b"hdlr") {
        bytes[at..at + 4].copy_from_slice(b"free");
    }
    let fault = fault_of(file_of(&bytes), &LIMITS);
    assert_eq!(fault, Fault::PictureTooSmall { width: 64, height: 24, side_px_min: 32 });
}

#[test]
fn frame_rates_at_the_limit_and_one_past_it() {
    for muxer in ["mp4mux", "avimux", "mpegtsmux"] {
        let encoder = "x264enc bframes=0 ! video/x-h264,stream-format=byte-stream ! h264parse";
        let clip = Clip { muxer, encoder, rate: (60, 1), ..PLAIN };
        let at = MediaLimits { frame_rate_max: 60, ..LIMITS };
        assert_eq!(decode(clip.make(), &at).map(|d| d.times.len()).ok(), Some(30), "{muxer}");
        let under = MediaLimits { frame_rate_max: 59, ..LIMITS };
        let fault = Fault::FrameRateTooHigh { frame_rate: 60, frame_rate_max: 59 };
        assert_eq!(fault_of(clip.make(), &under), fault, "{muxer}");
    }
}

#[test]

fn durations_at_the_limit_and_one_frame_past_it() {
    for muxer in ["mp4mux", "matroskamux", "mpegtsmux", "avimux"] {
        let clip = Clip { muxer, encoder: "x264enc bframes=0", ..PLAIN };
        let at = MediaLimits { duration_ms_max: 1000, on_long: OnLong::Reject, ..LIMITS };
        let decoded = decode(clip.make(), &at).unwrap_or_else(|error| panic!("{muxer}: {error}"));
        assert_eq!(
            (decoded.times.len(), decoded.warnings.contains(Warning::Trimmed)),
            (30, false),
            "{muxer}"
        );

        let trim = MediaLimits { duration_ms_max: 966, ..LIMITS };
        let decoded = decode(clip.make(), &trim).unwrap_or_else(|error| panic!("{muxer}: {error}"));
        assert_eq!(
            (decoded.times.len(), decoded.warnings.contains(Warning::Trimmed)),
            (29, true),
            "{muxer}"
        );
        assert!(decoded.probe.duration_ms.is_none() || decoded.probe.trimmed, "{muxer}");
        assert!(!decoded.warnings.contains(Warning::Truncated), "{muxer}");

        let reject = MediaLimits { on_long: OnLong::Reject, ..trim };
        let fault = fault_of(clip.make(), &reject);
        let is_right = matches!(fault, Fault::TooLong { duration_ms, duration_ms_max: 966 }
            if duration_ms.abs_diff(1000) <= 40);
        assert!(is_right, "{muxer}: {fault:?}");
    }
}

#[test]
fn half_a_frame_past_the_limit_is_tolerated() {
    let clip = Clip { rate: (30_000, 1001), ..PLAIN };
    let limits = MediaLimits { duration_ms_max: 1000, on_long: OnLong::Reject, ..LIMITS };
    let decoded = decode(clip.make(), &limits).expect("1.001 s pass for a second");
    assert_eq!(
        (decoded.times.len(), decoded.warnings.contains(Warning::Trimmed), decoded.probe.trimmed),
        (30, false, false)
    );
}

#[test]
fn dropping_a_decoder_early_ends_its_threads() {
    let threads = || std::fs::read_dir("/proc/self/task").expect("procfs").count();
    drop(open(PLAIN.make(), &LIMITS).expect("opens"));
    let before = threads();
    for _ in 0..20 {
        let clip = Clip { frames: 90, ..PLAIN };
        drop(open(clip.make(), &LIMITS).expect("opens"));
    }
    // Other tests run in parallel and have their own threads.
    assert!(threads() < before + 20, "{} threads, {before} before", threads());
    clip::assert_red(
        "still works",
        clip::patch(&decode(PLAIN.make(), &LIMITS).unwrap().last, 5, 5),
    );
}
