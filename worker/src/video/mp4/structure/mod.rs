//! Refuses MP4 and QuickTime files with a structure that no program writes and that demuxers have had
//! vulnerabilities with, before the demuxer sees them (ISO/IEC 14496-12). Called by `file_facts`.
//!
//! A file that was cut off, and wrong numbers that the demuxer handles or that are corrected
//! (`durations`), are not refused: incomplete boxes at the end of the file end the walk. Work is
//! limited by the number of boxes; memory does not depend on the file, but for a compressed index,
//! which has a limit.

mod compressed;
mod tables;

use super::boxes::{BoxHeader, header};
use super::tracks::first;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use thiserror::Error;

/// Deepest nesting. Files have about ten levels; demuxers that descend by recursion run out of stack.
const DEPTH_MAX: usize = 32;
/// Most boxes; an hour of fragments of one frame each has a third of it.
const BOXES_MAX: u32 = 1 << 22;
/// Most tracks, each of which becomes a stream of the demuxer.
const TRACKS_MAX: u32 = 256;
const HEADER_BYTES: u64 = 8;

/// Boxes that consist of boxes.
const CONTAINERS: &[&[u8; 4]] = &[
    b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl", b"mvex", b"moof", b"traf",
    b"mfra", b"udta", b"gmhd", b"tref", b"sinf", b"schi", b"ilst", b"----", b"wave", b"clip",
    b"matt", b"rmra", b"rmda", b"cmov",
];

/// Boxes of the index without which a file has no pictures: their sizes have to be right. Others may be
/// filled with anything, as programs do at the end of `udta`; a damaged fragment loses its own pictures.
const STRUCTURE: &[&[u8; 4]] = &[
    b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf", b"stbl",
    b"stsd", b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stz2", b"stco", b"co64", b"mvex",
    b"trex",
];

/// Why a file is refused.
#[derive(Debug, Error)]
pub(in crate::video) enum StructureError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A box is smaller than its header or larger than the box around it.
    #[error("a box {0:?} does not fit into the box around it")]
    Size(String),
    /// Boxes are nested too deeply.
    #[error("boxes are nested more than {DEPTH_MAX} deep")]
    Depth,
    /// There are too many boxes.
    #[error("there are more than {BOXES_MAX} boxes")]
    Boxes,
    /// There are too many tracks.
    #[error("there are more than {TRACKS_MAX} tracks")]
    Tracks,
    /// A table states more entries than it has room for.
    #[error("a table {0:?} states more entries than it has")]
    Entries(String),
    /// A track states more samples than the file can have.
    #[error("a track states {0} samples, more than the file has room for")]
    Samples(u32),
    /// A compressed index is not as stated, too large, or holds another one.
    #[error("a compressed index cannot be read")]
    Compressed,
    /// A description of samples is too short, or does not fit.
    #[error("a description of samples is shorter than its fields")]
    Description,
}

/// Checks the boxes of a file; a file of another format has none.
pub(in crate::video) fn check(file: &File) -> Result<(), StructureError> {
    walk(file, file.metadata()?.len(), |index| compressed::check(file, index))
}

/// Checks all boxes of this many bytes; the contents of a compressed index are passed on.
fn walk(
    file: &impl FileExt,
    length: u64,
    check_compressed: impl Fn(&Range<u64>) -> Result<(), StructureError>,
) -> Result<(), StructureError> {
    let (mut boxes, mut tracks) = (0, 0);
    let mut handler = [0; 4];
    // What is left of each container, from the outermost to the innermost.
    let whole = 0..length;
    let mut open = vec![whole];
    while let Some(left) = open.last_mut() {
        let Some(found) = header(file, left.clone())? else {
            let rest = left.clone();
            open.pop();
            if !open.is_empty() {
                check_rest(file, rest)?;
            }
            continue;
        };
        left.start = found.whole.end;
        boxes += 1;
        match &found.kind {
            b"trak" => tracks += 1,
            b"mdia" => handler = handler_of(file, &found.contents)?,
            b"cmvd" => check_compressed(&found.contents)?,
            b"stsd" => check_descriptions(file, &found.contents, handler)?,
            _ => tables::check(file, &found, length)?,
        }
        if boxes > BOXES_MAX {
            return Err(StructureError::Boxes);
        }
        if tracks > TRACKS_MAX {
            return Err(StructureError::Tracks);
        }
        if let Some(contents) = children(&found) {
            if open.len() > DEPTH_MAX {
                return Err(StructureError::Depth);
            }
            open.push(contents);
        }
    }
    Ok(())
}

/// Checks what follows the last complete box in a container: nothing, or filling.
fn check_rest(file: &impl FileExt, rest: Range<u64>) -> Result<(), StructureError> {
    if rest.end.saturating_sub(rest.start) < HEADER_BYTES {
        return Ok(());
    }
    let mut kind = [0; 4];
    file.read_exact_at(&mut kind, rest.start + 4)?;
    match STRUCTURE.contains(&&kind) {
        true => Err(StructureError::Size(name(kind))),
        false => Ok(()),
    }
}

/// The range of the boxes in a box, if it consists of boxes.
fn children(found: &BoxHeader) -> Option<Range<u64>> {
    let Range { start, end } = found.contents;
    match found.kind {
        // After version and flags.
        [b'm', b'e', b't', b'a'] => Some((start + 4).min(end)..end),
        // The names of items in lists of metadata begin with this sign.
        [0xa9, ..] => Some(start..end),
        kind => CONTAINERS.contains(&&kind).then_some(start..end),
    }
}

/// The type of a track's media; zeros without one.
fn handler_of(file: &impl FileExt, media: &Range<u64>) -> io::Result<[u8; 4]> {
    let mut handler = [0; 4];
    let found = first(file, media, &[*b"hdlr"])?.filter(|found| found.end - found.start >= 12);
    if let Some(found) = found {
        file.read_exact_at(&mut handler, found.start + 8)?;
    }
    Ok(handler)
}

/// Checks that the descriptions of a track's samples fit, and have the fields of their type.
fn check_descriptions(
    file: &impl FileExt,
    contents: &Range<u64>,
    handler: [u8; 4],
) -> Result<(), StructureError> {
    let fields: u64 = match &handler {
        b"vide" => 78,
        b"soun" => 28,
        _ => 8,
    };
    let mut number = [0; 4];
    if contents.end - contents.start < 8 {
        return Err(StructureError::Description);
    }
    file.read_exact_at(&mut number, contents.start + 4)?;
    let mut left = contents.start + 8..contents.end;
    // Each has at least a header and fields, so the size of the box bounds the loop.
    for _ in 0..u32::from_be_bytes(number) {
        match header(file, left.clone())? {
            Some(entry) if entry.contents.end - entry.contents.start >= fields => {
                left.start = entry.whole.end;
            }
            _ => return Err(StructureError::Description),
        }
    }
    Ok(())
}

fn name(kind: [u8; 4]) -> String {
    kind.escape_ascii().to_string()
}

#[cfg(test)]
mod tests;
