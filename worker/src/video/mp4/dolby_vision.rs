//! Names a track of Dolby Vision on top of H.264 as the H.264 that it can be decoded as: the demuxer knows such
//! tracks of H.265 only. Called by `tracks`.

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
/// Types of sample entries, each with that of its base layer.
const BASE_LAYERS: [([u8; 4], [u8; 4]); 2] = [(*b"dva1", *b"avc1"), (*b"dvav", *b"avc1")];

/// The type of the first sample entry in this sample table, if it is to be replaced.
pub(super) fn correction(file: &File, samples: &Range<u64>) -> io::Result<Option<Patch>> {
    let Some(table) = first(file, samples, &[*b"stsd"])? else { return Ok(None) };
    let Some(entry) = boxes(file, table.start + ENTRIES_AT..table.end).next().transpose()? else {
        return Ok(None);
    };
    let base = BASE_LAYERS.iter().find(|(kind, _)| *kind == entry.kind);
    Ok(base.map(|(_, base)| Patch { at: entry.whole.start + KIND_AT, bytes: base.to_vec() }))
}
