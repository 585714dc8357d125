//! Sound that is absent, damaged, hostile or far from its pictures: all pictures are always written,
//! and the report on the sound is correct.

use super::{
    AAC, BEEPS, FRAMES, Written, assert_onsets, beeping, decoded_sound, onsets, packets, plain,
};
use super::{track_length, written};
use crate::clip::{self, Clip, PLAIN};
use crate::{LIMITS, assert_times, file_of, open};
use bodyscript_worker::video::{Decoder, EncodeSpec, FrameTime, Outcome, VideoWriter};
use std::time::Duration;

/// Writes the video and checks that all pictures are present.
fn written_in_full(what: &str, bytes: &[u8]) -> Written {
    let out = written(file_of(bytes), &LIMITS);
    assert_times(what, &out.pictures.times, (0..FRAMES).map(|k| f64::from(k) / 30.0));
    clip::assert_levels(what, &out.pictures.levels, 0..FRAMES);
    let is_there = matches!(out.report.outcome, Outcome::Copied | Outcome::Reencoded);
    assert_eq!(track_length(out.file.path()).is_some(), is_there, "{what}: {:?}", out.report);
    out
}

fn dropped(what: &str, bytes: &[u8], expected: &str) {
    let report = written_in_full(what, bytes).report;
    let note = report.note.clone().unwrap_or_default();
    assert_eq!(report.outcome, Outcome::Dropped, "{what}: {report:?}");
    assert!(note.contains(expected), "{what}: {report:?}");
}

fn avi(sound_encoder: &str) -> Vec<u8> {
    plain_avi(sound_encoder).bytes()
}

fn plain_avi(sound_encoder: &str) -> Clip {
    let encoder = "videoconvert ! video/x-raw,colorimetry=(string)1:4:0:0 ! jpegenc quality=95";
    beeping(Clip { encoder, muxer: "avimux name=m", ..PLAIN }, sound_encoder)
}

/// Where the description of an AVI file's sound begins: format, channels, rate.
fn wave_format(avi: &[u8]) -> usize {
    let formats: Vec<_> = avi.windows(4).enumerate().filter(|(_, w)| w == b"strf").collect();
    formats[1].0 + 8
}

/// The range of each packet's bytes.
fn places(bytes: &[u8], packets: &[Vec<u8>]) -> Vec<std::ops::Range<usize>> {
    let find = |packet: &Vec<u8>| bytes.windows(packet.len()).position(|w| w == packet);
    let long = packets.iter().filter(|packet| packet.len() > 16);
    long.filter_map(|packet| find(packet).map(|at| at..at + packet.len())).collect()
}

#[test]
fn sound_with_channels_or_rates_over_the_limit_is_dropped_before_decoding() {
    let pcm = avi("audio/x-raw,format=S16LE");
    let at = wave_format(&pcm);
    for (channels, rate, expected) in [
        (9_u16, 48_000_u32, "9 channels, limit 8"),
        (100, 48_000, "100 channels, limit 8"),
        (1, 192_001, "192001 samples a second, limit 192000"),
        (1, 0x7fff_ffff, "samples a second, limit 192000"),
    ] {
        let mut bytes = pcm.clone();
        bytes[at + 2..at + 4].copy_from_slice(&channels.to_le_bytes());
        bytes[at + 4..at + 8].copy_from_slice(&rate.to_le_bytes());
        let block = channels * 2;
        bytes[at + 12..at + 14].copy_from_slice(&block.to_le_bytes());
        dropped(&format!("{channels} channels at {rate}"), &bytes, expected);
    }
    // At the limit.
    let mut bytes = pcm;
    bytes[at + 4..at + 8].copy_from_slice(&192_000_u32.to_le_bytes());
    assert_eq!(written_in_full("192 kHz", &bytes).report.outcome, Outcome::Reencoded);
}

#[test]
fn the_report_names_a_codec_without_a_decoder() {
    let mut bytes = avi("audio/x-raw,format=S16LE");
    let at = wave_format(&bytes);
    // TrueSpeech.
    bytes[at..at + 2].copy_from_slice(&0x22_u16.to_le_bytes());
    dropped("truespeech", &bytes, "no decoder for audio/x-truespeech");
}

#[test]
fn sound_of_random_bytes_is_dropped() {
    for (muxer, demuxer, sound_encoder) in [
        ("mp4mux name=m", "qtdemux", AAC),
        ("mp4mux name=m", "qtdemux", "lamemp3enc ! mpegaudioparse"),
        ("matroskamux name=m", "matroskademux", "opusenc"),
        ("matroskamux name=m", "matroskademux", "vorbisenc"),
        ("matroskamux name=m", "matroskademux", "avenc_ac3 ! ac3parse"),
    ] {
        let what = format!("{sound_encoder} in {muxer}");
        let video = plain(muxer, sound_encoder).named();
        let mut bytes = std::fs::read(video.path()).expect("readable");
        let places = places(&bytes, &packets(video.path(), demuxer));
        assert!(places.len() > 5, "{what}: {places:?}");
        let mut noise = 1_u32;
        for byte in places.into_iter().flatten() {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes[byte] = (noise >> 24) as u8;
        }
        let out = written_in_full(&what, &bytes);
        // Some decoders decode random bytes to noise; sound that is kept must be decodable.
        if out.report.outcome != Outcome::Dropped {
            decoded_sound(out.file.path());
        }
    }
}

