//! Reads the headers of the boxes of MP4 and QuickTime files (ISO/IEC 14496-12, 4.2). Called by the
//! files of this folder and by `orientation`; never reads the contents of a box.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Most boxes of one level that are read; further boxes are ignored.
const BOXES_MAX: usize = 1024;
/// Size and type of a box.
const HEADER_BYTES: u64 = 8;

/// A complete box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BoxHeader {
    /// Its type, four letters.
    pub(super) kind: [u8; 4],
    /// Its range in the file, including the header.
    pub(super) whole: Range<u64>,
    /// The range of its contents in the file.
    pub(super) contents: Range<u64>,
}

/// The boxes within a range of the file, up to the first incomplete one.
pub(super) fn boxes(
    file: &impl FileExt,
    within: Range<u64>,
) -> impl Iterator<Item = io::Result<BoxHeader>> {
    let mut at = within.start;
    std::iter::from_fn(move || {
        let header = header(file, at..within.end).transpose()?;
        // After an error nothing more is read.
        at = header.as_ref().map_or(within.end, |header| header.whole.end);
        Some(header)
    })
}

/// The contents of every box on a path of types, from the outermost to the innermost.
pub(in crate::video) fn contents_of(
    file: &impl FileExt,
    within: Range<u64>,
    path: &[[u8; 4]],
) -> io::Result<Vec<Range<u64>>> {
    let Some((kind, path)) = path.split_first() else { return Ok(vec![within]) };
    let mut found = Vec::new();
    for header in boxes(file, within).take(BOXES_MAX) {
        let header = header?;
        if header.kind == *kind {
            found.extend(contents_of(file, header.contents, path)?);
        }
    }
    Ok(found)
}

/// The box at the start of this range, if it is complete.
pub(super) fn header(file: &impl FileExt, within: Range<u64>) -> io::Result<Option<BoxHeader>> {
    let Range { start, end } = within;
    let left = end.saturating_sub(start);
    if left < HEADER_BYTES {
        return Ok(None);
    }
    let mut header = [0; HEADER_BYTES as usize];
    file.read_exact_at(&mut header, start)?;
    let [a, b, c, d, kind @ ..] = header;
    let (size, header_bytes) = match u32::from_be_bytes([a, b, c, d]) {
        // To the end of the enclosing box.
        0 => (left, HEADER_BYTES),
        // In 64 bits after the type.
        1 if left >= 2 * HEADER_BYTES => {
            let mut size = [0; 8];
            file.read_exact_at(&mut size, start + HEADER_BYTES)?;
            (u64::from_be_bytes(size), 2 * HEADER_BYTES)
        }
        size => (size.into(), HEADER_BYTES),
    };
    let is_complete = (header_bytes..=left).contains(&size);
    Ok(is_complete.then(|| BoxHeader {
        kind,
        whole: start..start + size,
        contents: start + header_bytes..start + size,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds_and_contents(bytes: &[u8]) -> Vec<(String, Range<u64>)> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        let found = boxes(&file, 0..bytes.len() as u64).map(|header| header.expect("readable"));
        found
            .map(|BoxHeader { kind, contents, .. }| (kind.escape_ascii().to_string(), contents))
            .collect()
    }

    #[test]
    fn each_form_of_size_is_read() {
        let short = b"\0\0\0\x0aftypxx".as_slice();
        let long = b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x12xx".as_slice();
        let rest = b"\0\0\0\0freexxx".as_slice();
        let found = kinds_and_contents(&[short, long, rest].concat());
        assert_eq!(
            found,
            [("ftyp".into(), 8..10), ("mdat".into(), 26..28), ("free".into(), 36..39)]
        );
    }

    #[test]
    fn an_incomplete_box_ends_the_sequence() {
        let whole = b"\0\0\0\x08free".as_slice();
        for broken in [
            b"\0\0\0\x09moov".as_slice(),
            b"\0\0\0\x07moov",
            b"\0\0\0\x01moov\0\0\0\0\0\0\0",
            b"\0\0\0\x01moov\0\0\0\0\0\0\0\x0f",
            b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\0\x02mdat",
            b"\0\0\0",
        ] {
            assert_eq!(kinds_and_contents(&[whole, broken].concat()).len(), 1, "{broken:?}");
        }
        let behind = [whole, b"\0\0\0\x07moov", whole].concat();
        assert_eq!(kinds_and_contents(&behind).len(), 1, "nothing after it is read");
    }
}
