//! thumbnail.jpg, and the pictures in people.json: one baseline picture of the expected size (ITU-T T.81, annex B), and
//! nothing before or after it.

use super::Expected;
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use bodyscript_protocol::layout::{THUMBNAIL_WIDTH_MAX, thumbnail_size};
use std::io::BufRead;

const START: [u8; 2] = [0xff, 0xd8];
const END: u8 = 0xd9;
const BASELINE: u8 = 0xc0;
const SCAN: u8 = 0xda;
/// The application segment of JFIF, tables, a restart interval.
const OTHERS: [u8; 4] = [0xe0, 0xdb, 0xc4, 0xdd];
/// Most segments: the encoder writes nine.
const SEGMENTS_MAX: usize = 32;

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let [width, height] = size(content)?;
    let [width_expected, height_expected] =
        thumbnail_size(expected.picture_size(), THUMBNAIL_WIDTH_MAX);
    equal("height", height, height_expected)?;
    equal("width", width, width_expected)
}

/// Checks that it is one picture; returns its width and height.
pub(super) fn size(content: &Content<'_>) -> Result<[u16; 2], Invalid> {
    ensure(content.array(0)? == START, "it does not begin as a JPEG")?;
    let (mut at, mut size, mut scans) = (2, None, 0);
    for _ in 0..SEGMENTS_MAX {
        let [prefix, marker] = content.array(at)?;
        ensure(prefix == 0xff, "it has bytes between its segments")?;
        if marker == END {
            let size = size.filter(|_| scans > 0).ok_or(Invalid::Malformed("it has no picture"))?;
            return equal("end of the picture", at + 2, content.bytes()).map(|()| size);
        }
        let length = u64::from(u16::from_be_bytes(content.array(at + 2)?));
        ensure(length >= 2, "a segment is too short")?;
        let body = at + 4;
        at += 2 + length;
        match marker {
            BASELINE => {
                let [precision, y1, y2, x1, x2] = content.array(body)?;
                equal("bits a sample", precision, 8_u8)?;
                ensure(size.is_none(), "it has two pictures")?;
                size = Some([u16::from_be_bytes([x1, x2]), u16::from_be_bytes([y1, y2])]);
            }
            SCAN => {
                ensure(size.is_some(), "it has a scan without a frame")?;
                at = end_of_scan(content, at)?;
                scans += 1;
            }
            other => ensure(OTHERS.contains(&other), "it has an unknown segment")?,
        }
    }
    Err(Invalid::Malformed("it has too many segments"))
}

/// Where the first marker after coded data is. Within the data, 0xff is followed by zero or is a restart marker.
fn end_of_scan(content: &Content<'_>, from: u64) -> Result<u64, Invalid> {
    let mut reader = content.buffered(from, content.bytes());
    let mut at = from;
    let mut after_prefix = false;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Err(Invalid::Malformed("it has no end of image"));
        }
        for byte in bytes {
            if after_prefix && !matches!(byte, 0 | 0xd0..=0xd7 | 0xff) {
                return Ok(at - 1);
            }
            after_prefix = *byte == 0xff;
            at += 1;
        }
        let read = bytes.len();
        reader.consume(read);
    }
}
