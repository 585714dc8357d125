//! What sound is kept, as reviewed data: how each codec is parsed and decoded, and whether its
//! packets go out as they came. Read by `track`, which plugs nothing that is not here, and by
//! `plugins`, which removes every other element from the process.

use gstreamer as gst;

/// A codec: the caps that a demuxer gives it, and the elements that read it.
pub(super) struct Codec {
    /// What metadata calls it.
    pub(super) name: &'static str,
    /// Caps that a track must have.
    pub(super) caps: &'static str,
    /// Tells packets apart and how long each is; none where the container does.
    pub(super) parser: Option<&'static str>,
    /// Framing that is wanted from the parser.
    pub(super) framed: &'static str,
    /// Makes samples of packets, or splits samples that no packet bounds.
    pub(super) decoder: &'static str,
    /// What becomes of its packets.
    pub(super) way: Way,
}

/// What becomes of a track's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// MP4 carries them and browsers play them.
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
    Codec { name, caps, parser: Some(parser), framed, decoder, way: Way::Copy }
}

const fn encoded(
    name: &'static str,
    caps: &'static str,
    parser: Option<&'static str>,
    decoder: &'static str,
) -> Codec {
    Codec { name, caps, parser, framed: "", decoder, way: Way::Encode }
}

/// The codecs; the first whose caps fit counts.
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
    // Layers 1 and 2; and what its parser is still to look at.
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
    // A container may hold all of it in one piece.
    encoded("pcm", "audio/x-raw", None, "audiobuffersplit"),
];

/// What encodes.
pub(super) const ENCODER: &str = "avenc_aac";
/// Samples of silence that it begins with.
pub(super) const ENCODER_DELAY: u32 = 1024;

/// The codec of a track with these caps.
pub(super) fn codec_of(caps: &gst::CapsRef) -> Option<&'static Codec> {
    // What a container leaves open is not taken for what is wanted.
    CODECS
        .iter()
        .find(|codec| codec.caps.parse::<gst::Caps>().is_ok_and(|wanted| caps.is_subset(&wanted)))
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
