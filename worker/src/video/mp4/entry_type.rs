//! Names variants of H.264 in MP4 as plain H.264, which they are decoded as: Dolby Vision on top of it, which the demuxer
//! does not know, and parameter sets within the stream, which the decoder does not take by that name. Called by
//! `tracks`.

use super::boxes::boxes;
use super::tracks::first;
use crate::video::corrected_file::Patch;
use std::fs::File;
use std::io;
use std::ops::Range;

/// Version, flags and number of entries, before the first of them.
const ENTRIES_AT: u64 = 8;
/// Bytes of a box before its type.
const KIND_AT: u64 = 4;
/// The type of plain H.264.
const PLAIN: [u8; 4] = *b"avc1";
/// The types of its variants.
const VARIANTS: [[u8; 4]; 3] = [*b"avc3", *b"dva1", *b"dvav"];

/// The type of the first sample entry in this sample table, if it is to be replaced.
pub(super) fn correction(file: &File, samples: &Range<u64>) -> io::Result<Option<Patch>> {
    let Some(table) = first(file, samples, &[*b"stsd"])? else { return Ok(None) };
    let Some(entry) = boxes(file, table.start + ENTRIES_AT..table.end).next().transpose()? else {
        return Ok(None);
    };
    let patch = || Patch { at: entry.whole.start + KIND_AT, bytes: PLAIN.to_vec() };
    Ok(VARIANTS.contains(&entry.kind).then(patch))
}
