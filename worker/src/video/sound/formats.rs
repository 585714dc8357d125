//! The supported audio codecs, as reviewed data: how each is parsed and decoded, and whether its
//! packets are copied. Read by `track`, which adds no other elements, and by `plugins`, which
//! removes every other element from the process.

use gstreamer as gst;

/// A codec: its caps as reported by a demuxer, and the elements that decode it.
pub(super) struct Codec {
    /// Its name in the metadata.
    pub(super) name: &'static str,
    /// Caps that a track must have.
    pub(super) caps: &'static str,
    /// Splits packets and determines their durations; none where the container does.
    pub(super) parser: Option<&'static str>,
    /// Framing that is required from the parser.
    pub(super) framed: &'static str,
    /// Decodes packets, or splits raw samples into packets.
    pub(super) decoder: &'static str,
    /// What is done with its packets.
    pub(super) handling: Handling,
}

/// What is done with a track's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    /// They are copied: MP4 supports them and browsers play them.
    Copy,
    /// They are decoded, and the samples are encoded as AAC.
    Encode,
}

const fn copied(
    name: &'static str,
    caps: &'static str,
    parser: &'static str,
    framed: &'static str,
    decoder: &'static str,
) -> Codec {
    Codec { name, caps, parser: Some(parser), framed, decoder, handling: Handling::Copy }
}

const fn encoded(
    name: &'static str,
    caps: &'static str,
    parser: Option<&'static str>,
    decoder: &'static str,
) -> Codec {
    Codec { name, caps, parser, framed: "", decoder, handling: Handling::Encode }
}

/// The codecs; the first with matching caps is used.
const CODECS: &[Codec] = &[
    encoded(
        "aac",
        "audio/mpeg,mpegversion=4,stream-format=loas",
        Some("aacparse"),
        "avdec_aac_latm",
    ),
    copied(
        "aac",
        "audio/mpeg,mpegversion={2,4}",
        "aacparse",
        "audio/mpeg,mpegversion=4,stream-format=raw",
        "avdec_aac",
    ),
    copied(
        "mp3",
        "audio/mpeg,mpegversion=1,layer=3",
        "mpegaudioparse",
        "audio/mpeg,mpegversion=1",
        "avdec_mp3float",
    ),
    // Layers 1 and 2, and streams that are not parsed yet.
    encoded("mpeg audio", "audio/mpeg,mpegversion=1", Some("mpegaudioparse"), "avdec_mp3float"),
    copied(
        "opus",
        "audio/x-opus,channel-mapping-family=0",
        "opusparse",
        "audio/x-opus,framed=true,channels=[1,2]",
        "opusdec",
    ),
    encoded("opus", "audio/x-opus", None, "opusdec"),
    encoded("vorbis", "audio/x-vorbis", None, "vorbisdec"),
    encoded("flac", "audio/x-flac", Some("flacparse"), "avdec_flac"),
    encoded("alac", "audio/x-alac", None, "avdec_alac"),
    encoded("ac3", "audio/x-ac3", Some("ac3parse"), "avdec_ac3"),
    encoded("ac3", "audio/x-private1-ac3", Some("ac3parse"), "avdec_ac3"),
    encoded("eac3", "audio/x-eac3", Some("ac3parse"), "avdec_eac3"),
    encoded("wma", "audio/x-wma,wmaversion=1", None, "avdec_wmav1"),
    encoded("wma", "audio/x-wma,wmaversion=2", None, "avdec_wmav2"),
    encoded("wma pro", "audio/x-wma,wmaversion=3", None, "avdec_wmapro"),
    encoded("amr", "audio/AMR", None, "avdec_amrnb"),
    encoded("amr wideband", "audio/AMR-WB", None, "amrwbdec"),
    encoded("adpcm", "audio/x-adpcm,layout={microsoft,dvi}", None, "adpcmdec"),
    encoded("a-law", "audio/x-alaw", None, "alawdec"),
    encoded("mu-law", "audio/x-mulaw", None, "mulawdec"),
    // A container may store all samples in one packet.
    encoded("pcm", "audio/x-raw", None, "audiobuffersplit"),
];

/// The encoder.
pub(super) const ENCODER: &str = "avenc_aac";
/// Samples of silence that the encoder adds at the start.
pub(super) const ENCODER_DELAY: u32 = 1024;

/// The codec of a track with these caps.
pub(super) fn codec_of(caps: &gst::CapsRef) -> Option<&'static Codec> {
    // A subset, not an intersection: fields that the container does not state do not match.
    CODECS.iter().find(|codec| {
        codec.caps.parse::<gst::Caps>().is_ok_and(|expected| caps.is_subset(&expected))
    })
}

/// Whether a track with these caps carries sound.
pub(super) fn is_sound_track(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|track| track.name().starts_with("audio/"))
}

/// Every element named in the tables.
pub(in crate::video) fn elements() -> impl Iterator<Item = &'static str> {
    let parsers = CODECS.iter().filter_map(|codec| codec.parser);
    parsers.chain(CODECS.iter().map(|codec| codec.decoder)).chain([ENCODER])
}
