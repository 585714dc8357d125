//! Every container and codec of sound.

use super::{
    AAC, BEEPS, FRAMES, assert_onsets, beeping, decoded_sound, onsets, packets, plain,
    track_length, written,
};
use crate::clip::{self, Clip, PLAIN};
use crate::{LIMITS, assert_times};
use bodyscript_worker::video::Outcome::{self, Copied, Reencoded};

/// Largest delay of an encoder of the tests that is not stated in its file.
const ENCODER_DELAY: f64 = 0.05;
/// Largest shift of a beep by the writer: encoding again smears its edge, and GStreamer's own MP4 does
/// not state the 6.5 ms of Opus pre-skip.
const MOVED: f64 = 0.007;

const MJPEG: &str = "videoconvert ! video/x-raw,colorimetry=(string)1:4:0:0 ! jpegenc quality=95";
const MPEG2: &str = "mpeg2enc format=3 bitrate=4000 ! mpegvideoparse";
const VP8: &str = "vp8enc deadline=1 keyframe-max-dist=12";

/// The pictures and the beeps keep their times.
fn check(clip: Clip, sound_encoder: &str, codec: &str, outcome: Outcome) {
    let what = format!("{sound_encoder} in {}", clip.muxer);
    let clip = beeping(clip, sound_encoder);
    let video = clip.named();
    let out = written(video.reopen().expect("opens"), &LIMITS);
    assert_eq!(
        (out.report.codec.as_deref(), out.report.outcome, out.report.note.as_deref()),
        (Some(codec), outcome, None),
        "{what}"
    );
    assert_times(&what, &out.pictures.times, (0..FRAMES).map(|k| f64::from(k) / 30.0));
    clip::assert_levels(&what, &out.pictures.levels, 0..FRAMES);
    let after = onsets(&decoded_sound(out.file.path()));
    assert_onsets(&what, &after, &BEEPS, ENCODER_DELAY);
    // GStreamer 1.22's own playback loses much of the sound of program streams.
    if !clip.muxer.starts_with("mpegpsmux") {
        assert_onsets(&what, &after, &onsets(&decoded_sound(video.path())), MOVED);
    }
    let seconds = track_length(out.file.path()).expect("a track of sound");
    assert!((seconds - 2.0).abs() < 0.1, "{what}: {seconds} s of sound");
}

const fn pictures(encoder: &'static str, muxer: &'static str) -> Clip {
    Clip { encoder, muxer, ..PLAIN }
}

#[test]
fn mp4_and_mov() {
    for muxer in ["mp4mux name=m", "mp4mux name=m fragment-duration=200", "qtmux name=m"] {
        check(pictures("x264enc bframes=0 key-int-max=12", muxer), AAC, "aac", Copied);
    }
    check(PLAIN, "lamemp3enc ! mpegaudioparse", "mp3", Copied);
    check(PLAIN, "opusenc ! opusparse", "opus", Copied);
    check(PLAIN, "avenc_ac3 ! ac3parse", "ac3", Reencoded);
    check(PLAIN, "avenc_alac", "alac", Reencoded);
    for raw in ["S16LE", "S16BE", "U8"] {
        let raw = format!("audio/x-raw,format={raw},rate=44100");
        check(pictures(MJPEG, "qtmux name=m"), &raw, "pcm", Reencoded);
    }
    check(pictures(PLAIN.encoder, "qtmux name=m"), "amrnbenc", "amr", Reencoded);
    check(pictures(PLAIN.encoder, "qtmux name=m"), "voamrwbenc", "amr wideband", Reencoded);
    check(pictures(MJPEG, "qtmux name=m"), "audio/x-raw,rate=8000 ! mulawenc", "mu-law", Reencoded);
    check(pictures(MJPEG, "qtmux name=m"), "audio/x-raw,rate=8000 ! alawenc", "a-law", Reencoded);
}

#[test]
fn matroska_and_webm() {
    check(pictures(VP8, "webmmux name=m"), "opusenc", "opus", Copied);
    check(pictures(VP8, "webmmux name=m"), "vorbisenc", "vorbis", Reencoded);
    let matroska = pictures(PLAIN.encoder, "matroskamux name=m");
    check(matroska, AAC, "aac", Copied);
    check(matroska, "lamemp3enc ! mpegaudioparse", "mp3", Copied);
    check(matroska, "vorbisenc", "vorbis", Reencoded);
    check(matroska, "flacenc ! flacparse", "flac", Reencoded);
    check(matroska, "avenc_eac3 ! ac3parse", "eac3", Reencoded);
    check(matroska, "audio/x-raw,format=F32LE", "pcm", Reencoded);
    check(matroska, "audio/x-raw,format=S16LE,channels=2,rate=96000", "pcm", Reencoded);
    check(matroska, "avenc_wmav2", "wma", Reencoded);
    check(matroska, "adpcmenc", "adpcm", Reencoded);
}

#[test]
fn avi() {
    check(pictures(MJPEG, "avimux name=m"), "lamemp3enc ! mpegaudioparse", "mp3", Copied);
    check(pictures(MJPEG, "avimux name=m"), "audio/x-raw,format=S16LE", "pcm", Reencoded);
    check(pictures(MJPEG, "avimux name=m"), "avenc_ac3 ! ac3parse", "ac3", Reencoded);
}

#[test]
fn flash_ogg_and_mxf() {
    let flash = pictures("x264enc bframes=0 key-int-max=12", "flvmux name=m");
    check(flash, AAC, "aac", Copied);
    check(flash, "audio/x-raw,rate=44100 ! lamemp3enc ! mpegaudioparse", "mp3", Copied);
    let ogg = pictures("theoraenc", "oggmux name=m");
    check(ogg, "vorbisenc", "vorbis", Reencoded);
    check(ogg, "opusenc", "opus", Copied);
    let raw = "audio/x-raw,format=S16LE,rate=48000";
    check(pictures(MPEG2, "mxfmux name=m"), raw, "pcm", Reencoded);
}

#[test]
fn transport_and_program_streams() {
    let h264 = "x264enc bframes=2 key-int-max=12";
    for encoder in [h264, MPEG2] {
        check(pictures(encoder, "mpegtsmux name=m"), AAC, "aac", Copied);
    }
    check(
        pictures(h264, "mpegtsmux name=m"),
        "twolamemp2enc ! mpegaudioparse",
        "mpeg audio",
        Reencoded,
    );
    check(pictures(h264, "mpegtsmux name=m"), "avenc_ac3 ! ac3parse", "ac3", Reencoded);
    check(pictures(h264, "mpegtsmux name=m"), "opusenc ! opusparse", "opus", Copied);
    check(
        pictures(MPEG2, "mpegpsmux name=m"),
        "twolamemp2enc ! mpegaudioparse",
        "mpeg audio",
        Reencoded,
    );
}

#[test]
fn copied_packets_equal_those_of_the_source() {
    for (muxer, demuxer, sound_encoder) in [
        ("mp4mux name=m", "qtdemux", AAC),
        ("mp4mux name=m", "qtdemux", "lamemp3enc ! mpegaudioparse"),
        ("matroskamux name=m", "matroskademux", AAC),
        ("matroskamux name=m", "matroskademux", "opusenc"),
    ] {
        let video = plain(muxer, sound_encoder).named();
        let out = written(video.reopen().expect("opens"), &LIMITS);
        let (before, after) = (packets(video.path(), demuxer), packets(out.file.path(), "qtdemux"));
        assert!(before.len() > 50, "{} packets", before.len());
        assert!(
            before == after,
            "{sound_encoder} in {muxer}: {} and {}",
            before.len(),
            after.len()
        );
    }
}
