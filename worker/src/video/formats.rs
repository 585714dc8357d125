//! What is decoded, as reviewed data: which demuxer opens which container, which parser and
//! decoder read which codec. Read by `source` and `decode`, which plug nothing that is not here,
//! and by `plugins`, which removes every other element from the process.

use gstreamer as gst;

/// A container: the media type that type finding gives it, and the element that opens it.
pub(super) struct Container {
    /// Media type.
    pub(super) media_type: &'static str,
    /// Demuxer.
    pub(super) demuxer: &'static str,
    /// Where its presentation starts.
    pub(super) start: Start,
    /// How its demuxer is to read.
    pub(super) reading: Reading,
}

/// How a demuxer reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Any part, as it needs it.
    Anywhere,
    /// From front to back.
    Forwards,
}

/// Where on a container's clock its presentation starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At zero: a first frame that is shown later than that is late.
    Zero,
    /// Nowhere in particular, since the clock is a sender's: with the first frame.
    FirstFrame,
}

/// A codec: the caps that a demuxer gives it, and the elements that read it.
pub(super) struct Codec {
    /// Caps that a track must have.
    pub(super) caps: &'static str,
    /// Reads the real picture size from the stream before the decoder sees it; none where only
    /// the container knows the size.
    pub(super) parser: Option<&'static str>,
    /// Framing that the decoder wants from the parser.
    pub(super) framed: &'static str,
    /// Decoder.
    pub(super) decoder: &'static str,
}

const fn container(media_type: &'static str, demuxer: &'static str) -> Container {
    let (start, reading) = (Start::Zero, Reading::Anywhere);
    Container { media_type, demuxer, start, reading }
}

const fn broadcast(media_type: &'static str, demuxer: &'static str) -> Container {
    Container { start: Start::FirstFrame, ..container(media_type, demuxer) }
}

/// The demuxer of program streams stops at the last clock value in the file when it can read
/// anywhere, and the pictures sent before that value but shown after it are lost.
const fn program_stream(media_type: &'static str, demuxer: &'static str) -> Container {
    Container { reading: Reading::Forwards, ..broadcast(media_type, demuxer) }
}

const fn codec(
    caps: &'static str,
    parser: Option<&'static str>,
    framed: &'static str,
    decoder: &'static str,
) -> Codec {
    Codec { caps, parser, framed, decoder }
}

/// The containers. Sound-only kinds are here so that they are told from files that are no media.
pub(super) const CONTAINERS: &[Container] = &[
    container("video/quicktime", "qtdemux"),   // MP4, MOV, M4V
    container("application/x-3gp", "qtdemux"), // what older telephones call MP4
    container("audio/x-m4a", "qtdemux"),       // MP4 with the brand of music files
    container("video/x-matroska", "matroskademux"),
    container("audio/x-matroska", "matroskademux"),
    container("video/webm", "matroskademux"),
    container("audio/webm", "matroskademux"),
    container("video/x-msvideo", "avidemux"),
    container("video/x-ms-asf", "asfdemux"),     // WMV
    broadcast("video/mpegts", "tsdemux"),        // broadcast and camcorders
    program_stream("video/mpeg", "mpegpsdemux"), // MPG, VOB
];

/// The codecs.
pub(super) const CODECS: &[Codec] = &[
    codec("video/x-h264", Some("h264parse"), "video/x-h264,alignment=au", "avdec_h264"),
    codec("video/x-h265", Some("h265parse"), "video/x-h265,alignment=au", "avdec_h265"),
    codec("video/x-vp8", None, "video/x-vp8", "avdec_vp8"),
    codec("video/x-vp9", Some("vp9parse"), "video/x-vp9", "avdec_vp9"),
    // The AV1 decoder of libav is only a front for hardware; libaom runs everywhere.
    codec(
        "video/x-av1",
        Some("av1parse"),
        "video/x-av1,stream-format=obu-stream,alignment=tu",
        "av1dec",
    ),
    // MPEG-4 part 2 and what AVI files call it.
    codec(
        "video/mpeg,mpegversion=4,systemstream=false",
        Some("mpeg4videoparse"),
        "video/mpeg,parsed=true",
        "avdec_mpeg4",
    ),
    codec(
        "video/x-divx,divxversion=[4,5]",
        Some("mpeg4videoparse"),
        "video/x-divx,parsed=true",
        "avdec_mpeg4",
    ),
    // MPEG-1 and MPEG-2.
    codec(
        "video/mpeg,mpegversion=[1,2],systemstream=false",
        Some("mpegvideoparse"),
        "video/mpeg,parsed=true",
        "avdec_mpeg2video",
    ),
    // Motion JPEG.
    codec("image/jpeg", Some("jpegparse"), "image/jpeg,parsed=true", "avdec_mjpeg"),
    codec("video/x-wmv,wmvversion=1", None, "video/x-wmv", "avdec_wmv1"),
    codec("video/x-wmv,wmvversion=2", None, "video/x-wmv", "avdec_wmv2"),
    codec("video/x-wmv,wmvversion=3,format=WMV3", None, "video/x-wmv", "avdec_wmv3"),
    // The advanced profile states its size in the stream as well as in the container.
    codec("video/x-wmv,wmvversion=3,format={WVC1,WMVA}", None, "video/x-wmv", "avdec_vc1"),
];

/// The container of this type.
pub(super) fn container_of(caps: &gst::CapsRef) -> Option<&'static Container> {
    let name = caps.structure(0)?.name();
    // Only the systems layer of MPEG is a container; bare elementary streams are not read.
    let is_bare = caps.structure(0)?.get::<bool>("systemstream") == Ok(false);
    CONTAINERS.iter().find(|container| container.media_type == name && !is_bare)
}

/// The codec of a track with these caps.
pub(super) fn codec_of(caps: &gst::CapsRef) -> Option<&'static Codec> {
    CODECS.iter().find(|codec| {
        codec.caps.parse::<gst::Caps>().is_ok_and(|wanted| caps.can_intersect(&wanted))
    })
}

/// Whether a track with these caps carries pictures.
pub(super) fn is_picture_track(caps: &gst::CapsRef) -> bool {
    caps.structure(0)
        .is_some_and(|track| track.name().starts_with("video/") || track.name() == "image/jpeg")
}

/// Every element named in the tables.
pub(super) fn elements() -> impl Iterator<Item = &'static str> {
    let demuxers = CONTAINERS.iter().map(|container| container.demuxer);
    let parsers = CODECS.iter().filter_map(|codec| codec.parser);
    demuxers.chain(parsers).chain(CODECS.iter().map(|codec| codec.decoder))
}
