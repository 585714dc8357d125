//! The picture size that a codec without a parser states in its own stream. Called by `source`: a
//! container may state another size, or none. Pure.

use super::dv::{self, DvFormat};
use gstreamer as gst;

/// What a coded picture states of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PictureHeader {
    /// Width in pixels.
    pub(super) width: u32,
    /// Height in pixels.
    pub(super) height: u32,
    /// The shape of pixels.
    pub(super) pixel_aspect: Option<(u32, u32)>,
}

impl PictureHeader {
    /// Adds what a container has left out.
    pub(super) fn complete(self, caps: &mut gst::Caps) {
        let Self { width, height, pixel_aspect } = self;
        for track in caps.make_mut().iter_mut() {
            if !track.has_field("width") || !track.has_field("height") {
                track.set("width", width as i32);
                track.set("height", height as i32);
            }
            // Containers state square pixels where they know of no others.
            let square = Ok(gst::Fraction::new(1, 1));
            let stated = track.get::<gst::Fraction>("pixel-aspect-ratio");
            if let Some((num, den)) = pixel_aspect
                && (stated.is_err() || stated == square)
            {
                track.set("pixel-aspect-ratio", gst::Fraction::new(num as i32, den as i32));
            }
        }
    }
}

/// Reads the size of a picture; none if it states none.
pub(super) type ReadHeader = fn(&[u8]) -> Option<PictureHeader>;

/// Reads the size in a buffer.
pub(super) fn of_buffer(read: ReadHeader, buffer: &gst::BufferRef) -> Option<PictureHeader> {
    let mut head = [0; dv::HEAD_BYTES];
    let bytes = buffer.size().min(head.len());
    buffer.copy_to_slice(0, &mut head[..bytes]).ok()?;
    read(&head[..bytes])
}

/// What reads the pictures of this decoder.
pub(super) fn reader_of(decoder: &str) -> Option<ReadHeader> {
    Some(match decoder {
        "avdec_vp8" => vp8,
        "avdec_flv" => sorenson,
        "avdec_vp6" | "avdec_vp6f" => vp6,
        "avdec_dvvideo" => dv_frame,
        "avdec_dnxhd" => dnxhd,
        "pngdec" => png,
        "theoradec" => theora,
        _ => return None,
    })
}

fn sized(width: u32, height: u32) -> Option<PictureHeader> {
    (width > 0 && height > 0).then_some(PictureHeader { width, height, pixel_aspect: None })
}

/// The number of a few bytes, the highest first.
fn number(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + count)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// A key frame of VP8 (RFC 6386, section 9.1).
fn vp8(head: &[u8]) -> Option<PictureHeader> {
    let head = head.get(..10)?;
    let is_key_frame = head[0] & 1 == 0 && head[3..6] == [0x9d, 0x01, 0x2a];
    let side = |at| u32::from(u16::from_le_bytes([head[at], head[at + 1]]) & 0x3fff);
    if is_key_frame { sized(side(6), side(8)) } else { None }
}

/// Sorenson's H.263 in Flash Video.
fn sorenson(head: &[u8]) -> Option<PictureHeader> {
    let bits = |at: usize, count: usize| {
        let bytes = head.get(at / 8..at / 8 + 4)?;
        let word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Some(word << (at % 8) >> (32 - count))
    };
    if bits(0, 17)? != 1 {
        return None;
    }
    match bits(30, 3)? {
        0 => sized(bits(33, 8)?, bits(41, 8)?),
        1 => sized(bits(33, 16)?, bits(49, 16)?),
        2 => sized(352, 288),
        3 => sized(176, 144),
        4 => sized(128, 96),
        5 => sized(320, 240),
        6 => sized(160, 120),
        _ => None,
    }
}

/// A key frame of VP6, whose size counts blocks of 16 pixels.
fn vp6(head: &[u8]) -> Option<PictureHeader> {
    let (first, second) = (*head.first()?, *head.get(1)?);
    if first & 0x80 != 0 {
        return None;
    }
    let at = if first & 1 != 0 || second & 6 == 0 { 4 } else { 2 };
    sized(16 * number(head, at + 1, 1)?, 16 * number(head, at, 1)?)
}

fn dv_frame(head: &[u8]) -> Option<PictureHeader> {
    let DvFormat { size: (width, height), pixel_aspect, .. } = DvFormat::of(head)?;
    Some(PictureHeader { width, height, pixel_aspect: Some(pixel_aspect) })
}

/// VC-3 (SMPTE 2019-1), which begins with the length of its header. Of a picture in fields it states
/// the rows of one.
fn dnxhd(head: &[u8]) -> Option<PictureHeader> {
    if !(0x0280..=0x2170).contains(&number(head, 0, 4)?) {
        return None;
    }
    sized(number(head, 26, 2)?, number(head, 24, 2)?)
}

fn png(head: &[u8]) -> Option<PictureHeader> {
    if !head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return None;
    }
    sized(number(head, 16, 4)?, number(head, 20, 4)?)
}

/// The first header of Theora, whose size counts blocks of 16 pixels.
fn theora(head: &[u8]) -> Option<PictureHeader> {
    if !head.starts_with(b"\x80theora") {
        return None;
    }
    sized(16 * number(head, 10, 2)?, 16 * number(head, 12, 2)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(of: ReadHeader, head: &[u8]) -> Option<(u32, u32)> {
        of(head).map(|header| (header.width, header.height))
    }

    #[test]
    fn pictures_state_their_sizes() {
        // Start code of 17 bits, version 0, number 0; then the size: 8 bits, 16 bits or a code.
        let sorenson_head =
            |code: u64, sides: u64| ((1_u64 << 47) | code << 31 | sides).to_be_bytes().repeat(2);
        assert_eq!(size(sorenson, &sorenson_head(0, 160 << 23 | 120 << 15)), Some((160, 120)));
        assert_eq!(size(sorenson, &sorenson_head(5, 0)), Some((320, 240)));
        let vp6_key = [0x02, 0x36, 8, 10, 8, 10];
        assert_eq!(size(vp6, &vp6_key), Some((160, 128)));
        assert_eq!(size(vp6, &[0x03, 0x30, 0, 0, 8, 10]), Some((160, 128)));
        let vp8_key = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 160, 0, 120, 0x40];
        assert_eq!(size(vp8, &vp8_key), Some((160, 120)));
        let png_head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\xa0\0\0\0\x78";
        assert_eq!(size(png, png_head), Some((160, 120)));
        assert_eq!(size(theora, b"\x80theora\x03\x02\x01\0\x0a\0\x08"), Some((160, 128)));
    }

    #[test]
    fn anything_else_states_none_and_no_panic() {
        let readers = [vp8, sorenson, vp6, dv_frame, dnxhd, png, theora];
        for reader in readers {
            for length in 0..40 {
                assert_eq!(size(reader, &vec![0xff; length]), None);
                assert_eq!(size(reader, &vec![0; length.min(9)]), None);
            }
        }
    }
}
