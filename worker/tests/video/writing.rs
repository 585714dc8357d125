//! The output of the writer: index in front, all frames, correct sizes; thumbnails.

use crate::clip::{self, level};
use crate::{LIMITS, READY, assert_times, decode};
use bodyscript_protocol::message::MediaLimits;
use bodyscript_protocol::warning::Warning;
use bodyscript_worker::picture::{Layout, Picture, SampleRange, Subsampling, colour};
use bodyscript_worker::video::{
    Colours, EncodeSpec, FrameTime, VideoError, VideoWriter, thumbnail, write_thumbnail,
};
use std::fs::File;
use std::io::{Read, Seek};
use std::time::Duration;

/// Ten seconds of small pictures at most.
pub(crate) fn spec() -> EncodeSpec {
    EncodeSpec {
        width: 160,
        height: 120,
        frame_rate: (30, 1),
        colours: Colours::assumed(120),
        duration_max: Duration::from_secs(10),
    }
}

/// A grey picture whose level identifies its number, with a red upper left corner.
fn picture(width: u32, height: u32, number: u32) -> Picture {
    laid_out(Layout { width, height, ..Layout::default() }, number)
}

/// The same in any layout.
fn laid_out(layout: Layout, number: u32) -> Picture {
    let mut picture = Picture::new(layout);
    picture.fill([level(number) as u8; 3]);
    let red = colour::of_rgb([200, 0, 0], layout.range);
    for (n, (plane, red)) in picture.planes_mut().into_iter().zip(red).enumerate() {
        let [columns, rows] = layout.plane_size(n);
        plane.chunks_mut(columns).take(rows / 3).for_each(|row| row[..columns / 3].fill(red));
    }
    picture
}

/// A video of numbered pictures at these times, in seconds.
pub(crate) fn write(spec: &EncodeSpec, times: &[f64]) -> File {
    write_sized(spec, (spec.width, spec.height), times)
}

fn write_sized(spec: &EncodeSpec, size: (u32, u32), times: &[f64]) -> File {
    *READY;
    let mut file = tempfile::tempfile().expect("a temporary file");
    let out = file.try_clone().expect("the descriptor doubles");
    let mut writer = VideoWriter::create(out.into(), spec).expect("the writer starts");
    for (number, seconds) in times.iter().enumerate() {
        let time = FrameTime { pts: Duration::from_secs_f64(*seconds) };
        writer.write(&picture(size.0, size.1, number as u32), time).expect("the writer writes");
    }
    writer.finish().expect("the writer finishes");
    file.rewind().expect("the file seeks");
    file
}

fn steady(frames: u32) -> Vec<f64> {
    (0..frames).map(|k| f64::from(k) / 30.0).collect()
}

/// The boxes at one level of an MP4 file (ISO/IEC 14496-12): kinds and contents.
pub(crate) fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let be_u32 = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (head, size) = match be_u32(0) {
            1 => (16, be_u32(12)),
            size => (8, size),
        };
        found.push((String::from_utf8_lossy(&bytes[4..8]).into_owned(), &bytes[head..size]));
        bytes = &bytes[size..];
    }
    found
}

pub(crate) fn inside<'a>(bytes: &'a [u8], path: &[&str]) -> &'a [u8] {
    path.iter().fold(bytes, |bytes, kind| {
        let (_, content) = boxes(bytes).into_iter().find(|(k, _)| k == kind).expect(kind);
        content
    })
}

fn read(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("the file is readable");
    bytes
}

#[test]
fn the_index_is_in_front_and_complete() {
    let bytes = read(write(&spec(), &steady(75)));
    let kinds: Vec<_> = boxes(&bytes).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds[0], "ftyp");
    let at = |kind| kinds.iter().position(|k| k == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert!(at("moov") < at("mdat"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "moov").count(), 1, "{kinds:?}");

    let header = inside(&bytes, &["moov", "trak", "mdia", "mdhd"]);
    let be_u32 = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    let seconds = f64::from(be_u32(16)) / f64::from(be_u32(12));
    assert!((seconds - 2.5).abs() < 0.002, "{seconds} s");
    let sizes = inside(&bytes, &["moov", "trak", "mdia", "minf", "stbl", "stsz"]);
    assert_eq!(u32::from_be_bytes(sizes[8..12].try_into().unwrap()), 75);
}

#[test]
fn written_pictures_are_decoded_unchanged() {
    let decoded = decode(write(&spec(), &steady(75)), &LIMITS).expect("decodes");
    let probe = decoded.probe;
    assert_eq!((probe.width, probe.height, probe.frame_rate), (160, 120, (30, 1)));
    assert_eq!((&*probe.codec, probe.duration_ms), ("video/x-h264", Some(2500)));
    assert_times("written", &decoded.times, steady(75).into_iter());
    clip::assert_levels("written", &decoded.levels, 0..75);
    clip::assert_red("written", clip::patch(&decoded.last, 10, 10));
    assert!(!decoded.warnings.contains(Warning::Truncated));
}

