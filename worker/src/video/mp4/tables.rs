//! Reads tables of numbers in the index of an MP4 (ISO/IEC 14496-12: `stts`, `stco`, `elst`), a part
//! at a time. Called by `tracks` and `framing`; memory and work do not depend on numbers in the file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Version, flags and number of entries, before the first of them.
const ENTRIES_AT: u64 = 8;
/// Most entries of a table that are read; a day of video has fewer frames.
const ENTRIES_MAX: u64 = 1 << 22;
/// Bytes that are read at once; a multiple of every entry's size.
const PART_BYTES: u64 = 12 * 5 * 1024;

/// Passes the entries of a table on, one by one.
pub(super) fn for_each_entry<const BYTES: usize>(
    file: &File,
    table: &Range<u64>,
    mut entry: impl FnMut(&[u8; BYTES]),
) -> io::Result<()> {
    let Some(stated) = number_of_entries(file, table)? else { return Ok(()) };
    let first = table.start + ENTRIES_AT;
    let entries = (table.end - first) / BYTES as u64;
    let entries = entries.min(stated.into()).min(ENTRIES_MAX);
    let end = first + entries * BYTES as u64;
    let mut at = first;
    while at < end {
        let mut part = vec![0; (end - at).min(PART_BYTES) as usize];
        file.read_exact_at(&mut part, at)?;
        part.as_chunks::<BYTES>().0.iter().for_each(&mut entry);
        at += part.len() as u64;
    }
    Ok(())
}

/// The number in the first entry of a table.
pub(super) fn first_entry<const BYTES: usize>(
    file: &File,
    table: &Range<u64>,
) -> io::Result<Option<u64>> {
    let end = table.end.min(table.start + ENTRIES_AT + BYTES as u64);
    let mut number = None;
    for_each_entry::<BYTES>(file, &(table.start..end), |entry| number = Some(number_of(entry)))?;
    Ok(number)
}

/// The number in up to eight bytes.
pub(super) fn number_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn number_of_entries(file: &File, table: &Range<u64>) -> io::Result<Option<u32>> {
    if table.end.saturating_sub(table.start) < ENTRIES_AT {
        return Ok(None);
    }
    let mut number = [0; 4];
    file.read_exact_at(&mut number, table.start + 4)?;
    Ok(Some(u32::from_be_bytes(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(bytes: &[u8]) -> Vec<[u8; 8]> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        let mut found = Vec::new();
        for_each_entry(&file, &(0..bytes.len() as u64), |entry| found.push(*entry))
            .expect("readable");
        found
    }

    #[test]
    fn no_more_entries_are_read_than_are_stated_or_present() {
        let table = |stated: u32, present: usize| {
            [&[0; 4], stated.to_be_bytes().as_slice(), &vec![7; present]].concat()
        };
        assert_eq!(entries(&table(2, 24)), [[7; 8]; 2]);
        assert_eq!(entries(&table(u32::MAX, 23)), [[7; 8]; 2]);
        assert_eq!(entries(&table(20_000, 160_000)).len(), 20_000);
        assert!(entries(&table(0, 8)).is_empty() && entries(&[0; 7]).is_empty());
    }
}
