//! The supported containers and codecs, as reviewed data: the demuxer of each container, the parser
//! and decoder of each codec. Read by `source` and `decode`, which add no other elements, and by
//! `plugins`, which removes every other element from the process.

use gstreamer as gst;

/// A container: its media type as reported by type finding or by `frame_files`, and its demuxer.
pub(super) struct Container {
    /// Media type.
    pub(super) media_type: &'static str,
    /// Demuxer; none for a file of one track whose frames need none.
    pub(super) demuxer: Option<&'static str>,
    /// Where its presentation starts.
    pub(super) origin: TimeOrigin,
    /// How its demuxer reads the file.
    pub(super) read_mode: ReadMode,
}

/// How a demuxer reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadMode {
    /// At any position.
    RandomAccess,
    /// From front to back.
    Sequential,
}

/// Where the presentation starts on a container's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeOrigin {
    /// At zero: a first frame after that is a late start.
    Zero,
    /// With the first frame, since the clock is the sender's.
    FirstFrame,
    /// With the first frame, and there is no clock: frames follow each other at their rate.
    NoClock,
}

/// A codec: its caps as reported by a demuxer, and the elements that decode it.
pub(super) struct Codec {
    /// Caps that a track must have.
    pub(super) caps: &'static str,
    /// Reads the real picture size from the stream before the decoder; none where only the container
    /// states the size.
    pub(super) parser: Option<&'static str>,
    /// Framing that the decoder requires from the parser.
    pub(super) framed: &'static str,
    /// Decoder.
    pub(super) decoder: &'static str,
}

const fn container(media_type: &'static str, demuxer: &'static str) -> Container {
    let (origin, read_mode) = (TimeOrigin::Zero, ReadMode::RandomAccess);
    Container { media_type, demuxer: Some(demuxer), origin, read_mode }
}

const fn bare(media_type: &'static str) -> Container {
    Container { demuxer: None, ..container(media_type, "") }
}

const fn elementary(media_type: &'static str) -> Container {
    Container { origin: TimeOrigin::NoClock, ..bare(media_type) }
}

const fn broadcast(media_type: &'static str, demuxer: &'static str) -> Container {
    Container { origin: TimeOrigin::FirstFrame, ..container(media_type, demuxer) }
}

/// With random access, the demuxer of program streams stops at the last clock value in the file, and
/// pictures that are stored before that value but presented after it are lost.
const fn program_stream(media_type: &'static str, demuxer: &'static str) -> Container {
    Container { read_mode: ReadMode::Sequential, ..broadcast(media_type, demuxer) }
}

const fn codec(
    caps: &'static str,
    parser: Option<&'static str>,
    framed: &'static str,
    decoder: &'static str,
) -> Codec {
    Codec { caps, parser, framed, decoder }
}

