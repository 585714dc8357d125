//! Every check with valid artefacts, with damaged ones, and with arbitrary bytes.

use super::content::Content;
use super::*;
use bodyscript_protocol::layout::openpose_name;
use bodyscript_protocol::options::{Options, Sampling};
use bodyscript_sample_results::{LIMITS, SampleRun, summary};
use proptest::prelude::*;
use proptest::sample::select;
use std::io::{Cursor, Write};
use std::num::NonZeroU32;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub(super) fn run(summary: Summary) -> SampleRun {
    let (options, threads) = (Options::default(), NonZeroU32::MIN);
    SampleRun {
        job: "job".into(),
        parameters: JobParameters { options, limits: LIMITS, threads },
        facts: VideoFacts {
            width: 639,
            height: 480,
            frame_rate: (30_000, 1001),
            duration_ms: Some(1_234),
            frames_expected: 3,
            trimmed: false,
            rotation_degrees: 90,
            mirrored: true,
            container: "video/quicktime".into(),
            codec: "video/x-h264".into(),
        },
        summary,
    }
}

fn expected(run: &SampleRun) -> Expected {
    let SampleRun { job, parameters, facts, summary } = run.clone();
    Expected { job, parameters, facts, summary }
}

pub(super) fn check_bytes(
    artefact: Artefact,
    bytes: &Vec<u8>,
    run: &SampleRun,
) -> Result<(), Invalid> {
    check(artefact, &Content::of_bytes(bytes), &expected(run))
}

/// What is found wrong with an artefact of three frames once it is changed.
pub(super) fn fault(artefact: Artefact, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let run = run(summary(3));
    let mut bytes = run.artefact(artefact);
    let before = bytes.clone();
    change(&mut bytes);
    assert_ne!(bytes, before, "{artefact:?}: nothing is changed");
    match check_bytes(artefact, &bytes, &run) {
        Ok(()) => panic!("{artefact:?} passes, {} bytes of it", bytes.len()),
        Err(fault) => fault.to_string(),
    }
}

/// Replaces the first occurrence.
pub(super) fn replace(from: &str, to: &str) -> impl Fn(&mut Vec<u8>) {
    move |bytes| {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("no {from:?}"));
        bytes.splice(at..at + from.len(), to.bytes());
    }
}

#[test]
fn artefacts_as_they_are_written_pass() {
    let some_detected = Summary { frames_detected: 1, ..summary(3) };
    let none_detected = Summary { frames_detected: 0, people: 0, ..summary(1) };
    for summary in [summary(1), summary(3), some_detected, none_detected] {
        let mut run = run(summary);
        for artefact in Artefact::ALL {
            let bytes = run.artefact(artefact);
            if let Err(fault) = check_bytes(artefact, &bytes, &run) {
                panic!("{artefact:?} of {summary:?}: {fault}");
            }
        }
        run.facts = VideoFacts { frame_rate: (0, 1), duration_ms: None, ..run.facts };
        run.parameters.options.sampling = Sampling::every(7).expect("legal");
        run.summary.frames_decoded = 7 * run.summary.frames_processed;
        for (first_frame, artefact) in
            [0, 5].into_iter().flat_map(|n| Artefact::ALL.map(|it| (n, it)))
        {
            run.summary.first_frame = first_frame;
            let bytes = run.artefact(artefact);
            if let Err(fault) = check_bytes(artefact, &bytes, &run) {
                panic!("every seventh, {artefact:?} of {summary:?} from {first_frame} on: {fault}");
            }
        }
    }
}