#[test]
fn high_definition_states_its_colours() {
    let spec = EncodeSpec { width: 1280, height: 720, colours: Colours::assumed(720), ..spec() };
    let decoded = decode(write(&spec, &steady(3)), &LIMITS).expect("decodes");
    clip::assert_levels("720p", &decoded.levels, 0..3);
    let [red, green, blue] = clip::patch(&decoded.last, 100, 100);
    // A wrong matrix shifts this red by more than ten.
    assert!((red - 200.0).abs() < 5.0 && green < 5.0 && blue < 5.0, "{red} {green} {blue}");
}

#[test]
fn every_layout_is_written_with_the_same_colours() {
    for subsampling in [Subsampling::Yuv420, Subsampling::Yuv422, Subsampling::Yuv444] {
        for range in [SampleRange::Limited, SampleRange::Full] {
            for (width, height) in [(160, 120), (161, 121), (320, 240)] {
                let layout = Layout { width, height, subsampling, range };
                let mut file = tempfile::tempfile().expect("a temporary file");
                let out = file.try_clone().expect("the descriptor doubles");
                *READY;
                let mut writer = VideoWriter::create(out.into(), &spec()).expect("starts");
                for number in 0..5 {
                    let pts = Duration::from_millis(40 * u64::from(number));
                    writer.write(&laid_out(layout, number), FrameTime { pts }).expect("writes");
                }
                writer.finish().expect("finishes");
                file.rewind().expect("the file seeks");
                let decoded = decode(file, &LIMITS).expect("decodes");
                let what = format!("{layout:?}");
                clip::assert_levels(&what, &decoded.levels, 0..5);
                clip::assert_red(&what, clip::patch(&decoded.last, 10, 10));
                // The range is converted exactly once.
                let off = (decoded.levels[4] - f64::from(level(4))).abs();
                assert!(off < 2.0, "{what}: {:?}", decoded.levels);
            }
        }
    }
}

#[test]
fn another_size_is_scaled_and_odd_sizes_become_even() {
    let small = EncodeSpec { width: 81, height: 61, ..spec() };
    for size in [(160, 120), (81, 61), (40, 30), (80, 61)] {
        let decoded = decode(write_sized(&small, size, &steady(10)), &LIMITS).expect("decodes");
        assert_eq!((decoded.probe.width, decoded.probe.height), (80, 60), "{size:?}");
        clip::assert_levels("scaled", &decoded.levels, 0..10);
        clip::assert_red("scaled", clip::patch(&decoded.last, 8, 6));
    }
}

#[test]
fn an_index_for_very_many_frames_fits() {
    let spec = EncodeSpec { duration_max: Duration::from_secs(5), frame_rate: (0, 1), ..spec() };
    let times: Vec<_> = (0..1100).map(|k| f64::from(k) / 220.0).collect();
    let limits = MediaLimits { frame_rate_max: 240, ..LIMITS };
    let decoded = decode(write(&spec, &times), &limits).expect("decodes");
    assert_times("220 frames/s", &decoded.times, times.into_iter());
}

#[test]
fn a_descriptor_that_cannot_be_written_is_an_error() {
    *READY;
    let file = File::open("/dev/null").expect("opens");
    let mut writer = VideoWriter::create(file.into(), &spec()).expect("starts");
    let black = Picture::new(Layout { width: 160, height: 120, ..Layout::default() });
    let failed = steady(200).into_iter().find_map(|seconds| {
        writer.write(&black, FrameTime { pts: Duration::from_secs_f64(seconds) }).err()
    });
    let failed = failed.or_else(|| writer.finish().err());
    assert!(matches!(failed, Some(VideoError::Write(_))), "{failed:?}");
}

#[test]
fn thumbnails_are_small_jpegs() {
    for (size, expected) in [((160, 120), (80, 60)), ((60, 90), (60, 90))] {
        let mut file = tempfile::tempfile().expect("a temporary file");
        let small = thumbnail(&picture(size.0, size.1, 9), 80).expect("scales");
        write_thumbnail(&small, &mut file).expect("writes");
        file.rewind().expect("the file seeks");
        let bytes = read(file);
        assert_eq!(
            (&bytes[..2], &bytes[bytes.len() - 2..]),
            (&[0xff, 0xd8][..], &[0xff, 0xd9][..])
        );
        // Start of frame: marker, length, precision, height, width.
        let at = bytes.windows(2).position(|w| w == [0xff, 0xc0]).expect("a start of frame");
        let side = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!((side(at + 7), side(at + 5)), expected);
    }
}
