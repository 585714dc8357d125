//! Whether the coded pictures of an H.264 or H.265 track of an MP4 are framed as the format demands,
//! each unit after its length (ISO/IEC 14496-15), or by start codes (ITU-T H.264, annex B), as some
//! recorders write them. Called by `tracks`.

use super::boxes::{BoxHeader, boxes};
use super::fields::Fields;
use super::tables::first_entry;
use super::tracks::first;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// How units are framed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::video) enum Framing {
    /// Each after its length, or the codec has no units.
    #[default]
    Lengths,
    /// Each after a start code.
    StartCodes,
}

/// Version, flags and number of entries, before the first of them.
const ENTRIES_AT: u64 = 8;
/// Fixed part of every visual sample entry, before its boxes.
const DESCRIPTION_BYTES: u64 = 78;
/// A start code as it begins a picture. As a length it would be that of a unit of one byte, and no
/// picture begins with such a unit.
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Sample entries of H.264 and H.265, and those of Dolby Vision on top of them.
const KINDS: [[u8; 4]; 8] =
    [*b"avc1", *b"avc3", *b"hvc1", *b"hev1", *b"dva1", *b"dvav", *b"dvh1", *b"dvhe"];
/// Descriptions of the stream, within the sample entry.
const DESCRIPTIONS: [[u8; 4]; 2] = [*b"avcC", *b"hvcC"];

/// The first sample entry in this sample table.
pub(super) fn sample_entry(file: &File, samples: &Range<u64>) -> io::Result<Option<BoxHeader>> {
    let Some(table) = first(file, samples, &[*b"stsd"])? else { return Ok(None) };
    boxes(file, table.start + ENTRIES_AT..table.end).next().transpose()
}

/// The framing of the track with this sample table and sample entry.
pub(super) fn of(file: &File, samples: &Range<u64>, entry: &BoxHeader) -> io::Result<Framing> {
    if !KINDS.contains(&entry.kind) {
        return Ok(Framing::Lengths);
    }
    let has_start_codes = match description(file, entry)? {
        // Without a description only start codes can be decoded.
        None => true,
        Some(description) => {
            let begin = Fields::read(file, &description)?.bytes::<4>(0);
            begin.is_none_or(|begin| begin == START_CODE || begin[..3] == START_CODE[1..])
                || first_sample(file, samples)? == Some(START_CODE)
        }
    };
    Ok(if has_start_codes { Framing::StartCodes } else { Framing::Lengths })
}

/// The contents of the stream's description in a sample entry.
fn description(file: &File, entry: &BoxHeader) -> io::Result<Option<Range<u64>>> {
    let own = entry.contents.start + DESCRIPTION_BYTES..entry.contents.end;
    for kind in DESCRIPTIONS {
        if let Some(found) = first(file, &own, &[kind])? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The first bytes of the first sample, where the index describes one.
fn first_sample(file: &File, samples: &Range<u64>) -> io::Result<Option<[u8; 4]>> {
    let narrow = first(file, samples, &[*b"stco"])?;
    let place = match narrow {
        Some(table) => first_entry::<4>(file, &table)?,
        None => match first(file, samples, &[*b"co64"])? {
            Some(table) => first_entry::<8>(file, &table)?,
            None => None,
        },
    };
    let mut begin = [0; 4];
    let Some(place) = place else { return Ok(None) };
    let read = file.read_at(&mut begin, place)?;
    Ok((read == begin.len()).then_some(begin))
}