#[test]
fn an_artefact_of_another_run_is_refused() {
    let run = run(summary(3));
    const PICTURES: [Artefact; 4] =
        [Artefact::Video, Artefact::Clean, Artefact::Preview, Artefact::Thumbnail];
    type Change = fn(&mut SampleRun);
    let others: [(Change, &[Artefact]); 8] = [
        (|run| run.summary = summary(2), &Artefact::ALL),
        (|run| run.summary.frames_detected = 2, &Artefact::ALL),
        (|run| run.facts.width = 1279, &Artefact::ALL),
        (|run| run.facts.height = 2000, &Artefact::ALL),
        (
            |run| run.parameters.options.crop = Some("0,0,0.5,1".parse().expect("an area")),
            &PICTURES,
        ),
        (|run| run.summary.first_frame = 2, &[Artefact::Csv, Artefact::Json, Artefact::Coco]),
        (|run| run.job = "other".into(), &[Artefact::Metadata]),
        (|run| run.parameters.options.people_max = 2, &[Artefact::Metadata]),
    ];
    for (n, (change, artefacts)) in others.into_iter().enumerate() {
        let mut other = run.clone();
        change(&mut other);
        for artefact in artefacts {
            let bytes = other.artefact(*artefact);
            // Those that have nothing of what differs, do not count it, or may have less of it.
            let is_uncounted = matches!(
                artefact,
                Artefact::Parquet | Artefact::Mot | Artefact::Trc | Artefact::C3d
            );
            let is_same = bytes == run.artefact(*artefact) || n == 1 && is_uncounted;
            let refused = check_bytes(*artefact, &bytes, &run).is_err();
            assert_eq!(refused, !is_same, "{artefact:?} with change {n}");
        }
    }
}

#[test]
fn empty_files_markup_and_cut_or_longer_files_are_refused() {
    for artefact in Artefact::ALL {
        fault(artefact, Vec::clear);
        fault(artefact, |bytes| *bytes = b"<html><script>alert(1)</script></html>".to_vec());
        fault(artefact, |bytes| bytes.truncate(bytes.len() / 2));
        fault(artefact, |bytes| bytes.truncate(bytes.len() - 1));
        fault(artefact, |bytes| bytes.extend(b"<script>"));
        fault(artefact, |bytes| *bytes = vec![0; bytes.len()]);
        let run = run(summary(3));
        let bytes_max = artefact.bytes_max(3, 1) as usize;
        let oversize = vec![b'\n'; bytes_max + 1];
        let refused = check_bytes(artefact, &oversize, &run);
        assert!(matches!(refused, Err(Invalid::TooLarge { .. })), "{artefact:?}: {refused:?}");
    }
}

#[test]
fn faults_in_tables_are_named() {
    let cases = [
        (Artefact::Csv, "frame_id,", "frame,", "its first line does not have its columns"),
        (Artefact::Csv, "\n0,0,", "\n1,0,", "landmarks are not in order"),
        (Artefact::Csv, "\n0,32,", "\n0,31,", "landmarks are not in order"),
        (Artefact::Csv, "\n2,0,", "\n9,0,", "it has a frame that was not decoded"),
        (Artefact::Csv, "0.25", "NaN", "a cell is no number"),
        (Artefact::Csv, "0.25", "1e5", "a cell is no number"),
        (Artefact::Csv, "0.25", "<b>", "a cell is no number"),
        (Artefact::Csv, ",track,", ",=HYPERLINK(),", "a strategy is no word"),
        (Artefact::Csv, "true,0", "true,1", "it has a person who was not reported"),
        (Artefact::Csv, "true,0", "false,0", "a row without a person has values"),
        (Artefact::Csv, "true,0", "maybe,0", "`detected` is neither true nor false"),
        (Artefact::Csv, "true,0", "true,0,0", "a row has too many cells"),
        (Artefact::Csv, ",,,,false,nose", ",,,1,false,nose", "a cell is no number"),
        (
            Artefact::Csv,
            "true,0,0,,,,0.5,,,,false",
            "false,0,0,,,,0.5,,,,true",
            "a pose is interpolated without a filter that does so",
        ),
        (Artefact::Angles, "1.500", "inf", "a cell is no number"),
        (Artefact::Angles, "0,0,0.5,true", "0,0,true", "a row has too few cells"),
        (Artefact::Angles, "\n1,0", "\n2,0", "people are not in order"),
        (Artefact::Trc, "OrigNumFrames", "Frames", "its titles differ"),
        (Artefact::Trc, "\t3   \t", "\t4   \t", "rows in its head: 4 instead of 3"),
        (Artefact::Trc, "nose", "head", "its labels differ"),
        (Artefact::Trc, "\n2\t", "\n3\t", "rows are not in order"),
        (Artefact::Trc, "1.5", "NaN", "a cell is no number"),
    ];
    for (artefact, from, to, named) in cases {
        assert_eq!(fault(artefact, replace(from, to)), named, "{artefact:?}: {from:?} to {to:?}");
    }
    let frame = |bytes: &mut Vec<u8>| {
        let at = bytes.windows(3).position(|window| window == b"\n2,").expect("the last frame");
        bytes.truncate(at + 1);
    };
    assert_eq!(fault(Artefact::Csv, frame), "frames: 2 instead of 3");
    assert_eq!(fault(Artefact::Angles, frame), "frames: 2 instead of 3");
    let long_line = |bytes: &mut Vec<u8>| bytes.splice(0..0, [b'x'; 5000]).for_each(drop);
    assert_eq!(fault(Artefact::Csv, long_line), "a line is cut off or too long");
}