/// The containers. Audio-only ones are listed so that they are distinguished from other files.
pub(super) const CONTAINERS: &[Container] = &[
    container("video/quicktime", "qtdemux"),   // MP4, MOV, M4V
    container("application/x-3gp", "qtdemux"), // MP4 of older telephones
    container("video/mj2", "qtdemux"),         // Motion JPEG 2000
    container("audio/x-m4a", "qtdemux"),       // MP4 with the brand of music files
    container("video/x-matroska", "matroskademux"),
    container("audio/x-matroska", "matroskademux"),
    container("video/webm", "matroskademux"),
    container("audio/webm", "matroskademux"),
    container("video/x-msvideo", "avidemux"),
    container("video/x-ms-asf", "asfdemux"), // WMV
    container("video/x-flv", "flvdemux"),
    container("application/ogg", "oggdemux"),
    container("video/ogg", "oggdemux"),
    container("audio/ogg", "oggdemux"),
    container("application/mxf", "mxfdemux"),
    broadcast("video/mpegts", "tsdemux"), // broadcast and camcorders
    program_stream("video/mpeg", "mpegpsdemux"), // MPG, VOB
    bare("image/gif"),
    bare("image/apng"),
    bare("application/x-yuv4mpeg"),
    bare("video/x-dv"),
    elementary("video/x-h264"),
    elementary("video/x-h265"),
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
    // MPEG-4 part 2 and its name in AVI files.
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
    // Older telephones.
    codec("video/x-h263,variant=itu", Some("h263parse"), "video/x-h263,parsed=true", "avdec_h263"),
    // Microsoft's own MPEG-4, whose version 3 is also known as DivX 3.
    codec("video/x-msmpeg,msmpegversion=41", None, "video/x-msmpeg", "avdec_msmpeg4v1"),
    codec("video/x-msmpeg,msmpegversion=42", None, "video/x-msmpeg", "avdec_msmpeg4v2"),
    codec("video/x-msmpeg,msmpegversion=43", None, "video/x-msmpeg", "avdec_msmpeg4"),
    codec("video/x-divx,divxversion=3", None, "video/x-divx", "avdec_msmpeg4"),
    // Cameras and editing programs.
    codec("video/x-prores", None, "video/x-prores", "avdec_prores"),
    codec("video/x-cineform", None, "video/x-cineform", "avdec_cfhd"),
    codec("image/x-j2c", Some("jpeg2000parse"), "image/x-jpc,parsed=true", "avdec_jpeg2000"),
    codec("image/x-jpc", Some("jpeg2000parse"), "image/x-jpc,parsed=true", "avdec_jpeg2000"),
    codec("video/x-dnxhd", None, "video/x-dnxhd", "avdec_dnxhd"),
    codec("video/x-dv,systemstream=false", None, "video/x-dv", "avdec_dvvideo"),
    // The decoder of libav mixes successive pictures.
    codec("image/png", None, "image/png", "pngdec"),
    // Flash.
    codec("video/x-flash-video,flvversion=1", None, "video/x-flash-video", "avdec_flv"),
    codec("video/x-vp6", None, "video/x-vp6", "avdec_vp6"),
    codec("video/x-vp6-flash", None, "video/x-vp6-flash", "avdec_vp6f"),
    codec("video/x-vp6-alpha", None, "video/x-vp6-alpha", "avdec_vp6a"),
    codec("video/x-theora", None, "video/x-theora", "theoradec"),
    // Frames that need no decoder.
    codec("video/x-raw", None, "video/x-raw", "identity"),
    // The advanced profile states its size in the stream as well as in the container.
    codec("video/x-wmv,wmvversion=3,format={WVC1,WMVA}", None, "video/x-wmv", "avdec_vc1"),
];

/// The container of this type.
pub(super) fn container_of(caps: &gst::CapsRef) -> Option<&'static Container> {
    let name = caps.structure(0)?.name();
    // Only the systems layer of MPEG is a container; its bare elementary streams are not read.
    let is_bare = caps.structure(0)?.get::<bool>("systemstream") == Ok(false);
    CONTAINERS.iter().find(|container| container.media_type == name && !is_bare)
}

/// The codec of a track with these caps.
pub(super) fn codec_of(caps: &gst::CapsRef) -> Option<&'static Codec> {
    CODECS.iter().find(|codec| {
        codec.caps.parse::<gst::Caps>().is_ok_and(|expected| caps.can_intersect(&expected))
    })
}

/// The codes of H.265 in AVI.
const AVI_H265: [&[u8; 4]; 6] = [b"HEVC", b"hevc", b"H265", b"h265", b"X265", b"x265"];

/// Names the codec of a track whose code its demuxer does not know, or names otherwise than its
/// decoder does; returns whether it has one.
pub(super) fn name_codec(caps: &mut gst::Caps) -> bool {
    let is_whole_dv = caps.structure(0).is_some_and(|track| {
        track.name() == "video/x-dv" && track.get::<bool>("systemstream") == Ok(true)
    });
    if is_whole_dv {
        // The decoder takes the pictures and leaves the sound between them.
        caps.make_mut().iter_mut().for_each(|track| track.set("systemstream", false));
    }
    let is_h265 = caps.structure(0).is_some_and(|track| {
        let code = track.get::<i32>("fourcc").map(i32::to_le_bytes);
        track.name() == "video/x-avi-unknown" && code.is_ok_and(|code| AVI_H265.contains(&&code))
    });
    if is_h265 {
        for track in caps.make_mut().iter_mut() {
            track.set_name("video/x-h265");
            track.remove_field("fourcc");
            track.set("stream-format", "byte-stream");
        }
    }
    is_h265 || is_whole_dv
}

/// Whether a track with these caps carries pictures.
pub(super) fn is_picture_track(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|track| {
        // Of an encrypted track.
        let original = track.get::<&str>("original-media-type");
        let name = original.unwrap_or(track.name().as_str());
        name.starts_with("video/") || name.starts_with("image/")
    })
}

/// Every element named in the tables.
pub(super) fn elements() -> impl Iterator<Item = &'static str> {
    let demuxers = CONTAINERS.iter().filter_map(|container| container.demuxer);
    let parsers = CODECS.iter().filter_map(|codec| codec.parser);
    demuxers.chain(parsers).chain(CODECS.iter().map(|codec| codec.decoder))
}
