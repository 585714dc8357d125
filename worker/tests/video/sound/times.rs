//! Presentation times of sound: late starts, skipped beginnings, the limit on duration.

use super::{
    AAC, BEEPS, assert_onsets, beeping, decoded_sound, onsets, packets, plain, track_length,
    written, written_part,
};
use crate::clip::{Clip, PLAIN, launch};
use crate::{LIMITS, assert_times, file_of};
use bodyscript_protocol::message::MediaLimits;
use bodyscript_protocol::options::Part;
use bodyscript_worker::video::Outcome;
use std::fs::File;
use std::time::Duration;
use tempfile::NamedTempFile;

/// A clip whose pictures and sound start this late, in milliseconds: ten frames a second for one
/// second, and ticks.
fn late(muxer: &str, sound_encoder: &str, [pictures, sound]: [u32; 2]) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    let graph = format!(
        "videotestsrc num-buffers=10 timestamp-offset={pictures}000000 \
         ! video/x-raw,width=160,height=120,framerate=10/1 ! x264enc bframes=0 ! queue \
         ! {muxer} name=m ! filesink location={} \
         audiotestsrc wave=ticks tick-interval=400000000 sine-periods-per-tick=20 num-buffers=40 \
         timestamp-offset={sound}000000 ! audio/x-raw,rate=48000,channels=1 ! audioconvert \
         ! {sound_encoder} ! queue max-size-time=0 ! m.",
        file.path().display()
    );
    launch(&graph, &[]);
    file
}

#[test]
fn late_starts_are_kept() {
    for (muxer, sound_encoder) in [
        ("mp4mux", AAC),
        ("mp4mux", "avenc_alac"),
        ("matroskamux", AAC),
        ("matroskamux", "vorbisenc"),
    ] {
        for [pictures, sound] in [[0, 300], [300, 0], [500, 700], [700, 500], [400, 400]] {
            let what = format!("{sound_encoder} in {muxer}, pictures {pictures}, sound {sound}");
            let video = late(muxer, sound_encoder, [pictures, sound]);
            let out = written(video.reopen().expect("opens"), &LIMITS);
            // These muxers move the earlier of the two to zero.
            let shift = pictures.min(sound);
            let start = f64::from(pictures - shift) / 1000.0;
            let times = (0..10).map(|k| start + f64::from(k) / 10.0);
            assert_times(&what, &out.pictures.times, times);
            let before = onsets(&decoded_sound(video.path()));
            assert!(
                before.len() >= 2 && before[0] >= f64::from(sound - shift) / 1000.0,
                "{before:?}"
            );
            assert_onsets(&what, &onsets(&decoded_sound(out.file.path())), &before, 0.003);
        }
    }
}

#[test]
fn sound_that_begins_before_the_pictures_of_a_stream_keeps_its_offset() {
    for (pictures, sound) in [(300, 0), (0, 300)] {
        let video = late("mpegtsmux", AAC, [pictures, sound]);
        let out = written(video.reopen().expect("opens"), &LIMITS);
        assert_times("stream", &out.pictures.times, (0..10).map(|k| f64::from(k) / 10.0));
        // The same in a container with a clock that starts at zero.
        let reference = late("matroskamux", AAC, [pictures, sound]);
        let expected: Vec<_> = onsets(&decoded_sound(reference.path()))
            .into_iter()
            .map(|at| at - f64::from(pictures) / 1000.0)
            .filter(|at| *at >= 0.0)
            .collect();
        assert!(!expected.is_empty());
        assert_onsets("stream", &onsets(&decoded_sound(out.file.path())), &expected, 0.003);
    }
}

#[test]
fn the_limit_on_duration_applies_to_sound() {
    for (muxer, sound_encoder) in [
        ("mp4mux name=m", AAC),
        ("matroskamux name=m", "vorbisenc"),
        ("avimux name=m", "audio/x-raw,format=S16LE"),
        ("mpegtsmux name=m", "avenc_ac3 ! ac3parse"),
    ] {
        let limits = MediaLimits { duration_ms_max: 1190, ..LIMITS };
        let out = written(plain(muxer, sound_encoder).make(), &limits);
        assert_eq!(out.pictures.times.len(), 36, "{muxer}");
        let seconds = track_length(out.file.path()).expect("a track of sound");
        assert!((seconds - 1.19).abs() < 0.001, "{muxer}: {seconds} s of sound");
        assert_onsets(muxer, &onsets(&decoded_sound(out.file.path())), &BEEPS[..2], 0.05);
        let beyond = packets(out.file.path(), "qtdemux").len();
        assert!(beyond <= 59, "{muxer}: {beyond} packets, of 21 ms and more");
    }
}