#[test]
fn faults_in_documents_are_named() {
    let named = |artefact, from, to, part: &str| {
        let fault = fault(artefact, replace(from, to));
        assert!(fault.contains(part), "{artefact:?}: {from:?} to {to:?}: {fault}");
    };
    for artefact in [Artefact::Json, Artefact::Metadata] {
        named(artefact, "\"schema_version\":1", "\"schema_version\":2", "schema_version: 2");
        named(
            artefact,
            "\"width\":639",
            "\"width\":4294967295",
            "width: 4294967295 instead of 639",
        );
        named(artefact, "\"mirrored\":true", "\"mirrored\":false", "it describes another video");
        named(artefact, "\"people\":1", "\"people\":500000", "people in the totals: 500000");
        named(artefact, "\"jitter\":0.0", "\"jitter\":0.1", "its statistics differ");
        named(artefact, "\"jitter\":0.0", "\"jitter\":null", "invalid type: null");
        let warning = "\"warnings\":[{\"code\":\"a\",\"sentence\":\"b\"}]";
        named(artefact, "\"warnings\":[]", warning, "its warnings differ");
    }
    named(Artefact::Metadata, "\"generator\"", "\"x\":1,\"generator\"", "it has an unknown field");
    named(Artefact::Metadata, "\"sample\"", "\"<b>\"", "a text has markup");
    named(Artefact::Metadata, "\"mode\":\"track\"", "\"mode\":\"fast\"", "its options differ");
    named(Artefact::Json, "\"nose\"", "\"<b>\"", "its landmarks or connections differ");
    named(Artefact::Json, "\"frame_id\":1", "\"frame_id\":5", "a frame that was not decoded");
    named(Artefact::Json, "\"detected\":true", "\"detected\":false", "differs from the people");
    named(Artefact::Json, "\"x\":0.25", "\"x\":null", "invalid type: null");
    named(Artefact::Json, "\"x\":0.25", "\"x\":0.25,\"y2\":0", "unknown field");
    let long = format!("\"track{}\"", "x".repeat(600));
    named(Artefact::Json, "\"track\"", &long, "a text is too long");
    let deep = format!("\"x\":{}", "[".repeat(10_000));
    named(Artefact::Json, "\"x\":0.25", &deep, "invalid type");
}

