//! Sets the pre-skip of the Opus tracks of a finished MP4 (the `dOps` box of the Opus in ISO Base
//! Media File Format encapsulation, 4.3.2). Called by `encode` when the muxer is done: the muxer of
//! GStreamer 1.22 writes these numbers with swapped bytes, and browsers then skip a third of a
//! second.

use super::boxes::{boxes, contents_of};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Sample rate of Opus.
const RATE_HZ: u32 = 48_000;
/// Version, flags and number of entries, before the first of them.
const ENTRIES_AT: u64 = 8;
/// Fixed part of every audio sample entry, before its boxes.
const DESCRIPTION_BYTES: u64 = 28;
/// Version and number of channels, before the pre-skip.
const PRE_SKIP_AT: u64 = 2;

/// Sets the pre-skip of every Opus track of the file; other tracks are unchanged.
pub(in crate::video) fn set_pre_skip(file: &File, pre_skip: Duration) -> io::Result<()> {
    let samples = pre_skip.as_nanos() * u128::from(RATE_HZ) / 1_000_000_000;
    let samples = u16::try_from(samples).unwrap_or(u16::MAX);
    // No gain.
    let numbers = [samples.to_be_bytes().as_slice(), &RATE_HZ.to_be_bytes(), &[0; 2]].concat();
    let path = [*b"moov", *b"trak", *b"mdia", *b"minf", *b"stbl", *b"stsd"];
    for table in contents_of(file, 0..file.metadata()?.len(), &path)? {
        for entry in boxes(file, table.start + ENTRIES_AT..table.end) {
            let entry = entry?;
            if &entry.kind != b"Opus" {
                continue;
            }
            let own = entry.contents.start + DESCRIPTION_BYTES..entry.contents.end;
            for place in contents_of(file, own, &[*b"dOps"])? {
                let at = place.start + PRE_SKIP_AT;
                if at + numbers.len() as u64 <= place.end {
                    file.write_all_at(&numbers, at)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let size = (8 + contents.len()) as u32;
        [&size.to_be_bytes(), kind.as_slice(), contents].concat()
    }

    fn index(codec: &[u8; 4], own: &[u8]) -> Vec<u8> {
        let entry = boxed(codec, &[&[7; 28], boxed(b"dOps", own).as_slice()].concat());
        let mut nested = boxed(b"stsd", &[&[0; 8], entry.as_slice()].concat());
        for kind in [b"stbl", b"minf", b"mdia", b"trak", b"moov"] {
            nested = boxed(kind, &nested);
        }
        nested
    }

    fn set(bytes: &[u8]) -> Vec<u8> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        set_pre_skip(&file, Duration::from_micros(6500)).expect("writable");
        let mut found = vec![0; bytes.len()];
        file.read_exact_at(&mut found, 0).expect("as long as before");
        found
    }

    #[test]
    fn only_the_pre_skip_of_opus_is_set() {
        let before = index(b"Opus", &[0, 2, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0]);
        let after = index(b"Opus", &[0, 2, 0x01, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]);
        assert_eq!(set(&before), after);
        for other in [index(b"mp4a", &[9; 11]), index(b"Opus", &[9; 9])] {
            assert_eq!(set(&other), other);
        }
    }
}
