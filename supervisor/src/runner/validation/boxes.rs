//! The boxes of an MP4 (ISO/IEC 14496-12, 4.2): their kinds and where they are.

use super::content::Content;
use super::invalid::{Invalid, ensure};

/// Most boxes in one box.
const BOXES_MAX: usize = 64;

/// One box: its kind, and where its content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mp4Box {
    pub(super) kind: [u8; 4],
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Mp4Box {
    /// The size of its content, in bytes.
    pub(super) const fn bytes(&self) -> u64 {
        self.to - self.from
    }

    /// Where a field of its content is.
    pub(super) fn at(&self, offset: u64, bytes: u64) -> Result<u64, Invalid> {
        ensure(offset + bytes <= self.bytes(), "a box is too short")?;
        Ok(self.from + offset)
    }
}

/// The boxes in a box, which they fill.
pub(super) fn children(content: &Content<'_>, parent: &Mp4Box) -> Result<Vec<Mp4Box>, Invalid> {
    let mut boxes = Vec::new();
    let mut at = parent.from;
    while at < parent.to {
        ensure(boxes.len() < BOXES_MAX, "it has too many boxes")?;
        let [a, b, c, d, kind @ ..]: [u8; 8] = content.array(at)?;
        let (header, bytes) = match u32::from_be_bytes([a, b, c, d]) {
            1 => (16, u64::from_be_bytes(content.array(at + 8)?)),
            bytes => (8, u64::from(bytes)),
        };
        let to = at.checked_add(bytes).filter(|to| bytes >= header && *to <= parent.to);
        let to = to.ok_or(Invalid::Malformed("the size of a box is wrong"))?;
        boxes.push(Mp4Box { kind, from: at + header, to });
        at = to;
    }
    Ok(boxes)
}

/// The first box of this kind.
pub(super) fn find<'a>(boxes: &'a [Mp4Box], kind: &[u8; 4]) -> Option<&'a Mp4Box> {
    boxes.iter().find(|found| found.kind == *kind)
}

/// The only box of this kind.
pub(super) fn only<'a>(boxes: &'a [Mp4Box], kind: &[u8; 4]) -> Result<&'a Mp4Box, Invalid> {
    let count = boxes.iter().filter(|found| found.kind == *kind).count();
    let found = find(boxes, kind).ok_or(Invalid::Malformed("it lacks a box"))?;
    ensure(count == 1, "it has a box twice")?;
    Ok(found)
}