#[test]
fn faults_in_pictures_and_videos_are_named() {
    let set = |at: fn(&[u8]) -> usize, value: &'static [u8]| {
        move |bytes: &mut Vec<u8>| {
            let at = at(bytes);
            bytes[at..at + value.len()].copy_from_slice(value);
        }
    };
    fn find(bytes: &[u8], name: &[u8]) -> usize {
        bytes.windows(name.len()).position(|window| window == name).expect("it is there")
    }
    for artefact in [Artefact::Video, Artefact::Preview] {
        let fault = |change: &dyn Fn(&mut Vec<u8>)| fault(artefact, change);
        assert_eq!(fault(&replace("moov", "free")), "it lacks a box");
        assert_eq!(fault(&replace("mdat", "free")), "its samples do not fit into its media data");
        assert_eq!(fault(&replace("mdat", "html")), "it has an unknown box");
        assert_eq!(fault(&replace("ftyp", "free")), "it does not begin as an MP4");
        assert_eq!(fault(&replace("mvhd", "html")), "its index has an unknown box");
        assert_eq!(fault(&replace("avc1", "hev1")), "its pictures have another codec");
        assert_eq!(fault(&replace("stsz", "free")), "it lacks a box");
        let odd = "it has a track that is neither pictures nor sound";
        assert_eq!(fault(&replace("vide", "meta")), odd);
        assert_eq!(fault(&replace("vide", "soun")), "its sound has another codec");
        let size = set(|bytes| find(bytes, b"moov") - 4, &[0xff; 4]);
        assert_eq!(fault(&size), "the size of a box is wrong");
        let none = set(|bytes| find(bytes, b"mdat") - 4, &[0; 4]);
        assert_eq!(fault(&none), "the size of a box is wrong");
        let chunk = set(|bytes| find(bytes, b"stco") + 12, &[0; 4]);
        assert_eq!(fault(&chunk), "a sample lies outside its media data");
        let samples = set(|bytes| find(bytes, b"stsz") + 12, &[0xff; 4]);
        assert!(fault(&samples).starts_with("bytes of sample sizes: "));
        let constant = set(|bytes| find(bytes, b"stsz") + 8, &[0xff; 4]);
        assert_eq!(fault(&constant), "its samples do not fit into its media data");
        let coded = set(|bytes| find(bytes, b"avc1") + 28, &[0xff; 2]);
        assert!(fault(&coded).starts_with("coded width: 65535 instead of "));
    }
    let fault = |change: &dyn Fn(&mut Vec<u8>)| fault(Artefact::Thumbnail, change);
    assert_eq!(fault(&set(|_| 20, &[0xfe])), "it has bytes between its segments");
    assert_eq!(fault(&set(|_| 3, &[0xfe])), "it has an unknown segment");
    assert_eq!(fault(&set(|_| 25, &[0, 1])), "height: 1 instead of 240");
    assert_eq!(fault(&set(|_| 27, &[0, 1])), "width: 1 instead of 320");
    assert_eq!(fault(&set(|_| 4, &[0, 0])), "a segment is too short");
    let second = |bytes: &mut Vec<u8>| bytes.extend(bytes.clone());
    assert!(fault(&second).starts_with("end of the picture: "));
    let no_scan = |bytes: &mut Vec<u8>| drop(bytes.splice(33.., [0xff, 0xd9]));
    assert_eq!(fault(&no_scan), "it has no picture");
}