#[test]
fn a_damaged_packet_is_dropped_and_the_others_keep_their_times() {
    let video = plain("mp4mux name=m", AAC).named();
    let mut bytes = std::fs::read(video.path()).expect("readable");
    let places = places(&bytes, &packets(video.path(), "qtdemux"));
    // The longest packet without a beep.
    let broken = places.iter().rev().find(|place| place.len() > 100).expect("a long packet");
    bytes[broken.clone()].fill(0xff);
    let out = written_in_full("one packet", &bytes);
    assert_eq!(out.report.outcome, Outcome::Copied);
    let note = out.report.note.expect("a note");
    assert!(note.contains("cannot be decoded"), "{note}");
    let found = onsets(&decoded_sound(out.file.path()));
    assert_onsets("the rest", &found[..2], &BEEPS[..2], 0.05);
}

#[test]
fn a_damaged_description_drops_only_the_sound() {
    let mut bytes = plain("mp4mux name=m", AAC).bytes();
    // AAC LC at 48 kHz in one channel.
    let config = [0x05, 0x05, 0x11, 0x88];
    let at = bytes.windows(4).position(|w| w == config).expect("a description");
    bytes[at + 2..at + 4].fill(0xff);
    dropped("configuration of AAC", &bytes, "");
    let mut bytes = plain("matroskamux name=m", "vorbisenc").bytes();
    let header = bytes.windows(7).position(|w| w == b"\x01vorbis").expect("a header");
    bytes[header + 7..header + 28].fill(0xff);
    dropped("vorbis header", &bytes, "");
}

#[test]
fn a_truncated_file_has_its_sound_up_to_the_end() {
    for (muxer, sound_encoder) in [
        ("mp4mux name=m faststart=true", AAC),
        ("matroskamux name=m", "vorbisenc"),
        ("mpegtsmux name=m", AAC),
    ] {
        let bytes = plain(muxer, sound_encoder).bytes();
        let out = written(file_of(&bytes[..bytes.len() * 7 / 10]), &LIMITS);
        let frames = out.pictures.times.len();
        assert!((20..60).contains(&frames), "{muxer}: {frames} frames");
        let seconds = track_length(out.file.path()).expect("a track of sound");
        assert!((0.5..1.9).contains(&seconds), "{muxer}: {seconds} s of sound");
        assert_onsets(muxer, &onsets(&decoded_sound(out.file.path()))[..1], &BEEPS[..1], 0.05);
    }
}

#[test]
fn sound_stored_wholly_before_or_after_the_pictures_is_read() {
    // The muxer writes one track as long as it has data of it.
    let muxer = "mp4mux name=m interleave-time=100000000000 interleave-bytes=0";
    let all = "queue max-size-time=0 max-size-bytes=0 max-size-buffers=0";
    let h264 = format!("x264enc bframes=0 ! {all}");
    let clip = Clip { encoder: h264.leak(), muxer, ..PLAIN };
    for sound_encoder in [format!("{AAC} ! {all}"), format!("audio/x-raw ! avenc_alac ! {all}")] {
        let bytes = beeping(clip, &sound_encoder).bytes();
        let out = written_in_full("apart", &bytes);
        assert_onsets("apart", &onsets(&decoded_sound(out.file.path())), &BEEPS, 0.05);
    }
}

#[test]
fn a_changed_byte_affects_at_most_its_own_track() {
    let pcm = avi("audio/x-raw,format=S16LE");
    let at = wave_format(&pcm);
    let mp3 = avi("lamemp3enc ! mpegaudioparse");
    let mp3_at = wave_format(&mp3);
    for (bytes, at) in [(pcm, at), (mp3, mp3_at)] {
        for place in at..at + 16 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = bytes.clone();
                bytes[place] = value;
                written_in_full(&format!("byte {place} is {value}"), &bytes);
            }
        }
    }
}

#[test]
fn dropping_a_writer_early_does_not_block() {
    let clip = plain("mp4mux name=m", "avenc_alac");
    let (mut decoder, _): (Decoder, _) = open(clip.make(), &LIMITS).expect("opens");
    let spec = EncodeSpec { duration_max: Duration::from_secs(10), ..crate::writing::spec() };
    let out = tempfile::tempfile().expect("a temporary file");
    let mut writer = VideoWriter::create(out.into(), &spec).expect("starts");
    writer = writer.with_sound(decoder.sound());
    let mut picture = Default::default();
    for _ in 0..3 {
        let FrameTime { pts } = decoder.next(&mut picture).expect("decodes").expect("a frame");
        writer.write(&picture, FrameTime { pts }).expect("writes");
    }
    drop(writer);
    assert!(decoder.next(&mut picture).expect("decodes").is_some(), "the pictures go on");
}
