//! Reads the heads of the boxes that MP4 and QuickTime files are made of (ISO/IEC 14496-12, 4.2).
//! Called by `index`, `orient`, `stamps`, `edits` and `opus`; never reads what a box holds.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Boxes of one level that are looked at; a file made of more is not looked through.
const BOXES_MAX: usize = 1024;
/// Size and kind of a box.
const HEAD_BYTES: u64 = 8;

/// A whole box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Its kind, four letters.
    pub(super) kind: [u8; 4],
    /// Where it is in the file, its head included.
    pub(super) whole: Range<u64>,
    /// Where its contents are in the file.
    pub(super) contents: Range<u64>,
}

/// The boxes within a stretch of the file, up to the first that is not whole.
pub(super) fn boxes(file: &File, within: Range<u64>) -> impl Iterator<Item = io::Result<Head>> {
    let mut at = within.start;
    std::iter::from_fn(move || {
        let head = head(file, at..within.end).transpose()?;
        // After an error nothing more is read.
        at = head.as_ref().map_or(within.end, |head| head.whole.end);
        Some(head)
    })
}

/// The contents of every box on a path of kinds, from the outside to the inside.
pub(super) fn inside(
    file: &File,
    within: Range<u64>,
    path: &[[u8; 4]],
) -> io::Result<Vec<Range<u64>>> {
    let Some((kind, path)) = path.split_first() else { return Ok(vec![within]) };
    let mut found = Vec::new();
    for head in boxes(file, within).take(BOXES_MAX) {
        let head = head?;
        if head.kind == *kind {
            found.extend(inside(file, head.contents, path)?);
        }
    }
    Ok(found)
}

/// The box that this stretch begins with, if it is whole.
fn head(file: &File, within: Range<u64>) -> io::Result<Option<Head>> {
    let Range { start, end } = within;
    let left = end.saturating_sub(start);
    if left < HEAD_BYTES {
        return Ok(None);
    }
    let mut head = [0; HEAD_BYTES as usize];
    file.read_exact_at(&mut head, start)?;
    let [a, b, c, d, kind @ ..] = head;
    let (size, head_bytes) = match u32::from_be_bytes([a, b, c, d]) {
        // To the end of what it is in.
        0 => (left, HEAD_BYTES),
        // In 64 bits after the kind.
        1 if left >= 2 * HEAD_BYTES => {
            let mut size = [0; 8];
            file.read_exact_at(&mut size, start + HEAD_BYTES)?;
            (u64::from_be_bytes(size), 2 * HEAD_BYTES)
        }
        size => (size.into(), HEAD_BYTES),
    };
    let is_whole = (head_bytes..=left).contains(&size);
    Ok(is_whole.then(|| Head {
        kind,
        whole: start..start + size,
        contents: start + head_bytes..start + size,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds_and_contents(bytes: &[u8]) -> Vec<(String, Range<u64>)> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        let found = boxes(&file, 0..bytes.len() as u64).map(|head| head.expect("readable"));
        found
            .map(|Head { kind, contents, .. }| (kind.escape_ascii().to_string(), contents))
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
    fn a_box_that_is_not_whole_ends_the_row() {
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
        assert_eq!(kinds_and_contents(&behind).len(), 1, "nothing behind it is read");
    }
}