#[test]
fn faults_in_archives_are_named() {
    let zip = |change: &dyn Fn(&mut Vec<u8>)| fault(Artefact::OpenPose, change);
    assert_eq!(zip(&replace("PK\x05\x06", "PK\x05\x07")), "it has no end of index");
    assert_eq!(zip(&replace("PK\x01\x02", "PK\x01\x03")), "its index has something else in it");
    assert_eq!(zip(&replace("PK\x03\x04", "PK\x03\x05")), "an entry differs from its header");
    assert_eq!(zip(&replace("000000001_", "000000005_")), "an entry differs from its header");
    assert_eq!(
        zip(&replace("\"version\"", "\"Version\"")).split('`').next(),
        Some("unknown field ")
    );
    assert_eq!(zip(&replace("[0]", "[7]")), "it has a person who was not reported");
    assert!(zip(&replace("0.5,", "NaN,")).starts_with("expected value"));
    let rename = |bytes: &mut Vec<u8>| {
        for n in 0..bytes.len().saturating_sub(5) {
            if &bytes[n..n + 5] == b"pose_" && bytes[n + 5] == b'0' {
                bytes[n] = b'.';
            }
        }
    };
    assert_eq!(zip(&rename), "a document has another name");
    let compressed = |bytes: &mut Vec<u8>| {
        let at = bytes.windows(4).position(|window| window == b"PK\x01\x02").expect("an index");
        bytes[at + 10] = 8;
    };
    assert_eq!(zip(&compressed), "an entry is not stored as it is");
}

/// Written by the library that workers use, which changes the layout where 16 bits do not count the entries.
#[test]
fn an_archive_may_have_more_entries_than_16_bits_count() {
    for frames in [0xffff, 0x1_0000] {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for frame in 0..frames {
            let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
            archive.start_file(openpose_name(frame), stored).expect("an entry");
            archive.write_all(b"{\"version\":1.3,\"people\":[]}").expect("a document");
        }
        let bytes = archive.finish().expect("an index").into_inner();
        let run = run(Summary { frames_detected: 0, people: 0, ..summary(frames) });
        check_bytes(Artefact::OpenPose, &bytes, &run).expect("as it is written");
        let other = self::run(Summary { frames_detected: 0, people: 0, ..summary(frames + 1) });
        assert!(check_bytes(Artefact::OpenPose, &bytes, &other).is_err(), "an entry less");
    }
}

/// A table larger than what is scanned.
#[test]
fn of_a_long_table_both_ends_are_checked() {
    let run = run(summary(20_000));
    for artefact in [Artefact::Csv, Artefact::Json, Artefact::Ndjson] {
        let bytes = run.artefact(artefact);
        assert!(bytes.len() as u64 > SCANNED_BYTES_MAX, "{} bytes", bytes.len());
        check_bytes(artefact, &bytes, &run).expect("as it is written");
        let changed = |at: usize, text: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[at..at + text.len()].copy_from_slice(text);
            check_bytes(artefact, &bytes, &run)
        };
        assert!(changed(2, b"<").is_err(), "{artefact:?}: at the beginning");
        assert!(changed(bytes.len() - 9, b"<").is_err(), "{artefact:?}: at the end");
        let cut = bytes[..bytes.len() - 1].to_vec();
        assert!(check_bytes(artefact, &cut, &run).is_err(), "{artefact:?}: cut off");
        let other = self::run(summary(20_001));
        assert!(check_bytes(artefact, &bytes, &other).is_err(), "{artefact:?}: a frame less");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_and_never_panic(
        artefact in select(&Artefact::ALL[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        prop_assert!(check_bytes(artefact, &bytes, &run(summary(3))).is_err());
    }

    #[test]
    fn damaged_artefacts_never_panic(
        artefact in select(&Artefact::ALL[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        frames in 0..4_u32,
    ) {
        let run = run(summary(frames));
        let mut bytes = run.artefact(artefact);
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        drop(check_bytes(artefact, &bytes, &run));
    }

    /// Reports of a worker that no message check has seen.
    #[test]
    fn impossible_reports_never_panic(
        artefact in select(&Artefact::ALL[..]),
        counts in any::<[u32; 4]>(),
        size in any::<[u32; 2]>(),
    ) {
        let bytes = run(summary(3)).artefact(artefact);
        let [frames_decoded, frames_processed, frames_detected, people] = counts;
        let counts = Summary { frames_decoded, frames_processed, frames_detected, ..summary(3) };
        let mut run = run(Summary { people, ..counts });
        [run.facts.width, run.facts.height] = size;
        drop(check_bytes(artefact, &bytes, &run));
    }
}
