//! Names the codec of a video that cannot be decoded, for the refusal. Called by `source`.
//!
//! Demuxers drop some tracks that they do not know; what their file says of them is read here.

use super::transport_stream;
use bodyscript_protocol::codec_names::FOURCC_PREFIX;
use gstreamer as gst;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Longest name; longer ones are not known to anyone.
const NAME_BYTES_MAX: usize = 40;
/// Most tags of a Flash Video file that are looked at.
const FLV_TAGS_MAX: u32 = 1000;

/// Containers that are not read, by their first bytes, with the codec they are known for.
const CONTAINERS: [(&[u8], &str); 6] = [
    (b".RMF", "video/x-pn-realvideo"),
    (b"BIKf", "video/x-bink"),
    (b"BIKi", "video/x-bink"),
    (b"KB2", "video/x-bink"),
    (b"SMK2", "video/x-smacker"),
    (b"SMK4", "video/x-smacker"),
];

/// The codec of a track with these caps.
pub(super) fn codec_of(caps: &gst::CapsRef) -> String {
    let Some(track) = caps.structure(0) else { return "unknown".into() };
    let name = track.name().as_str();
    let number = track.get::<i32>("fourcc").map(i32::to_le_bytes);
    let number = number.or_else(|_| track.get::<u32>("fourcc").map(u32::to_le_bytes));
    let is_wmv = name == "video/x-wmv";
    let of_wmv = track.get::<&str>("format").ok().filter(|_| is_wmv);
    let mut codec = match (name.strip_prefix("video/x-gst-fourcc-").or(of_wmv), number) {
        (Some(code), _) => format!("{FOURCC_PREFIX}{}", code.trim()),
        (None, Ok(code)) => format!("{FOURCC_PREFIX}{}", String::from_utf8_lossy(&code).trim()),
        (None, Err(_)) => track.get::<String>("codec-id").unwrap_or_else(|_| name.into()),
    };
    let end = (0..=NAME_BYTES_MAX.min(codec.len())).rev().find(|end| codec.is_char_boundary(*end));
    codec.truncate(end.unwrap_or(0));
    codec
}

/// The codec of a container that is not read.
pub(super) fn container(file: &File) -> Option<&'static str> {
    let mut head = [0; 16];
    let read = file.read_at(&mut head, 0).ok()?;
    let head = &head[..read];
    let is_webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    let is_redcode = head.get(4..8).is_some_and(|name| name == b"RED1" || name == b"RED2");
    match (is_webp, is_redcode) {
        (true, _) => Some("image/webp"),
        (_, true) => Some("video/x-redcode"),
        _ => CONTAINERS.iter().find(|(begin, _)| head.starts_with(begin)).map(|(_, name)| *name),
    }
}

/// The codec of pictures that a demuxer has left out.
pub(super) fn left_out(file: &File) -> Option<&'static str> {
    flash_video(file).or_else(|| transport_stream::unreadable_codec(file).ok().flatten())
}

/// The codec of the first pictures of a Flash Video file, if it is none that its demuxer knows.
fn flash_video(file: &File) -> Option<&'static str> {
    let mut header = [0; 9];
    file.read_exact_at(&mut header, 0).ok().filter(|()| header.starts_with(b"FLV"))?;
    let bytes = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
    let mut at = u64::from(bytes) + 4;
    for _ in 0..FLV_TAGS_MAX {
        let mut tag = [0; 16];
        file.read_exact_at(&mut tag, at).ok()?;
        if tag[0] & 0x1f == 9 {
            return match (tag[11] & 0x80, tag[11] & 0x0f, &tag[12..]) {
                (0, 3 | 6, _) => Some("video/x-flash-screen"),
                (0, 12, _) | (0x80, _, b"hvc1") => Some("flv:hvc1"),
                (0, 13, _) | (0x80, _, b"av01") => Some("flv:av01"),
                (0x80, _, b"vp09") => Some("flv:vp09"),
                (0x80, _, b"avc1") => Some("flv:avc1"),
                _ => None,
            };
        }
        at += 11 + u64::from(u32::from_be_bytes([0, tag[1], tag[2], tag[3]])) + 4;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(caps: &str) -> String {
        gst::init().expect("GStreamer initialises");
        codec_of(&caps.parse::<gst::Caps>().expect("caps"))
    }

    #[test]
    fn a_codec_is_named_by_its_code_its_identifier_or_its_type() {
        assert_eq!(of("video/x-gst-fourcc-aprn"), "fourcc:aprn");
        let cvid = i32::from_le_bytes(*b"cvid");
        assert_eq!(of(&format!("video/x-avi-unknown,fourcc=(int){cvid}")), "fourcc:cvid");
        assert_eq!(of("video/x-wmv,wmvversion=3,format=(string)MSS2"), "fourcc:MSS2");
        assert_eq!(of("video/x-unknown,codec-id=(string)V_SNOW"), "V_SNOW");
        assert_eq!(of("video/x-cinepak,width=32"), "video/x-cinepak");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        gst::init().expect("GStreamer initialises");
        let caps = gst::Caps::builder("video/x-unknown").field("codec-id", "é".repeat(300));
        assert_eq!(codec_of(&caps.build()), "é".repeat(20));
    }

    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        file
    }

    #[test]
    fn flash_video_names_the_codec_of_its_first_pictures() {
        let tagged = |first: &[u8]| {
            let mut bytes = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
            bytes.extend(b"\x08\0\0\x01\0\0\0\0\0\0\0\xaf\0\0\0\x0c");
            bytes.extend(b"\x09\0\0\x05\0\0\0\0\0\0\0");
            bytes.extend(first);
            bytes.extend([0; 8]);
            bytes
        };
        assert_eq!(left_out(&file(&tagged(b"\x90hvc1"))), Some("flv:hvc1"));
        assert_eq!(left_out(&file(&tagged(b"\x1c"))), Some("flv:hvc1"));
        assert_eq!(left_out(&file(&tagged(b"\x22"))), None, "Sorenson Spark is read");
        for kept in 0..40 {
            assert_eq!(left_out(&file(&tagged(b"\x90hvc1")[..kept])), None, "{kept} bytes");
        }
    }

    #[test]
    fn containers_that_are_not_read_are_known_for_a_codec() {
        assert_eq!(container(&file(b".RMF\0\0\0\x12")), Some("video/x-pn-realvideo"));
        assert_eq!(container(&file(b"RIFF\0\0\0\0WEBPVP8X")), Some("image/webp"));
        assert_eq!(container(&file(b"RIFF\0\0\0\0AVI LIST")), None);
        assert_eq!(container(&file(b"")), None);
    }
}
