//! Makes a finished MP4 start late, by an empty edit at the front of each track (ISO/IEC 14496-12,
//! 8.6.6). Called by `encode` once the muxer is done: the muxer moves the first frame to zero,
//! whenever it is shown, and has no property against it.

use super::boxes::{Head, boxes};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Where a header's duration is in its box, by the box's version.
struct DurationAt([usize; 2]);

const MOVIE: DurationAt = DurationAt([24, 32]);
const TRACK: DurationAt = DurationAt([28, 36]);
/// Where an edit list's entries begin in its box: after its head, version and number.
const EDITS_AT: usize = 16;

/// Delays the file by a number of ticks of its movie's clock. The longer index takes of the empty
/// box behind it.
///
/// # Errors
/// The file cannot be read or written, is not laid out as the muxer does it, or has no room.
pub(super) fn delay(file: &File, ticks: u64) -> io::Result<()> {
    let heads = boxes(file, 0..file.metadata()?.len()).collect::<io::Result<Vec<_>>>()?;
    let place = heads.windows(2).find(|pair| &pair[0].kind == b"moov" && &pair[1].kind == b"free");
    let [index, room] = place.ok_or_else(|| unlike("no room behind the index"))? else {
        unreachable!("windows of two");
    };
    let delayed = rebuilt(file, index, ticks)?;
    let left = room.whole.end.checked_sub(index.whole.start + delayed.len() as u64);
    let left = left.and_then(|left| u32::try_from(left).ok()).filter(|left| *left >= 8);
    let left = left.ok_or_else(|| unlike("too little room behind the index"))?;
    let room = [&left.to_be_bytes(), b"free".as_slice()].concat();
    file.write_all_at(&[delayed, room].concat(), index.whole.start)
}

/// A box with its durations longer and its edit lists with one more entry.
fn rebuilt(file: &File, head: &Head, ticks: u64) -> io::Result<Vec<u8>> {
    match &head.kind {
        b"mvhd" => lengthened(read(file, &head.whole)?, &MOVIE, ticks),
        b"tkhd" => lengthened(read(file, &head.whole)?, &TRACK, ticks),
        b"elst" => with_empty_edit(read(file, &head.whole)?, ticks),
        b"moov" | b"trak" | b"edts" => {
            let mut contents = Vec::new();
            for inner in boxes(file, head.contents.clone()) {
                contents.extend(rebuilt(file, &inner?, ticks)?);
            }
            Ok(boxed(head.kind, &contents))
        }
        _ => read(file, &head.whole),
    }
}

fn lengthened(mut header: Vec<u8>, at: &DurationAt, ticks: u64) -> io::Result<Vec<u8>> {
    let version = version(&header)?;
    let width = [4, 8][version];
    let place = header.get_mut(at.0[version]..).and_then(|rest| rest.get_mut(..width));
    let place = place.ok_or_else(|| unlike("a short header"))?;
    let old = place.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    place.copy_from_slice(&number(old + ticks, width)?);
    Ok(header)
}

fn with_empty_edit(list: Vec<u8>, ticks: u64) -> io::Result<Vec<u8>> {
    let width = [4, 8][version(&list)?];
    let old = list.get(EDITS_AT..).ok_or_else(|| unlike("a short edit list"))?;
    // How long, from which time of the media (none), how fast (as it is, in 16.16).
    let empty = [number(ticks, width)?, vec![0xff; width], vec![0, 1, 0, 0]].concat();
    let count = ((old.len() / empty.len() + 1) as u32).to_be_bytes();
    Ok(boxed(*b"elst", &[&list[8..12], &count, &empty, old].concat()))
}

fn version(header: &[u8]) -> io::Result<usize> {
    let version = header.get(8).copied().map(usize::from).filter(|version| *version < 2);
    version.ok_or_else(|| unlike("an unknown version of a header"))
}

/// The lower bytes of a number, if that is all of it.
fn number(value: u64, width: usize) -> io::Result<Vec<u8>> {
    let (upper, lower) = (value.to_be_bytes(), 8 - width);
    if upper[..lower].iter().any(|byte| *byte != 0) {
        return Err(unlike("a time too long for its header"));
    }
    Ok(upper[lower..].to_vec())
}

fn boxed(kind: [u8; 4], contents: &[u8]) -> Vec<u8> {
    let size = (8 + contents.len()) as u32;
    [&size.to_be_bytes(), kind.as_slice(), contents].concat()
}

fn read(file: &File, place: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (place.end - place.start) as usize];
    file.read_exact_at(&mut bytes, place.start)?;
    Ok(bytes)
}

fn unlike(what: &str) -> io::Error {
    io::Error::other(format!("the index is not as the muxer writes it: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full box: version, flags, contents.
    fn versioned(kind: [u8; 4], version: u8, contents: &[u8]) -> Vec<u8> {
        boxed(kind, &[&[version, 0, 0, 0], contents].concat())
    }

    /// An index with headers of version 0, in which all times are `duration`.
    fn index(duration: u32, edits: &[u8]) -> Vec<u8> {
        let duration = duration.to_be_bytes();
        let movie = versioned(*b"mvhd", 0, &[&[7; 12], duration.as_slice(), &[9; 80]].concat());
        let track = versioned(*b"tkhd", 0, &[&[7; 16], duration.as_slice(), &[9; 60]].concat());
        let edits = boxed(*b"edts", &versioned(*b"elst", 0, edits));
        boxed(
            *b"moov",
            &[movie, boxed(*b"trak", &[track, edits, boxed(*b"mdia", b"x")].concat())].concat(),
        )
    }

    const WHOLE: [u8; 16] = [0, 0, 0, 1, 0, 0, 0, 100, 0, 0, 0, 0, 0, 1, 0, 0];

    fn delayed(bytes: &[u8], ticks: u64) -> io::Result<Vec<u8>> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        delay(&file, ticks)?;
        read(&file, &(0..bytes.len() as u64))
    }

    #[test]
    fn each_track_starts_with_an_empty_edit_and_nothing_behind_moves() {
        let media = boxed(*b"mdat", b"media");
        let before = [index(100, &WHOLE), boxed(*b"free", &[0; 40]), media.clone()].concat();
        let edits = [&[0, 0, 0, 2, 0, 0, 0, 45, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0], &WHOLE[4..]];
        let after = [index(145, &edits.concat()), boxed(*b"free", &[0; 28]), media].concat();
        assert_eq!(delayed(&before, 45).expect("there is room"), after);
    }

    #[test]
    fn what_cannot_be_done_is_an_error_and_changes_nothing() {
        let no_room = [index(100, &WHOLE), boxed(*b"free", &[0; 11])].concat();
        assert!(delayed(&no_room, 45).is_err());
        let nothing_behind = index(100, &WHOLE);
        assert!(delayed(&nothing_behind, 45).is_err());
        let room = [index(100, &WHOLE), boxed(*b"free", &[0; 40])].concat();
        assert!(delayed(&room, 1 << 32).is_err(), "longer than the headers can say");
    }
}
