//! Wrong numbers in the headers of an MP4 (ISO/IEC 14496-12) lose no frame and cause no refusal.

use crate::clip::{self, Clip, PLAIN};
use crate::{Decoded, LIMITS, assert_times, decode, file_of};
use bodyscript_protocol::warning::Warnings;

/// Offset of the contents of the first box of a type.
fn contents(bytes: &[u8], kind: [u8; 4]) -> usize {
    bytes.windows(4).position(|window| window == kind).expect("the box") + 4
}

/// The word at an offset in the first box of a type.
fn word(bytes: &[u8], (kind, at): ([u8; 4], usize)) -> u32 {
    let place = contents(bytes, kind) + at;
    u32::from_be_bytes(bytes[place..place + 4].try_into().expect("four bytes"))
}

/// Sets the word at an offset in the first box of a type.
fn set(bytes: &mut [u8], (kind, at): ([u8; 4], usize), value: u32) {
    let place = contents(bytes, kind) + at;
    bytes[place..place + 4].copy_from_slice(&value.to_be_bytes());
}

const MEDIA_TIMESCALE: ([u8; 4], usize) = (*b"mdhd", 12);
const MEDIA_DURATION: ([u8; 4], usize) = (*b"mdhd", 16);
const MOVIE_TIMESCALE: ([u8; 4], usize) = (*b"mvhd", 12);
const MOVIE_DURATION: ([u8; 4], usize) = (*b"mvhd", 16);

/// Hides the edit list from readers.
fn without_edits(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = contents(&bytes, *b"edts");
    bytes[at - 4..at].copy_from_slice(b"free");
    bytes
}

fn decoded(what: &str, bytes: &[u8]) -> Decoded {
    decode(file_of(bytes), &LIMITS).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Asserts that all frames come out at their times, which start here.
fn assert_complete(what: &str, decoded: &Decoded, start: f64) {
    clip::assert_levels(what, &decoded.levels, 0..PLAIN.frames);
    let frames = 0..PLAIN.frames;
    assert_times(what, &decoded.times, frames.map(|k| start + f64::from(k) / 30.0));
    assert_eq!(decoded.warnings, Warnings::NONE, "{what}");
}

#[test]
fn wrong_durations_lose_no_frame() {
    let whole = PLAIN.bytes();
    let media = word(&whole, MEDIA_DURATION);
    let movie = word(&whole, MOVIE_DURATION);
    for edited in [true, false] {
        let bytes = if edited { whole.clone() } else { without_edits(whole.clone()) };
        let start = if edited { 0.0 } else { decoded("right", &bytes).times[0].as_secs_f64() };
        for (media, movie) in [
            (media, movie),
            (0, 0),
            (0, movie),
            (media / 30, movie),
            (u32::MAX, movie),
            (media * 30, movie),
            (media, 0),
            (media, movie / 10),
            (media, movie * 30),
            (media, u32::MAX),
            (media / 30, movie / 30),
        ] {
            let mut bytes = bytes.clone();
            set(&mut bytes, MEDIA_DURATION, media);
            set(&mut bytes, MOVIE_DURATION, movie);
            let what = format!("media {media}, movie {movie}, edits {edited}");
            assert_complete(&what, &decoded(&what, &bytes), start);
        }
    }
}

#[test]
fn variants_of_h264_are_decoded() {
    for kind in [b"avc3", b"dva1", b"dvav"] {
        let mut bytes = PLAIN.bytes();
        let table = contents(&bytes, *b"stsd");
        let at = table + contents(&bytes[table..], *b"avc1");
        bytes[at - 4..at].copy_from_slice(kind);
        let what = kind.escape_ascii().to_string();
        assert_complete(&what, &decoded(&what, &bytes), 0.0);
    }
}

#[test]
fn a_missing_timescale_is_derived_from_the_stated_durations() {
    let whole = PLAIN.bytes();
    for missing in [MEDIA_TIMESCALE, MOVIE_TIMESCALE] {
        let mut bytes = whole.clone();
        set(&mut bytes, missing, 0);
        let what = format!("{missing:?}");
        assert_complete(&what, &decoded(&what, &bytes), 0.0);
    }
    // Nothing to derive them from: a thousand ticks a second, as other players assume.
    let mut bytes = without_edits(whole);
    for place in [MEDIA_TIMESCALE, MOVIE_TIMESCALE, MOVIE_DURATION, (*b"tkhd", 20)] {
        set(&mut bytes, place, 0);
    }
    assert!(!decoded("no times at all", &bytes).times.is_empty());
}

/// A sound track with an edit list does not end a video track without one.
#[test]
fn an_edit_list_applies_to_its_own_track_only() {
    let beside = "audiotestsrc num-buffers=20 ! avenc_aac ! aacparse ! queue ! m.";
    let whole = Clip { beside, ..PLAIN }.bytes();
    let lists = || whole.windows(4).enumerate().filter(|(_, kind)| *kind == b"edts");
    assert_eq!(lists().count(), 2, "a list for each track");
    let (video, sound) = (contents(&whole, *b"vide"), contents(&whole, *b"soun"));
    let of_video = if video < sound { lists().next() } else { lists().next_back() };
    let at = of_video.expect("a list").0;
    let mut bytes = whole.clone();
    bytes[at..at + 4].copy_from_slice(b"free");
    let decoded = decoded("no list of the video", &bytes);
    clip::assert_levels("no list of the video", &decoded.levels, 0..PLAIN.frames);
}

#[test]
fn start_codes_in_place_of_lengths_are_read() {
    for encoder in ["x264enc bframes=2 key-int-max=12", "x265enc ! h265parse"] {
        let mut bytes = Clip { encoder, ..PLAIN }.bytes();
        let media = contents(&bytes, *b"mdat");
        let size = bytes[media - 8..media - 4].try_into().expect("four bytes");
        let end = media - 8 + u32::from_be_bytes(size) as usize;
        let mut at = media;
        while at < end {
            let unit = bytes[at..at + 4].try_into().expect("four bytes");
            bytes[at..at + 4].copy_from_slice(&[0, 0, 0, 1]);
            at += 4 + u32::from_be_bytes(unit) as usize;
        }
        assert_eq!(at, end, "{encoder}: the media is units with lengths");
        clip::assert_levels(encoder, &decoded(encoder, &bytes).levels, 0..PLAIN.frames);
    }
}

#[test]
fn an_absurd_duration_is_not_reported() {
    let mut bytes = Clip { muxer: "matroskamux", encoder: "x264enc bframes=0", ..PLAIN }.bytes();
    // Duration, a float of eight bytes.
    let element = [0x44, 0x89, 0x88];
    let at = bytes.windows(3).position(|part| part == element).expect("a duration") + element.len();
    let decode = |bytes: &[u8]| decoded("matroska", bytes);
    assert!(decode(&bytes).probe.duration_ms.is_some(), "the unchanged one is");
    bytes[at..at + 8].copy_from_slice(&1e12_f64.to_be_bytes());
    let decoded = decode(&bytes);
    assert_eq!((decoded.probe.duration_ms, decoded.times.len()), (None, PLAIN.frames as usize));
}
