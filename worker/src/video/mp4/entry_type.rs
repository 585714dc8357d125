//! Names variants of H.264 in MP4 as plain H.264, which they are decoded as: Dolby Vision on top of it, which the demuxer
//! does not know, and parameter sets within the stream, which the decoder does not take by that name. Called by
//! `tracks`; pure.

use super::boxes::BoxHeader;
use crate::video::corrected_file::Patch;

/// Bytes of a box before its type.
const KIND_AT: u64 = 4;
/// The type of plain H.264.
const PLAIN: [u8; 4] = *b"avc1";
/// The types of its variants.
const VARIANTS: [[u8; 4]; 3] = [*b"avc3", *b"dva1", *b"dvav"];

/// The type of a sample entry, if it is to be replaced.
pub(super) fn correction(entry: &BoxHeader) -> Option<Patch> {
    let patch = || Patch { at: entry.whole.start + KIND_AT, bytes: PLAIN.to_vec() };
    VARIANTS.contains(&entry.kind).then(patch)
}
