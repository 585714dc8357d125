//! Clears the timestamps of a finished MP4, so that the same video gives the same bytes. Called by
//! `encode` when the muxer is done.
//!
//! The muxer writes the current time into the index, and into its first draft that remains in an
//! empty box (ISO/IEC 14496-12: `mvhd`, `tkhd`, `mdhd`), and has no property to prevent it. Zero
//! means that the time is unknown.

use super::boxes::boxes;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Version and flags of a box that has them.
const VERSION_BYTES: u64 = 4;

/// Sets every creation and modification time in the file to zero.
pub(in crate::video) fn clear(file: &File) -> io::Result<()> {
    clear_within(file, 0..file.metadata()?.len())
}

fn clear_within(file: &File, within: Range<u64>) -> io::Result<()> {
    for header in boxes(file, within) {
        let header = header?;
        match &header.kind {
            b"moov" | b"trak" | b"mdia" | b"free" => clear_within(file, header.contents)?,
            b"mvhd" | b"tkhd" | b"mdhd" => clear_times(file, header.contents)?,
            _ => {}
        }
    }
    Ok(())
}

/// Both times come first, in 32 bits each or, from version 1 on, in 64.
fn clear_times(file: &File, Range { start, end }: Range<u64>) -> io::Result<()> {
    let mut version = [0];
    file.read_exact_at(&mut version, start)?;
    let times: &[u8] = if version[0] == 0 { &[0; 8] } else { &[0; 16] };
    let at = start + VERSION_BYTES;
    if at + times.len() as u64 <= end { file.write_all_at(times, at) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let size = (8 + contents.len()) as u32;
        [&size.to_be_bytes(), kind.as_slice(), contents].concat()
    }

    /// A header with every byte of its contents set.
    fn stamped(kind: &[u8; 4], version: u8) -> Vec<u8> {
        boxed(kind, &[&[version, 0, 0, 0], [0xff; 28].as_slice()].concat())
    }

    fn cleared(kind: &[u8; 4], version: u8) -> Vec<u8> {
        let mut header = stamped(kind, version);
        let times = if version == 0 { 8 } else { 16 };
        header[12..12 + times].fill(0);
        header
    }

    fn index(header: fn(&[u8; 4], u8) -> Vec<u8>) -> Vec<u8> {
        let mdia = boxed(b"mdia", &header(b"mdhd", 1));
        let trak = boxed(b"trak", &[header(b"tkhd", 0), mdia].concat());
        boxed(b"moov", &[header(b"mvhd", 1), trak].concat())
    }

    #[test]
    fn only_the_times_are_cleared() {
        let media = boxed(b"mdat", &stamped(b"mvhd", 0));
        let whole = |header| {
            let draft = boxed(b"free", &[index(header), vec![0xff; 20]].concat());
            [boxed(b"ftyp", b"isom"), draft, index(header), media.clone()].concat()
        };
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&whole(stamped), 0).expect("room");
        clear(&file).expect("a file");
        let mut found = vec![0; whole(stamped).len()];
        file.read_exact_at(&mut found, 0).expect("as long as before");
        assert_eq!(found, whole(cleared));
    }

    #[test]
    fn a_truncated_file_is_not_an_error() {
        for kept in [3, 9, 20, 40] {
            let file = tempfile::tempfile().expect("a file");
            file.write_all_at(&index(stamped)[..kept], 0).expect("room");
            clear(&file).expect("read no further than its end");
        }
    }
}