#[test]
fn a_part_has_the_sound_between_its_start_and_its_end() {
    for (muxer, sound_encoder) in [
        ("mp4mux name=m", AAC),
        ("matroskamux name=m", "opusenc"),
        ("matroskamux name=m", "vorbisenc"),
        ("mpegtsmux name=m", AAC),
        ("mpegtsmux name=m", "avenc_ac3 ! ac3parse"),
    ] {
        let part = Part {
            start: Duration::from_millis(890),
            end: Some(Duration::from_millis(1790)),
            ..Part::default()
        };
        let out = written_part(plain(muxer, sound_encoder).make(), &LIMITS, part);
        let times = (27..54).map(|k| f64::from(k) / 30.0 - 0.89);
        assert_times(muxer, &out.pictures.times, times);
        let expected = BEEPS[1..].iter().map(|at| at - 0.89).collect::<Vec<_>>();
        assert_onsets(muxer, &onsets(&decoded_sound(out.file.path())), &expected, 0.05);
        let seconds = track_length(out.file.path()).expect("a track of sound");
        assert!((seconds - 0.9).abs() < 0.001, "{muxer}: {seconds} s of sound");
    }
}

/// FLV states no duration of a packet, and times to a millisecond.
#[test]
fn the_last_packet_is_played_where_the_container_states_no_durations() {
    let mp3 = "audio/x-raw,rate=44100 ! lamemp3enc ! mpegaudioparse";
    for (sound_encoder, samples, rate) in [(AAC, 1024, 48_000.0), (mp3, 1152, 44_100.0)] {
        let clip = Clip { encoder: "x264enc bframes=0 key-int-max=12", ..PLAIN };
        let clip = Clip { muxer: "flvmux name=m", ..clip };
        let out = written(beeping(clip, sound_encoder).make(), &LIMITS);
        let packets = packets(out.file.path(), "qtdemux").len();
        let expected = (packets * samples) as f64 / rate;
        let seconds = track_length(out.file.path()).expect("a track of sound");
        assert!((seconds - expected).abs() < 0.001, "{seconds} s of {packets} packets");
        assert!(seconds >= 2.0, "{seconds} s of sound");
    }
}

/// An edit list that begins later in the media, as editors and encoders of AAC write it.
#[test]
fn sound_skipped_by_an_edit_list_stays_skipped_and_serves_as_pre_roll() {
    let mut bytes = plain("mp4mux name=m", AAC).bytes();
    let lists: Vec<_> =
        (4..bytes.len()).filter(|at| bytes.get(at - 4..*at) == Some(b"elst")).collect();
    assert_eq!(lists.len(), 2, "pictures, then sound");
    // Version and flags, number of entries; of the first its length and its time in the media.
    let from = lists[1] + 12;
    bytes[from..from + 4].copy_from_slice(&2400_u32.to_be_bytes());
    let video = NamedTempFile::new().expect("a temporary file");
    std::fs::write(video.path(), &bytes).expect("the file takes bytes");
    let out = written(file_of(&bytes), &LIMITS);
    let expected: Vec<_> = BEEPS.map(|at| at - 0.05 + 1024.0 / 48_000.0).to_vec();
    assert_onsets("before", &onsets(&decoded_sound(video.path())), &expected, 0.003);
    assert_onsets("after", &onsets(&decoded_sound(out.file.path())), &expected, 0.003);
    // A bit more than two packets are skipped, not more than the pre-roll.
    let (before, after) = (packets(video.path(), "qtdemux"), packets(out.file.path(), "qtdemux"));
    assert!(before == after, "{} and {} packets", before.len(), after.len());
    assert_eq!((out.report.outcome, out.report.note), (Outcome::Copied, None));
}

#[test]
fn the_index_is_in_front_and_a_video_without_sound_has_no_sound_track() {
    for sound_encoder in [Some(AAC), None] {
        let clip = plain("mp4mux name=m", AAC);
        let clip = sound_encoder.map_or(crate::clip::PLAIN, |_| clip);
        let out = written(clip.make(), &LIMITS);
        assert_eq!(track_length(out.file.path()).is_some(), sound_encoder.is_some());
        let bytes = std::fs::read(out.file.path()).expect("readable");
        let kinds: Vec<_> =
            crate::writing::boxes(&bytes).into_iter().map(|(kind, _)| kind).collect();
        let at = |kind| kinds.iter().position(|k| k == kind).unwrap_or_else(|| panic!("no {kind}"));
        assert!(at("moov") < at("mdat"), "{kinds:?}");
        let expected = if sound_encoder.is_some() { Outcome::Copied } else { Outcome::None };
        assert_eq!(out.report.outcome, expected);
    }
}

/// The same video gives the same bytes, sound included.
#[test]
fn the_output_does_not_depend_on_the_time_or_speed_of_writing() {
    let video = plain("matroskamux name=m", "vorbisenc").named();
    let bytes = || {
        let out = written(File::open(video.path()).expect("opens"), &LIMITS);
        std::fs::read(out.file.path()).expect("readable")
    };
    assert!(bytes() == bytes());
}
