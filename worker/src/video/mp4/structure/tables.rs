//! Checks that the tables of an MP4 have room for the entries that they state. Called by `structure`.

use super::{StructureError, name};
use crate::video::mp4::boxes::BoxHeader;
use crate::video::mp4::fields::Fields;
use std::os::unix::fs::FileExt;

/// A track may state this many times more samples than the file has bytes: compressed sound of
/// QuickTime counts samples as they are decoded.
const SAMPLES_A_BYTE_MAX: u64 = 64;

/// Where a table states its number of entries, where they begin, and the bytes of each.
struct Layout {
    number_at: usize,
    entries_at: u64,
    entry_bytes: u64,
}

/// Checks one box; others than tables pass.
pub(super) fn check(
    file: &impl FileExt,
    found: &BoxHeader,
    length: u64,
) -> Result<(), StructureError> {
    let is_known = |kind: &[u8; 4]| {
        [
            b"stts", b"ctts", b"stss", b"stps", b"stsc", b"stco", b"co64", b"stsz", b"stz2",
            b"elst", b"trun", b"sidx",
        ]
        .contains(&kind)
    };
    if !is_known(&found.kind) {
        return Ok(());
    }
    let fields = Fields::read(file, &found.contents)?;
    let layout = layout(found.kind, &fields);
    let number = fields.word(layout.number_at);
    let number = if &found.kind == b"sidx" { number.map(|it| it & 0xffff) } else { number };
    let Some(number) = number else {
        return Err(StructureError::Entries(name(found.kind)));
    };
    if layout.entry_bytes == 0 && u64::from(number) > length.saturating_mul(SAMPLES_A_BYTE_MAX) {
        return Err(StructureError::Samples(number));
    }
    let room = (found.contents.end - found.contents.start).saturating_sub(layout.entries_at);
    // Of entries of half a byte two share one.
    let needed = match (&found.kind, layout.entry_bytes) {
        (b"stz2", _) => (u64::from(number) * u64::from(nibbles(&fields))).div_ceil(2),
        (_, bytes) => u64::from(number) * bytes,
    };
    if needed > room { Err(StructureError::Entries(name(found.kind))) } else { Ok(()) }
}

fn layout(kind: [u8; 4], fields: &Fields) -> Layout {
    let table = |entry_bytes| Layout { number_at: 4, entries_at: 8, entry_bytes };
    let is_wide = fields.time_width() == 8;
    match &kind {
        b"stss" | b"stps" | b"stco" => table(4),
        b"stsc" => table(12),
        b"elst" => table(if is_wide { 20 } else { 12 }),
        // One size for all samples, or zero and a size for each.
        b"stsz" => {
            let entry_bytes = if fields.word(4) == Some(0) { 4 } else { 0 };
            Layout { number_at: 8, entries_at: 12, entry_bytes }
        }
        b"stz2" => Layout { number_at: 8, entries_at: 12, entry_bytes: 1 },
        b"trun" => {
            let flags = fields.word(0).unwrap_or(0);
            let words = |mask: u32| u64::from((flags & mask).count_ones()) * 4;
            Layout { number_at: 4, entries_at: 8 + words(0x5), entry_bytes: words(0xf00) }
        }
        // The number is the lower half of a word.
        b"sidx" if is_wide => Layout { number_at: 28, entries_at: 32, entry_bytes: 12 },
        b"sidx" => Layout { number_at: 20, entries_at: 24, entry_bytes: 12 },
        _ => table(8),
    }
}

/// Half bytes of each size in a compact table of sizes.
fn nibbles(fields: &Fields) -> u8 {
    fields.bytes::<1>(7).map_or(0, |[bits]| bits / 4)
}
